"""How the writes of a transaction go to MongoDB: all of a kind in as few commands as can be for each collection."""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from pymongo.client_session import ClientSession
from pymongo.database import Database

from fhir_server.fhir.errors import VersionConflict
from fhir_server.search.grant import Stamp
from fhir_server.store.mongo.circles.documents import circle_document
from fhir_server.store.mongo.commands import Write, insert, send
from fhir_server.store.mongo.documents import (
    CIRCLES,
    SEARCH_VALUES,
    Document,
    document_to_keep,
    stamp_fields,
)
from fhir_server.store.values import Circle, Key, Stored

# What a change of team, the opening of a plan or labelling changes in a stamp without a new version.
_MOVING = frozenset({"plans", "readers", "label"})


@dataclass(frozen=True)
class Save:
    """A version on its way, and the version that must be there before it: 0 for none."""

    stored: Stored
    expected: int


def versions(
    database: Database[Document],
    saves: Iterable[Save],
    seen: Mapping[Key, Stamp],
    session: ClientSession | None,
    full_text: Container[str] = (),
) -> None:
    """Make the versions the current ones, each over the stamp that was `seen` where one is given.

    Those of a type in `full_text` keep their words. Raises VersionConflict when another than the expected one is there.
    """
    new: dict[str, list[Document]] = defaultdict(list)
    later: dict[str, list[Write]] = defaultdict(list)
    for save in saves:
        type_name = save.stored.type
        document = document_to_keep(save.stored, full_text=full_text)
        if save.expected:
            later[type_name].append(_following(document, save.expected, seen.get((type_name, save.stored.id))))
        else:
            new[type_name].append(document)
    for type_name, documents in new.items():
        insert(database, type_name, documents, session)
    for type_name, writes in later.items():
        _send_all(database, type_name, writes, session)


def stamps(
    database: Database[Document],
    restamps: Mapping[Key, Stamp],
    seen: Mapping[Key, Stamp],
    session: ClientSession | None,
) -> None:
    """Replace the stamps of current versions, those `seen` where they are given. Raises VersionConflict when another
    is there, or none."""
    by_type: dict[str, list[Write]] = defaultdict(list)
    for (type_name, id), stamp in restamps.items():
        there = {"_id": id, **_as_seen(seen.get((type_name, id)))}
        by_type[type_name].append(Write(there, {"$set": stamp_fields(stamp)}))
    for type_name, writes in by_type.items():
        _send_all(database, type_name, writes, session)


def circles(database: Database[Document], changed: Iterable[Circle], session: ClientSession | None) -> None:
    """Create or replace circles."""
    send(
        database,
        CIRCLES,
        [Write({"_id": circle.plan}, circle_document(circle), upsert=True) for circle in changed],
        session,
    )


def conflict(what: str) -> VersionConflict:
    """The error for a write that follows another version than the stored one."""
    return VersionConflict(f"{what} is no longer as it was read. Read it again, then repeat the change.")


def _send_all(database: Database[Document], type_name: str, writes: list[Write], session: ClientSession | None) -> None:
    if send(database, type_name, writes, session).matched < len(writes):
        raise conflict(f"A {type_name}")


def _following(document: Document, expected: int, seen: Stamp | None) -> Write:
    """The change to a later version: what waits for the audit in the document stays."""
    there = {"_id": document.pop("_id"), "v": expected, **_as_seen(seen)}
    absent = [name for name in SEARCH_VALUES if name not in document]
    return Write(there, {"$set": document, **({"$unset": dict.fromkeys(absent, "")} if absent else {})})


def _as_seen(stamp: Stamp | None) -> Document:
    """The condition that nobody changed the stamp since it was read outside of the transaction."""
    return {name: value for name, value in stamp_fields(stamp).items() if name in _MOVING} if stamp else {}
