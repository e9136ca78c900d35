"""Stored documents get the search values of now, a few at a time; what is too large with its new values is left alone.

A document that somebody changes meanwhile is left alone, too: its writer indexes it.
"""

import logging
from collections.abc import Container, Mapping
from dataclasses import dataclass

from pymongo import UpdateOne

from fhir_server.fhir.errors import TooLarge
from fhir_server.store.mongo.connection import Connection, asking
from fhir_server.store.mongo.contained import contains, with_contained
from fhir_server.store.mongo.documents import SEARCH_VALUES, Document, found_by, stored_from
from fhir_server.store.mongo.wording import WORDING

log = logging.getLogger(__name__)

BATCH = 100
SECONDS = 60.0
# Their own words are gathered by themselves.
_FIELDS = tuple(name for name in SEARCH_VALUES if name not in {WORDING, "w"})


@dataclass(frozen=True)
class Batch:
    """What was gone through: the `last` id, None when there are no more, how many they were, and as `Type/id` what is
    too large to be stored with its new values."""

    last: str | None
    done: int = 0
    too_large: frozenset[str] = frozenset()


def index_behind(
    connection: Connection, type_name: str, mark: str, after: str, full_text: Container[str] = ()
) -> Batch:
    """Index a few of a type that lack the mark, those behind the id. Raises Unavailable."""
    asked = {"_id": {"$gt": after}, "del": False, "own": {"$ne": mark}}
    return _written(
        connection,
        type_name,
        {each["_id"]: _indexed(type_name, each, full_text) for each in _some(connection, type_name, asked)},
    )


def index_containing(
    connection: Connection, container: str, type_name: str, after: str, full_text: Container[str] = ()
) -> Batch:
    """Index what a few of the type `container` contain, those behind the id that contain one of the type. Raises
    Unavailable."""
    asked = {"t": contains(type_name), "_id": {"$gt": after}}
    return _written(
        connection,
        container,
        {each["_id"]: with_contained(each, full_text) for each in _some(connection, container, asked)},
    )


def _some(connection: Connection, type_name: str, asked: Document) -> list[Document]:
    with asking(SECONDS):
        return list(connection.collection(type_name).find(asked, sort=[("_id", 1)], limit=BATCH))


def _written(connection: Connection, type_name: str, changes: Mapping[str, UpdateOne]) -> Batch:
    """Write the changes of documents, by their ids; one by one when some of them cannot be."""
    if not changes:
        return Batch(None)
    collection, too_large = connection.collection(type_name), set[str]()
    try:
        with asking(SECONDS):
            collection.bulk_write(list(changes.values()), ordered=False)
    except TooLarge:
        for id, change in changes.items():
            try:
                with asking(SECONDS):
                    collection.bulk_write([change])
            except TooLarge:
                too_large.add(f"{type_name}/{id}")
                log.warning("%s/%s is too large to be indexed until somebody divides it", type_name, id)
    return Batch(list(changes)[-1], len(changes), frozenset(too_large))


def _indexed(type_name: str, document: Document, full_text: Container[str] = ()) -> UpdateOne:
    """The change of a document to its search values of now, unless somebody changes it first."""
    values = found_by(stored_from(type_name, document["_id"], document), full_text)
    gone = {name: "" for name in _FIELDS if name in document and name not in values}
    change = {"$set": values, **({"$unset": gone} if gone else {})}
    return UpdateOne({"_id": document["_id"], "v": document["v"], "del": False}, change)
