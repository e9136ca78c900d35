"""The way to the database: one client per process, and what becomes of its errors."""

import logging
import os
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pymongo
from bson.errors import BSONError
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DocumentTooLarge,
    DuplicateKeyError,
    OperationFailure,
    PyMongoError,
)
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.uri_parser import parse_uri
from pymongo.write_concern import WriteConcern

from fhir_server.fhir.errors import FhirError, TooLarge, Unavailable, VersionConflict
from fhir_server.store.mongo.documents import Document

Pipeline: TypeAlias = list[Document]

DURABLE = WriteConcern(w="majority", j=True)
ACKNOWLEDGED = WriteConcern(w=1)

UNKNOWN = "The database stopped answering while it was storing this. Read it again before you repeat the change."

DUPLICATE_KEY = 11000
_TOO_LARGE = frozenset({10334, 388})
"""A document over 16 MB, and one of which an index would keep more than 100,000 values."""
_SELECTION_MS = 5_000
_SOCKET_MS = 15_000

log = logging.getLogger(__name__)


def union(parts: Sequence[tuple[str, Pipeline]]) -> tuple[str, Pipeline]:
    """One question for several collections: the one that is asked first, and the pipeline that goes on through the
    others in their order. MongoDB answers it outside of transactions only."""
    (first, stages), *others = parts
    return first, [*stages, *({"$unionWith": {"coll": name, "pipeline": each}} for name, each in others)]


def is_understood(url: str) -> bool:
    """Whether the driver understands `url`, its options included; what an address of mongodb+srv names is not asked."""
    if url.startswith("mongodb+srv://"):
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            parse_uri(url, validate=True, warn=False)
    except (PyMongoError, ValueError, TypeError, OSError, Warning):
        return False
    return True


@dataclass(frozen=True)
class _Opened:
    """What one process has opened; collections are kept, because the driver takes its time to make one."""

    pid: int
    client: MongoClient[Document]
    database: Database[Document]
    collections: dict[tuple[str, bool], Collection[Document]] = field(default_factory=dict)


class MoreToCome(Exception):
    """An answer did not fit into one batch; ask with a cursor."""


class Connection:
    """A database by its address. The client is made when a process first asks, never carried over a fork."""

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        self._lock = threading.Lock()
        self._opened: _Opened | None = None

    @property
    def client(self) -> MongoClient[Document]:
        """This process's client."""
        return self._open().client

    @property
    def database(self) -> Database[Document]:
        """The database: durable writes, reads of what a majority holds, from the primary, times in UTC."""
        return self._open().database

    def collection(self, name: str, write_concern: WriteConcern = DURABLE) -> Collection[Document]:
        """A collection of the database."""
        opened = self._open()
        key = (name, write_concern is DURABLE)
        found = opened.collections.get(key)
        if found is None:
            found = opened.database.get_collection(name, write_concern=write_concern)
            opened.collections[key] = found
        return found

    def first_batch(self, command: Document) -> list[Document]:
        """All documents of a reading command, as the function of this name brings them."""
        return first_batch(self.database, command)

    def close(self) -> None:
        """Close this process's client; the next question makes a new one."""
        opened, self._opened = self._opened, None
        if opened is not None and opened.pid == os.getpid():
            opened.client.close()

    def _open(self) -> _Opened:
        opened = self._opened
        if opened is not None and opened.pid == os.getpid():
            return opened
        with self._lock:
            if self._opened is None or self._opened.pid != os.getpid():
                self._opened = self._make()
            return self._opened

    def _make(self) -> _Opened:
        client: MongoClient[Document] = MongoClient(
            self._url,
            tz_aware=True,
            serverSelectionTimeoutMS=_SELECTION_MS,
            connectTimeoutMS=_SELECTION_MS,
            socketTimeoutMS=_SOCKET_MS,
        )
        database = client.get_database(
            self._name,
            write_concern=DURABLE,
            read_concern=ReadConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
        )
        return _Opened(os.getpid(), client, database)


def first_batch(database: Database[Document], command: Document) -> list[Document]:
    """All documents of a reading command; asked again when the connection was lost. Raises MoreToCome.

    For what fits into one batch: the driver's own cursors cost half as much again.
    """
    asked = {**command, "readConcern": {"level": "majority"}}
    try:
        answer = database.command(asked, codec_options=database.codec_options)
    except AutoReconnect:
        answer = database.command(asked, codec_options=database.codec_options)
    cursor = answer["cursor"]
    if cursor["id"]:
        database.command({"killCursors": cursor["ns"].partition(".")[2], "cursors": [cursor["id"]]})
        raise MoreToCome
    documents: list[Document] = cursor["firstBatch"]
    return documents


@contextmanager
def asking(seconds: float) -> Iterator[None]:
    """Bound the questions asked inside to `seconds` together; the driver's errors become those of `fhir.errors`.

    What makes a transaction start again passes unchanged, for `transact` alone to see.
    """
    try:
        with pymongo.timeout(seconds):
            yield
    except (PyMongoError, BSONError) as error:
        if may_start_again(error):
            raise
        raise refusal(error) from error


def may_start_again(error: Exception) -> bool:
    """Whether the driver says that the transaction had no effect and may be tried once more."""
    return isinstance(error, PyMongoError) and error.has_error_label("TransientTransactionError")


def refusal(error: Exception) -> FhirError:
    """What an error of the driver means to a request; the driver's words stay out of it, they can hold stored data."""
    codes = _codes(error)
    if isinstance(error, DocumentTooLarge) or codes & _TOO_LARGE:
        return TooLarge("The resource is too large to be stored with what searches need of it. Divide it.")
    if isinstance(error, DuplicateKeyError) or DUPLICATE_KEY in codes:
        return VersionConflict("Somebody else stored this resource first. Read it again, then repeat the change.")
    log.error("MongoDB refused or did not answer: %s %s", type(error).__name__, sorted(codes))
    return Unavailable("The database does not answer now; nothing was done. Try again in a while.")


def _codes(error: Exception) -> set[Any]:
    codes: set[Any] = set()
    if isinstance(error, OperationFailure) and error.code is not None:
        codes.add(error.code)
    if isinstance(error, BulkWriteError):
        codes.update(each.get("code") for each in (error.details or {}).get("writeErrors", ()))
    return codes
