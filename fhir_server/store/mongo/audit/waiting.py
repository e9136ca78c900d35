"""AuditEvents that wait in the document of the write that they tell of, or in the ledger with the rest of its commit.

So a write of one document needs no transaction: what became of it and who did it are kept by one insert, or neither is.
And a transaction needs no command for its audit, whose many search terms are put into the index by hundreds.
Soon after, and before any question about AuditEvents, they are put with the others and leave the document. An
AuditEvent's id is its own, so putting it there twice is putting it there once; whoever is killed between leaves what
anybody may finish. A later version of a document keeps what still waits in it; from the ledger all of it goes.

    told      [the records of the AuditEvents, as a journal would keep them]
    waiting   which process wrote them, and so looks after them
"""

import logging
import os
import threading
import uuid
from collections.abc import Callable, Sequence
from typing import TypeAlias

from bson import Binary
from pymongo import ReplaceOne
from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from fhir_server.fhir.faults import raised_at
from fhir_server.fhir.json import Resource
from fhir_server.search.grant import Stamp
from fhir_server.store.mongo.audit.events import audit_document, event_document, insert, record_of
from fhir_server.store.mongo.connection import ACKNOWLEDGED, Connection, asking, union
from fhir_server.store.mongo.documents import AUDIT_EVENTS, Document
from fhir_server.store.mongo.ledger import LEDGER

Collections: TypeAlias = Callable[[str], Collection[Document]]

_GATHERING = 0.3
"""Seconds in which writes come together before their AuditEvents are put with the others."""
_MANY = 200
_FEW = 4
"""Of one transaction, at most so many wait to be put with the others."""

log = logging.getLogger(__name__)


class Told:
    """The AuditEvents of one transaction of this `process`: few wait in a document of it, many are inserted with it."""

    def __init__(self, process: str) -> None:
        self._process = process
        self._events: list[tuple[Resource, Stamp]] = []

    def __bool__(self) -> bool:
        return bool(self._events)

    @property
    def are_few(self) -> bool:
        """Whether all of them may wait."""
        return len(self._events) <= _FEW

    def add(self, events: Sequence[Resource], stamp: Stamp) -> None:
        """Further ones, which have this stamp."""
        self._events.extend((event, stamp) for event in events)

    def fields(self) -> Document:
        """The fields in which they wait in another document. Raises TooLarge."""
        return waiting_fields(self._events, self._process) if self._events else {}

    def taken_out(self) -> tuple[list[Document], list[Document]]:
        """The document of the ledger in which they wait, or their own documents; they are told no more then."""
        events, self._events = self._events, []
        if events and len(events) <= _FEW:
            return [{"_id": waiting_id(events), **waiting_fields(events, self._process)}], []
        return [], [audit_document(event, stamp) for event, stamp in events]


def waiting_fields(events: Sequence[tuple[Resource, Stamp]], process: str) -> Document:
    """The fields of a document in which these AuditEvents wait. Raises TooLarge."""
    return {"told": [Binary(record_of(event, stamp)) for event, stamp in events], "waiting": process}


def waiting_id(events: Sequence[tuple[Resource, Stamp]]) -> str:
    """The `_id` of the document of the ledger in which these wait."""
    return f"told/{events[0][0]['id']}"


