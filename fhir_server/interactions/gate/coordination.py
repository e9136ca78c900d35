"""Care's part of the gate: plans open, rules follow in each plan touched, and the readers of all that this changes."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from fhir_server.access.stamps import widest
from fhir_server.access.types import COORDINATION, TYPES
from fhir_server.care.tasks import is_drafted
from fhir_server.care.unplanned import check_unplanned
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import FhirError
from fhir_server.interactions.gate.following import Followed, Following, enters
from fhir_server.interactions.gate.opening import Opening
from fhir_server.interactions.gate.working_set import Pending, WorkingSet
from fhir_server.interactions.words import Services
from fhir_server.search.grant import Glimpse, Reader, Stamp
from fhir_server.store.values import Circle, Stored


class Coordination:
    """What one write means for plans, teams and readers."""

    def __init__(self, working: WorkingSet, actor: Actor, services: Services) -> None:
        self.working = working
        self.actor = actor
        self.services = services
        self.followed: dict[str, Followed] = {}
        self._about: dict[str, list[Circle]] = {}

    def follow(self, places: dict[str, str]) -> None:
        """Open plans, then follow in each plan that a coordination resource of this write lies in."""
        opening = Opening(self.working, self.actor, self.services)
        for reference, pending in self._new_tasks():
            with _located(places.get(reference)):
                opening.place(reference, pending)
        for reference, pending in self._drafted_tasks():
            with _located(places.get(reference)):
                opening.check(pending.after or {})
        for reference, pending in self._without_plan():
            with _located(places.get(reference)):
                check_unplanned(pending.change(), self.actor.parties, self.working.resource)
        for plan in sorted(self._touched()):
            following = Following(plan, opening.opened.get(plan), self.working, self.actor, self.services)
            self.followed[plan] = following.follow(places)

    def _new_tasks(self) -> list[tuple[str, Pending]]:
        """Tasks that are new, in their plan at least; those that name a plan first, so that the others find it."""
        tasks = [(r, p) for r, p in self.working.pending.items() if r.startswith("Task/")]
        new = [(r, p) for r, p in tasks if p.before is None or enters(p)]
        return sorted(new, key=lambda item: not item[1].plans)

    def _drafted_tasks(self) -> list[tuple[str, Pending]]:
        """Drafts that change, or are sent now."""
        return [(r, p) for r, p in self.working.pending.items() if r.startswith("Task/") and is_drafted(p.change())]

    def _without_plan(self) -> list[tuple[str, Pending]]:
        return [(r, p) for r, p in self.working.pending.items() if not p.plans and _is_coordination(r)]

    def _touched(self) -> set[str]:
        return {plan for r, p in self.working.pending.items() if _is_coordination(r) for plan in p.plans}

    def readers(self, reference: str, stamp: Stamp) -> tuple[Reader, ...]:
        """Whom a stamped resource admits after this write."""
        type_name = reference.partition("/")[0]
        if type_name == "Patient":
            return self._of_patient(reference, stamp.author)
        found = [self.followed[plan].readers(type_name, reference, stamp.author) for plan in stamp.plans]
        return found[0] if len(found) == 1 else widest(reader for each in found for reader in each)

    def restamp(self, kept: Mapping[str, Stored]) -> None:
        """Give the readers that a team change makes to what has no new version: workflow resources and the Patient."""
        for followed in self.followed.values():
            circle = followed.circle
            unchanged = [stored for stored in followed.stored if stored.reference not in kept]
            unchanged += self._plan_and_team(circle, kept)
            for stored in unchanged:
                found = self.readers(stored.reference, stored.stamp)
                if found != stored.stamp.readers:
                    self._restamp(stored, replace(stored.stamp, readers=found))
            if followed.changed:
                self._restamp_patient(circle, kept)

    def _plan_and_team(self, circle: Circle, kept: Mapping[str, Stored]) -> Iterable[Stored]:
        for reference in (f"CarePlan/{circle.plan}", f"CareTeam/{circle.team}"):
            stored = self.working.stored(reference) if reference not in kept else None
            if stored is not None:
                yield stored

    def _restamp_patient(self, circle: Circle, kept: Mapping[str, Stored]) -> None:
        stored = self.working.stored(circle.patient) if circle.patient not in kept else None
        if stored is not None:
            plans = tuple(sorted({each.plan for each in self._circles_about(circle.patient)}))
            found, seen = self._of_patient(circle.patient, stored.stamp.author), self.glimpses(circle.patient)
            self._restamp(stored, replace(stored.stamp, plans=plans, readers=found, glimpses=seen))

    def _restamp(self, stored: Stored, stamp: Stamp) -> None:
        if stamp != stored.stamp:
            self.working.tx.restamp(stored.type, stored.id, stamp)

    def _of_patient(self, patient: str, author: str | None) -> tuple[Reader, ...]:
        members = [reader for circle in self._circles_about(patient) for reader in circle.members]
        return widest([*([Reader(author)] if author else []), *members])

    def glimpses(self, patient: str) -> tuple[Glimpse, ...]:
        """Who sees a part of the Patient after this write: whoever is asked for care in a plan about it."""
        found = {
            Glimpse(reader.party, circle.programme, reader.start, reader.until)
            for circle in self._circles_about(patient)
            for reader in circle.offered
        }
        return tuple(sorted(found, key=lambda each: (each.party, each.programme, each.start)))

    def _circles_about(self, patient: str) -> list[Circle]:
        """Every circle about the patient, those of this write as they will be."""
        if patient not in self._about:
            new = {plan: followed.circle for plan, followed in self.followed.items()}
            stored = [circle for circle in self.working.tx.circles_about(patient) if circle.plan not in new]
            self._about[patient] = stored + [circle for circle in new.values() if circle.patient == patient]
        return self._about[patient]


@contextmanager
def _located(place: str | None) -> Iterator[None]:
    """Names the Bundle entry in whatever is refused inside."""
    try:
        yield
    except FhirError as error:
        raise (error.below(f"{place}.resource") if place else error) from error


def _is_coordination(reference: str) -> bool:
    return TYPES[reference.partition("/")[0]].kind == COORDINATION
