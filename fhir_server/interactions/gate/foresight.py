"""What a write will surely ask for, told from its asks alone, so that the store can read it at once."""

from collections.abc import Sequence, Set

from fhir_server.access.types import CHART, COORDINATION, DEFINITION, DIRECTORY, TYPES
from fhir_server.fhir.reference import parse_reference
from fhir_server.interactions.gate.asks import Ask
from fhir_server.interactions.gate.references import DELETED_BY_CLIENTS, local
from fhir_server.store.values import Foreseen

_MOST = 100
# A role says for which organisation somebody acts.
_DECIDES = frozenset({"PractitionerRole", *(name for name, rule in TYPES.items() if rule.kind == COORDINATION)})
_WORKFLOW = tuple(name for name, rule in TYPES.items() if rule.kind == COORDINATION)
# What is only referred to, and taken away by nobody who would not wait: see store/mongo/writing/lately_seen.py.
_LASTING = frozenset({"Patient", *(name for name, rule in TYPES.items() if rule.kind != CHART)} - DELETED_BY_CLIENTS)
# Of these, what decides nothing in the workflow; a role or a service does: it says who acts, and so who is in a team.
_LASTING_FOR_WORKFLOW = frozenset(
    {name for name, rule in TYPES.items() if rule.kind in {DIRECTORY, DEFINITION}}
    - DELETED_BY_CLIENTS
    - {"PractitionerRole", "HealthcareService"}
)


def foresee(asks: Sequence[Ask], base_url: str) -> Foreseen | None:
    """The references that the asks are about or carry, with the workflow of their plans when that will be followed.

    None when nothing can be told without a search, or when it would be more than one question should bring.
    """
    if any(ask.condition is not None or ask.if_none_exist is not None for ask in asks):
        return None
    named = [_named(ask, base_url) for ask in asks]
    references = {reference for ask, found in zip(asks, named, strict=True) for reference in _looked_up(ask, found)}
    if not references or len(references) > _MOST:
        return None
    follows = any(TYPES[ask.type].kind == COORDINATION for ask in asks)
    people = frozenset(reference for found in named for reference in found if reference.startswith("Patient/"))
    types = _lasting(asks)
    lasting = frozenset(each for each in references if each.partition("/")[0] in types)
    return Foreseen(frozenset(references), _WORKFLOW if follows else (), people, lasting)


def _lasting(asks: Sequence[Ask]) -> Set[str]:
    """The types of what the asks need not read when it was seen a moment ago; none unless they only add resources."""
    kinds = {TYPES[ask.type].kind if ask.interaction == "create" else None for ask in asks}
    if not kinds <= {CHART, COORDINATION}:
        return frozenset()
    return _LASTING_FOR_WORKFLOW if COORDINATION in kinds else _LASTING


def _looked_up(ask: Ask, named: set[str]) -> set[str]:
    """What will be read: all that a new resource names; of a changed one what decides, the rest was checked before."""
    if ask.interaction == "create" or ask.id is None:
        return named
    decides = _DECIDES if TYPES[ask.type].kind == COORDINATION else None
    return {ask.reference, *(each for each in named if decides is None or each.partition("/")[0] in decides)}


def _named(ask: Ask, base_url: str) -> set[str]:
    """The resources of this server that the ask refers to."""
    parsed = (parse_reference(local(text, base_url)) for text in ask.targets)
    return {str(each) for each in parsed if each is not None and each.type in TYPES}
