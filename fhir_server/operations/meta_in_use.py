"""$meta of a type or of the whole server: the profiles, tags and security labels in use, as far as the caller reads.

A label that stands only on what the caller may not read is not told: the resources are sought under the caller's own
grants, like any search of theirs.

https://hl7.org/fhir/R4/resource-operation-meta.html
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fhir_server.access.scopes import allows
from fhir_server.access.types import TYPES
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import TooCostly
from fhir_server.fhir.json import Resource, encode
from fhir_server.interactions.seeing.sight import Sight
from fhir_server.interactions.words import Answer, Interaction, Services
from fhir_server.search.parse import parse
from fhir_server.store.values import Stored

MOST = 1_000
"""How many labelled resources are read at most."""

_LISTS = {"profile": "_profile", "security": "_security", "tag": "_tag"}
_PAGE = 200


def meta_in_use(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """One Meta with everything in use; no parameter at all when nothing is. Raises TooCostly."""
    types = [interaction.type] if interaction.type else [name for name in sorted(TYPES) if allows(actor, "read", name)]
    sight = Sight.of(actor, services)
    labelled: dict[str, Stored] = {}
    for stored in _labelled(types, sight, services):
        labelled[stored.reference] = stored
        if len(labelled) > MOST:
            told = f"More than {MOST} resources have labels or profiles. Ask for one type, or search by _tag, _security"
            raise TooCostly(f"{told} or _profile.")
    found = _union(stored.resource().get("meta", {}) for stored in labelled.values())
    parameter: list[Resource] = [{"name": "return", "valueMeta": found}] if found else []
    body = encode({"resourceType": "Parameters", **({"parameter": parameter} if parameter else {})})
    return Answer("ok", body, disclosed=tuple(labelled.values()), reason="what the caller reads")


def _labelled(types: Sequence[str], sight: Sight, services: Services) -> Iterator[Stored]:
    for type_name in types:
        grants = sight.grants(type_name)
        for parameter in _LISTS.values() if grants else ():
            cursor: str | None = None
            while True:
                asked = [(f"{parameter}:missing", "false"), *([("_cursor", cursor)] if cursor else [])]
                query = parse(type_name, asked, base_url=services.base_url, default_count=_PAGE, max_count=_PAGE)
                page = services.reading.search(query, grants, sight.moment)
                yield from page.matches
                if page.next is None:
                    break
                cursor = page.next


def _union(metas: Iterable[Resource]) -> Resource:
    """Each profile once, each label once by system and code, in the order of their texts."""
    found: dict[str, dict[tuple[str, str], Any]] = {name: {} for name in _LISTS}
    for meta in metas:
        for name, seen in found.items():
            for item in meta.get(name, ()):
                seen.setdefault(_key(item), item)
    return {name: [seen[key] for key in sorted(seen)] for name, seen in found.items() if seen}


def _key(item: Any) -> tuple[str, str]:
    return (item.get("system", ""), item.get("code", "")) if isinstance(item, dict) else (item, "")
