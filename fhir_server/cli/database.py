"""The database of a command: the one that the settings name, or an embedded one in their folder."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from fhir_server.settings import Settings
from fhir_server.store.embedded import EmbeddedMongo, NoEmbeddedMongo
from fhir_server.store.mongo.connection import Connection
from fhir_server.store.mongo.registry import Registry


def settings_of_environment() -> Settings:
    """The settings that the SAMEN_ variables of this process name. Raises SettingsError."""
    return Settings.read(os.environ)


@contextmanager
def mongodb(settings: Settings, *, patience: float = 0.0) -> Iterator[str]:
    """The database's address; an embedded MongoDB is shared with whoever runs one, or started for as long as this.

    Who starts it also ends it, so a process beside the server gives the server `patience` seconds to be the one.
    """
    if settings.mongodb_url:
        yield settings.mongodb_url
        return
    embedded = EmbeddedMongo(settings.mongodb_folder)
    deadline = time.monotonic() + patience
    while not embedded.served and time.monotonic() < deadline:
        time.sleep(0.1)
    with embedded as mongo, _ending_with(mongo):
        yield mongo.url


@contextmanager
def _ending_with(mongo: EmbeddedMongo) -> Iterator[None]:
    """Raises NoEmbeddedMongo at the end when the process's own MongoDB has crashed; one that serves ends at once."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(1.0):
            if mongo.crashed:
                if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:  # else the command is told by its questions
                    os.kill(os.getpid(), signal.SIGTERM)
                return

    watching = threading.Thread(target=watch, name="crash", daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()
        if mongo.crashed:
            told = f"The embedded MongoDB was killed or gave up; {mongo.folder / 'mongod.log'} may say why."
            raise NoEmbeddedMongo(f"{told} Start again: what was stored is there.")


@contextmanager
def registry(settings: Settings) -> Iterator[Registry]:
    """The registry of clients and users."""
    with mongodb(settings) as url:
        opened = Registry(Connection(url, settings.database))
        try:
            yield opened
        finally:
            opened.close()
