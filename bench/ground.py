"""What the scenarios stand on: one MongoDB, databases of their own in it, servers started when first needed."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database

from bench.connecting import connections
from bench.load import Conversation, Crowd
from bench.processes import children_of, processor_seconds
from bench.rounds import Scale
from bench.serving import serving
from fhir_server.app import Parts, build
from fhir_server.auth.clients import register_client
from fhir_server.fhir import dates
from fhir_server.settings import Settings
from fhir_server.store.embedded import EmbeddedMongo

CASES = "samen_bench"
# Tokens are made for an address; the servers of a run listen on several ports and share this one.
BASE_URL = "http://127.0.0.1:9/fhir"
EVERYTHING = "system/*.cruds"
_CACHE_GB = 1.0
_TOKEN_LIFE = timedelta(hours=12)


class Ground:
    """The ground of one run; `close` takes the servers down again. Large caseloads stay in `data` for the next run."""

    def __init__(self, data: Path, scale: Scale, synthea: Path | None = None) -> None:
        self.data = data.absolute()
        self.synthea = synthea
        self.scale = scale
        self._stack = ExitStack()
        self._ports: dict[tuple[str, str], int] = {}
        self._processes: dict[tuple[str, str], int] = {}
        self._parts: dict[str, Parts] = {}
        self._embedded = EmbeddedMongo(self.data / "mongodb", cache_gb=_CACHE_GB)
        self.data.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> "Ground":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @cached_property
    def url(self) -> str:
        """The MongoDB of this run: SAMEN_MONGODB_URL, or an embedded one with a cache of one gigabyte."""
        return os.environ.get("SAMEN_MONGODB_URL") or self._stack.enter_context(self._embedded).url

    @cached_property
    def client(self) -> MongoClient[dict[str, Any]]:
        """A client of the bench itself."""
        return self._stack.enter_context(MongoClient(self.url, tz_aware=True))

    def database(self, name: str = CASES) -> Database[dict[str, Any]]:
        """A database of the bench."""
        return self.client[name]

    def begin_afresh(self) -> None:
        """Empty the database of the cases, and leave nothing of it behind at the end."""
        self.client.drop_database(CASES)
        self._stack.callback(self.client.drop_database, CASES)

    def settings(self, database: str = CASES) -> Settings:
        """The settings that all servers of a database share."""
        return Settings(mongodb_url=self.url, database=database, base_url=BASE_URL, secure_cookies=False)

    def environment(self, database: str = CASES) -> dict[str, str]:
        """The same settings as a server's process reads them."""
        return {
            "SAMEN_MONGODB_URL": self.url,
            "SAMEN_DATABASE": database,
            "SAMEN_HOST": "127.0.0.1",
            "SAMEN_BASE_URL": BASE_URL,
            "SAMEN_SECURE_COOKIES": "false",
            "SAMEN_DATA": str(self.data),
        }

    def parts(self, database: str = CASES) -> Parts:
        """The application's parts on a database: its store, to write documents, and its issuer, to make tokens."""
        if database not in self._parts:
            made = self._parts[database] = build(self.settings(database))
            self._stack.callback(made.store.close)
            self._stack.callback(made.registry.close)
        return self._parts[database]

    def headers(self, organization: str, *scopes: str, database: str = CASES) -> dict[str, str]:
        """What a request of the organisation carries."""
        parts = self.parts(database)
        client, _ = register_client(
            parts.registry, organization=organization, scopes=(EVERYTHING, *scopes), now=dates.now()
        )
        token = parts.issuer.access_token(client, client.scopes, _TOKEN_LIFE)
        return {"Authorization": f"Bearer {token}"}

    def port(self, which: str, database: str = CASES) -> int:
        """The port of a server, which is started when it does not run yet."""
        key = (which, database)
        if key not in self._ports:
            port = free_port()
            log = self.data / f"{which}-{database}.log"
            self._processes[key] = self._stack.enter_context(serving(which, self.environment(database), port, log))
            self._ports[key] = port
        return self._ports[key]

    def process(self, which: str, database: str = CASES) -> int:
        """The process id of a running server's parent process."""
        self.port(which, database)
        return self._processes[(which, database)]

    def crowd(self, which: str, conversations: list[Conversation], database: str = CASES) -> Crowd:
        """Connections to a server, one for each conversation, as many to each of its processes."""
        workers = list(children_of(self.process(which, database)))
        behind = [*workers, *filter(None, [self._embedded.pid])]
        connected = connections(self.port(which, database), len(conversations), workers)
        return Crowd(connected, conversations, lambda: processor_seconds(behind))

    @contextmanager
    def profiled(self, database: str) -> Iterator[list[dict[str, Any]]]:
        """What MongoDB says of the questions that are asked of a database inside; the list is filled at the end."""
        bound = self.client[database]
        found: list[dict[str, Any]] = []
        bound.command("profile", 0)
        bound.drop_collection("system.profile")
        bound.command("profile", 2)
        try:
            yield found
        finally:
            bound.command("profile", 0)
            found += list(bound["system.profile"].find())


def free_port() -> int:
    """A port of the loopback interface that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
