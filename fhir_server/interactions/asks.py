"""What a write asks, before anything is decided: one ask for each resource."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from fhir_server.access.scopes import check_scope
from fhir_server.fhir.errors import FhirError, InvalidResource, InvalidWorkflow, MalformedRequest, MultipleMatches
from fhir_server.fhir.json import Resource
from fhir_server.fhir.outcome import Issue
from fhir_server.fhir.reference import rewrite_references
from fhir_server.interactions.parameters import parameters_in
from fhir_server.interactions.references import local
from fhir_server.interactions.search import patient_asked
from fhir_server.interactions.words import Services
from fhir_server.interactions.working_set import WorkingSet
from fhir_server.search.escaping import escape
from fhir_server.search.parse import parse
from fhir_server.store.contract import Stored
from fhir_server.validation.findings import quoted


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
        """`error` with the place of the entry's resource, when the ask came in a Bundle."""
        return error.below(f"{self.place}.resource") if self.place else error


def check_structure(asks: Iterable[Ask], services: Services) -> None:
    """Raise InvalidResource with every structural issue of every ask at once."""
    issues: list[Issue] = []
    for ask in asks:
        if ask.interaction != "delete":
            found = structural_issues(ask.resource, ask.type, services)
            issues += [issue.below(f"{ask.place}.resource") for issue in found] if ask.place else found
    if issues:
        raise InvalidResource(issues=issues)


def structural_issues(resource: object, type_name: str, services: Services) -> list[Issue]:
    """What is structurally wrong with the body of a create or update of `type_name`."""
    stated = resource.get("resourceType") if isinstance(resource, dict) else None
    if isinstance(stated, str) and stated != type_name:
        return [Issue("structure", f"The address says {type_name}, the body {quoted(stated)}.", "resourceType")]
    issues = services.validator.check(resource)
    if not issues and isinstance(resource, dict) and type_name == "Subscription":
        issues = services.check_subscription(resource)
    return issues


def resolve(asks: Sequence[Ask], working: WorkingSet, services: Services) -> list[Ask]:
    """The asks with ids, conditional creates decided, and references between entries rewritten."""
    _refuse_ambiguous(asks)
    settled = [_settle(ask, working, services) for ask in asks]
    targets = {ask.full_url: ask.reference for ask in settled if ask.full_url}
    settled = [_rewritten(ask, targets, services.base_url) for ask in settled]
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
    """The one visible match of If-None-Exist, for whoever may search; two writers with one condition take turns."""
    check_scope(working.actor, "search-type", ask.type)
    condition = (ask.if_none_exist or "").partition("?")[2] or ask.if_none_exist or ""
    pairs = parameters_in(condition)
    working.tx.guard(f"if-none-exist:{ask.type}?{'&'.join(f'{name}={value}' for name, value in sorted(pairs))}")
    query = parse(ask.type, pairs, base_url=services.base_url, default_count=2, max_count=2)
    if not pairs or len(query.clauses) < len(pairs):
        raise MalformedRequest(
            "If-None-Exist takes search parameters that say what a resource has, such as identifier=system|value.",
            ask.type,
            "if-none-exist",
        )
    page = working.tx.search(query, working.sight.grants(ask.type, patient_asked(query)), working.moment)
    if len(page.matches) > 1:
        raise MultipleMatches(
            f"If-None-Exist {condition!r} matches more than one {ask.type}; make it more precise.", ask.type
        )
    return page.matches[0] if page.matches else None


def _rewritten(ask: Ask, targets: Mapping[str, str], base_url: str) -> Ask:
    """With references to other entries resolved, relative ones as its own fullUrl says; those to this server short."""
    if ask.resource is None:
        return ask
    root, _, id = (ask.full_url or "").rpartition(f"/{ask.type}/")
    outside = root if "/" not in id else ""

    def target_of(reference: str) -> str:
        return targets.get(reference) or targets.get(f"{outside}/{reference}") or local(reference, base_url)

    return replace(ask, resource=rewrite_references(ask.resource, target_of))


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


def _refuse_ambiguous(asks: Sequence[Ask]) -> None:
    """A fullUrl names one entry, and a condition creates one resource."""
    conditions = [f"{ask.type}?{ask.if_none_exist}" if ask.if_none_exist else None for ask in asks]
    said = [
        [name for name in (ask.full_url, condition) if name] for ask, condition in zip(asks, conditions, strict=True)
    ]
    counted = Counter(name for names in said for name in names)
    for ask, names in zip(asks, said, strict=True):
        twice = [name for name in names if counted[name] > 1]
        if twice:
            told = f"{quoted(twice[0])} stands at more than one entry of this Bundle."
            raise ask.located(MalformedRequest(told, ask.type, "duplicate-entry"))


def _refuse_duplicates(asks: Sequence[Ask]) -> None:
    seen: set[str] = set()
    for ask in asks:
        if ask.existing is None and ask.reference in seen:
            raise ask.located(
                MalformedRequest(f"{ask.reference} is written twice in one Bundle.", ask.type, "duplicate-entry")
            )
        seen.add(ask.reference)
