"""What follows in one plan: the workflow's checks, the rules' consequences, the team anew, and the circle it makes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from fhir_server.access.stamps import Offer, admitted, by_what_they_show, readers
from fhir_server.care.care_team import ACTIVE, removed
from fhir_server.care.chart import Situation
from fhir_server.care.circle import admission, offered
from fhir_server.care.consents import consent_state
from fhir_server.care.move_log import moves_of
from fhir_server.care.moves import Move, from_document, in_turn, to_document
from fhir_server.care.parties import SERVER, party_of
from fhir_server.care.plans import OPEN as OPEN_PLAN
from fhir_server.care.plans import check_open
from fhir_server.care.rules import consequences, current_team
from fhir_server.care.tasks import focus
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.change import Change
from fhir_server.fhir.dates import time_range
from fhir_server.fhir.errors import FhirError, Forbidden
from fhir_server.fhir.json import Resource
from fhir_server.interactions.gate.care_checks import Facts, check_change
from fhir_server.interactions.gate.working_set import Pending, WorkingSet
from fhir_server.interactions.words import Services
from fhir_server.search.grant import Reader
from fhir_server.store.values import Circle, Stored

_JUDGED = ("Task", "ServiceRequest", "Consent")
WORKFLOW = (*_JUDGED, "Goal")
_WITHDRAWN = ("inactive", "entered-in-error")
_SERVER = Actor(organization=SERVER)


def enters(pending: Pending) -> bool:
    """Whether an update brings a Task, an order or a consent, which lay in no plan, into one."""
    before, after = pending.before, pending.after
    if before is None or after is None or pending.consequence or after["resourceType"] not in _JUDGED:
        return False
    return bool(pending.plans) and not before.stamp.plans


@dataclass(frozen=True)
class Followed:
    """A plan after this write: its circle, and whether that `changed`; its `stored` workflow, as it was before.

    `offers` are what its Tasks show their owners, by the Task or order that is shown.
    """

    circle: Circle
    offers: Mapping[str, Sequence[Offer]]
    stored: tuple[Stored, ...]
    read_after_end: timedelta
    changed: bool
    _admitted: dict[tuple[str, str | None], tuple[Reader, ...]] = field(default_factory=dict)

    def readers(self, type_name: str, reference: str, author: str | None) -> tuple[Reader, ...]:
        """Whom the plan admits to one of its resources."""
        alike = (type_name, author)
        if alike not in self._admitted:
            self._admitted[alike] = admitted(type_name, author, self.circle.members, self.circle.former)
        return readers(self._admitted[alike], self.offers.get(reference, ()), self.read_after_end)


class Following:
    """One plan in one write."""

    def __init__(self, plan: str, opened: Circle | None, working: WorkingSet, actor: Actor, services: Services) -> None:
        self.working = working
        self.actor = actor
        self.plan = plan
        self.opened = opened
        working.tx.guard(plan)
        circle = opened or working.tx.circle(plan)
        if circle is None:
            raise Forbidden("This plan was imported; the server does not govern it.", "CarePlan", "not-governed")
        self.circle = circle
        self.programme = services.programmes[circle.programme]
        self.stored = {name: tuple(s for s in working.tx.in_plan(plan, name) if not s.deleted) for name in WORKFLOW}
        self.contents = {s.reference: s.resource() for name in _JUDGED for s in self.stored[name]}

    def follow(self, places: dict[str, str]) -> Followed:
        """Check, let follow, compute the team, keep the circle and the log. Raises what the workflow refuses."""
        asked = [self._change(pending) for _, pending in self.working.changes_in(self.plan)]
        situation, new = self._situation(asked)
        self._check(asked, situation, places)
        net = consequences(asked, situation, self.working.moment)
        made = self._take_in(net, asked)
        by_rule = in_turn(moves_of(made, _SERVER, self.working.moment, situation.directory), situation.moves)
        self.working.tx.log_moves([to_document(move) for move in (*new, *by_rule)], self.plan)
        situation = situation.moved(by_rule)
        circle = self._circle(net, situation)
        changed = self.opened is not None or circle != self.circle
        if changed:
            self.working.tx.guard(circle.patient)  # who reads the Patient rests on all circles about the person
            self.working.tx.save_circle(circle)
        offers = by_what_they_show(self._offers(net, situation))
        workflow = tuple(stored for name in WORKFLOW for stored in self.stored[name])
        return Followed(circle if changed else self.circle, offers, workflow, self.programme.read_after_end, changed)

    def _change(self, pending: Pending) -> Change:
        """What changes in this plan, in which whatever an update brings into it is new."""
        return Change(None, pending.after) if enters(pending) else pending.change()

    def _moves(self, asked: Sequence[Change]) -> list[Move]:
        """The moves that were asked; a plan that opens also takes up the author's orders and consents as they stand."""
        changed = {change.reference for change in asked}
        taken = [content for name, content in self.contents.items() if name not in changed] if self.opened else []
        return moves_of(asked, self.actor, self.working.moment, self.working.resource, taken)

    def _situation(self, asked: Sequence[Change]) -> tuple[Situation, list[Move]]:
        """What the rules look at, and which of its moves are new."""
        plan = self._first(f"CarePlan/{self.plan}")
        known = [from_document(document) for document in self.working.tx.moves(self.plan)]
        new = in_turn(self._moves(asked), known)
        situation = Situation(
            plan=plan,
            team=self._first(f"CareTeam/{self.circle.team}"),
            programme=self.programme,
            author=self.circle.author,
            custodian=self.circle.custodian,
            subject=self.circle.patient,
            started=time_range(plan["created"])[0],
            directory=self.working.resource,
            moves=(*known, *new),
            tasks=self._resources("Task"),
            orders=self._resources("ServiceRequest"),
            consents=self._resources("Consent"),
        )
        return situation, new

    def _first(self, reference: str) -> Resource:
        """The state before this write, or as this write opens it."""
        stored = self.working.stored(reference)
        return stored.resource() if stored else self.working.pending[reference].change().resource

    def _resources(self, type_name: str) -> tuple[Resource, ...]:
        """The plan's resources of a type as they are stored, and those that this write adds to it."""
        found = {stored.reference: self.contents[stored.reference] for stored in self.stored[type_name]}
        for reference, pending in self.working.changes_in(self.plan):
            if reference.startswith(f"{type_name}/") and pending.after is not None:
                found.setdefault(reference, pending.after)
        return tuple(found.values())

    def _check(self, asked: Sequence[Change], situation: Situation, places: dict[str, str]) -> None:
        state = situation.after(asked)
        tasks, consents = (
            tuple(resource for resource in state.values() if resource["resourceType"] == name)
            for name in ("Task", "Consent")
        )
        moment = self.working.moment
        present = tuple(reader for reader in self.circle.members if reader.start <= moment < reader.until)
        for change in asked:
            pending = self.working.pending[change.reference]
            if pending.consequence:
                continue
            try:
                if enters(pending) and change.type == "ServiceRequest":
                    check_open(situation.plan)
                for judged in self._judged(change, pending):
                    recorder = pending.author if judged.type == "Consent" and judged.before else None
                    facts = Facts(situation, self.circle, self.actor, recorder, tasks, consents, present, moment)
                    check_change(judged, facts)
            except FhirError as error:
                place = places.get(change.reference)
                raise (error.below(f"{place}.resource") if place else error) from error

    def _judged(self, change: Change, pending: Pending) -> Sequence[Change]:
        """What the checks are asked about: an update that enters the plan counts as new there, and as the change it is.

        An order keeps its own steps, and whoever recorded a Consent may withdraw it wherever it then lies.
        """
        if not enters(pending) or change.type == "Task":
            return (change,)
        updated = pending.change()
        withdrawn = change.resource.get("status") in _WITHDRAWN
        return (updated,) if change.type == "ServiceRequest" or withdrawn else (change, updated)

    def _take_in(self, net: Iterable[Change], asked: Sequence[Change]) -> list[Change]:
        """Put what follows into the working set; the moves of Tasks and orders that the rules made, as changes."""
        known = {change.reference: change.after for change in asked}
        made = []
        for change in net:
            if change.after is None or known.get(change.reference) == change.after:
                continue
            if change.type in {"Task", "ServiceRequest"}:
                made.append(Change(known.get(change.reference, change.before), change.after))
            if change.reference in self.working.pending:
                self.working.rewrite(change.reference, change.after)
                continue
            before = self.working.stored(change.reference)
            author = before.stamp.author if before else None
            pending = Pending(before, change.after, (self.plan,), author, "PUT", consequence=True)
            self.working.put(change.reference, pending)
        return made

    def _circle(self, net: Sequence[Change], situation: Situation) -> Circle:
        team = current_team(net, situation, self.working.moment)
        state = situation.after(net)
        situation = situation.happened(self.working.moment)
        consents = [
            consent_state(resource, situation.moves, situation.directory)
            for resource in state.values()
            if resource["resourceType"] == "Consent"
        ]
        admitted = admission(team, consents, self.circle.author, self.programme, self.working.moment)
        is_open = state[f"CarePlan/{self.plan}"]["status"] in OPEN_PLAN
        others = {*team.parties(ACTIVE), *removed(situation.custodian_actions, self.working.moment)}
        tasks = [resource for resource in state.values() if resource["resourceType"] == "Task"]
        asked = offered(tasks, consents, others, self.programme, situation.directory, self.working.moment)
        return replace(
            self.circle,
            members=admitted.members,
            former=admitted.former,
            pending=admitted.pending,
            open=is_open,
            offered=asked,
        )

    def _offers(self, net: Sequence[Change], situation: Situation) -> Iterable[Offer]:
        last = situation.last_moves
        for reference, resource in situation.after(net).items():
            if resource["resourceType"] != "Task":
                continue
            order = focus(resource)
            owner = party_of(resource, "owner", situation.directory)
            yield Offer(
                reference,
                order if order.startswith("ServiceRequest/") else None,
                owner,
                resource["status"],
                last[reference].at if reference in last else None,
            )
