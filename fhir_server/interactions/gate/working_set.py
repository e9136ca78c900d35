"""The state that a write works on: the store, covered by what the write changes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from fhir_server.access.plan_scope import patient_of
from fhir_server.fhir.actor import OPEN_PLANS, Actor
from fhir_server.fhir.change import Change
from fhir_server.fhir.json import Resource, same
from fhir_server.fhir.reference import parse_reference
from fhir_server.interactions.seeing.sight import Sight
from fhir_server.store.contract import Transaction
from fhir_server.store.values import Circle, Stored


@dataclass(frozen=True)
class Pending:
    """One resource on its way: stored state before, content after (None deletes), the plans it will lie in."""

    before: Stored | None
    after: Resource | None
    plans: tuple[str, ...]
    author: str | None
    method: str
    consequence: bool = False

    @property
    def is_new(self) -> bool:
        """Whether it was not there before: never, or deleted."""
        return self.before is None or self.before.deleted

    @cached_property
    def content_before(self) -> Resource | None:
        """What it said, to be read only; None when it was not there: never, or deleted."""
        return self.before.resource() if self.before and not self.before.deleted else None

    @property
    def person_before(self) -> str | None:
        """Whom it was about; what was deleted is about whom its stamp says."""
        if self.content_before is None:
            return self.before.stamp.patient if self.before else None
        return patient_of(self.content_before)

    def change(self) -> Change:
        """The change in the words of the rules."""
        return Change(self.content_before, self.after)


class WorkingSet:
    """Net changes by reference, and the questions that the rules ask; what was read once is kept for the attempt."""

    def __init__(self, tx: Transaction, actor: Actor, moment: datetime, max_circles: int) -> None:
        self.tx = tx
        self.actor = actor
        self.moment = moment
        self.sight = Sight(actor, tx, moment, max_circles)
        self.pending: dict[str, Pending] = {}
        # What this write deletes, known before the rest of it is settled: deletes come first.
        self.leaving: set[str] = set()
        self._read: dict[str, Stored | None] = {}

    def stored(self, reference: str) -> Stored | None:
        """The stored state of `Type/id` before this write."""
        if reference not in self._read:
            parsed = parse_reference(reference)
            self._read[reference] = self.tx.read(parsed.type, parsed.id) if parsed else None
        return self._read[reference]

    def resource(self, reference: str) -> Resource | None:
        """The content of `Type/id` as it will be after this write; None when absent or deleted."""
        if reference in self.pending:
            return self.pending[reference].after
        stored = self.stored(reference)
        return stored.resource() if stored and not stored.deleted else None

    def put(self, reference: str, pending: Pending) -> None:
        """State what will become of `reference`."""
        self.pending[reference] = pending

    def place(self, reference: str, plans: tuple[str, ...]) -> None:
        """State which plans a changed resource lies in."""
        self.pending[reference] = replace(self.pending[reference], plans=plans)

    def rewrite(self, reference: str, after: Resource) -> None:
        """Replace the content of a changed resource by what the rules made of it."""
        self.pending[reference] = replace(self.pending[reference], after=after)

    def leave_unchanged(self) -> dict[str, Stored]:
        """Drop what says no more than is stored, so that it makes no version; what stands instead, by reference."""
        unchanged = {}
        for reference, pending in list(self.pending.items()):
            before, content = pending.before, pending.content_before
            if before is None or content is None or pending.after is None:
                continue
            if same(_comparable(pending.after), _comparable(content)):
                unchanged[reference] = before
                del self.pending[reference]
        return unchanged

    def changes_in(self, plan: str) -> Iterator[tuple[str, Pending]]:
        """What changes in a plan."""
        return ((reference, pending) for reference, pending in self.pending.items() if plan in pending.plans)

    def readable(self, reference: str) -> bool:
        """Whether the actor may refer to `Type/id`: it creates it in this write, or may read it."""
        if reference in self.pending:
            return self.pending[reference].after is not None
        stored = self.stored(reference)
        return stored is not None and not stored.deleted and self.sight.reason_to_read(stored) is not None

    def plans_of_stored(self, reference: str) -> tuple[str, ...]:
        """The plans that a resource lies in, changed or stored."""
        if reference in self.pending:
            return self.pending[reference].plans
        stored = self.stored(reference)
        return stored.stamp.plans if stored else ()

    def active_plans(self, author: str, patient: str) -> Sequence[str]:
        """The open plans about the patient in whose circle the author is a member now."""
        if author not in self.actor.parties:
            return ()
        return [circle.plan for circle in self.sight.circles(patient=patient) if circle.open]

    def rejoined_plans(self, patient: str) -> tuple[str, ...]:
        """The open plans about the patient in which the actor, no member now, may still ask for something.

        They are those that it opened itself, and those that it left and could open anew.
        """
        parties = self.actor.parties
        found = [circle for circle in self.tx.circles_about(patient) if circle.open]
        return tuple(circle.plan for circle in found if circle.author in parties or self._left(circle))

    def _left(self, circle: Circle) -> bool:
        return OPEN_PLANS in self.actor.scopes and any(
            reader.party in self.actor.parties and self.moment < reader.until for reader in circle.former
        )

    def take_up(self, plan: str, patient: str, author: str) -> None:
        """Let a new plan take up what this write creates about its person and what lies in no plan yet."""
        for reference, pending in list(self.pending.items()):
            about = pending.after is not None and patient_of(pending.after) == patient
            if about and not pending.plans and pending.author == author:
                self.place(reference, (plan,))


def _comparable(resource: Resource) -> Resource:
    """The content without what the server writes into its meta."""
    meta = {name: value for name, value in resource.get("meta", {}).items() if name not in {"versionId", "lastUpdated"}}
    rest = {name: value for name, value in resource.items() if name != "meta"}
    return {**rest, "meta": meta}
