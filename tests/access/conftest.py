"""The matrix has a database of its own, so that a search of everything finds what it knows of."""

from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient

from tests.access.actors import matrix as make_matrix
from tests.access.circle import Matrix
from tests.world import World


@pytest.fixture(scope="session")
def matrix(mongo_url: str, mongo_client: MongoClient[dict[str, Any]], database_name: str) -> Iterator[Matrix]:
    """One circle with a resource of each type, and an actor of each kind; made once for each worker."""
    name = f"{database_name}_m"
    world = World(mongo_url, name)
    try:
        yield make_matrix(world, mongo_client[name])
    finally:
        world.close()
        mongo_client.drop_database(name)
