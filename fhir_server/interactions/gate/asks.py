"""What a write asks, before anything is decided: one ask for each resource."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import FhirError, InvalidResource
from fhir_server.fhir.json import Resource
from fhir_server.fhir.outcome import Issue
from fhir_server.fhir.reference import targets_in
from fhir_server.interactions.gate.matching import Condition, read_condition, said
from fhir_server.interactions.gate.own_parameters import definition_issues
from fhir_server.interactions.patching.patches import Patch
from fhir_server.interactions.subsets import is_part
from fhir_server.interactions.words import Services
from fhir_server.store.values import Stored
from fhir_server.validation.findings import quoted


@dataclass(frozen=True)
class Ask:
    """One asked write. `full_url` is what other entries of its Bundle call it, `place` where it stands there.

    A `condition` stands for the id that an update, patch or delete does not know; `nothing` says that it is a delete
    whose condition matched nothing. `reason` goes into the audit where the server itself asks.
    """

    interaction: str
    type: str
    id: str | None = None
    resource: Resource | None = None
    if_match: str | None = None
    if_none_exist: str | None = None
    full_url: str | None = None
    place: str | None = None
    existing: Stored | None = None
    patch: Patch | None = None
    condition: Condition | None = None
    nothing: bool = False
    if_none_match: str | None = None
    reason: str | None = None
    if_unmodified_since: str | None = None

    @property
    def reference(self) -> str:
        """`Type/id`, once an id is known."""
        return f"{self.type}/{self.id}"

    @cached_property
    def targets(self) -> frozenset[str]:
        """The literal references of its resource."""
        return frozenset(targets_in(self.resource))

    def having(self, **changes: Any) -> "Ask":
        """The same ask with other fields, as `dataclasses.replace` makes it, in less than half the time."""
        known = {name: value for name, value in self.__dict__.items() if name != "targets"}
        made = Ask.__new__(Ask)
        made.__dict__.update(known, **changes)
        return made

    @property
    def names(self) -> tuple[str, ...]:
        """What other entries of its Bundle may call the resource: its fullUrl, and the condition that it is under."""
        condition = read_condition(self.if_none_exist, self.type) if self.if_none_exist else self.condition
        return tuple(name for name in (self.full_url, said(self.type, condition) if condition else None) if name)

    def located(self, error: FhirError) -> FhirError:
        """`error` with the place of the entry's resource, when the ask came in a Bundle."""
        return error.below(f"{self.place}.resource") if self.place else error


def check_structure(asks: Iterable[Ask], actor: Actor, services: Services) -> None:
    """Raise InvalidResource with every structural issue of every ask at once."""
    issues: list[Issue] = []
    for ask in asks:
        if ask.interaction in {"create", "update"}:
            found = structural_issues(ask.resource, ask.type, actor, services)
            issues += [issue.below(f"{ask.place}.resource") for issue in found] if ask.place else found
    if issues:
        raise InvalidResource(issues=issues)


def structural_issues(resource: object, type_name: str, actor: Actor, services: Services) -> list[Issue]:
    """What is structurally wrong with the body of a create or update of `type_name`."""
    stated = resource.get("resourceType") if isinstance(resource, dict) else None
    if isinstance(stated, str) and stated != type_name:
        return [Issue("structure", f"The address says {type_name}, the body {quoted(stated)}.", "resourceType")]
    issues = services.validator.check(resource)
    if not issues and isinstance(resource, dict) and is_part(resource):
        told = "SUBSETTED says that this is a part; as a whole it would take away the rest. Send it whole, untagged."
        return [Issue("business-rule", told, f"{type_name}.meta.tag", "subsetted")]
    if not issues and isinstance(resource, dict):
        issues = _CHECKED.get(type_name, _nothing_more)(resource, actor, services)
    return issues


def _nothing_more(resource: Resource, actor: Actor, services: Services) -> list[Issue]:
    return []


_CHECKED: Mapping[str, Callable[[Resource, Actor, Services], list[Issue]]] = {
    "SearchParameter": lambda resource, actor, services: definition_issues(resource),
    "Subscription": lambda resource, actor, services: services.check_subscription(resource, actor.imports),
}
"""What the server must be able to do for a resource of the type, beside its structure."""
