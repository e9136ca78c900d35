"""What a transaction may be asked: of what waits to be written, of what was read ahead, of its snapshot."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from pymongo.client_session import ClientSession

from fhir_server.fhir.json import Resource
from fhir_server.search.grant import Grant, GrantsFor, Stamp
from fhir_server.search.query import Query
from fhir_server.store.mongo.circles.within import CirclesWithin
from fhir_server.store.mongo.connection import Connection
from fhir_server.store.mongo.documents import Document
from fhir_server.store.mongo.reading import MongoReading
from fhir_server.store.mongo.time_limit import MAX_TIME_MS
from fhir_server.store.mongo.writing.ahead import Ahead
from fhir_server.store.mongo.writing.own_session import OwnSession
from fhir_server.store.mongo.writing.sending import Save
from fhir_server.store.values import Changed, Circle, Key, Page, Span, Stored


class ReadingWithin(MongoReading):
    """The questions inside a transaction; whoever writes sends what waits when `flush` is called.

    What was read `ahead` answers until something was sent.
    """

    def __init__(
        self,
        connection: Connection,
        own_session: OwnSession,
        *,
        secret: bytes,
        seconds: float,
        search_ms: int = MAX_TIME_MS,
        ahead: Ahead | None = None,
    ) -> None:
        super().__init__(connection, secret=secret, seconds=seconds, search_ms=search_ms)
        self._own_session = own_session
        self._saves: dict[Key, Save] = {}
        self._restamps: dict[Key, Stamp] = {}
        self._circles: dict[str, Circle] = {}
        self._additions: list[Document] = []
        self._logged_in: set[str] = set()
        self._within = CirclesWithin()
        self._known: dict[Key, Stored] = {}
        self._ahead = ahead
        if ahead is not None:
            self._known.update({key: stored for key, stored in ahead.stored.items() if stored is not None})
            for circle in ahead.circles.values():
                self._within.put(circle)
            for person in ahead.people:
                self._within.put_about(person, ahead.about(person))

    @property
    def _session(self) -> ClientSession:
        return self._own_session.begun()

    def flush(self) -> None:
        """Send what waits."""
        raise NotImplementedError

    def read(self, type_name: str, id: str) -> Stored | None:
        """The current version, a tombstone included; None when there never was one."""
        waiting = self._saves.get((type_name, id))
        if waiting is not None:
            return waiting.stored
        self._send_if((type_name, id) in self._restamps)
        if self._ahead is not None and (type_name, id) in self._ahead.stored:
            return self._ahead.stored[(type_name, id)]
        stored = super().read(type_name, id)
        if stored is not None:
            self._known[(type_name, id)] = stored
        return stored

    def read_with_circles(self, type_name: str, id: str) -> tuple[Stored | None, list[Circle]]:
        """The current version and the circles of its plans."""
        stored = self.read(type_name, id)
        return stored, self.circles_in(stored.stamp.plans) if stored else []

    def read_many(self, references: Iterable[str]) -> dict[str, Stored]:
        """Current versions of `Type/id` references, by reference; tombstones and absent ones are left out."""
        self._send_if(bool(self._restamps))
        waiting = {save.stored.reference: save.stored for save in self._saves.values()}
        wanted = list(references)
        found = super().read_many(reference for reference in wanted if reference not in waiting)
        found.update({r: waiting[r] for r in wanted if r in waiting and not waiting[r].deleted})
        return found

    def read_version(self, type_name: str, id: str, version: int) -> Stored | None:
        """One version, current or past."""
        self.flush()
        return super().read_version(type_name, id, version)

    def history(self, type_name: str, id: str, before: int | None, count: int) -> list[Stored]:
        """Versions of one resource, newest first, those below version `before` when it is given."""
        self.flush()
        return super().history(type_name, id, before, count)

    def changes(
        self,
        span: Span,
        grants_for: GrantsFor,
        plans: Sequence[str],
        moment: datetime,
        count: int,
    ) -> list[Changed]:
        """At most `count` versions of the span, newest first."""
        self.flush()
        return super().changes(span, grants_for, plans, moment, count)

    def search(
        self,
        query: Query,
        grants: Sequence[Grant],
        moment: datetime,
        grants_for: GrantsFor | None = None,
    ) -> Page[Stored]:
        """The query AND any grant, decided inside the database; `grants_for(type)` judges what is included."""
        self.flush()
        return super().search(query, grants, moment, grants_for)

    def search_several(
        self,
        asked: Sequence[tuple[Query, Sequence[Grant]]],
        moment: datetime,
        grants_for: GrantsFor | None = None,
    ) -> Page[Stored]:
        """What several queries of different types ask, each with its grants, as one page and what they include."""
        self.flush()
        return super().search_several(asked, moment, grants_for)

    def linked(
        self, query: Query, grants: Sequence[Grant], moment: datetime, *, parameter: str | None, limit: int
    ) -> list[str]:
        """`Type/id` of what the query AND any grant find, or of what these refer to by `parameter`."""
        self.flush()
        return super().linked(query, grants, moment, parameter=parameter, limit=limit)

    def contains(self, type_name: str, contained: str) -> bool:
        """Whether some resource of the type contains one of the other type, whoever may read it."""
        self.flush()
        return super().contains(type_name, contained)

    def plans_beside(self, query: Query, patient: str, limit: int) -> list[str]:
        """The plans of what the query finds that is about somebody else, whoever may read it."""
        self.flush()
        return super().plans_beside(query, patient, limit)

    def in_plan(self, plan: str, type_name: str) -> list[Stored]:
        """Current resources of a type that lie in the plan, by id."""
        self.flush()
        if self._ahead is not None and (plan, type_name) in self._ahead.lying:
            return sorted(self._ahead.lying[(plan, type_name)], key=lambda stored: stored.id)
        return super().in_plan(plan, type_name)

    def circle(self, plan: str) -> Circle | None:
        """The plan's circle."""
        return self._within.circle(plan) or self._within.put(super().circle(plan))

    def circles(
        self,
        *,
        parties: Sequence[str],
        patient: str | None = None,
        plans: Sequence[str] | None = None,
        moment: datetime,
        limit: int,
    ) -> list[Circle]:
        """Circles that have one of `parties` as a member at `moment`, by plan, narrowed to a patient or to plans."""
        known = self._within.about(patient) if patient and plans is None else self._within.those(plans)
        if known is not None:
            found = [each for each in known if patient in {None, each.patient} and each.admits(parties, moment)]
            return found[:limit]
        self._send_if(bool(self._circles))
        return super().circles(parties=parties, patient=patient, plans=plans, moment=moment, limit=limit)

    def circles_in(self, plans: Sequence[str]) -> list[Circle]:
        """The circles of these plans, those that have one, by plan."""
        self._send_if(bool(self._circles))
        return super().circles_in(plans)

    def plans_kept(self, parties: Sequence[str], moment: datetime, limit: int) -> list[str]:
        """The plans that the parties keep."""
        self._send_if(bool(self._circles))
        return super().plans_kept(parties, moment, limit)

    def circles_about(self, patient: str) -> list[Circle]:
        """Every circle about the patient, by plan."""
        known = self._within.about(patient)
        return known if known is not None else self._within.put_about(patient, super().circles_about(patient))

    def moves(self, plan: str) -> list[Resource]:
        """The plan's log of moves, oldest first, as they were given, with `plan` and their `seq`."""
        self._send_if(plan in self._logged_in)
        if self._ahead is not None and plan in self._ahead.moves:
            return list(self._ahead.moves[plan])
        return super().moves(plan)

    def _find(self, type_name: str, condition: Document) -> list[Stored]:
        """Remember what was found: it is what a save follows."""
        found = super()._find(type_name, condition)
        self._known.update({(stored.type, stored.id): stored for stored in found})
        return found

    def _send_if(self, needed: bool) -> None:
        if needed:
            self.flush()
