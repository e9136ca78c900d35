"""How the writes of a transaction go to MongoDB: all of a kind in one command for each collection."""

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pymongo import InsertOne, ReplaceOne, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import DocumentTooLarge, DuplicateKeyError, PyMongoError

from fhir_server.fhir.errors import Unavailable, VersionConflict
from fhir_server.search.grant import Stamp
from fhir_server.store.contract import Circle, Stored
from fhir_server.store.mongo.connection import UNKNOWN
from fhir_server.store.mongo.documents import (
    CIRCLES,
    SEARCH_VALUES,
    Document,
    circle_document,
    current_document,
    stamp_fields,
)

Collections: TypeAlias = Callable[[str], Collection[Document]]
Session: TypeAlias = ClientSession | None
Key: TypeAlias = tuple[str, str]
Write: TypeAlias = tuple[Document | None, Document]
"""What is inserted, or the condition of an update and its change."""

# What a change of team, the opening of a plan or labelling changes in a stamp without a new version.
_MOVING = frozenset({"plans", "readers", "label"})


@dataclass(frozen=True)
class Save:
    """A version on its way, and the version that must be there before it: 0 for none."""

    stored: Stored
    expected: int


def versions(
    collections: Collections,
    saves: Iterable[Save],
    seen: Mapping[Key, Stamp],
    session: Session,
    full_text: Container[str] = (),
) -> None:
    """Make the versions the current ones, each over the stamp that was `seen` where one is given.

    Those of a type in `full_text` keep their words. Raises VersionConflict when another than the expected one is there.
    """
    by_type: dict[str, list[Write]] = defaultdict(list)
    for save in saves:
        stamp = seen.get((save.stored.type, save.stored.id))
        by_type[save.stored.type].append(_write_of(save, stamp, words=save.stored.type in full_text))
    for type_name, writes in by_type.items():
        if _written(collections(type_name), writes, session) < len(writes):
            raise conflict(f"A {type_name}")


def stamps(
    collections: Collections, restamps: Mapping[Key, Stamp], seen: Mapping[Key, Stamp], session: Session
) -> None:
    """Replace the stamps of current versions, those `seen` where they are given. Raises VersionConflict when another
    is there, or none."""
    by_type: dict[str, list[UpdateOne]] = defaultdict(list)
    for (type_name, id), stamp in restamps.items():
        there = {"_id": id, **_as_seen(seen.get((type_name, id)))}
        by_type[type_name].append(UpdateOne(there, {"$set": stamp_fields(stamp)}))
    for type_name, operations in by_type.items():
        done = collections(type_name).bulk_write(operations, session=session)
        if done.matched_count < len(operations):
            raise conflict(f"A {type_name}")


def circles(collections: Collections, changed: Iterable[Circle], session: Session) -> None:
    """Create or replace circles."""
    operations = [ReplaceOne({"_id": circle.plan}, circle_document(circle), upsert=True) for circle in changed]
    if operations:
        collections(CIRCLES).bulk_write(operations, session=session)


def additions(collections: Collections, appends: Mapping[str, Sequence[Document]], session: Session) -> None:
    """Insert documents that are only ever added, by collection."""
    for name, documents in appends.items():
        if documents:
            _written(collections(name), [(None, document) for document in documents], session)


def alone(collections: Collections, stored: Stored, told: Document, *, words: bool) -> None:
    """Insert a new document with what waits in it, outside of any transaction. Raises Unavailable when it is unknown
    whether it is kept."""
    collection = collections(stored.type)
    try:
        collection.insert_one({**current_document(stored, words=words), **told})
    except (DuplicateKeyError, DocumentTooLarge):
        raise
    except PyMongoError as error:
        raise Unavailable(UNKNOWN) from error


def conflict(what: str) -> VersionConflict:
    """The error for a write that follows another version than the stored one."""
    return VersionConflict(f"{what} is no longer as it was read. Read it again, then repeat the change.")


def _written(collection: Collection[Document], writes: Sequence[Write], session: Session) -> int:
    """How many of the writes met what they expected. Raises what the driver raises."""
    if len(writes) == 1:  # by a method of its own, which costs the driver a third less than a bulk of one
        [(where, what)] = writes
        if where is not None:
            return collection.update_one(where, what, session=session).matched_count
        collection.insert_one(what, session=session)
        return 1
    inserts = [InsertOne(what) for where, what in writes if where is None]
    updates = [UpdateOne(where, what) for where, what in writes if where is not None]
    done = collection.bulk_write([*inserts, *updates], session=session)
    return done.inserted_count + done.matched_count


def _write_of(save: Save, seen: Stamp | None, *, words: bool) -> Write:
    document = current_document(save.stored, words=words)
    if not save.expected:
        return None, document
    there = {"_id": document.pop("_id"), "v": save.expected, **_as_seen(seen)}
    return there, _following(document)


def _following(document: Document) -> Document:
    """The change to a later version: what waits for the audit in the document stays."""
    absent = [name for name in SEARCH_VALUES if name not in document]
    return {"$set": document, **({"$unset": dict.fromkeys(absent, "")} if absent else {})}


def _as_seen(stamp: Stamp | None) -> Document:
    """The condition that nobody changed the stamp since it was read outside of the transaction."""
    return {name: value for name, value in stamp_fields(stamp).items() if name in _MOVING} if stamp else {}
