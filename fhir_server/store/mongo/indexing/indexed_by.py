"""By what the stored resources of each type are indexed, of the search parameters that travel with the code.

The document `shipped` of the collection `definitions` says it: for each type the form of the values, a mark of each
parameter that all of its documents are indexed by, and a `turn` that each change counts up. A server says at its start
what it writes from then on: what another version wrote in another way, not all documents have. So parameters are
taken away here by whoever finds others than its own, and given back when a pass through the type is at its end.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo.errors import DuplicateKeyError

from fhir_server.search.fingerprints import FORM, rows_of
from fhir_server.store.mongo.connection import Connection
from fhir_server.store.mongo.contained import is_contained_anywhere
from fhir_server.store.mongo.documents import Document

log = logging.getLogger(__name__)

SHIPPED = "shipped"
_MIXED = 0
"""The form of a type of which the documents are kept in several forms, or nobody knows in which."""


@dataclass(frozen=True)
class Indexed:
    """What the database says: by type the form, the marks of parameters and the turn of its last change."""

    turn: int
    types: Mapping[str, Mapping[str, Any]]

    def lacking(self, type_name: str) -> list[str]:
        """The parameters of this version that not all documents of the type are indexed by."""
        known, rows = self.types.get(type_name, _UNKNOWN), rows_of(type_name)
        if known["form"] != FORM:
            return list(rows)
        return [code for code, mark in rows.items() if known["rows"].get(code) != mark]

    def lagging(self) -> dict[str, list[str]]:
        """The same of each type of which anything is known, as far as there are some."""
        return {name: lacking for name in self.types if (lacking := self.lacking(name))}

    def foreign(self, type_name: str) -> bool:
        """Whether documents are said to have what this version does not write."""
        known = self.types.get(type_name, _UNKNOWN)
        return bool(known["form"] not in {FORM, _MIXED} or dict(known["rows"]).items() - rows_of(type_name).items())

    def turn_of(self, type_name: str) -> int:
        """The turn of a type's last change."""
        return int(self.types.get(type_name, _UNKNOWN)["turn"])


_UNKNOWN: Mapping[str, Any] = {"form": _MIXED, "rows": {}, "turn": 0}
NOTHING_KNOWN = Indexed(-1, {})


def indexed_in(connection: Connection, known: Indexed = NOTHING_KNOWN) -> Indexed:
    """What the database says; `known` when nothing has changed since."""
    found = _definitions(connection).find_one({"_id": SHIPPED, "turn": {"$ne": known.turn}})
    return _from(found) if found is not None else known


def agree(connection: Connection, type_names: Sequence[str]) -> Indexed:
    """Say what this version writes from now on; what is stored nowhere was not written otherwise."""

    def said(types: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
        return {name: change for name in type_names if (change := _agreed(connection, name, types.get(name)))}

    return _change(connection, said)


def finish(connection: Connection, type_name: str, turn: int) -> bool:
    """Say that all documents of a type are indexed by this version; not when its turn is another by now."""
    finished = False

    def said(types: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
        nonlocal finished
        finished = types.get(type_name, _UNKNOWN)["turn"] == turn
        return {type_name: _ours(type_name)} if finished else {}

    _change(connection, said)
    return finished


def tell(indexed: Indexed, type_names: Sequence[str]) -> None:
    """Log what cannot be searched by, for whoever starts a server."""
    waiting = {name: lacking for name in type_names if (lacking := indexed.lacking(name))}
    if waiting:
        log.warning(
            "%d types were stored by another version of this server; searches by what is new in it wait until they are "
            "indexed, by the worker or 'fhir-server reindex': %s",
            len(waiting),
            ", ".join(f"{name} ({', '.join(codes[:5])}{' ...' * (len(codes) > 5)})" for name, codes in waiting.items()),
        )


def _agreed(connection: Connection, type_name: str, known: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """What a type is indexed by when this version writes, too; None when that changes nothing."""
    ours = _ours(type_name)
    if known is not None and (known["form"], dict(known["rows"])) == (ours["form"], ours["rows"]):
        return None
    if _has_none(connection, type_name, contained=known is not None):
        return ours
    common = dict(known["rows"].items() & ours["rows"].items()) if known and known["form"] == FORM else {}
    if known is not None and common == dict(known["rows"]):
        return None
    return {"form": FORM if common else _MIXED, "rows": common}


def _has_none(connection: Connection, type_name: str, *, contained: bool) -> bool:
    """Whether nothing is stored of a type; with `contained` not in other resources either."""
    if connection.collection(type_name).find_one({}, {"_id": 1}) is not None:
        return False
    return not contained or not is_contained_anywhere(connection.database, type_name)


def _ours(type_name: str) -> Mapping[str, Any]:
    return {"form": FORM, "rows": dict(rows_of(type_name))}


def _change(
    connection: Connection, said: Callable[[Mapping[str, Mapping[str, Any]]], dict[str, Mapping[str, Any]]]
) -> Indexed:
    """Change what is said of some types, after whoever changed it before."""
    definitions = _definitions(connection)
    while True:
        found = definitions.find_one({"_id": SHIPPED})
        before = _from(found) if found is not None else Indexed(0, {})
        changes = said(before.types)
        if not changes:
            return before
        turn = max(before.turn + 1, time.time_ns() // 1_000_000)  # never one of a database that was here before
        types = {**before.types, **{name: {**change, "turn": turn} for name, change in changes.items()}}
        try:
            document = {"turn": turn, "types": types}
            if definitions.replace_one(
                {"_id": SHIPPED, "turn": before.turn}, document, upsert=found is None
            ).raw_result["n"]:
                return Indexed(turn, types)
        except DuplicateKeyError:  # another server was first
            continue


def _definitions(connection: Connection) -> Any:
    return connection.collection("definitions")


def _from(document: Document) -> Indexed:
    return Indexed(document["turn"], document["types"])
