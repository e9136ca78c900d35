"""The store of the house on MongoDB."""

import hashlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Literal

import pymongo
from pymongo import ASCENDING, IndexModel
from pymongo.client_session import ClientSession
from pymongo.errors import OperationFailure, PyMongoError, ServerSelectionTimeoutError
from pymongo.read_concern import ReadConcern

from fhir_server.definitions.search_parameters import using
from fhir_server.fhir.errors import FhirError, Unavailable, VersionConflict
from fhir_server.fhir.json import Resource
from fhir_server.search.grant import Grant, Stamp
from fhir_server.search.query import Query
from fhir_server.store.contract import Explained, Foreseen, Result, Transaction
from fhir_server.store.mongo.ahead import Ahead, read_ahead
from fhir_server.store.mongo.connection import (
    ACKNOWLEDGED,
    DURABLE,
    UNKNOWN,
    Connection,
    MoreToCome,
    asking,
    may_start_again,
    refusal,
)
from fhir_server.store.mongo.contained import gather_contained, mark_empty
from fhir_server.store.mongo.documents import AUDIT_EVENTS, CIRCLES, GUARDS, HISTORY, MOVES, OUTBOX
from fhir_server.store.mongo.explaining import explained
from fhir_server.store.mongo.full_text import gather_words
from fhir_server.store.mongo.indexes import FINGERPRINTS, ensure_indexes
from fhir_server.store.mongo.own_parameters import DEFINITIONS, REINDEXING, OwnParameters
from fhir_server.store.mongo.purge_reading import PURGED
from fhir_server.store.mongo.purging import PURGES, MongoPurges
from fhir_server.store.mongo.reading import MongoReading
from fhir_server.store.mongo.reading_audit import InDatabase, InJournal, ReadingAudit
from fhir_server.store.mongo.time_limit import MAX_TIME_MS
from fhir_server.store.mongo.transaction import MongoTransaction, StartAgain
from fhir_server.store.mongo.waiting import Waiting

log = logging.getLogger(__name__)

_OWN_COLLECTIONS = (CIRCLES, DEFINITIONS, GUARDS, HISTORY, MOVES, OUTBOX, PURGED, PURGES, REINDEXING)
_OWN_INDEXES = {
    CIRCLES: [
        IndexModel([("patient", ASCENDING), ("_id", ASCENDING)]),
        IndexModel([("members.p", ASCENDING), ("patient", ASCENDING), ("_id", ASCENDING)]),
        IndexModel([("members.p", ASCENDING), ("_id", ASCENDING)]),
    ],
    HISTORY: [IndexModel([("see", ASCENDING), ("lu", ASCENDING), ("o", ASCENDING)])],
    MOVES: [IndexModel([("plan", ASCENDING), ("seq", ASCENDING)], unique=True)],
}
_PREPARE_SECONDS = 300.0
_LEFT_BEHIND = 10.0
_ENDING_SECONDS = 5.0
_SHORTEST = 0.001  # the driver reads 0 as no limit
_MOST_ATTEMPTS = 1_000
_NAMESPACE_EXISTS = 48
# WriteConflict; NoSuchTransaction, which follows it when the first one was not heeded; LockTimeout.
_RACES = {112, 251, 24}

_BUSY = "Others are changing the same plan all the time, and this change never had its turn. Try again in a while."
_LONGEST_PAUSE = 0.25


