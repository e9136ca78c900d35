"""What a Task or an order may contain: it is read before it is accepted, so no person and no clinical content."""

from collections.abc import Sequence

from fhir_server.access.types import DEFINITION, DIRECTORY, TYPES
from fhir_server.fhir.json import Resource
from fhir_server.fhir.outcome import Issue

READ_BEFORE_ACCEPTANCE = frozenset({"Task", "ServiceRequest"})

_FREE_TO_CONTAIN = frozenset({DEFINITION, DIRECTORY})


def carried(resource: Resource) -> Sequence[tuple[int, str | None]]:
    """The place and type of each contained resource that nobody may see before acceptance; none of other types."""
    if resource["resourceType"] not in READ_BEFORE_ACCEPTANCE:
        return ()
    inside = [each.get("resourceType") for each in resource.get("contained", ())]
    return [(position, name) for position, name in enumerate(inside) if not _free_to_contain(name)]


def contained_issues(resource: Resource) -> list[Issue]:
    """A Task or an order that carries a person or clinical content inside."""
    type_name = resource["resourceType"]
    return [
        Issue(
            "business-rule",
            f"A {type_name} is read before it is accepted; it contains no {inner}. "
            "Store that resource by itself and refer to it.",
            f"{type_name}.contained[{position}]",
            "contained-clinical",
        )
        for position, inner in carried(resource)
    ]


def _free_to_contain(type_name: str | None) -> bool:
    return type_name in TYPES and TYPES[type_name].kind in _FREE_TO_CONTAIN
