"""Which plans a resource belongs to: one function for every type."""

from collections.abc import Iterator, Mapping, Sequence
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


def element_that_leads(resource: Resource, plan: str, facts: PlanFacts) -> str:
    """The path of the element by which the chain of a resource leads to the plan; of its type, when none does."""
    type_name = resource["resourceType"]
    leading = (
        f"{type_name}.{element}"
        for element in TYPES[type_name].chain
        if any(plan in facts.plans_of_stored(target) for target in _targets(resource, [element]))
    )
    return next(leading, type_name)


def behind_their_chains(resources: Mapping[str, Resource]) -> list[str]:
    """The references of resources that are written together, each behind those of them that its chain leads to.

    So it does not matter in which order they were sent. In a circle of chains nobody can be behind all others.
    """
    chains = {reference: chain(resource) for reference, resource in resources.items()}
    ordered: dict[str, None] = {}
    begun: set[str] = set()
    for reference in chains:
        waiting = [reference]
        while waiting:
            last = waiting[-1]
            first = [] if last in begun else [each for each in chains[last] if each in chains and each not in begun]
            begun.add(last)
            if first:
                waiting += [each for each in first if each != last]
            else:
                ordered[waiting.pop()] = None
    return list(ordered)


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
