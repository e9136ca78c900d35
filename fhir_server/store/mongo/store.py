"""The store of the house on MongoDB."""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType

from fhir_server.definitions.search_parameters import using
from fhir_server.fhir.faults import raised_at
from fhir_server.fhir.json import Resource
from fhir_server.search.grant import Grant, Stamp
from fhir_server.search.query import Query
from fhir_server.store.contract import Result, Transaction
from fhir_server.store.mongo import preparing
from fhir_server.store.mongo.audit.arrivals import Arrivals
from fhir_server.store.mongo.audit.readings import kept_reading
from fhir_server.store.mongo.audit.told_pages import ToldPages
from fhir_server.store.mongo.audit.waiting import Waiting
from fhir_server.store.mongo.circles.seen import SeenCircles
from fhir_server.store.mongo.connection import Connection, asking
from fhir_server.store.mongo.documents import AUDIT_EVENTS
from fhir_server.store.mongo.indexing.indexes import FINGERPRINTS
from fhir_server.store.mongo.indexing.own_parameters import OwnParameters
from fhir_server.store.mongo.labelling import LabelOf
from fhir_server.store.mongo.ledger import LEDGER
from fhir_server.store.mongo.purging import MongoPurges
from fhir_server.store.mongo.questions import Questions
from fhir_server.store.mongo.reading import MongoReading
from fhir_server.store.mongo.search.explaining import explained
from fhir_server.store.mongo.time_limit import MAX_TIME_MS
from fhir_server.store.mongo.writing.ahead import Ahead
from fhir_server.store.mongo.writing.committing import ENDING_SECONDS, Committing
from fhir_server.store.mongo.writing.deletions import deletions_in
from fhir_server.store.mongo.writing.lately_seen import SECONDS as RECALLED_SECONDS
from fhir_server.store.mongo.writing.new_documents import NewDocuments
from fhir_server.store.mongo.writing.own_session import OwnSession
from fhir_server.store.mongo.writing.remembered import Remembered
from fhir_server.store.mongo.writing.transacting import Transacting
from fhir_server.store.mongo.writing.transaction import MongoTransaction
from fhir_server.store.purges import Forgetting
from fhir_server.store.values import Deletion, Explained, Foreseen

log = logging.getLogger(__name__)

_LEFT_BEHIND = 10.0


def _no_label(_: Resource) -> None:
    return None