class Waiting:
    """What waits in a database, as one process sees it; `close` puts what this process wrote with the others."""

    def __init__(self, connection: Connection, seconds: float) -> None:
        self._connection = connection
        self._seconds = seconds
        self._lock = threading.Lock()
        self._runs_in: int | None = None
        self._name = ""
        self._written: set[str] = set()
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def process(self) -> str:
        """The name under which this process's writes wait."""
        self._run()
        return self._name

    def wrote(self, name: str) -> None:
        """Look after what waits in a collection, soon."""
        self._written.add(name)
        self._wake.set()

    def settle(self, type_names: Sequence[str]) -> None:
        """Put everything that waits in documents of these types, and in the ledger, with the other AuditEvents.

        Raises Unavailable.
        """
        for name in _holding(self._connection, [*type_names, LEDGER], self._seconds):
            self._put(name, {"waiting": {"$exists": True}})

    def close(self) -> None:
        """End the thread, after it has done what it can."""
        thread, self._thread = self._thread, None
        if thread is not None and self._runs_in == os.getpid():
            self._ended.set()
            self._wake.set()
            thread.join()
        self._runs_in = None

    def _run(self) -> None:
        if self._runs_in == os.getpid():
            return
        with self._lock:
            if self._runs_in != os.getpid():
                self._name = uuid.uuid4().hex
                self._written, self._wake, self._ended = set(), threading.Event(), threading.Event()
                self._thread = threading.Thread(target=self._look_after, name="waiting audit", daemon=True)
                self._thread.start()
                self._runs_in = os.getpid()

    def _look_after(self) -> None:
        while not self._ended.is_set():
            self._wake.wait()
            self._ended.wait(_GATHERING)
            self._wake.clear()
            self._put_own()
        self._put_own()  # what was written while the last round was under way

    def _put_own(self) -> None:
        names: set[str] = set()
        while self._written:  # one by one: who writes meanwhile is seen now or the next time
            names.add(self._written.pop())
        for name in sorted(names):
            try:
                self._put(name, {"waiting": self._name})
            except Exception as error:  # whatever it is, this thread goes on
                # Kept where it is: the next write of this kind, the worker, or a question tries again.
                log.warning("AuditEvents wait in their documents: %s", raised_at(error))
                self._written.add(name)

    def _put(self, name: str, condition: Document) -> None:
        """Put what waits where the condition holds with the others, some hundred at a time."""
        found = self._some(name, condition)
        while found:
            records = [bytes(record) for document in found for record in document["told"]]
            insert(self._connection, records, self._seconds)
            with asking(self._seconds):
                documents = self._connection.collection(name, ACKNOWLEDGED)
                _drop(documents, found) if name == LEDGER else _let_go(documents, found)
            found = self._some(name, condition) if len(found) == _MANY else []

    def _some(self, name: str, condition: Document) -> list[Document]:
        with asking(self._seconds):
            found = self._connection.collection(name).find(condition, {"told": 1}, limit=_MANY)
            return list(found)


def rescue(collections: Collections, type_name: str, ids: Sequence[str], session: ClientSession | None) -> None:
    """Put what waits in documents that are about to go with the other AuditEvents, in the same transaction."""
    found = collections(type_name).find(
        {"_id": {"$in": list(ids)}, "waiting": {"$exists": True}}, {"told": 1}, session=session
    )
    events = [event_document(bytes(record)) for document in found for record in document["told"]]
    if events:
        puts = [ReplaceOne({"_id": event["_id"]}, event, upsert=True) for event in events]
        collections(AUDIT_EVENTS).bulk_write(puts, session=session)


def _holding(connection: Connection, type_names: Sequence[str], seconds: float) -> list[str]:
    """Those of the types in which something waits, by one question."""
    one: list[Document] = [{"$match": {"waiting": {"$exists": True}}}, {"$limit": 1}]
    parts = [(name, [*one, {"$project": {"_id": 0, "type": {"$literal": name}}}]) for name in type_names]
    first, pipeline = union(parts)
    with asking(seconds):
        return [found["type"] for found in connection.collection(first).aggregate(pipeline)]


def _let_go(documents: Collection[Document], found: Sequence[Document]) -> None:
    """Take out what was put with the others; nothing is added to it: what later versions tell waits in the ledger."""
    documents.update_many({"_id": {"$in": [each["_id"] for each in found]}}, {"$unset": {"told": "", "waiting": ""}})


def _drop(ledger: Collection[Document], found: Sequence[Document]) -> None:
    """Delete what was put with the others: in the ledger it has no other purpose."""
    ledger.delete_many({"_id": {"$in": [each["_id"] for each in found]}})