class MongoStore(MongoReading):
    """The contract's Store on the database `database` at `url`.

    `secret` signs the cursors of searches. `seconds` bounds a question, `search_seconds` a search, `write_seconds` a
    transaction with all its attempts. `reading_audit` says when the AuditEvent of a read counts as kept: "journaled"
    by a majority, or "acknowledged" by the primary; with the folder `journal`, when it is on disk there, below the
    name of this database. `full_text` are the types whose words are kept. Times are taken from what is stored, never
    from a clock here.
    """

    def __init__(
        self,
        url: str,
        database: str,
        *,
        secret: bytes,
        seconds: float = 10.0,
        write_seconds: float = 20.0,
        search_seconds: float = MAX_TIME_MS / 1000,
        reading_audit: Literal["journaled", "acknowledged"] = "journaled",
        journal: Path | None = None,
        full_text: Iterable[str] = (),
    ) -> None:
        connection = Connection(url, database)
        super().__init__(connection, secret=secret, seconds=seconds, search_ms=int(search_seconds * 1000))
        self._write_seconds = write_seconds
        self._full_text = frozenset(full_text)
        self._waiting = Waiting(self._connection, seconds)
        self._type_names: tuple[str, ...] = ()
        self._reading_audit: ReadingAudit
        if journal is not None:
            # A database of the same name elsewhere has another secret, and must not get what belongs here.
            own = journal / f"{database}-{hashlib.sha256(secret).hexdigest()[:12]}"
            self._reading_audit = InJournal(self._connection, own, seconds)
        else:
            concern = DURABLE if reading_audit == "journaled" else ACKNOWLEDGED
            self._reading_audit = InDatabase(self._connection, concern, seconds)
        self.own = OwnParameters(self._connection, seconds=seconds)

    def __enter__(self) -> "MongoStore":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections of this process, after the audit of what it answered was put in its place."""
        self._reading_audit.close()
        self._waiting.close()
        self._connection.close()

    def prepare(self, type_names: Sequence[str]) -> None:
        """Create what is missing of the collections and indexes; quick when nothing is. For the start of a server."""
        self._type_names = tuple(type_names)
        with asking(self._seconds):
            self._database.command("ping")  # nobody there shows soon; making indexes may take long
        with asking(_PREPARE_SECONDS):
            present = set(self._database.list_collection_names())
            for name in {*type_names, AUDIT_EVENTS, *_OWN_COLLECTIONS} - present:
                self._create_collection(name)
            for name, indexes in _OWN_INDEXES.items():
                self._collection(name).create_indexes(indexes)
            ensure_indexes(self._database, type_names, self._full_text)
            mark_empty(self._database, type_names)

    def gather(self, type_names: Sequence[str]) -> None:
        """Give what an earlier version of the server stored what searches need of it; for the start of a server.

        These are the words of types in `full_text`, and what is contained. Where it is interrupted the next start goes
        on.
        """
        try:
            words = gather_words(self._database, sorted(self._full_text))
            contained = gather_contained(self._database, type_names)
        except PyMongoError as error:
            log.warning("not all was gathered for searches: %s; the next start goes on", type(error).__name__)
        else:
            if words or contained:
                log.info("gathered the words of %d resources, what is contained of %d", words, contained)

    def transact(self, work: Callable[[Transaction], Result], foreseen: Foreseen | None = None) -> Result:
        """Run `work` in one transaction; again from the start when another writer was first.

        What is `foreseen` is read by one command before the first attempt, and proved by what the attempt writes.
        `work` must be repeatable, and let errors that are not of `fhir.errors` pass. Raises VersionConflict when it
        never gets through, Unavailable when the database does not answer.
        """
        with self.defined():
            return self._transact(work, foreseen)

    @contextmanager
    def defined(self) -> Iterator[None]:
        """While this lasts, searches are understood and answered with the operator's parameters of now, too."""
        with using(self.own.current()):
            yield

    def _transact(self, work: Callable[[Transaction], Result], foreseen: Foreseen | None) -> Result:
        deadline = time.monotonic() + self._write_seconds
        lost: PyMongoError | StartAgain | None = None
        with self._connection.client.start_session(causal_consistency=False) as session:
            for attempt in range(_MOST_ATTEMPTS):
                try:
                    return self._attempt(session, work, deadline, None if attempt else foreseen)
                except (PyMongoError, StartAgain) as error:
                    if not _worth_another(error):
                        raise refusal(error) from error
                    lost = error
                except Unavailable:
                    if lost is None or time.monotonic() < deadline:
                        raise
                pause = _pause(attempt)
                if time.monotonic() + pause > deadline:
                    break
                time.sleep(pause)
        raise _gave_up(lost) from lost

    @property
    def purges(self) -> MongoPurges:
        """What forgets a whole person."""
        return MongoPurges(self._connection, longest_write=self._write_seconds + _ENDING_SECONDS)

    def record_reading(self, audit_event: Resource, stamp: Stamp) -> None:
        """Keep the AuditEvent of a read or refusal before it is answered. Raises Unavailable."""
        self._reading_audit.record(audit_event, stamp)

    def settle_audit(self) -> None:
        """Let the next question find the AuditEvent of every write, and of all that this machine answered before.

        Questions about AuditEvents do it themselves, except inside a transaction. Raises Unavailable.
        """
        self._reading_audit.settle()
        self._waiting.settle(self._type_names or self._prepared_types())

    def keep_audit_settled(self, stop: threading.Event) -> None:
        """Until told to stop, settle what processes that ended left; for the worker."""
        while not stop.wait(_LEFT_BEHIND):
            try:
                self.settle_audit()
            except FhirError:
                log.warning("AuditEvents wait in their documents: the database does not answer")

    def look_after_audit(self) -> None:
        """From now on carry on what this process and dead ones left in the journal; for the start of a server."""
        self._reading_audit.begin()

    def explain(self, query: Query, grants: Sequence[Grant], moment: datetime) -> Explained:
        """How the first page of the query is found. Raises TooCostly, like the search itself."""
        self._before_asking(query.type)
        with asking(self._seconds):
            return explained(self._database, query, grants, moment, max_time_ms=self._search_ms)

    def _before_asking(self, *type_names: str) -> None:
        if AUDIT_EVENTS in type_names:
            self.settle_audit()

    def _attempt(
        self,
        session: ClientSession,
        work: Callable[[Transaction], Result],
        deadline: float,
        foreseen: Foreseen | None,
    ) -> Result:
        """Do it once. Raises the driver's error, or StartAgain, when the transaction had no effect."""
        ahead = self._read_ahead(foreseen) if foreseen else None
        session.start_transaction(ReadConcern("snapshot"), DURABLE)
        try:
            with pymongo.timeout(max(deadline - time.monotonic(), _SHORTEST)):
                transaction = MongoTransaction(
                    self._connection,
                    session,
                    secret=self._secret,
                    seconds=self._seconds,
                    search_ms=self._search_ms,
                    process=self._waiting.process,
                    ahead=ahead,
                    full_text=self._full_text,
                )
                result = work(transaction)
                kept = transaction.finish()
        except BaseException:
            _abort(session)
            raise
        if kept:
            _abort(session)
        else:
            _commit(session)
        if transaction.waits_in is not None:
            self._waiting.wrote(transaction.waits_in)
        if transaction.defined:
            self.own.forget()
        return result

    def _prepared_types(self) -> list[str]:
        with asking(self._seconds):
            return [each["_id"] for each in self._database[FINGERPRINTS].find({}, {"_id": 1})]

    def _read_ahead(self, foreseen: Foreseen) -> Ahead | None:
        """What is foreseen; None when it is so much that the transaction had better ask for what it needs."""
        with asking(self._seconds):
            try:
                return read_ahead(self._connection, foreseen)
            except MoreToCome:
                return None

    def _create_collection(self, name: str) -> None:
        try:
            self._database.create_collection(name, check_exists=False)
        except OperationFailure as error:
            if error.code != _NAMESPACE_EXISTS:  # else another process was first
                raise


