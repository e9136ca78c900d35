"""The questions of the contract, asked of MongoDB; in a transaction they see its snapshot and its own writes."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime

from pymongo import ASCENDING, DESCENDING
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.read_concern import ReadConcern

from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import parse_reference
from fhir_server.search.grant import Grant
from fhir_server.search.query import Query
from fhir_server.store.contract import Changed, Circle, NumberedEvent, Page, Span, Stored
from fhir_server.store.mongo import changing, searching, several
from fhir_server.store.mongo.connection import Connection, MoreToCome, asking, union
from fhir_server.store.mongo.contained import is_contained
from fhir_server.store.mongo.documents import (
    CIRCLES,
    COUNTERS,
    EVENTS,
    STORED_FIELDS,
    Document,
    admitted,
    circle_from,
    keeping,
    refers_to,
    stored_from,
)
from fhir_server.store.mongo.ledger import LEDGER, moves_of, version_id
from fhir_server.store.mongo.questions import Questions
from fhir_server.store.mongo.seen_circles import SeenCircles

_FEW = 50


class MongoReading:
    """Answers from the database; raises Unavailable when there is none within `seconds`."""

    _seen_circles: SeenCircles | None = None
    _questions: Questions | None = None

    def __init__(
        self,
        connection: Connection,
        *,
        secret: bytes,
        seconds: float,
        search_ms: int,
        session: ClientSession | None = None,
    ) -> None:
        self._connection = connection
        self._secret = secret
        self._seconds = seconds
        self._session = session
        self._search_ms = search_ms

    def read(self, type_name: str, id: str) -> Stored | None:
        """The current version, a tombstone included; None when there never was one."""
        self._before_asking(type_name)
        with asking(self._seconds):
            if self._session is not None:
                found = self._collection(type_name).find_one({"_id": id}, STORED_FIELDS, session=self._session)
                documents = [found] if found else []
            else:
                one = {"limit": 1, "singleBatch": True}
                asked = {"find": type_name, "filter": {"_id": id}, "projection": STORED_FIELDS, **one}
                documents = self._connection.first_batch(asked)
        return stored_from(type_name, id, documents[0]) if documents else None

    def read_with_circles(self, type_name: str, id: str) -> tuple[Stored | None, list[Circle]]:
        """The current version, as `read` gives it, and the circles of its plans, by plan, in one question."""
        self._before_asking(type_name)
        found = self._asked_together().with_circles(type_name, id)
        if found is None:
            return None, []
        circles = sorted(map(circle_from, found["circles"]), key=lambda circle: circle.plan)
        return stored_from(type_name, id, found), circles

    def read_many(self, references: Iterable[str]) -> dict[str, Stored]:
        """Current versions of `Type/id` references, by reference; tombstones and absent ones are left out."""
        ids: dict[str, list[str]] = defaultdict(list)
        for parsed in filter(None, map(parse_reference, references)):
            ids[parsed.type].append(parsed.id)
        found: dict[str, Stored] = {}
        for type_name, wanted in ids.items():
            for stored in self._find(type_name, {"_id": {"$in": wanted}, "del": False}):
                found[stored.reference] = stored
        return found

    def read_version(self, type_name: str, id: str, version: int) -> Stored | None:
        """One version, current or past; the current one carries its present stamp, a past one that of its time."""
        current = self.read(type_name, id)
        if current is None or current.version == version:
            return current
        with asking(self._seconds):
            key = version_id(type_name, id, version)
            document = self._collection(LEDGER).find_one({"_id": key}, session=self._session)
        return stored_from(type_name, id, document) if document else None

    def history(self, type_name: str, id: str, before: int | None, count: int) -> list[Stored]:
        """Versions of one resource, newest first, those below version `before` when it is given."""
        current = self.read(type_name, id)
        if current is None:
            return []
        newest = current.version if before is None else min(before, current.version)
        keys = {"$gte": version_id(type_name, id, 0), "$lt": version_id(type_name, id, newest)}
        with asking(self._seconds):
            found = self._collection(LEDGER).find({"_id": keys}, session=self._session, limit=count)
            past = [stored_from(type_name, id, document) for document in found.sort("_id", DESCENDING)]
        shows_current = before is None or current.version < before
        return [current, *past][:count] if shows_current else past

    def changes(
        self,
        span: Span,
        grants_for: Callable[[str], Sequence[Grant]],
        plans: Sequence[str],
        moment: datetime,
        count: int,
    ) -> list[Changed]:
        """At most `count` versions of the span, newest first."""
        self._before_asking(*span.types)
        with asking(self._seconds):
            return changing.changes(
                self._collection, span, grants_for, plans, moment, count, self._session, max_time_ms=self._search_ms
            )

    def search(
        self,
        query: Query,
        grants: Sequence[Grant],
        moment: datetime,
        grants_for: Callable[[str], Sequence[Grant]] | None = None,
    ) -> Page:
        """The query AND any grant, decided inside the database; `grants_for(type)` judges what is included."""
        # What a match refers to was known to whoever wrote it.
        self._before_asking(query.type, *(each.type for each in query.includes if each.reverse))
        with asking(self._seconds):
            return searching.search(
                self._database,
                query,
                grants,
                moment,
                secret=self._secret,
                grants_for=grants_for,
                session=self._session,
                max_time_ms=self._search_ms,
            )

    def search_about(
        self,
        patient: str,
        query: Query,
        grants_from: Callable[[Sequence[Circle]], Sequence[Grant]],
        moment: datetime,
    ) -> Page | None:
        """By the circles that were seen last, which the question itself proves; None when they are others now."""
        circles = (
            self._seen_circles.about(patient) if self._seen_circles is not None and self._session is None else None
        )
        if self._seen_circles is None or circles is None:
            return None
        self._before_asking(query.type)
        questions = self._asked_together()
        with asking(self._seconds):
            found = searching.search_beside_circles(
                questions, query, grants_from(circles), moment, patient, secret=self._secret
            )
        if found is None:
            return None
        page, documents = found
        there = sorted(map(circle_from, documents), key=lambda circle: circle.plan)
        if there != circles:
            self._seen_circles.keep(patient, there)
            return None
        return page

    def search_several(
        self,
        asked: Sequence[tuple[Query, Sequence[Grant]]],
        moment: datetime,
        grants_for: Callable[[str], Sequence[Grant]] | None = None,
    ) -> Page:
        """What several queries of different types ask, each with its grants, as one page and what they include."""
        sought = [each.type for each in asked[0][0].includes if each.reverse]
        self._before_asking(*(query.type for query, _ in asked), *sought)
        with asking(self._seconds):
            return several.search_several(
                self._database,
                asked,
                moment,
                secret=self._secret,
                grants_for=grants_for,
                session=self._session,
                max_time_ms=self._search_ms,
            )

    def linked(
        self, query: Query, grants: Sequence[Grant], moment: datetime, *, parameter: str | None, limit: int
    ) -> list[str]:
        """`Type/id` of what the query AND any grant find, or of what these refer to by `parameter`.

        Raises TooCostly when more than `limit` are found.
        """
        self._before_asking(query.type)
        with asking(self._seconds):
            return searching.linked(
                self._database,
                query,
                grants,
                moment,
                parameter=parameter,
                limit=limit,
                session=self._session,
                max_time_ms=self._search_ms,
            )

    def contains(self, type_name: str, contained: str) -> bool:
        """Whether some resource of the type contains one of the other type, whoever may read it."""
        with asking(self._seconds):
            return is_contained(self._database, type_name, contained, self._session)

    def plans_beside(self, query: Query, patient: str, limit: int) -> list[str]:
        """The plans of what the query finds that is about somebody else, whoever may read it."""
        with asking(self._seconds):
            return searching.plans_beside(
                self._database, query, patient, limit, session=self._session, max_time_ms=self._search_ms
            )

    def referrers(self, references: Sequence[str], type_names: Sequence[str], limit: int) -> list[Stored]:
        """Current resources that refer to one of `references`, `limit` of each type at most.

        One question for all types, which MongoDB answers outside of a transaction only: of what is committed here, that
        is also of what a majority does not hold yet, for the one who comes next in a turn must see it.
        """
        asked = {"t": {"$in": [refers_to(reference) for reference in references]}, "del": False}
        first, pipeline = union([(name, _named_where(asked, name, limit)) for name in type_names])
        with asking(self._seconds):
            newest = self._collection(first).with_options(read_concern=ReadConcern("local"))
            found = newest.aggregate(pipeline)
            named = [each["reference"] for each in found]
        return list(self.read_many(named).values())

    def in_plan(self, plan: str, type_name: str) -> list[Stored]:
        """Current resources of a type that lie in the plan, by id."""
        return sorted(self._find(type_name, {"plans": plan, "del": False}), key=lambda stored: stored.id)

    def lying_in(
        self,
        plan: str,
        type_name: str,
        grants: Sequence[Grant],
        moment: datetime,
        *,
        after: str | None = None,
        since: datetime | None = None,
        count: int,
    ) -> list[Stored]:
        """At most `count` current resources of a type that lie in the plan AND any grant admits, by id: those behind
        the id `after`, updated since then."""
        self._before_asking(type_name)
        with asking(self._seconds):
            collection = self._collection(type_name)
            page = searching.Slice(plan, after, since, count)
            return searching.lying_in(
                collection, page, grants, moment, session=self._session, max_time_ms=self._search_ms
            )

    def circle(self, plan: str) -> Circle | None:
        """The plan's circle."""
        with asking(self._seconds):
            document = self._collection(CIRCLES).find_one({"_id": plan}, session=self._session)
        return circle_from(document) if document else None

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
        narrowed: Document = {}
        if patient is not None:
            narrowed["patient"] = patient
        if plans is not None:
            narrowed["_id"] = plans[0] if len(plans) == 1 else {"$in": list(plans)}
        if patient is not None or (plans is not None and len(plans) <= _FEW):
            # So few that judging them here costs less than choosing among the indexes there.
            found = self._found_circles(narrowed)
            if self._seen_circles is not None and patient is not None and plans is None:
                self._seen_circles.keep(patient, found)
            return [each for each in found if each.admits(parties, moment)][:limit]
        return self._found_circles({"members": admitted(list(parties), moment), **narrowed}, limit)

    def circles_in(self, plans: Sequence[str]) -> list[Circle]:
        """The circles of these plans, those that have one, by plan."""
        return self._found_circles({"_id": {"$in": list(plans)}})

    def keepers(self, plans: Sequence[str], moment: datetime) -> dict[str, str]:
        """Who keeps each of these plans that has a circle; MongoDB says it, since whole circles take long to decode."""
        if self._session is None and plans:
            named = {"find": CIRCLES, "filter": {"_id": {"$in": list(plans)}}, "projection": {"by": keeping(moment)}}
            with asking(self._seconds), suppress(MoreToCome):
                found = self._connection.first_batch({**named, "batchSize": len(plans) + 1})
                return {each["_id"]: each["by"] for each in found}
        return {circle.plan: circle.keeper(moment) for circle in self.circles_in(plans)} if plans else {}

    def plans_kept(self, parties: Sequence[str], moment: datetime, limit: int) -> list[str]:
        """The plans that the parties keep, as one document: whole circles take long to decode."""
        kept = {"members": admitted(list(parties), moment), "custodian": {"$in": list(parties)}}
        together = {"$group": {"_id": None, "plans": {"$push": "$_id"}}}
        with asking(self._seconds):
            circles = self._collection(CIRCLES)
            found = circles.aggregate([{"$match": kept}, {"$limit": limit}, together], session=self._session)
            return [plan for each in found for plan in each["plans"]]

    def circles_about(self, patient: str) -> list[Circle]:
        """Every circle about the patient, by plan."""
        return self._found_circles({"patient": patient})

    def _found_circles(self, condition: Document, limit: int = 0) -> list[Circle]:
        with asking(self._seconds):
            documents = self._few_circles(condition) if not limit else None
            if documents is None:
                found = self._collection(CIRCLES).find(condition, session=self._session, limit=limit)
                documents = list(found.sort("_id", ASCENDING) if limit else found)
        return sorted(map(circle_from, documents), key=lambda circle: circle.plan)

    def _few_circles(self, condition: Document) -> list[Document] | None:
        """The circles by the shortest way there is; None when that does not lead to all of them."""
        if self._session is not None or len(condition) != 1:
            return None
        match condition:
            case {"patient": patient}:
                return self._asked_together().circles_about(patient)
            case {"_id": {"$in": plans}}:
                return self._asked_together().circles_of(plans)
            case {"_id": plan}:
                return self._asked_together().circles_of([plan])
        return None

    def _asked_together(self) -> Questions:
        if self._questions is None:
            raise NotImplementedError("a transaction asks questions of its own")
        return self._questions

    def events(self, subscription: str, first: int, last: int | None, count: int) -> list[NumberedEvent]:
        """At most `count` events of a Subscription by number, from `first` to `last`, both included; told or not."""
        numbers = {"$gte": first, **({} if last is None else {"$lte": last})}
        asked = {"subscription": subscription, "number": numbers}
        with asking(self._seconds):
            found = self._collection(EVENTS).find(asked, session=self._session, limit=count).sort("number", ASCENDING)
            return [NumberedEvent(each["number"], each["at"], each["focus"], each["event"]) for each in found]

    def last_event(self, subscription: str) -> int:
        """The number of the newest event of a Subscription; 0 when there is none."""
        with asking(self._seconds):
            counter = self._collection(COUNTERS).find_one({"_id": subscription}, session=self._session)
        return int(counter["last"]) if counter else 0

    def moves(self, plan: str) -> list[Resource]:
        """The plan's log of moves, oldest first, as they were given, with `plan` and their `seq`."""
        with asking(self._seconds):
            found = self._collection(LEDGER).find(moves_of([plan]), {"_id": 0}, session=self._session)
            return list(found.sort("_id", ASCENDING))

    def _before_asking(self, *type_names: str) -> None:
        """A chance to bring what is on its way to the collections of these types."""

    @property
    def _database(self) -> Database[Document]:
        return self._connection.database

    def _collection(self, name: str) -> Collection[Document]:
        return self._connection.collection(name)

    def _find(self, type_name: str, condition: Document) -> list[Stored]:
        self._before_asking(type_name)
        with asking(self._seconds):
            found = self._collection(type_name).find(condition, STORED_FIELDS, session=self._session)
            return [stored_from(type_name, document["_id"], document) for document in found]


def _named_where(condition: Document, type_name: str, limit: int) -> list[Document]:
    """The references of a type's documents that match."""
    named = {"_id": 0, "reference": {"$concat": [f"{type_name}/", "$_id"]}}
    return [{"$match": condition}, {"$limit": limit}, {"$project": named}]
