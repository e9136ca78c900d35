"""history of one resource, newest first.

https://hl7.org/fhir/R4/http.html#history
"""

import re

from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import MalformedRequest, NotFound
from fhir_server.interactions.bundles import history_bundle
from fhir_server.interactions.sight import Sight
from fhir_server.interactions.words import Answer, Interaction, Services
from fhir_server.store.contract import Stored

_NUMBERS = frozenset({"_count", "_before"})
_KNOWN = _NUMBERS | {"_format", "_pretty"}
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


def history(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """A page of versions, `_count` at most, with a link to the next; each judged on its own plans."""
    if interaction.type is None or interaction.id is None:
        raise NotFound
    count, before = _paging(interaction, services)
    sight = Sight(actor, services.reading, services.clock(), services.max_circles)
    current = services.reading.read(interaction.type, interaction.id)
    reason = sight.reason_to_read(current) if current else None
    if current is None or reason is None:
        raise NotFound
    found = services.reading.history(interaction.type, interaction.id, before, count + 1)
    page = found[:count]
    shown = [version for version in page if _permitted(sight, current, version)]
    following = page[-1].version if len(found) > count and page else None
    body = history_bundle(services.base_url, f"{interaction.type}/{interaction.id}", shown, count, before, following)
    return Answer("ok", body, None, tuple(shown), reason, query=_query(interaction))


def _permitted(sight: Sight, current: Stored, version: Stored) -> bool:
    try:
        sight.readable_version(current, version)
    except NotFound:
        return False
    return True


def _paging(interaction: Interaction, services: Services) -> tuple[int, int | None]:
    given = dict(interaction.parameters)
    unknown = sorted(set(given) - _KNOWN)
    if unknown and not interaction.lenient:
        raise MalformedRequest(f"A history has no parameter {unknown[0]!r}; it has _count.", rule="unknown-parameter")
    wrong = next((name for name, text in given.items() if name in _NUMBERS and not _NUMBER.fullmatch(text)), None)
    if wrong:
        raise MalformedRequest(f"{wrong} of a history is a whole number, at least 1.", rule="parameter-value")
    count = int(given.get("_count", services.default_count))
    return min(count, services.max_count), int(given["_before"]) if "_before" in given else None


def _query(interaction: Interaction) -> str | None:
    return "&".join(f"{name}={value}" for name, value in interaction.parameters) or None
