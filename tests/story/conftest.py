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
from fhir_server.demo.receiver import Receiver, subscription
from fhir_server.fhir.json import Resource
from fhir_server.settings import Settings
from tests.ports import free_port


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
            for key in ("hosp", "home", "casemanager"):
                clients[key].create(subscription(receiver.endpoint(key)))
            yield Stage(content, clients, receiver, parts)
            for client in clients.values():
                client.close()
    finally:
        receiver.close()
        parts.store.close()
        parts.registry.close()
        mongo_client.drop_database(name)
