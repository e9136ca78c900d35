"""From the outbox to numbered events: each entry becomes one event per Subscription, exactly once, without a gap.

The write gate puts entries into the ledger inside the commit of the write that they tell of. One worker at a time holds
the sequencer's lease; it turns a batch of entries into events in one transaction that counts, inserts the events and
deletes the entries. Killed anywhere, it leaves all of that or none. A worker that lost its lease cannot commit: the
transaction writes to the lease document and finds another owner there.

Collections: the ledger, whose entries are {_id, at, commit, focus, type, version, event, plan, recipients};
`counters` {_id: Subscription id, last}: the number of the last event;
`events` {_id: "Subscription id/number", subscription, number, recipient, focus, type, version, event, plan, at,
pending}: kept for `$events` for a time, `pending` while not delivered; `leases` {_id, owner, until}.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import pymongo
from pymongo import ASCENDING, ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern

from fhir_server.fhir.errors import Unavailable
from fhir_server.fhir.faults import raised_at
from fhir_server.fhir.json import Resource, decode
from fhir_server.store.mongo.documents import Document
from fhir_server.store.mongo.ledger import ENTRIES, INDEXES, LEDGER

logger = logging.getLogger(__name__)

Subscribes: TypeAlias = Callable[[Resource, Mapping[str, Any]], bool]
PassedOver: TypeAlias = Callable[[str, int], None]

BATCH = 200
_SEQUENCER = "sequencer"
_SECONDS = 10.0
# A claim waits for the transaction of a worker that was killed inside it; the deliveries need not wait as well.
_CLAIM_SECONDS = 2.0
_ASKED = {"author": 1, "body": 1, "v": 1}
_KEPT = ("focus", "type", "version", "event", "plan", "at")


class Outbox:
    """The outbox of one database, as one worker sees it. Every question may raise Unavailable.

    `owner` names the worker; it must be another one in each process. `lease` bounds how long a killed worker holds up
    the others; clocks of the machines must agree well within it.
    """

    def __init__(self, database: Database[Document], owner: str, *, lease: timedelta = timedelta(seconds=10)) -> None:
        self._database = durable(database)
        self._owner = owner
        self._lease = lease

    def prepare(self) -> None:
        """Create what is missing of collections and indexes."""
        with answering():
            existing = set(self._database.list_collection_names())
            for name in {LEDGER, "counters", "events", "leases", "deliveries", "Subscription"} - existing:
                _create(self._database, name)
            self._database[LEDGER].create_indexes(INDEXES)
            self._database["events"].create_index([("subscription", ASCENDING), ("number", ASCENDING)], unique=True)
            self._database["events"].create_index(
                [("pending", ASCENDING), ("subscription", ASCENDING), ("number", ASCENDING)],
                partialFilterExpression={"pending": True},
            )
            self._database["events"].create_index([("at", ASCENDING)])
            self._database["deliveries"].create_index([("heartbeat", ASCENDING)], sparse=True)

    def sequence(
        self,
        subscribes: Subscribes,
        moment: datetime,
        *,
        most: int = BATCH,
        passed_over: PassedOver = lambda subscription, version: None,
    ) -> int:
        """Number the oldest entries for the Subscriptions that want them; how many entries were taken.

        `subscribes(subscription, entry)` decides for a Subscription whose author is among the entry's recipients.
        0 when there is nothing to do, or another worker is at it. A Subscription about which that cannot be decided is
        logged and has no event of these entries; it never keeps the others from theirs. `passed_over` is told which
        one that was, and its version, when all others are numbered.
        """
        with answering(_CLAIM_SECONDS):
            if self._database[LEDGER].find_one(ENTRIES, {"_id": 1}) is None or not self._claim(moment):
                return 0
        undecided: dict[str, int] = {}
        with answering():
            try:
                taken = self._transact(lambda session: self._number(session, subscribes, moment, most, undecided))
            except _LeaseLost:
                return 0
            finally:
                self._database["leases"].delete_one({"_id": _SEQUENCER, "owner": self._owner})
        for subscription, version in undecided.items():
            passed_over(subscription, version)
        return taken

    def _claim(self, moment: datetime) -> bool:
        free = {"_id": _SEQUENCER, "$or": [{"owner": self._owner}, {"until": {"$lte": moment}}]}
        return claimed(self._database, "leases", free, self._owner, moment + self._lease) is not None

    def _transact(self, work: Callable[[ClientSession], int]) -> int:
        with self._database.client.start_session() as session:
            return session.with_transaction(
                work,
                read_concern=ReadConcern("snapshot"),
                write_concern=WriteConcern("majority", j=True),
                read_preference=ReadPreference.PRIMARY,
            )

    def _number(
        self, session: ClientSession, subscribes: Subscribes, moment: datetime, most: int, undecided: dict[str, int]
    ) -> int:
        self._hold_lease(session, moment)
        entries = self._oldest(session, most)
        undecided.clear()  # of an attempt that was not kept
        wanted = self._wanted(session, subscribes, entries, undecided)
        events = [event for subscription in sorted(wanted) for event in self._numbered(session, wanted[subscription])]
        if events:
            self._database["events"].insert_many(events, session=session)
        self._database[LEDGER].delete_many({"_id": {"$in": [entry["_id"] for entry in entries]}}, session=session)
        return len(entries)

    def _hold_lease(self, session: ClientSession, moment: datetime) -> None:
        """The fence: whoever claims the lease meanwhile conflicts with this write, and one of the two stops."""
        held = self._database["leases"].update_one(
            {"_id": _SEQUENCER, "owner": self._owner}, {"$set": {"until": moment + self._lease}}, session=session
        )
        if not held.matched_count:
            raise _LeaseLost

    def _oldest(self, session: ClientSession, most: int) -> list[Document]:
        """The oldest entries, and with them every lower version of what they tell of, in the order of telling."""
        outbox = self._database[LEDGER]
        oldest = list(outbox.find(ENTRIES, session=session).sort("_id", ASCENDING).limit(most))
        newest: dict[str, int] = {}
        for entry in oldest:
            newest[entry["focus"]] = max(entry["version"], newest.get(entry["focus"], 0))
        lower = [{"focus": focus, "version": {"$lt": version}} for focus, version in newest.items() if version > 1]
        found = {entry["_id"]: entry for entry in oldest}
        if lower:
            found |= {entry["_id"]: entry for entry in outbox.find({"$or": lower}, session=session)}
        return in_order(list(found.values()))

    def _wanted(
        self, session: ClientSession, subscribes: Subscribes, entries: Sequence[Document], undecided: dict[str, int]
    ) -> dict[str, list[Document]]:
        parties = sorted({party for entry in entries for party in entry["recipients"]})
        asked = {"author": {"$in": parties}, "del": {"$ne": True}}
        subscriptions = list(self._database["Subscription"].find(asked, _ASKED, session=session, batch_size=1000))
        wanted: dict[str, list[Document]] = {}
        for document in subscriptions:
            id, author = document["_id"], document["author"]
            told = _told_to(document, subscribes, entries)
            if told is None:
                undecided[id] = document["v"]
            elif told:
                named = {"subscription": id, "recipient": author}
                wanted[id] = [{**named, **{name: entry[name] for name in _KEPT}} for entry in told]
        return wanted

    def _numbered(self, session: ClientSession, events: list[Document]) -> Iterator[Document]:
        subscription = events[0]["subscription"]
        counter = self._database["counters"].find_one_and_update(
            {"_id": subscription},
            {"$inc": {"last": len(events)}},
            upsert=True,
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        assert counter is not None, "an upsert answers with the document"
        first = counter["last"] - len(events) + 1
        for number, event in enumerate(events, first):
            yield {"_id": f"{subscription}/{number}", "number": number, "pending": True, **event}


class _LeaseLost(Exception):
    """Another worker took over; nothing of this transaction is kept."""


def _told_to(document: Document, subscribes: Subscribes, entries: Sequence[Document]) -> list[Document] | None:
    """The entries that a Subscription, as it is stored, wants to be told of; None when that cannot be decided."""
    try:
        resource, author = decode(bytes(document["body"])), document["author"]
        return [entry for entry in entries if author in entry["recipients"] and subscribes(resource, entry)]
    except (PyMongoError, MemoryError):
        raise  # no fault of the Subscription: the whole numbering is tried again
    except Exception as error:
        logger.error("Subscription/%s: not numbered because of %s", document["_id"], raised_at(error))
        return None


def in_order(entries: Sequence[Document]) -> list[Document]:
    """Entries by time, and versions of one resource never backwards: a clock that is late on one machine must not turn
    two versions around."""
    latest: dict[str, datetime] = {}
    told: dict[Any, datetime] = {}
    for entry in sorted(entries, key=lambda entry: (entry["focus"], entry["version"])):
        latest[entry["focus"]] = max(entry["at"], latest.get(entry["focus"], entry["at"]))
        told[entry["_id"]] = latest[entry["focus"]]
    return sorted(entries, key=lambda entry: (told[entry["_id"]], entry["focus"], entry["version"]))


def claimed(
    database: Database[Document], collection: str, free: Document, owner: str, until: datetime
) -> Document | None:
    """The document after `owner` claimed it until then, made when it was absent; None when it does not match `free`."""
    try:
        return database[collection].find_one_and_update(
            free, {"$set": {"owner": owner, "until": until}}, upsert=True, return_document=ReturnDocument.AFTER
        )
    except DuplicateKeyError:
        return None


def durable(database: Database[Document]) -> Database[Document]:
    """The database as the queue uses it: majority reads and journaled majority writes, aware times."""
    return database.with_options(
        codec_options=database.codec_options.with_options(tz_aware=True),
        read_preference=ReadPreference.PRIMARY,
        read_concern=ReadConcern("majority"),
        write_concern=WriteConcern("majority", j=True),
    )


@contextmanager
def answering(seconds: float = _SECONDS) -> Iterator[None]:
    """Raise Unavailable for what the driver raises, and for what takes too long."""
    try:
        with pymongo.timeout(seconds):
            yield
    except PyMongoError as error:
        raise Unavailable("The queue of notifications does not answer; try again later.") from error


def _create(database: Database[Document], name: str) -> None:
    try:
        database.create_collection(name)
    except pymongo.errors.CollectionInvalid:
        return
