"""What a write asks, before anything is decided: one ask for each resource."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from fhir_server.fhir.errors import FhirError, InvalidResource, InvalidWorkflow, MalformedRequest, MultipleMatches
from fhir_server.fhir.json import Resource
from fhir_server.fhir.outcome import Issue
from fhir_server.fhir.reference import rewrite_references
from fhir_server.interactions.search import patient_asked
from fhir_server.interactions.words import Services
from fhir_server.interactions.working_set import WorkingSet
from fhir_server.search.escaping import escape
from fhir_server.search.parse import parse
from fhir_server.store.contract import Stored


@dataclass(frozen=True)
class Ask:
    """One asked write. `full_url` is what other entries of its Bundle call it, `place` where it stands there."""

    interaction: str
    type: str
    id: str | None = None
    resource: Resource | None = None
    if_match: str | None = None
    if_none_exist: str | None = None
    full_url: str | None = None
    place: str | None = None
    existing: Stored | None = None

    @property
    def reference(self) -> str:
        """`Type/id`, once an id is known."""
        return f"{self.type}/{self.id}"

    def located(self, error: FhirError) -> FhirError:
        """`error` with the entry's place, when the ask came in a Bundle."""
        return error.below(self.place) if self.place else error


def check_structure(asks: Iterable[Ask], services: Services) -> None:
    """Raise InvalidResource with every structural issue of every ask at once."""
    issues: list[Issue] = []
    for ask in asks:
        if ask.resource is not None:
            found = structural_issues(ask.resource, ask.type, services)
            issues += [issue.below(f"{ask.place}.resource") for issue in found] if ask.place else found
    if issues:
        raise InvalidResource(issues=issues)


def structural_issues(resource: object, type_name: str, services: Services) -> list[Issue]:
    """What is structurally wrong with the body of a create or update of `type_name`."""
    if isinstance(resource, dict) and resource.get("resourceType") not in {None, type_name}:
        return [
            Issue("structure", f"The address says {type_name}, the body {resource['resourceType']!r}.", "resourceType")
        ]
    issues = services.validator.check(resource)
    if not issues and isinstance(resource, dict) and type_name == "Subscription":
        issues = services.check_subscription(resource)
    return issues


def resolve(asks: Sequence[Ask], working: WorkingSet, services: Services) -> list[Ask]:
    """The asks with ids, conditional creates decided, and references between entries rewritten."""
    settled = [_settle(ask, working, services) for ask in asks]
    targets = {ask.full_url: ask.reference for ask in settled if ask.full_url}
    if targets:
        settled = [_rewritten(ask, targets) for ask in settled]
    settled = [_with_person(ask, working, services) for ask in settled]
    _refuse_duplicates(settled)
    return settled


def _settle(ask: Ask, working: WorkingSet, services: Services) -> Ask:
    if ask.interaction != "create":
        return ask
    if ask.if_none_exist is not None:
        try:
            found = _matching(ask, working, services)
        except FhirError as error:
            raise ask.located(error) from error
        if found is not None:
            return replace(ask, id=found.id, existing=found)
    return replace(ask, id=services.new_id())


def _matching(ask: Ask, working: WorkingSet, services: Services) -> Stored | None:
    """The one visible match of If-None-Exist; two writers with the same condition take turns."""
    condition = (ask.if_none_exist or "").partition("?")[2] or ask.if_none_exist or ""
    pairs = parse_qsl(condition, keep_blank_values=True)
    if not pairs:
        raise MalformedRequest(
            "If-None-Exist needs search parameters, such as identifier=system|value.", rule="if-none-exist"
        )
    working.tx.guard(f"if-none-exist:{ask.type}?{'&'.join(f'{name}={value}' for name, value in sorted(pairs))}")
    query = parse(ask.type, pairs, base_url=services.base_url, default_count=2, max_count=2)
    page = working.tx.search(query, working.sight.grants(ask.type, patient_asked(query)), working.moment)
    if len(page.matches) > 1:
        raise MultipleMatches(
            f"If-None-Exist {condition!r} matches more than one {ask.type}; make it more precise.", ask.type
        )
    return page.matches[0] if page.matches else None


def _rewritten(ask: Ask, targets: dict[str, str]) -> Ask:
    if ask.resource is None:
        return ask
    return replace(ask, resource=rewrite_references(ask.resource, lambda reference: targets.get(reference, reference)))


def _with_person(ask: Ask, working: WorkingSet, services: Services) -> Ask:
    """A new Task that names its person by identifier alone, with the reference to the one readable match."""
    person = (ask.resource or {}).get("for", {}) if (ask.interaction, ask.type) == ("create", "Task") else {}
    identifier = person.get("identifier", {})
    if ask.existing is not None or ask.resource is None or "reference" in person or "value" not in identifier:
        return ask
    value = escape(identifier["value"])
    asked = [("identifier", f"{escape(identifier['system'])}|{value}" if "system" in identifier else value)]
    query = parse("Patient", asked, base_url=services.base_url, default_count=2, max_count=2)
    found = working.tx.search(query, working.sight.grants("Patient"), working.moment).matches
    if len(found) != 1:
        told = "`for` names the person by an identifier; it must match exactly one Patient that you may read."
        raise ask.located(InvalidWorkflow(told, "Task.for", "task-for"))
    named = {"reference": found[0].reference, **person}
    return replace(ask, resource={**ask.resource, "for": named})


def _refuse_duplicates(asks: Sequence[Ask]) -> None:
    seen: set[str] = set()
    for ask in asks:
        if ask.existing is None and ask.reference in seen:
            raise ask.located(
                MalformedRequest(f"{ask.reference} is written twice in one Bundle.", ask.type, "duplicate-entry")
            )
        seen.add(ask.reference)
