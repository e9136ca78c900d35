"""Stores for a module of their own: of its TYPES, with the words of those in its KEPT."""

from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient

from fhir_server.store.mongo.store import MongoStore
from tests.databases import passing_database


@pytest.fixture(scope="module")
def name(mongo_client: MongoClient[dict[str, Any]]) -> Iterator[str]:
    """A database of the module's own."""
    with passing_database(mongo_client) as name:
        yield name


@pytest.fixture(scope="module")
def keeping(mongo_url: str, name: str, request: pytest.FixtureRequest) -> Iterator[MongoStore]:
    """A store that keeps the words of these types, if there are any."""
    with MongoStore(mongo_url, name, secret=b"s", full_text=request.module.KEPT) as store:
        store.prepare(request.module.TYPES)
        yield store


@pytest.fixture(scope="module")
def forgetting(mongo_url: str, name: str, keeping: MongoStore) -> Iterator[MongoStore]:
    """A store on the same database that keeps none."""
    with MongoStore(mongo_url, name, secret=b"s") as store:
        yield store
