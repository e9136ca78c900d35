"""Writing commands as they are sent: updates and inserts of one collection, in as few commands as their size allows.

The driver's own methods prove and convert more than is needed here, and cost half as much again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, WriteError

from fhir_server.store.mongo.connection import DUPLICATE_KEY
from fhir_server.store.mongo.documents import Document

# Far below what a message may hold; what searches need comes beside the bodies.
_MOST_BYTES = 8 * 1024 * 1024
_MOST = 10_000


@dataclass(frozen=True)
class Write:
    """An update: of what `where` holds of, the change; with `upsert` what is not there is made."""

    where: Document
    change: Document
    upsert: bool = False


@dataclass(frozen=True)
class Done:
    """How many updates found what they look for, and how many documents were made."""

    matched: int
    made: int


def send(database: Database[Document], name: str, writes: Sequence[Write], session: ClientSession | None) -> Done:
    """Make the updates, in their order. Raises DuplicateKeyError, or whatever the driver raises."""
    matched = made = 0
    statements = [{"q": each.where, "u": each.change, **({"upsert": True} if each.upsert else {})} for each in writes]
    for some in _batches(statements):
        answer = _answered(database.command({"update": name, "updates": some}, session=session))
        new = len(answer.get("upserted", ()))
        matched, made = matched + answer["n"] - new, made + new
    return Done(matched, made)


def insert(
    database: Database[Document], name: str, documents: Sequence[Document], session: ClientSession | None
) -> None:
    """Insert documents in a transaction. Raises DuplicateKeyError, or whatever the driver raises."""
    for some in _batches(documents):
        _answered(database.command({"insert": name, "documents": some}, session=session))


def write_error(told: Document) -> WriteError:
    """The driver's error for what MongoDB told of one write."""
    kind = DuplicateKeyError if told["code"] == DUPLICATE_KEY else WriteError
    return kind(told.get("errmsg", ""), told["code"], told)


def _answered(answer: Document) -> Document:
    """The answer. Raises what the first write that failed tells."""
    for error in answer.get("writeErrors", ()):
        raise write_error(error)
    return answer


def _batches(documents: Sequence[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    size = 0
    for document in documents:
        grown = _size(document)
        if batch and (size + grown > _MOST_BYTES or len(batch) == _MOST):
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += grown
    if batch:
        yield batch


def _size(document: Document) -> int:
    """About the bytes of a document or statement: its body is the most of it."""
    change: dict[str, Any] = document.get("u", document)
    set_ = change.get("$set") or change.get("$setOnInsert") or change
    return len(set_.get("body", b"")) + 1_000
