"""What an actor sees of the store: its grants, with the circles that it is a member of looked up when they matter."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from fhir_server.access.grants import grants, judged_by_custodian, needs_circles
from fhir_server.access.stamps import OFFERED
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import Gone, NotFound, TooCostly
from fhir_server.interactions.words import Services
from fhir_server.search.grant import Grant, first_that_admits
from fhir_server.search.query import Query
from fhir_server.store.contract import Reading
from fhir_server.store.values import Circle, Match, Page, Stored

_TOO_MANY = "You care for too many people for one such search; name the person with patient=Patient/[id]."


class Sight:
    """One actor's view at one moment; circles that were asked for once are kept for the request."""

    def __init__(self, actor: Actor, reading: Reading, moment: datetime, max_circles: int) -> None:
        self.actor = actor
        self.reading = reading
        self.moment = moment
        self.begun = time.monotonic()
        self._max_circles = max_circles
        self._known: dict[tuple[str | None, tuple[str, ...] | None], list[Circle]] = {}
        self._kept: list[str] | None = None

    @classmethod
    def of(cls, actor: Actor, services: Services) -> "Sight":
        """What the actor sees now, in the store or in the transaction that the services work within."""
        return cls(actor, services.reading, services.clock(), services.max_circles)

    def circles(self, patient: str | None = None, plans: Sequence[str] | None = None) -> list[Circle]:
        """The circles that have the actor as a member now, narrowed to a patient or to plans.

        Raises TooCostly when they are more than one question may bring.
        """
        key = (patient, tuple(plans) if plans is not None else None)
        if key not in self._known:
            self._known[key] = self._look_up(patient, plans)
        if len(self._known[key]) > self._max_circles:
            raise TooCostly(_TOO_MANY)
        return self._known[key]

    def read(self, type_name: str, id: str) -> Stored | None:
        """The current version, whoever may see it, together with the circles that decide on that."""
        if not needs_circles(type_name):
            return self.reading.read(type_name, id)
        stored, circles = self.reading.read_with_circles(type_name, id)
        if stored is not None:
            admitting = [circle for circle in circles if circle.admits(self.actor.parties, self.moment)]
            self._known[(None, stored.stamp.plans)] = admitting
        return stored

    def _look_up(self, patient: str | None, plans: Sequence[str] | None) -> list[Circle]:
        if plans is not None and not plans:
            return []
        return self.reading.circles(
            parties=self.actor.parties, patient=patient, plans=plans, moment=self.moment, limit=self._max_circles + 1
        )

    def search_about(self, patient: str, query: Query, grants: Callable[[], Sequence[Grant]]) -> Page[Match] | None:
        """A page by the `grants` that this sight gives, with the circles about the patient in the same question.

        None when that needs two questions, also when these circles were asked for already.
        """
        key = (patient, None)
        if key in self._known:
            return None

        def grants_from(circles: Sequence[Circle]) -> Sequence[Grant]:
            self._known[key] = [each for each in circles if each.admits(self.actor.parties, self.moment)]
            return grants()

        page = None
        try:
            page = self.reading.search_about(patient, query, grants_from, self.moment)
        finally:
            if page is None:
                self._known.pop(key, None)  # nothing proved them
        return page

    def grants(self, type_name: str, patient: str | None = None, plans: Sequence[str] | None = None) -> list[Grant]:
        """The grants for resources of a type; `patient` or `plans` narrow the circles when the question does."""
        if not needs_circles(type_name):
            return grants(self.actor, type_name)
        if patient is None and plans is None and judged_by_custodian(type_name):
            return grants(self.actor, type_name, custodian_of=self._plans_kept())
        circles = self.circles(patient, plans)
        return grants(
            self.actor,
            type_name,
            [circle.plan for circle in circles],
            custodian_of=[circle.plan for circle in circles if circle.custodian in self.actor.parties],
        )

    def _plans_kept(self) -> list[str]:
        """The plans that the actor is custodian of. Raises TooCostly, as `circles` does."""
        if self._kept is None:
            self._kept = self.reading.plans_kept(self.actor.parties, self.moment, self._max_circles + 1)
        if len(self._kept) > self._max_circles:
            raise TooCostly(_TOO_MANY)
        return self._kept

    def reason_to_read(self, stored: Stored) -> str | None:
        """Why the actor may read a stored resource, or None when it may not."""
        grant = first_that_admits(self.grants(stored.type, plans=stored.stamp.plans), stored.stamp, self.moment)
        return grant.reason if grant else None

    def visible(self, stored: Stored | None) -> tuple[Stored, str]:
        """`stored`, which may be deleted, and the reason to know of it. Raises NotFound for absent and hidden alike."""
        reason = self.reason_to_read(stored) if stored is not None else None
        if stored is None or reason is None:
            raise NotFound
        return stored, reason

    def readable(self, stored: Stored | None) -> tuple[Stored, str]:
        """`stored` and the reason to show it. Raises NotFound for absent and hidden alike, Gone when it is deleted."""
        stored, reason = self.visible(stored)
        if stored.deleted:
            raise Gone(f"{stored.reference} was deleted.")
        return stored, reason

    def shows_version(self, current: Stored, version: Stored) -> bool:
        """Whether a past version of a readable resource is readable, too."""
        try:
            self.readable_version(current, version)
        except NotFound:
            return False
        return True

    def readable_version(self, current: Stored, version: Stored | None) -> Stored:
        """A past version of a readable resource: its own plans, patient and labels must permit too. Raises NotFound.

        Who reads a Task or its order only since it was asked reads the versions that were shown to it, none before.
        """
        if version is None:
            raise NotFound
        same_patient = version.stamp.patient in {None, current.stamp.patient}
        as_open = version.stamp.label in {None, current.stamp.label}
        if same_patient and as_open and set(version.stamp.plans) <= set(current.stamp.plans):
            if current.type not in OFFERED or self.reason_to_read(version) or self._reads_beside_offers(current):
                return version
        elif self.reason_to_read(version):
            return version
        raise NotFound

    def _reads_beside_offers(self, current: Stored) -> bool:
        """Whether the actor would read a Task or an order without being asked: as its author, or in its circle."""
        if current.stamp.author in self.actor.parties:
            return True
        everywhere = self._known.get((None, None))
        if everywhere is not None:
            return not {circle.plan for circle in everywhere}.isdisjoint(current.stamp.plans)
        return bool(self.circles(plans=current.stamp.plans))
