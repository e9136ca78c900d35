"""The ids of elements: by one of them an extension or a narrative means one element, so each comes once in a resource.

A contained resource is one of its own here. An ElementDefinition is not asked: R4 itself gives one id to an element in
the snapshot and in the differential.

https://hl7.org/fhir/R4/element.html
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from fhir_server.fhir.json import Resource
from fhir_server.validation.findings import Finding, Locals

UNASKED = "ElementDefinition"
_TEXT = "Another element has this id; ids are unique within a resource."


def repeated_ids(resource: Resource, local: Locals) -> list[Finding]:
    """Where an element has an id that one before it has, by the ids that were met in the resource."""
    met = Counter(text for text, targets in local if targets is None)
    repeated = {id for id, times in met.items() if times > 1}
    if not repeated:
        return []
    seen = set[str]()
    found = list[Finding]()
    for path, id in _ids(resource, ""):
        if id in repeated and id in seen:
            found.append(Finding(f"{path}.id", "value", _TEXT, "element-id"))
        seen.add(id)
    return found


def _ids(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """The ids of the elements below a resource, none of the resources in it."""
    if type(value) is list:
        for position, item in enumerate(value):
            yield from _ids(item, f"{path}[{position}]")
    elif type(value) is dict and (not path or "resourceType" not in value):
        if path and "id" in value:
            yield path, value["id"]
        for name, child in value.items():
            yield from _ids(child, f"{path}.{name}")