class MongoStore(MongoReading):
    """The contract's Store on the database `database` at `url`.

    `secret` signs the cursors of searches. `seconds` bounds a question, `search_seconds` a search, `write_seconds` a
    transaction with all its attempts. `reading_audit` says when the AuditEvent of a read counts as kept: "journaled"
    by a majority, "acknowledged" by the primary, or "local": on disk in the folder `journal`, below the name of this
    database. What an earlier setting left there is carried on all the same, without whom was purged meanwhile, as
    `forgetting` says. `full_text` are the types whose words are kept. Times are taken from what is stored, never
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
        reading_audit: str = "journaled",
        journal: Path | None = None,
        forgetting: Forgetting | None = None,
        full_text: Iterable[str] = (),
    ) -> None:
        connection = Connection(url, database)
        super().__init__(connection, secret=secret, seconds=seconds, search_ms=int(search_seconds * 1000))
        self._write_seconds = write_seconds
        self._full_text = frozenset(full_text)
        self._seen_circles = SeenCircles()
        self._questions = Questions(connection, seconds=seconds, search_ms=self._search_ms)
        self._new_documents = NewDocuments(connection, seconds, ENDING_SECONDS)
        self._waiting = Waiting(self._connection, seconds)
        self._type_names: tuple[str, ...] = ()
        told = ToldPages()
        arrivals = Arrivals(connection, forgetting, seconds, told)
        # A database of the same name elsewhere has another secret, and must not get what belongs here.
        own = journal / f"{database}-{hashlib.sha256(secret).hexdigest()[:12]}" if journal else None
        self._reading_audit = kept_reading(connection, reading_audit, own, arrivals.keep, seconds, told)
        self.own = OwnParameters(self._connection, seconds=seconds)
        committing = Committing(connection, seconds, self._full_text)
        self._transacting = Transacting(
            connection, self._begun, self._done, Remembered(), committing, seconds, write_seconds
        )

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
        """Create what is missing of the collections and indexes; quick when nothing is. For the start of a server.

        Raises OfAnEarlierBuild, and then nothing is created.
        """
        self._type_names = tuple(type_names)
        with asking(self._seconds):
            self._database.command("ping")  # nobody there shows soon; making indexes may take long
        preparing.lay_out(self._connection, type_names, self._full_text)

    def label(self, type_names: Iterable[str], label_of: LabelOf) -> None:
        """Label what an earlier version of the server stored without heeding its labels, as far as that is quick.

        For the start of a server, before it answers; `gather` does the rest.
        """
        preparing.label_quickly(self._connection, type_names, label_of)

    def gather(self, type_names: Sequence[str], labelled: Iterable[str] = (), label_of: LabelOf = _no_label) -> None:
        """Give what an earlier version of the server stored what reading and searching need of it; for the start.

        These are the labels of every version of the `labelled` types, the words of types in `full_text`, and what is
        contained. Where it is interrupted the next start goes on.
        """
        preparing.gather(self._connection, type_names, self._full_text, labelled, label_of, self.own)

    def transact(self, work: Callable[[Transaction], Result], foreseen: Foreseen | None = None) -> Result:
        """Run `work` in one transaction; again from the start when another writer was first.

        What is `foreseen` is read by one command before the first attempt, and proved by what the attempt writes.
        `work` must be repeatable, and let errors that are not of `fhir.errors` pass. Raises Unavailable when it never
        gets through, or the database does not answer.
        """
        with self.defined():
            return self._transacting.run(work, foreseen)

    @contextmanager
    def defined(self) -> Iterator[None]:
        """While this lasts, searches are understood and answered with the operator's parameters of now, too."""
        with using(self.own.current()):
            yield

    @property
    def purges(self) -> MongoPurges:
        """What forgets a whole person."""
        return MongoPurges(self._connection, longest_write=RECALLED_SECONDS + self._write_seconds + ENDING_SECONDS)

    def record_reading(self, audit_event: Resource, stamp: Stamp, page: Sequence[str] = ()) -> None:
        """Keep the AuditEvent of a read or refusal before it is answered. Raises Unavailable.

        `page` are the references of its first entities, when all of these are about the person of the stamp.
        """
        self._reading_audit.record(audit_event, stamp, page)

    def settle_audit(self) -> None:
        """Let the next question find the AuditEvent of every write, and of all that this machine answered before.

        Questions about AuditEvents do it themselves, except inside a transaction. Raises Unavailable.
        """
        self._reading_audit.settle()
        self._settle_documents()

    def _settle_documents(self) -> None:
        self._waiting.settle(self._type_names or self._prepared_types())

    def keep_audit_settled(self, stop: threading.Event) -> None:
        """Until told to stop, settle what processes that ended left in documents; for the worker.

        The journals of a machine are carried on by its servers.
        """
        while not stop.wait(_LEFT_BEHIND):
            try:
                self._settle_documents()
            except Exception as error:  # whatever it is, the worker goes on
                log.warning("AuditEvents wait in their documents: %s", raised_at(error))

    def look_after_audit(self) -> None:
        """From now on carry on what this process and dead ones left in the journal; for the start of a server."""
        self._reading_audit.begin()

    def deletions(self) -> list[Deletion]:
        """The deletes that are to be looked at again."""
        with asking(self._seconds):
            return deletions_in(self._collection(LEDGER))

    def explain(self, asked: Sequence[tuple[Query, Sequence[Grant]]], moment: datetime) -> list[Explained]:
        """How the first page of each query is found. Raises TooCostly, like the search itself."""
        self._before_asking(*(query.type for query, _ in asked))
        with asking(self._seconds):
            return explained(self._database, asked, moment, max_time_ms=self._search_ms)

    def _begun(self, own_session: OwnSession, ahead: Ahead | None) -> MongoTransaction:
        """A transaction, which begins in the session when it needs one."""
        return MongoTransaction(
            self._connection,
            own_session,
            secret=self._secret,
            seconds=self._seconds,
            search_ms=self._search_ms,
            process=self._waiting.process,
            new_documents=self._new_documents,
            ahead=ahead,
            full_text=self._full_text,
        )

    def _done(self, transaction: MongoTransaction) -> None:
        """What follows when a transaction is kept."""
        if transaction.waits_in is not None:
            self._waiting.wrote(transaction.waits_in)
        if transaction.defined:
            self.own.forget()

    def _before_asking(self, *type_names: str) -> None:
        if AUDIT_EVENTS in type_names:
            self.settle_audit()

    def _prepared_types(self) -> list[str]:
        with asking(self._seconds):
            return [each["_id"] for each in self._database[FINGERPRINTS].find({}, {"_id": 1})]
