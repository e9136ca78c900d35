"""The write gate: well formed, may they, what follows, all kept as one or nothing.

Rules are pure; when another writer was first, the whole gate runs again on the new state.
"""

from collections.abc import Callable, Sequence

from fhir_server.access.carrying import contained_issues
from fhir_server.access.labels import label_issues
from fhir_server.access.plan_scope import behind_their_chains, chain, element_that_leads, patient_of, plans_of
from fhir_server.access.policy import check_create, check_delete, check_membership, check_update
from fhir_server.access.types import COORDINATION, TYPES, VERSIONED_UPDATE
from fhir_server.care.tasks import is_sent
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import FhirError, Forbidden, InvalidResource, InvalidWorkflow, NotFound
from fhir_server.fhir.json import Resource
from fhir_server.fhir.outcome import Issue
from fhir_server.interactions.conditions import (
    check_absent,
    check_if_match,
    check_if_none_match,
    check_unmodified,
    says_version,
    version_required,
)
from fhir_server.interactions.gate.asks import Ask, check_structure
from fhir_server.interactions.gate.coordination import Coordination
from fhir_server.interactions.gate.foresight import foresee
from fhir_server.interactions.gate.keeping import keep
from fhir_server.interactions.gate.references import new_targets, reference_issues, turns_at_targets
from fhir_server.interactions.gate.referrers import check_referrers
from fhir_server.interactions.gate.settling import resolve
from fhir_server.interactions.gate.working_set import Pending, WorkingSet
from fhir_server.interactions.gate.written import Written, became, tell, tell_of_nothing
from fhir_server.interactions.words import Services
from fhir_server.store.contract import Transaction
from fhir_server.store.values import Stored

# What brings an earlier party back into a plan: it asks again, or records the person's consent anew.
REJOINING = frozenset({"Task", "ServiceRequest", "Consent"})


def commit(asks: Sequence[Ask], actor: Actor, services: Services) -> list[Written]:
    """Make all of `asks` and what follows from them, as one; or raise and keep nothing."""
    check_structure(asks, actor, services)
    foreseen = foresee(asks, services.base_url)
    return services.store.transact(lambda tx: Gate(tx, actor, services).write(asks), foreseen)


