"""How the writes of a transaction go to MongoDB: all of a kind in one command for each collection."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pymongo import InsertOne, ReplaceOne, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from fhir_server.fhir.errors import VersionConflict
from fhir_server.search.grant import Stamp
from fhir_server.store.contract import Circle, Stored
from fhir_server.store.mongo.documents import CIRCLES, Document, circle_document, current_document, stamp_fields

Collections: TypeAlias = Callable[[str], Collection[Document]]
Session: TypeAlias = ClientSession | None
Operation: TypeAlias = InsertOne[Document] | ReplaceOne[Document]


@dataclass(frozen=True)
class Save:
    """A version on its way, and the version that must be there before it: 0 for none."""

    stored: Stored
    expected: int


def versions(collections: Collections, saves: Iterable[Save], session: Session) -> None:
    """Make the versions the current ones. Raises VersionConflict when another than the expected one is there."""
    by_type: dict[str, list[Operation]] = defaultdict(list)
    for save in saves:
        by_type[save.stored.type].append(_operation(save))
    for type_name, operations in by_type.items():
        operations.sort(key=lambda operation: isinstance(operation, ReplaceOne))  # one command of each kind
        done = collections(type_name).bulk_write(operations, session=session)
        if done.inserted_count + done.matched_count < len(operations):
            raise conflict(f"A {type_name}")


def stamps(collections: Collections, restamps: Mapping[tuple[str, str], Stamp], session: Session) -> None:
    """Replace the stamps of current versions. Raises VersionConflict when one is absent."""
    by_type: dict[str, list[UpdateOne]] = defaultdict(list)
    for (type_name, id), stamp in restamps.items():
        by_type[type_name].append(UpdateOne({"_id": id}, {"$set": stamp_fields(stamp)}))
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
            collections(name).insert_many(documents, session=session)


def conflict(what: str) -> VersionConflict:
    """The error for a write that follows another version than the stored one."""
    return VersionConflict(f"{what} is no longer as it was read. Read it again, then repeat the change.")


def _operation(save: Save) -> Operation:
    document = current_document(save.stored)
    return ReplaceOne({"_id": save.stored.id, "v": save.expected}, document) if save.expected else InsertOne(document)
