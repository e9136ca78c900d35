"""Databases that a test or a module has for itself."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import MongoClient

from fhir_server.store.mongo.indexing.indexes import FINGERPRINTS

# More is dropped sooner than it is emptied.
_MANY = 3_000


@contextmanager
def passing_database(client: MongoClient[dict[str, Any]]) -> Iterator[str]:
    """The name of a new database, which is dropped at the end."""
    name = _new_name()
    yield name
    client.drop_database(name)


def _new_name() -> str:
    return f"test_{uuid.uuid4().hex[:12]}"


class LentDatabases:
    """Databases that whole applications have for themselves, one after the other.

    To lay one out is to make 590 files, seconds of work; to empty it is none. Whoever borrows one finds it empty, with
    the collections and indexes of every server, and no others: what somebody laid out differently is not lent again.
    """

    def __init__(self, client: MongoClient[dict[str, Any]]) -> None:
        self._client = client
        self._layouts: dict[str, dict[str, Any]] = {}
        self._free: list[str] = []

    @contextmanager
    def lent(self) -> Iterator[str]:
        """The name of one that is empty. Call `laid_out` when an application has started on it."""
        name = self._free.pop(0) if self._free else _new_name()
        if name in self._layouts and not self._emptied(name):
            self._drop(name)
            name = _new_name()
        try:
            yield name
        finally:
            if name in self._layouts:
                self._free.append(name)
            else:
                self._drop(name)

    def laid_out(self, name: str) -> None:
        """Remember what a new database looks like."""
        if name not in self._layouts:
            self._layouts[name] = self._layout(name)

    def close(self) -> None:
        """Drop them all."""
        for name in list(self._layouts):
            self._drop(name)

    def _emptied(self, name: str) -> bool:
        """Empty it, before it is lent and not after it was: what was still being written then is gone, too."""
        database, expected, found = self._client[name], self._layouts[name], self._layout(name)
        changed = any(found.get(each) != layout for each, layout in expected.items())
        if changed or database.command("dbStats")["objects"] > _MANY:
            return False
        for each in found.keys() - expected.keys():
            database.drop_collection(each)
        for each in expected.keys() - {FINGERPRINTS}:
            database[each].delete_many({})
        return True

    def _layout(self, name: str) -> dict[str, Any]:
        database = self._client[name]
        collections = {each["name"]: each["options"] for each in database.list_collections()}
        return {each: (options, database[each].index_information()) for each, options in collections.items()}

    def _drop(self, name: str) -> None:
        self._layouts.pop(name, None)
        self._client.drop_database(name)