class Gate:
    """One attempt at one write."""

    def __init__(self, tx: Transaction, actor: Actor, services: Services) -> None:
        self.tx = tx
        self.actor = actor
        self.services = services
        self.working = WorkingSet(tx, actor, services.clock(), services.max_circles)
        self.reasons: dict[str, str] = {}

    def write(self, asks: Sequence[Ask]) -> list[Written]:
        """The steps in their order, each for all asks before the next one: what one says of another must be there."""
        resolved = resolve(asks, self.working, self.services)
        settled = [ask for ask in resolved if not ask.nothing]
        for step in (self._take_in, self._check_references, self._place, self._authorise):
            for ask in self._behind_their_chains(settled) if step == self._place else settled:
                self._take(step, ask)
        gone = [ask for ask in settled if ask.interaction == "delete" and ask.existing is None]
        check_referrers(gone, self.working, self.services)
        coordination = Coordination(self.working, self.actor, self.services)
        if not self.actor.imports:
            coordination.follow({ask.reference: ask.place for ask in settled if ask.place})
        unchanged = self.working.leave_unchanged()
        kept = keep(self.working, coordination, self.services)
        written = [became(ask, self.working, kept, unchanged) for ask in settled]
        tell(written, kept, self.reasons, self.working, self.services)
        tell_of_nothing((ask for ask in resolved if ask.nothing), self.working, self.services)
        return written

    def _behind_their_chains(self, asks: Sequence[Ask]) -> Sequence[Ask]:
        """Whatever the order in the Bundle, what leads to a plan through another entry is placed after that one."""
        if len(asks) < 2:
            return asks
        written = {ask.reference: self.working.pending[ask.reference].after for ask in asks if ask.existing is None}
        order = behind_their_chains({reference: after for reference, after in written.items() if after is not None})
        place = {reference: number for number, reference in enumerate(order)}
        return sorted(asks, key=lambda ask: place.get(ask.reference, 0))

    def _take(self, step: Callable[[Ask], None], ask: Ask) -> None:
        """One step for one ask, whose place in its Bundle a refusal names; what is left as it was needs none."""
        if ask.existing is not None:
            return
        try:
            step(ask)
        except FhirError as error:
            raise ask.located(error) from error

    def _take_in(self, ask: Ask) -> None:
        """Put the ask into the working set, on the state that it is based on."""
        if ask.interaction == "create":
            after = _with_id(ask.resource or {}, ask.id)
            self.working.put(ask.reference, Pending(None, after, (), self.actor.author, "POST"))
            return
        stored = self.working.stored(ask.reference)
        if stored is None and ask.interaction == "update" and self.actor.chooses_ids:
            check_absent(ask.if_match, ask.reference)
            self.working.put(ask.reference, Pending(None, ask.resource, (), self.actor.author, "PUT"))
            return
        before = self._before(ask, stored)
        check_if_match(ask.if_match, before)
        check_if_none_match(ask.if_none_match, before)
        check_unmodified(ask.if_unmodified_since, ask.if_match, before)
        if ask.interaction == "delete":
            self.working.put(ask.reference, Pending(before, None, before.stamp.plans, before.stamp.author, "DELETE"))
            return
        content = ask.resource or {}
        if ask.patch is None:
            self._check_base_version(ask, content, before)
        method = "PATCH" if ask.patch else "PUT"
        self.working.put(ask.reference, Pending(before, content, before.stamp.plans, before.stamp.author, method))

    def _before(self, ask: Ask, stored: Stored | None) -> Stored:
        """The readable state that an update or delete starts from."""
        before, _ = self.working.sight.visible(stored)
        if before.deleted and ask.interaction == "delete":
            raise NotFound
        return before

    def _check_base_version(self, ask: Ask, content: Resource, before: Stored) -> None:
        """Coordination is versioned-update: a change says which version it is based on."""
        if ask.type not in VERSIONED_UPDATE or says_version(ask.if_match) or self.actor.imports:
            return
        stated = content.get("meta", {}).get("versionId")
        if stated is None:
            raise version_required(before, "leave meta.versionId in the body")
        check_if_match(str(stated), before)

    def _check_references(self, ask: Ask) -> None:
        pending = self.working.pending[ask.reference]
        if pending.after is None:
            return
        new = new_targets(pending.after, pending.content_before)
        issues = reference_issues(
            pending.after, new, self.working.readable, self.services.base_url, existence=not self.actor.imports
        )
        if not self.actor.imports:
            issues += [*contained_issues(pending.after), *label_issues(pending.after)]
        if pending.before is not None and pending.person_before != patient_of(pending.after):
            issues.append(
                Issue("business-rule", "The person that a resource is about never changes.", ask.type, "subject")
            )
        if issues:
            raise InvalidResource(issues=issues)
        for turn in turns_at_targets(new) if not self.actor.imports else ():
            self.tx.guard(turn)

    def _place(self, ask: Ask) -> None:
        """Decide which plans a new resource belongs to; what lies in none takes turns with the opening of one.

        So does a change of the Patient, whose readers are the members of every circle about the person.
        """
        pending = self.working.pending[ask.reference]
        if ask.type == "Patient" and pending.before and not self.actor.imports:
            self.tx.guard(ask.reference)
        if pending.after is None or self.actor.imports:
            return
        if pending.plans:
            self._check_leads(ask, pending)
            return
        plans = plans_of(pending.after, pending.author or "", self.working)
        if not plans and ask.type in REJOINING:
            plans = self._rejoined(pending.after)
        if len(plans) > 1 and TYPES[ask.type].kind == COORDINATION:
            told = f"A {ask.type} belongs to one plan; its references lead to {len(plans)}."
            raise InvalidWorkflow(told, f"{ask.type}.basedOn", "one-plan")
        patient = patient_of(pending.after)
        if not plans and patient:
            self.tx.guard(patient)
        self._check_person(ask.type, pending.after, plans, patient)
        self.working.place(ask.reference, plans)

    def _check_leads(self, ask: Ask, pending: Pending) -> None:
        """What a change adds to the references that lead to plans does not lead out of its own ones."""
        after = pending.after or {}
        before = pending.content_before
        added = set(chain(after)) - set(chain(before) if before is not None else ())
        led = {plan for target in added for plan in self.working.plans_of_stored(target)} - set(pending.plans)
        self._check_person(ask.type, after, (*pending.plans, *sorted(led)), patient_of(after))
        if led and TYPES[ask.type].kind == COORDINATION:
            path = element_that_leads(after, min(led), self.working)
            raise InvalidWorkflow(f"A {ask.type} stays in its plan; this leads to another one.", path, "one-plan")

    def _check_person(self, type_name: str, resource: Resource, plans: Sequence[str], patient: str | None) -> None:
        """All plans that a resource leads to are about one person, and about its own if it names one."""
        for plan in plans:
            circle = self.tx.circle(plan)
            patient = patient or (circle.patient if circle else None)
            if circle and circle.patient != patient:
                told = f"This leads to CarePlan/{plan}, which is about another person than the {type_name} is."
                raise InvalidResource(told, element_that_leads(resource, plan, self.working), "another-person")

    def _rejoined(self, resource: Resource) -> tuple[str, ...]:
        """The one plan that the actor opened or left and asks in again; with several, the reference must say which."""
        patient = patient_of(resource)
        plans = self.working.rejoined_plans(patient) if patient else ()
        return plans if len(plans) == 1 else ()

    def _may_add_to(self, resource: Resource, plans: tuple[str, ...]) -> list[str]:
        """Which of `plans` the actor may add the resource to: as a member, or because it asks again.

        A part of a Task is judged by the workflow instead, for whoever asks for it need not be a member yet.
        """
        members = [circle.plan for circle in self.working.sight.circles(plans=plans)]
        if set(members) >= set(plans):
            return members
        if resource["resourceType"] == "Task" and "partOf" in resource:
            return list(plans)
        patient = patient_of(resource) if resource["resourceType"] in REJOINING else None
        return [*members, *(self.working.rejoined_plans(patient) if patient else ())]

    def _authorise(self, ask: Ask) -> None:
        """May they: judged on the state before the write."""
        pending = self.working.pending[ask.reference]
        if self.actor.imports and any(self.tx.circle(plan) for plan in pending.plans):
            raise Forbidden(
                "The import scope does not write into a plan that the server governs.", ask.type, "governed"
            )
        if ask.interaction == "delete":
            reason = check_delete(self.actor, ask.type, pending.author)
        elif pending.before is None:
            after = pending.after or {}
            reason = check_create(self.actor, after, pending.plans, self._may_add_to(after, pending.plans))
        else:
            after = pending.after or {}
            sent = ask.type == "Task" and is_sent(pending.change())
            added = tuple(plan for plan in pending.plans if sent or plan not in pending.before.stamp.plans)
            check_membership(ask.type, added, self._may_add_to(after, added))
            reason = check_update(self.actor, after, pending.author)
        self.reasons[ask.reference] = reason


def _with_id(resource: Resource, id: str | None) -> Resource:
    """The resource with its id behind the type, whatever id the client chose for it."""
    rest = {name: value for name, value in resource.items() if name not in {"resourceType", "id"}}
    return {"resourceType": resource["resourceType"], "id": id, **rest}
