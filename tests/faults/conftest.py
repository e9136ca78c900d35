"""An application on a database of its own, and a worker that indexes there."""

from collections.abc import Iterator
from typing import Any

import pytest
from notifying import House, house
from pymongo import MongoClient
from pymongo.database import Database
from receiver import Receiver, listening

from fhir_server.store.mongo.connection import Connection
from fhir_server.store.mongo.indexing.reindexing import Reindexing
from tests.databases import LentDatabases
from tests.world import World, world_apart


@pytest.fixture
def apart(mongo_url: str, databases: LentDatabases) -> Iterator[World]:
    """An application on a database of its own."""
    with world_apart(mongo_url, databases) as made:
        yield made


@pytest.fixture
def samen(mongo_url: str) -> Iterator[House]:
    """A store and workers that notify, without a server."""
    with house(mongo_url) as built:
        yield built


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An endpoint that is notified."""
    with listening() as one:
        yield one


@pytest.fixture
def database(apart: World, mongo_client: MongoClient[dict[str, Any]]) -> Database[dict[str, Any]]:
    """Its database."""
    return mongo_client[apart.parts.settings.database]


@pytest.fixture
def indexing(apart: World) -> Iterator[Reindexing]:
    """A worker at it, where no writer is waited for."""
    settings = apart.parts.settings
    connection = Connection(settings.mongodb_url, settings.database)
    yield Reindexing(connection, settled=0.0, full_text=settings.full_text)
    connection.close()
