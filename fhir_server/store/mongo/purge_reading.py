"""What a purge asks of MongoDB: what belongs to a person, who refers to it, and everything that may name it.

Nothing here is asked often, so a collection without the index is read whole, some hundred documents at a time.
"""

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import TypeVar

from pymongo import ASCENDING
from pymongo.collection import Collection

from fhir_server.store.mongo.connection import Connection, asking
from fhir_server.store.mongo.documents import (
    AUDIT_EVENTS,
    STORED_FIELDS,
    Document,
    refers_to,
    stored_from,
)
from fhir_server.store.mongo.ledger import LEDGER, beginning, version_of
from fhir_server.store.values import Stored

PURGES = "purges"
PURGED = "purged"
ENDED = " ended"
"""In `purges`, when the last purge ended; it says nothing of whom."""
SECONDS = 300.0

_BATCH = 500
_BINARY = re.compile(rb"Binary/([A-Za-z0-9.-]{1,64})")

Item = TypeVar("Item")


class PurgeReading:
    """The questions. Each may raise Unavailable."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def lying(self, person: str, plans: Sequence[str], type_name: str) -> Iterator[Stored]:
        """Current versions, tombstones too, that are about the person or lie in one of the plans."""
        yield from self._current(type_name, {"patient": person})
        if plans:
            yield from self._current(type_name, {"plans": {"$in": list(plans)}, "patient": {"$ne": person}})

    def referring(self, references: Iterable[str], type_names: Sequence[str]) -> Iterator[Stored]:
        """Current versions of these types that refer to one of `Type/id` references."""
        for some in batches(references):
            terms = [refers_to(reference) for reference in some]
            for type_name in type_names:
                yield from self._current(type_name, {"t": {"$in": terms}})

    def linking(self, binaries: Container[str], type_names: Sequence[str]) -> Iterator[Stored]:
        """Current versions of these types that name one of the Binaries, by their ids; for this they are read whole."""
        for type_name in type_names:
            for document in self._in_order(type_name, {"_id": {"$gt": ""}}):
                if any(name.decode() in binaries for name in _BINARY.findall(document["body"])):
                    yield stored_from(type_name, document["_id"], document)

    def noted(self, person: str) -> frozenset[str]:
        """Everything that was remembered."""
        with asking(SECONDS):
            found = self._collection(PURGED).find({"_id": noted_of(person)}, {"_id": 1})
            return frozenset(each["_id"].partition(" ")[2] for each in found)

    def audit_events(self, after: str, since: datetime | None) -> Iterator[tuple[str, Stored]]:
        """AuditEvents, with the place that each has, behind the place `after`; all, or those recorded `since`."""
        condition = {"_id": {"$gt": after}, **({"lu": {"$gte": since}} if since else {})}
        for document in self._in_order(AUDIT_EVENTS, condition):
            yield document["_id"], stored_from(AUDIT_EVENTS, document["_id"], document)

    def past_versions(self, after: str, since: datetime | None) -> Iterator[tuple[str, Stored]]:
        """Past versions of every type, in the same way."""
        places = beginning("version")
        behind = {"$gt": max(after, places["$gte"]), "$lt": places["$lt"]}
        for document in self._in_order(LEDGER, {"_id": behind, **({"nx": {"$gte": since}} if since else {})}):
            type_name, id = version_of(document["_id"])
            yield document["_id"], stored_from(type_name, id, document)

    def _collection(self, name: str) -> Collection[Document]:
        return self._connection.collection(name)

    def _current(self, type_name: str, condition: Document) -> Iterator[Stored]:
        with asking(SECONDS):
            found = list(self._collection(type_name).find(condition, STORED_FIELDS))
        for document in found:
            yield stored_from(type_name, document["_id"], document)

    def _in_order(self, name: str, condition: Document) -> Iterator[Document]:
        """What the condition holds of by its `_id`, of which it says behind which to begin."""
        while True:
            with asking(SECONDS):
                found = self._collection(name).find(condition, STORED_FIELDS)
                page = list(found.sort("_id", ASCENDING).limit(_BATCH))
            yield from page
            if len(page) < _BATCH:
                return
            condition = {**condition, "_id": {**condition["_id"], "$gt": page[-1]["_id"]}}


def noted_of(person: str) -> Document:
    """The condition of what was noted of a person."""
    return {"$gt": f"{person} ", "$lt": f"{person}!"}


def batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """The items, some hundred at a time."""
    waiting = iter(items)
    while some := list(islice(waiting, _BATCH)):
        yield some
