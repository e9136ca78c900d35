"""The ledger: everything that a commit leaves beside the current versions, in one collection and by one command.

What a document is, its `_id` says by what it begins with; so each kind lies together and in its order.

    turn/KEY                            turns taken at a guard: {turn}
    version/Type/id/0000000001          a version that another has followed, as `documents.py` says
    move/PLAN/0000000007/000001         a move in a plan's log, by the turn of its writer and its place in it
    entry/2026-05-01T12:00:00.000000/…  an entry of the outbox, by its time
    deletion/Type/id/3                  a delete that is looked at again, as `deletions.py` says
    told/ID                             AuditEvents that wait to be put with the others, as `waiting.py` says
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from bson import ObjectId
from pymongo import ASCENDING, IndexModel
from pymongo.client_session import ClientSession
from pymongo.database import Database

from fhir_server.store.mongo.commands import Write, insert, send
from fhir_server.store.mongo.documents import Document, history_fields
from fhir_server.store.values import Stored

LEDGER = "ledger"
# An insert costs less than an update that makes what it does not find; for few documents another command costs more.
_MANY = 8
# Sparse: each has only the documents of its own kind in it, `version` and `lu` alone being of others as well.
INDEXES = [
    IndexModel([("see", ASCENDING), ("lu", ASCENDING), ("o", ASCENDING)], sparse=True),
    IndexModel([("focus", ASCENDING)], sparse=True),
    IndexModel([("waiting", ASCENDING)], sparse=True),
]


def turn_id(key: str) -> str:
    """The `_id` of a guard."""
    return f"turn/{key}"


def key_of(id: str) -> str:
    """The key of a guard, from its `_id`."""
    return id.removeprefix("turn/")


def version_id(type_name: str, id: str, version: int) -> str:
    """The `_id` of a past version: those of one resource sort by their number."""
    return f"version/{type_name}/{id}/{version:010d}"


def past_version(stored: Stored, after: Stored) -> Document:
    """The document of a version that `after` follows."""
    return {
        "_id": version_id(stored.type, stored.id, stored.version),
        **history_fields(stored, after.last_updated),
    }


def version_of(id: str) -> tuple[str, str]:
    """The type and the id of the resource, from the `_id` of its past version."""
    _, type_name, name, _ = id.split("/")
    return type_name, name


def move_id(plan: str, turn: int, number: int) -> str:
    """The `_id` of a move: those of a plan sort by the turn of their writer, then by their place in it."""
    return f"move/{plan}/{turn:010d}/{number:06d}"


def entry_id(at: datetime) -> str:
    """A new `_id` of an entry of the outbox: they sort by time."""
    return f"entry/{at.strftime('%Y-%m-%dT%H:%M:%S.%f')}/{ObjectId()}"


def beginning(*parts: str) -> Document:
    """The condition on `_id` that it begins with these parts."""
    begun = "/".join(parts)
    return {"$gte": f"{begun}/", "$lt": f"{begun}0"}  # "0" follows "/"


def moves_of(plans: Sequence[str]) -> Document:
    """The condition of the moves of some plans."""
    conditions: list[Document] = [{"_id": beginning("move", plan)} for plan in plans]
    return conditions[0] if len(conditions) == 1 else {"$or": conditions}


ENTRIES: Document = {"_id": beginning("entry")}
"""The condition of what is in the outbox."""


def write(
    database: Database[Document],
    turns: Mapping[str, int],
    proofs: Mapping[str, int],
    additions: Sequence[Document],
    session: ClientSession | None,
) -> bool:
    """Take the turn after the one that is given at each key, prove that others are as given, and add documents.

    False when another turn was there, and then nothing of it may be kept. Raises DuplicateKeyError when another
    writer makes the same guard.
    """
    proving = [Write({"_id": turn_id(key), "turn": turn}, {"$set": {"turn": turn}}) for key, turn in proofs.items()]
    at_once = len(additions) >= _MANY
    operations = [*proving, *_takings(turns), *map(_adding, () if at_once else additions)]
    new = len(operations) - len(proving) - sum(map(bool, turns.values()))
    done = send(database, LEDGER, operations, session)
    if (done.matched, done.made) != (len(operations) - new, new):
        return False
    if at_once:
        insert(database, LEDGER, additions, session)
    return True


def _takings(turns: Mapping[str, int]) -> Iterator[Write]:
    for key, turn in sorted(turns.items()):
        if turn:
            yield Write({"_id": turn_id(key), "turn": turn}, {"$inc": {"turn": 1}})
        else:
            yield Write({"_id": turn_id(key)}, {"$setOnInsert": {"turn": 1}}, upsert=True)


def _adding(document: Document) -> Write:
    rest = {name: value for name, value in document.items() if name != "_id"}
    return Write({"_id": document["_id"]}, {"$setOnInsert": rest}, upsert=True)
