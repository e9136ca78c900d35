"""New documents outside of any transaction; threads that have one of the same type at the same moment send them by one
command.

Each learns what became of its own: an id that is taken or a document that is too large is the matter of nobody else.
Only what is unknown is unknown for all that went along.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import bson
import pymongo
from bson.raw_bson import RawBSONDocument
from pymongo.errors import BulkWriteError, DocumentTooLarge, PyMongoError

from fhir_server.fhir.errors import Unavailable
from fhir_server.store.mongo.commands import write_error
from fhir_server.store.mongo.connection import UNKNOWN, Connection
from fhir_server.store.mongo.documents import Document
from fhir_server.store.mongo.writing.committing import Unknown
from fhir_server.store.together import Interrupted, TogetherByKind

_MOST_BYTES = 16 * 1024 * 1024
_MOST_TOGETHER = 16

_LATE = "The database was busy for too long; nothing was stored. Try again in a while."


@dataclass(frozen=True)
class _New:
    document: RawBSONDocument
    until: float


class NewDocuments:
    """Inserts of one process.

    A command ends within `seconds`, and at the latest `grace` after the time at which the first of those that go along
    should have begun. A document whose own time is over when the command leaves is not sent with it.
    """

    def __init__(self, connection: Connection, seconds: float, grace: float) -> None:
        self._connection = connection
        self._seconds = seconds
        self._grace = grace
        self._together = TogetherByKind(self._send, most=_MOST_TOGETHER)

    def insert(self, type_name: str, document: Document, until: float) -> None:
        """Keep a document, durably, when that can begin before the moment `until` of the monotonic clock.

        Raises DuplicateKeyError, DocumentTooLarge, whatever else MongoDB has against the document, Unavailable when it
        is too late, and Unknown when nobody knows whether it is kept.
        """
        encoded = bson.encode(document)
        if len(encoded) > _MOST_BYTES:
            raise DocumentTooLarge(f"A document has {len(encoded)} bytes.")
        try:
            error = self._together.ask(type_name, _New(RawBSONDocument(encoded), until))
        except (PyMongoError, Interrupted) as failed:  # of the command, not of the document
            raise Unknown(UNKNOWN) from failed
        if error is not None:
            raise error

    def _send(self, type_name: str, asked: Sequence[_New]) -> list[Exception | None]:
        """What became of each."""
        now = time.monotonic()
        due = [new for new in asked if new.until > now]
        if not due:
            return [Unavailable(_LATE) for _ in asked]
        with pymongo.timeout(min(self._seconds, min(new.until for new in due) + self._grace - now)):
            errors = dict(zip(map(id, due), self._insert(type_name, [new.document for new in due]), strict=True))
        return [errors[id(new)] if id(new) in errors else Unavailable(_LATE) for new in asked]

    def _insert(self, type_name: str, documents: Sequence[RawBSONDocument]) -> list[Exception | None]:
        try:
            self._connection.collection(type_name).insert_many(documents, ordered=False)
        except BulkWriteError as error:
            return _told_apart(error, len(documents))
        return [None] * len(documents)


def _told_apart(error: BulkWriteError, count: int) -> list[Exception | None]:
    """What each document met with; all others were kept, if only that is certain."""
    details = cast("Document", error.details or {})
    refused = {each["index"]: write_error(each) for each in details.get("writeErrors", ())}
    uncertain = bool(details.get("writeConcernErrors"))
    return [refused.get(index) or (Unknown(UNKNOWN) if uncertain else None) for index in range(count)]
