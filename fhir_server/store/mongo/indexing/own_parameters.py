"""The operator's search parameters as the database holds them, and as one process knows them.

The document `search` of the collection `definitions` holds them all, with a version that each change counts up. A
process looks at it again when it has not for `AGE` seconds. `reindexing` says how far a type is indexed, by the mark of
its parameters. No writer works with what it knew longer than `SETTLED` seconds ago: when so long has passed since a
parameter was defined, whatever is stored from then on carries its values. What travels with the code is looked at with
them: `indexed_by.py` says which of it not all documents are indexed by.
"""

import hashlib
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
from pymongo.client_session import ClientSession

from fhir_server.definitions.search_parameters import Own, SearchParameter, parameter_from, shipped_parameters_of
from fhir_server.search import fingerprints
from fhir_server.store.mongo.connection import Connection, asking
from fhir_server.store.mongo.documents import Document
from fhir_server.store.mongo.indexing.indexed_by import NOTHING_KNOWN, Indexed, agree, indexed_in
from fhir_server.store.values import OwnParameter

DEFINITIONS = "definitions"
REINDEXING = "reindexing"

AGE = 5.0
SETTLED = 35.0
"""`AGE`, and the time that a transaction may take with its commit, and some more."""

_SEARCH = "search"


class OwnParameters:
    """What this process knows of the operator's parameters; at most `age` seconds old."""

    def __init__(self, connection: Connection, *, seconds: float, age: float = AGE) -> None:
        self._connection = connection
        self._seconds = seconds
        self._age = age
        self._lock = threading.Lock()
        self._known = Own()
        self._indexed = NOTHING_KNOWN
        self._until = 0.0

    def current(self) -> Own:
        """The parameters. Raises Unavailable when the database must be asked and does not answer."""
        if time.monotonic() < self._until:
            return self._known
        with self._lock:
            if time.monotonic() >= self._until:
                begun = time.monotonic()
                self._known = self._read()
                self._until = begun + self._age
            return self._known

    def forget(self) -> None:
        """Look again when next asked: this process has changed them."""
        self._until = 0.0

    def _read(self) -> Own:
        with asking(self._seconds):
            parameters = stored_in(self._connection)
            self._indexed = self._agreed()
            lagging = self._indexed.lagging()
            waits = lagging or any(map(waiting_for, parameters))
            progress = {each["_id"]: each for each in self._connection.collection(REINDEXING).find()} if waits else {}
        return own(parameters, progress, lagging)

    def _agreed(self) -> Indexed:
        """What all documents are indexed by; less than another version says that has been at it."""
        found = indexed_in(self._connection, self._indexed)
        foreign = [name for name in found.types if found.foreign(name)] if found is not self._indexed else []
        return agree(self._connection, foreign) if foreign else found


def own(
    parameters: Sequence[OwnParameter], progress: Mapping[str, Document], lagging: Mapping[str, Sequence[str]]
) -> Own:
    """The parameters by type, with the shipped ones that lag; `progress` are the documents of `reindexing` by type."""
    marks = {type_name: mark_of(type_name, parameters) for each in parameters for type_name in each.rows}
    found: dict[str, list[SearchParameter]] = {type_name: [] for type_name in marks}
    for each in sorted(parameters, key=lambda parameter: parameter.code):
        for type_name, row in each.rows.items():
            at = None if type_name in each.indexed else _percent(progress.get(type_name), marks[type_name])
            more = {"definition": each.url, "way": _way_of(row), "progress": at}
            found[type_name].append(parameter_from(each.code, row, **more))
    behind = {
        type_name: _behind(type_name, of_type, _percent(progress.get(type_name), mark_of(type_name, parameters)))
        for type_name, codes in lagging.items()
        if (of_type := [code for code in codes if code != fingerprints.CONTAINED])
    }
    containers = frozenset(type_name for type_name, codes in lagging.items() if fingerprints.CONTAINED in codes)
    return Own({type_name: tuple(all_of) for type_name, all_of in found.items()}, marks, behind, containers)


def _way_of(row: Mapping[str, Any]) -> str:
    """A name for how a row searches, the same in every process."""
    return hashlib.sha256(msgspec.json.encode(row, order="deterministic")).hexdigest()


def mark_of(type_name: str, parameters: Sequence[OwnParameter]) -> str:
    """What a resource of the type carries when it is indexed by exactly these parameters and what is shipped."""
    return fingerprints.mark_of(type_name, (each.key for each in parameters if type_name in each.rows))


def _behind(type_name: str, codes: Sequence[str], percent: int) -> dict[str, SearchParameter]:
    shipped = shipped_parameters_of(type_name)
    return {code: replace(shipped[code], progress=percent) for code in codes}


def waiting_for(parameter: OwnParameter) -> bool:
    """Whether some type is not indexed by it yet."""
    return not parameter.rows.keys() <= set(parameter.indexed)


def stored_in(connection: Connection, session: ClientSession | None = None) -> list[OwnParameter]:
    """The parameters that the database holds."""
    return version_in(connection, session)[1]


def version_in(connection: Connection, session: ClientSession | None = None) -> tuple[int, list[OwnParameter]]:
    """The same, and the number of their version."""
    document = connection.collection(DEFINITIONS).find_one({"_id": _SEARCH}, session=session)
    if document is None:
        return 0, []
    return document["version"], [_from(each) for each in document["parameters"]]


def keep(connection: Connection, parameters: Sequence[OwnParameter], session: ClientSession) -> None:
    """Replace them all, in a transaction that has taken its turn at them."""
    change = {"$set": {"parameters": [_document(each) for each in parameters]}, "$inc": {"version": 1}}
    connection.collection(DEFINITIONS).update_one({"_id": _SEARCH}, change, upsert=True, session=session)


def exchange(connection: Connection, version: int, parameters: Sequence[OwnParameter]) -> bool:
    """Replace them all if nobody has since this version."""
    change = {"$set": {"parameters": [_document(each) for each in parameters]}, "$inc": {"version": 1}}
    return bool(
        connection.collection(DEFINITIONS).update_one({"_id": _SEARCH, "version": version}, change).matched_count
    )


def _percent(progress: Document | None, mark: str) -> int:
    if progress is None or progress["mark"] != mark:
        return 0
    return min(99, 100 * int(progress["done"]) // max(1, int(progress["total"])))


def _document(parameter: OwnParameter) -> Document:
    fields: dict[str, Any] = msgspec.to_builtins(parameter)
    return fields


def _from(document: Document) -> OwnParameter:
    return msgspec.convert(document, OwnParameter)
