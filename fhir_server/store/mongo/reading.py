"""The questions of the contract, asked of MongoDB; in a transaction they see its snapshot and its own writes."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from pymongo import ASCENDING, DESCENDING
from pymongo.read_concern import ReadConcern

from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import parse_reference
from fhir_server.search.grant import GrantsFor
from fhir_server.store.mongo import changing
from fhir_server.store.mongo.circles.documents import circle_from
from fhir_server.store.mongo.circles.reading import CircleReading
from fhir_server.store.mongo.connection import asking, union
from fhir_server.store.mongo.documents import (
    COUNTERS,
    EVENTS,
    STORED_FIELDS,
    Document,
    refers_to,
    stored_from,
)
from fhir_server.store.mongo.ledger import LEDGER, moves_of, version_id
from fhir_server.store.mongo.search.reading import SearchReading
from fhir_server.store.values import Changed, Circle, NumberedEvent, Span, Stored


class MongoReading(CircleReading, SearchReading):
    """Answers from the database; raises Unavailable when there is none within `seconds`."""

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
        grants_for: GrantsFor,
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

    def _find(self, type_name: str, condition: Document) -> list[Stored]:
        self._before_asking(type_name)
        with asking(self._seconds):
            found = self._collection(type_name).find(condition, STORED_FIELDS, session=self._session)
            return [stored_from(type_name, document["_id"], document) for document in found]


def _named_where(condition: Document, type_name: str, limit: int) -> list[Document]:
    """The references of a type's documents that match."""
    named = {"_id": 0, "reference": {"$concat": [f"{type_name}/", "$_id"]}}
    return [{"$match": condition}, {"$limit": limit}, {"$project": named}]