def _abort(session: ClientSession) -> None:
    """End the transaction without effect, with time of its own: one that is left open holds its plan until the server
    gives it up."""
    if session.in_transaction:
        with pymongo.timeout(_ENDING_SECONDS):
            session.abort_transaction()


def _commit(session: ClientSession) -> None:
    """Commit; ask again while the answer is lost, which is harmless: a commit that happened is only confirmed.

    Raises the driver's error when nothing was kept, Unavailable when that stays unknown.
    """
    deadline = time.monotonic() + _ENDING_SECONDS
    while True:
        try:
            with pymongo.timeout(max(deadline - time.monotonic(), _SHORTEST)):
                session.commit_transaction()
        except PyMongoError as error:
            if not error.has_error_label("UnknownTransactionCommitResult"):
                raise
            if time.monotonic() > deadline:
                raise Unavailable(UNKNOWN) from error
            time.sleep(_pause(3))
        else:
            return


def _worth_another(error: PyMongoError | StartAgain) -> bool:
    """Whether the transaction had no effect and may get through next time; nobody there is no such case."""
    if isinstance(error, StartAgain):
        return True
    return may_start_again(error) and not isinstance(error, ServerSelectionTimeoutError)


def _gave_up(lost: PyMongoError | StartAgain | None) -> Exception:
    """What to tell when the attempts are over: the others were always first, or nobody answered."""
    if lost is None or isinstance(lost, StartAgain) or getattr(lost, "code", None) in _RACES:
        return VersionConflict(_BUSY)
    return refusal(lost)


def _pause(attempt: int) -> float:
    """Seconds to wait before the next attempt: random, so that two who met do not meet again, and growing."""
    return random.uniform(0, min(_LONGEST_PAUSE, 0.004 * 1.6**attempt))  # noqa: S311 no secret
