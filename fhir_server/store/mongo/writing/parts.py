"""What writes read ahead, as parts of one question: documents of one collection by the values of one kind.

Threads that read ahead at the same moment ask together: values of the same kind become one part, and each thread gets
the documents that its own values name, as if it had asked alone. The turns come first, before all that they guard.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from fhir_server.store.mongo.connection import Connection, MoreToCome, Pipeline, asking, union
from fhir_server.store.mongo.documents import CIRCLES, STORED_FIELDS, Document
from fhir_server.store.mongo.ledger import LEDGER, key_of, moves_of, turn_id
from fhir_server.store.mongo.logic import one_of
from fhir_server.store.together import Together, in_own_time

TURN, MOVE = "turn", "move"
"""Kinds of part in the ledger; those of other collections are the fields by which they are found."""

_MANY = 1_000
# Of these a plan has many; leaving out what only searches need costs MongoDB more than it saves for a few.
_NUMEROUS = frozenset({"Task"})

_Place: TypeAlias = tuple[str, str]
"""A collection and a kind."""


@dataclass(frozen=True)
class Part:
    """Documents of a collection: `kind` is TURN (values: keys of guards), MOVE (plans), or the field that has one."""

    collection: str
    kind: str
    values: tuple[str, ...]


class Parts:
    """The questions that the threads of this process ask ahead of their writes, each within `seconds`."""

    def __init__(self, connection: Connection, seconds: float) -> None:
        self._connection = connection
        self._seconds = seconds
        self._together = Together(in_own_time(self._shared))

    def read(self, parts: Sequence[Part]) -> list[Document]:
        """The documents of the parts, which other threads may hold as well. Raises MoreToCome when they are more than
        one answer of the database holds, Unavailable."""
        found = self._together.ask(parts)
        return found if found is not None else self._asked(parts)

    def _shared(self, asked: Sequence[Sequence[Part]]) -> list[list[Document] | None]:
        """The answer of each; None where each is to ask by himself."""
        if len(asked) == 1:
            return [self._asked(asked[0])]
        try:
            found = _by_place(self._asked(_merged(asked)))
        except MoreToCome:
            return [None] * len(asked)
        return [_own(parts, found) for parts in asked]

    def _asked(self, parts: Sequence[Part]) -> list[Document]:
        with asking(self._seconds):
            return self._connection.first_batch(_command(parts))


def _merged(asked: Sequence[Sequence[Part]]) -> list[Part]:
    """The parts of all, the turns first."""
    values: dict[_Place, dict[str, None]] = defaultdict(dict)
    for parts in asked:
        for part in parts:
            values[(part.collection, part.kind)].update(dict.fromkeys(part.values))
    return sorted((Part(*place, tuple(each)) for place, each in values.items()), key=lambda part: part.kind != TURN)


def _command(parts: Sequence[Part]) -> Document:
    """What brings the parts; one alone by a `find`, which costs MongoDB a fifth less."""
    if len(parts) > 1 or parts[0].collection in _NUMEROUS:
        first, pipeline = union([(part.collection, _pipeline(part)) for part in parts])
        return {"aggregate": first, "pipeline": pipeline, "cursor": {"batchSize": _MANY}}
    return {"find": parts[0].collection, "filter": _condition(parts[0]), "batchSize": _MANY}


def _pipeline(part: Part) -> Pipeline:
    shown = [{"$project": STORED_FIELDS}] if part.collection in _NUMEROUS else []
    return [{"$match": _condition(part)}, *shown]


def _condition(part: Part) -> Document:
    if part.kind == TURN:
        return {"_id": one_of([turn_id(key) for key in part.values])}
    return moves_of(part.values) if part.kind == MOVE else {part.kind: one_of(part.values)}


def _by_place(documents: Sequence[Document]) -> dict[_Place, dict[str, list[Document]]]:
    """The documents by what each could have been asked by: a place, and a value there."""
    found: dict[_Place, dict[str, list[Document]]] = defaultdict(lambda: defaultdict(list))
    for document in documents:
        for place, value in _askable(document):
            found[place][value].append(document)
    return found


def _askable(document: Document) -> Iterator[tuple[_Place, str]]:
    """Every place and value by which a document can be asked; what it is, its fields tell."""
    name = document.get("type")
    if "turn" in document:
        yield (LEDGER, TURN), key_of(document["_id"])
    elif "members" in document:
        yield (CIRCLES, "_id"), document["_id"]
        yield (CIRCLES, "patient"), document["patient"]
    elif name is None:
        yield (LEDGER, MOVE), document["plan"]
    else:
        yield (name, "_id"), document["_id"]
        for plan in document["plans"]:
            yield (name, "plans"), plan


def _own(parts: Sequence[Part], found: dict[_Place, dict[str, list[Document]]]) -> list[Document]:
    """The documents that the parts name, each once, although two parts or two values may have brought it."""
    own: dict[tuple[str, str], Document] = {}
    for part in parts:
        there = found.get((part.collection, part.kind), {})
        for value in part.values:
            own.update({(part.collection, document["_id"]): document for document in there.get(value, ())})
    return list(own.values())
