"""Which plans a resource belongs to: one function for every type."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from fhir_server.access.types import TYPES
from fhir_server.fhir.errors import InvalidWorkflow
from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import parse_reference


class PlanFacts(Protocol):
    """What the decision needs to know."""

    def plans_of_stored(self, reference: str) -> tuple[str, ...]:
        """The plans that a stored resource, or one of the same Bundle, belongs to."""

    def active_plans(self, author: str, patient: str) -> Sequence[str]:
        """The plans about the patient in whose circle the author is now."""


def plans_of(resource: Resource, author: str, facts: PlanFacts) -> tuple[str, ...]:
    """The ids of the plans that `resource` belongs to.

    An explicit chain of references decides; else the author's one active plan for the patient; when there are
    several, InvalidWorkflow asks to name it; when there is none, the resource is the author's own until a plan
    takes it up.
    """
    type_name = resource["resourceType"]
    if type_name == "CarePlan":
        return (resource["id"],)
    named = sorted({plan for target in chain(resource) for plan in facts.plans_of_stored(target)})
    if named:
        return tuple(named)
    patient = patient_of(resource)
    if patient is None:
        return ()
    active = tuple(facts.active_plans(author, patient))
    if len(active) > 1:
        raise InvalidWorkflow(
            f"You take part in {len(active)} plans about this person; name the one that this belongs to, with basedOn.",
            f"{type_name}.basedOn",
            "plan-ambiguous",
        )
    return active


def patient_of(resource: Resource) -> str | None:
    """`Patient/x` that a resource is about, or None."""
    type_name = resource["resourceType"]
    if type_name == "Patient":
        return f"Patient/{resource['id']}"
    path = TYPES[type_name].patient
    if path is None:
        return None
    return next((ref for ref in _targets(resource, path.split(".")) if ref.startswith("Patient/")), None)


def chain(resource: Resource) -> list[str]:
    """The references that lead to a plan; one to a Patient does not, for it belongs to every plan about the person."""
    found = (target for element in TYPES[resource["resourceType"]].chain for target in _targets(resource, [element]))
    return [target for target in found if not target.startswith("Patient/")]


def _targets(value: Any, path: list[str]) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _targets(item, path)
    elif isinstance(value, dict):
        if path:
            yield from _targets(value.get(path[0]), path[1:])
        elif isinstance(value.get("reference"), str):
            reference = parse_reference(value["reference"])
            if reference:
                yield str(reference)
