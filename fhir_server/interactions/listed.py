"""`_list` of a history: the versions that a List refers to.

https://hl7.org/fhir/R4/http.html#history
"""

import re
from collections.abc import Mapping

from fhir_server.access.scopes import check_scope
from fhir_server.fhir.errors import Gone, MalformedRequest, NotFound, TooCostly
from fhir_server.fhir.reference import parse_reference
from fhir_server.interactions.seeing.sight import Sight
from fhir_server.search.lists import LIST
from fhir_server.store.values import Item, Stored

MOST = 1000
"""Items of a list that a history goes by."""

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")


def listed(given: Mapping[str, str], sight: Sight) -> frozenset[Item] | None:
    """What the asked List refers to: resources, or single versions. None when no list is asked for.

    Nothing for a List that is not there or hidden, as a search has it. Raises MalformedRequest, Forbidden, TooCostly.
    """
    if LIST not in given:
        return None
    if not _ID.fullmatch(given[LIST]):
        told = f"{LIST!r} of a history takes the id of a List, not {given[LIST]!r}: one by its function is a person's."
        raise MalformedRequest(told, rule="parameter-value")
    check_scope(sight.actor, "search-type", "List")
    try:
        found, _ = sight.readable(sight.reading.read("List", given[LIST]))
    except (NotFound, Gone):
        return frozenset()
    entries = found.resource().get("entry", [])
    if len(entries) > MOST:
        raise TooCostly(f"The list has {len(entries)} items; a history goes by at most {MOST}.", rule=LIST)
    references = (parse_reference(each.get("item", {}).get("reference", "")) for each in entries)
    return frozenset(
        Item(each.type, each.id, int(each.version) if each.version else None)
        for each in references
        if each is not None and (each.version is None or _VERSION.fullmatch(each.version))
    )


def is_listed(version: Stored, items: frozenset[Item] | None) -> bool:
    """Whether the version is among those that are asked for."""
    one = Item(version.type, version.id, version.version)
    return items is None or one in items or one._replace(version=None) in items
