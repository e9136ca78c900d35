"""The database of a command: the one that the settings name, or an embedded one in their folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from fhir_server.settings import Settings
from fhir_server.store.embedded import EmbeddedMongo
from fhir_server.store.mongo.connection import Connection
from fhir_server.store.mongo.registry import Registry


def settings_of_environment() -> Settings:
    """The settings that the SAMEN_ variables of this process name. Raises SettingsError."""
    return Settings.read(os.environ)


@contextmanager
def mongodb(settings: Settings) -> Iterator[str]:
    """The database's address; an embedded MongoDB is shared with whoever runs one, or started for as long as this."""
    if settings.mongodb_url:
        yield settings.mongodb_url
    else:
        with EmbeddedMongo(settings.mongodb_folder) as mongo:
            yield mongo.url


@contextmanager
def registry(settings: Settings) -> Iterator[Registry]:
    """The registry of clients and users."""
    with mongodb(settings) as url:
        opened = Registry(Connection(url, settings.database))
        try:
            yield opened
        finally:
            opened.close()
