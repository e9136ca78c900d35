"""How a person's purge goes to MongoDB.

Collections: `purges` {_id: "Patient/x", key, begun, plans, words, closed, reached}, one document while a purge is under
way, and {_id: " ended", at}; `purged` {_id: "Patient/x Type/id"}: what belongs to the person, noted before it goes.
Nothing here is asked often, so a collection without the index is read whole.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from pymongo import ASCENDING, DeleteMany, DeleteOne, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from fhir_server.fhir.dates import time_range
from fhir_server.fhir.errors import VersionConflict
from fhir_server.fhir.json import Resource, decode
from fhir_server.search.grant import Stamp
from fhir_server.store.mongo.audit.events import audit_document
from fhir_server.store.mongo.audit.waiting import rescue
from fhir_server.store.mongo.connection import DURABLE, Connection, asking, refusal
from fhir_server.store.mongo.documents import (
    AUDIT_EVENTS,
    CIRCLES,
    EVENTS,
    Document,
)
from fhir_server.store.mongo.ledger import ENTRIES, LEDGER, beginning, moves_of, turn_id
from fhir_server.store.mongo.purge_reading import ENDED, PURGED, PURGES, SECONDS, PurgeReading, batches, noted_of
from fhir_server.store.mongo.writing.deletions import DELETIONS
from fhir_server.store.purges import Purge, Words
from fhir_server.store.values import Stored

_COMMIT_SECONDS = 60.0
_TURNS = 20

Item = TypeVar("Item")


class MongoPurges(PurgeReading):
    """The contract's Purges; `longest_write` is when a transaction of this store is over at the latest, in seconds."""

    def __init__(self, connection: Connection, *, longest_write: float) -> None:
        super().__init__(connection)
        self._longest_write = longest_write

    @property
    def longest_write(self) -> float:
        """Seconds after which a write that had begun before is certainly over."""
        return self._longest_write

    def find(self, person: str) -> Purge | None:
        """The purge of a person that has begun and not ended."""
        with asking(SECONDS):
            found = self._collection(PURGES).find_one({"_id": person})
        return _purge_from(found) if found else None

    def unfinished(self) -> list[str]:
        """The people whose purge has begun and not ended."""
        with asking(SECONDS):
            return [
                each["_id"]
                for each in self._collection(PURGES).find({"_id": {"$ne": ENDED}}, {"_id": 1}).sort("_id", ASCENDING)
            ]

    def begin(self, purge: Purge, told: Resource) -> Purge:
        """Keep the record and the AuditEvent that tells of it, as one; the record that was there, when one was."""
        fields = {"key": purge.key, "begun": purge.begun, "plans": list(purge.plans), "words": list(purge.words)}
        document = {"_id": purge.person, **fields, "closed": None, "reached": {}}

        def write(session: ClientSession) -> None:
            self._collection(PURGES).insert_one(document, session=session)
            self._tell(told, session)

        try:
            self._attempt(write)
        except VersionConflict:
            return self.find(purge.person) or purge
        return purge

    def reach(self, purge: Purge, collection: str, place: str) -> None:
        """Keep how far the reading of a collection came."""
        with asking(SECONDS):
            self._collection(PURGES).update_one({"_id": purge.person}, {"$set": {f"reached.{collection}": place}})

    def note(self, person: str, references: Iterable[str]) -> None:
        """Remember what belongs to the person, before it goes."""
        for some in batches(references):
            with asking(SECONDS):
                self._note(person, some)

    def close(self, purge: Purge, type_names: Sequence[str], moment: datetime, words: Words) -> Purge:
        """Take away the person, its workflow and its circles, as one commit at the guards of the person and the plans;
        note what it was, with the plans and the `words` that came since the purge began."""

        def write(session: ClientSession) -> Purge:
            self._take_turns([purge.person], session)
            circles = self._collection(CIRCLES).find({"patient": purge.person}, {"_id": 1}, session=session)
            plans = sorted({*purge.plans, *(each["_id"] for each in circles)})
            self._take_turns(plans, session)
            type_name, _, id = purge.person.partition("/")
            person = self._collection(type_name).find_one({"_id": id, "del": False}, {"body": 1}, session=session)
            said = sorted({*purge.words, *(words(decode(bytes(person["body"]))) if person else ())})
            mine = {"$or": [{"patient": purge.person}, {"plans": {"$in": plans}}]}
            gone = [
                f"{type_name}/{document['_id']}"
                for type_name in type_names
                for document in self._collection(type_name).find(mine, {"_id": 1}, session=session)
            ]
            self._note(purge.person, gone, session)
            self._remove(gone, session)
            self._collection(CIRCLES).delete_many({"patient": purge.person}, session=session)
            self._forget_plans(plans, session)
            closed = {"$set": {"closed": moment, "plans": plans, "words": said}}
            self._collection(PURGES).update_one({"_id": purge.person}, closed, session=session)
            return replace(purge, closed=moment, plans=tuple(plans), words=tuple(said))

        return self._transact(write)

    def remove(self, references: Sequence[str]) -> None:
        """Take away resources, all their versions, and what the outbox would tell of them."""
        for some in batches(references):
            with asking(SECONDS):
                self._collection(LEDGER).delete_many({**ENTRIES, "focus": {"$in": some}})
                self._remove(some)

    def forget_events(self, purge: Purge, pseudonym: Callable[[str], str]) -> None:
        """Let events that are numbered already say `pseudonym(focus)` instead; what is not numbered goes."""
        plans = list(purge.plans)
        with asking(SECONDS):
            self._forget_plans(plans)
            tasks = [each for each in self.noted(purge.person) if each.startswith("Task/")]
            named = {"$or": [{"plan": {"$in": plans}}, {"focus": {"$in": tasks}}]}
            found = self._collection(EVENTS).find(named, {"focus": 1, "plan": 1})
            changes = [
                UpdateOne({"_id": each["_id"]}, {"$set": {"focus": pseudonym(each["focus"]), "plan": None}})
                for each in found
            ]
            for some in batches(changes):
                self._collection(EVENTS).bulk_write(some)

    def replace_event(self, event: Resource, stored: Stored) -> None:
        """Put another content in the place of an AuditEvent; `stored` brings its stamp."""
        with asking(SECONDS):
            self._collection(AUDIT_EVENTS).replace_one({"_id": stored.id}, audit_document(event, stored.stamp))

    def replace_version(self, place: str, body: bytes) -> None:
        """Put another content in the place of a past version."""
        with asking(SECONDS):
            self._collection(LEDGER).update_one({"_id": place}, {"$set": {"body": body}})

    def end(self, purge: Purge, told: Resource) -> bool:
        """Forget the record and all that was noted, and keep the AuditEvent; False when another process was first."""
        for some in batches(self.noted(purge.person)):
            with asking(SECONDS):
                self._collection(LEDGER).delete_many({"_id": {"$in": [turn_id(f"referred:{each}") for each in some]}})
        with asking(SECONDS):
            self._collection(PURGED).delete_many({"_id": noted_of(purge.person)})

        def write(session: ClientSession) -> bool:
            # Guards last: a writer that had begun before may hold the turn of one, and would take a new one for it.
            guards = {"_id": {"$in": [turn_id(key) for key in (purge.person, *purge.plans)]}}
            self._collection(LEDGER).delete_many(guards, session=session)
            ended = self._collection(PURGES).delete_one({"_id": purge.person}, session=session).deleted_count == 1
            if ended:
                at = {"$max": {"at": time_range(told["recorded"])[0]}}
                self._collection(PURGES).update_one({"_id": ENDED}, at, upsert=True, session=session)
                self._tell(told, session)
            return ended

        return self._transact(write)

    def _take_turns(self, keys: Iterable[str], session: ClientSession) -> None:
        for key in keys:
            taken = {"$inc": {"turn": 1}}
            self._collection(LEDGER).update_one({"_id": turn_id(key)}, taken, upsert=True, session=session)

    def _note(self, person: str, references: Iterable[str], session: ClientSession | None = None) -> None:
        notes = [
            UpdateOne({"_id": f"{person} {reference}"}, {"$setOnInsert": {"purge": person}}, upsert=True)
            for reference in references
        ]
        if notes:
            self._collection(PURGED).bulk_write(notes, session=session)

    def _remove(self, references: Sequence[str], session: ClientSession | None = None) -> None:
        """History first: what is still current is found again when this is cut off."""
        ids: dict[str, list[str]] = defaultdict(list)
        versions = []
        for reference in references:
            type_name, _, id = reference.partition("/")
            ids[type_name].append(id)
            versions.append(DeleteMany({"_id": beginning("version", type_name, id)}))
        if versions:
            self._collection(LEDGER).bulk_write(versions, session=session)
        forgotten = {**DELETIONS, "reference": {"$in": [*references]}}
        self._collection(LEDGER).delete_many(forgotten, session=session)
        for type_name, some in ids.items():
            rescue(self._collection, type_name, some, session)
            self._collection(type_name).bulk_write([DeleteOne({"_id": id}) for id in some], session=session)

    def _forget_plans(self, plans: Sequence[str], session: ClientSession | None = None) -> None:
        """Take away the logs of plans, and what the outbox would tell of them."""
        self._collection(LEDGER).delete_many({**ENTRIES, "plan": {"$in": list(plans)}}, session=session)
        if plans:
            self._collection(LEDGER).delete_many(moves_of(plans), session=session)

    def _tell(self, told: Resource, session: ClientSession) -> None:
        self._collection(AUDIT_EVENTS).insert_one(audit_document(told, Stamp()), session=session)

    def _transact(self, work: Callable[[ClientSession], Item]) -> Item:
        """Run `work` in one transaction, again when another writer was first. Raises VersionConflict, Unavailable."""
        for _ in range(_TURNS - 1):
            try:
                return self._attempt(work)
            except VersionConflict:  # a guard that another writer made at the same time
                continue
        return self._attempt(work)

    def _attempt(self, work: Callable[[ClientSession], Item]) -> Item:
        try:
            with asking(_COMMIT_SECONDS), self._connection.client.start_session(causal_consistency=False) as session:
                return session.with_transaction(work, ReadConcern("snapshot"), DURABLE)
        except PyMongoError as error:
            raise refusal(error) from error


def _purge_from(document: Document) -> Purge:
    return Purge(
        person=document["_id"],
        key=bytes(document["key"]),
        begun=document["begun"],
        plans=tuple(document["plans"]),
        words=tuple(document["words"]),
        closed=document["closed"],
        reached=document["reached"],
    )
