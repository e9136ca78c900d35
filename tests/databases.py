"""Databases that a test or a module has for itself."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import MongoClient


@contextmanager
def passing_database(client: MongoClient[dict[str, Any]]) -> Iterator[str]:
    """The name of a new database, which is dropped at the end."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield name
    client.drop_database(name)
