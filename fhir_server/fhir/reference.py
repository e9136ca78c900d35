"""References between resources: what one says, and where a resource holds them.

https://hl7.org/fhir/R4/references.html
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fhir_server.fhir.json import Resource

_LITERAL = re.compile(
    r"(?P<type>[A-Z][A-Za-z]{1,63})/(?P<id>[A-Za-z0-9.-]{1,64})(?:/_history/(?P<version>[A-Za-z0-9.-]{1,64}))?"
)


@dataclass(frozen=True)
class Reference:
    """A literal reference to a resource on this server."""

    type: str
    id: str
    version: str | None = None

    def __str__(self) -> str:
        return f"{self.type}/{self.id}"


@lru_cache(maxsize=8192)
def parse_reference(text: str) -> Reference | None:
    """`Type/id` or `Type/id/_history/v` as a Reference; None for anything else (absolute, urn, contained, query)."""
    match = _LITERAL.fullmatch(text)
    if match is None or ".." in text:
        return None
    return Reference(match["type"], match["id"], match["version"])


def reference_to(resource: Resource) -> str:
    """`Type/id` of a resource that has an id."""
    return f"{resource['resourceType']}/{resource['id']}"


def references_in(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each literal `reference` string that `value` holds, with its element path, contained resources included.

    A resource's own element of that name is no Reference: `DetectedIssue.reference` is the uri of a text.
    """
    if isinstance(value, dict):
        for name, child in value.items():
            here = f"{path}.{name}" if path else name
            if _is_literal(value, name):
                yield here, child
            elif isinstance(child, (dict, list)):
                yield from references_in(child, here)
    elif isinstance(value, list):
        for position, child in enumerate(value):
            if isinstance(child, (dict, list)):
                yield from references_in(child, f"{path}[{position}]")


def targets_in(value: Any) -> set[str]:
    """The same literal references without their paths, which takes a third of the time."""
    found: set[str] = set()
    waiting: list[Any] = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting += each
        elif isinstance(each, dict):
            waiting += each.values()
            text = each.get("reference")
            if isinstance(text, str) and "resourceType" not in each:
                found.add(text)
    return found


def rewrite_references(value: Any, target_of: Callable[[str], str]) -> Any:
    """`value` with every literal reference replaced by `target_of(reference)`; what does not change is shared."""
    if isinstance(value, dict):
        return {
            name: target_of(child) if _is_literal(value, name) else rewrite_references(child, target_of)
            for name, child in value.items()
        }
    if isinstance(value, list):
        return [rewrite_references(child, target_of) for child in value]
    return value


def _is_literal(holder: dict[str, Any], name: str) -> bool:
    return name == "reference" and "resourceType" not in holder and isinstance(holder[name], str)
