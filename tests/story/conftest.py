"""The story's own server and worker: real processes, real HTTP, one for each worker of the run."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from fhir_server.app import Parts, build
from fhir_server.demo.client import FhirClient
from fhir_server.demo.credentials import credentials
from fhir_server.demo.directory import directory
from fhir_server.demo.processes import running
from fhir_server.demo.receiver import Receiver, focus_of, subscription
from fhir_server.fhir.json import Resource
from fhir_server.settings import Settings
from tests.patience import came_about
from tests.ports import free_port

SUBSCRIBED = ("hosp", "home", "casemanager")


@dataclass(frozen=True)
class Stage:
    """Where the story is played: addresses, tokens, clients, and what the parties were told."""

    credentials: Resource
    clients: dict[str, FhirClient]
    receiver: Receiver
    parts: Parts

    @property
    def base(self) -> str:
        """The FHIR base."""
        return str(self.credentials["fhir"])

    def token(self, party: str) -> str:
        """The access token of a party."""
        return str(self.credentials["parties"][party]["token"])

    def organization(self, party: str) -> str:
        """`Organization/x` of a party."""
        return str(self.credentials["parties"][party]["organization"])

    def events(self, party: str) -> dict[int, Resource]:
        """The events that a party was told of by their numbers, in the order in which it first heard of them.

        Who answers the worker late is told the same event again, with the same number.
        """
        return {number: bundle for bundle in self.receiver.heard(party) for number in numbers_in(bundle)}

    def told(self, party: str, focus: str, times: int = 1) -> list[Resource]:
        """The events of a party about `Type/id`, as soon as they are `times`; fewer when time ran out."""
        found: list[Resource] = []

        def are_there() -> bool:
            found[:] = [each for each in self.events(party).values() if focus_of(each).endswith(f"/{focus}")]
            return len(found) >= times

        came_about(are_there)
        return found


def numbers_in(bundle: Resource) -> list[int]:
    """The number of the event that a notification tells of; none in a handshake."""
    told = [p["part"] for p in bundle["entry"][0]["resource"]["parameter"] if p["name"] == "notification-event"]
    return [int(part["valueString"]) for parts in told for part in parts if part["name"] == "event-number"]


@pytest.fixture(scope="session")
def stage(
    mongo_url: str,
    mongo_client: MongoClient[dict[str, Any]],
    database_name: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    """The running server with the demo's organisations; hosp, home and casemanager are subscribed."""
    name, folder = f"{database_name}_s", tmp_path_factory.mktemp("story")
    settings = replace(
        Settings(data=Path(folder), port=free_port(), workers=1),
        mongodb_url=mongo_url,
        database=name,
        http_endpoints=True,
        secure_cookies=False,
    )
    parts = build(settings)
    receiver = Receiver()
    environment = {
        "SAMEN_MONGODB_URL": mongo_url,
        "SAMEN_DATABASE": name,
        "SAMEN_DATA": str(folder),
        "SAMEN_PORT": str(settings.port),
        "SAMEN_WORKERS": "1",
        "SAMEN_HTTP_ENDPOINTS": "true",
        "SAMEN_SECURE_COOKIES": "false",
    }
    try:
        with running(environment, f"{settings.origin}/readyz", folder):
            content = credentials(parts, {})
            clients = {key: FhirClient(content["fhir"], party["token"]) for key, party in content["parties"].items()}
            [programme] = parts.services.programmes.values()
            clients["operator"].transact(directory(programme))
            for key in SUBSCRIBED:
                clients[key].create(subscription(receiver.endpoint(key)))
            # The worker may be a while yet in coming up; no test is to wait for that, too.
            assert came_about(lambda: all(map(receiver.heard, SUBSCRIBED))), "the worker greets nobody"
            yield Stage(content, clients, receiver, parts)
            for client in clients.values():
                client.close()
    finally:
        receiver.close()
        parts.store.close()
        parts.registry.close()
        mongo_client.drop_database(name)
