"""What a write will surely ask for, told from its asks alone, so that the store can read it at once."""

from collections.abc import Iterator, Sequence

from fhir_server.access.types import COORDINATION, TYPES
from fhir_server.fhir.reference import parse_reference, references_in
from fhir_server.interactions.asks import Ask
from fhir_server.interactions.references import local
from fhir_server.store.contract import Foreseen

_MOST = 100
# A role says for which organisation somebody acts.
_DECIDES = frozenset({"PractitionerRole", *(name for name, rule in TYPES.items() if rule.kind == COORDINATION)})
_WORKFLOW = tuple(name for name, rule in TYPES.items() if rule.kind == COORDINATION)


def foresee(asks: Sequence[Ask], base_url: str) -> Foreseen | None:
    """The references that the asks are about or carry, with the workflow of their plans when that will be followed.

    None when nothing can be told without a search, or when it would be more than one question should bring.
    """
    if any(ask.condition is not None or ask.if_none_exist is not None for ask in asks):
        return None
    named = {reference for ask in asks for reference in _named(ask, base_url)}
    references = {reference for ask in asks for reference in _looked_up(ask, base_url)}
    if not references or len(references) > _MOST:
        return None
    follows = any(TYPES[ask.type].kind == COORDINATION for ask in asks)
    people = frozenset(reference for reference in named if reference.startswith("Patient/"))
    return Foreseen(frozenset(references), _WORKFLOW if follows else (), people)


def _looked_up(ask: Ask, base_url: str) -> Iterator[str]:
    """What will be read: all that a new resource names; of a changed one what decides, the rest stood there before."""
    if ask.interaction == "create" or ask.id is None:
        yield from _named(ask, base_url)
        return
    yield ask.reference
    decides = _DECIDES if TYPES[ask.type].kind == COORDINATION else None
    for reference in _named(ask, base_url):
        if decides is None or reference.partition("/")[0] in decides:
            yield reference


def _named(ask: Ask, base_url: str) -> Iterator[str]:
    """The resources of this server that the ask refers to."""
    for _, text in references_in(ask.resource or {}):
        parsed = parse_reference(local(text, base_url))
        if parsed is not None and parsed.type in TYPES:
            yield f"{parsed.type}/{parsed.id}"
