"""A server is killed while it stores transactions: of each Bundle everything is there afterwards, or nothing."""

import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from pymongo import MongoClient

from fhir_server.app import Parts
from fhir_server.auth.clients import register_client
from fhir_server.fhir import dates
from tests.faults.test_audit_journal import Served, parts_in, wait_until
from tests.minimal import minimal

SENDERS = 3
ENTRIES = 40
KILLS = 3
SYSTEM = "urn:test:bundle"


class Senders:
    """Clients that send one transaction after the other, and remember what they sent and which were answered."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}
        self.sent: list[str] = []
        self.answered: list[str] = []

    @contextmanager
    def sending(self) -> Iterator[None]:
        """They send inside, until nobody answers any more."""
        threads = [threading.Thread(target=self._send) for _ in range(SENDERS)]
        for thread in threads:
            thread.start()
        yield
        for thread in threads:
            thread.join()

    def stored(self, name: str) -> int:
        """How many resources of a sent Bundle are there."""
        asked = {"identifier": f"{SYSTEM}|{name}", "_summary": "count"}
        reply = requests.get(f"{self._url}/List", asked, headers=self._headers, timeout=30)
        assert reply.status_code == 200, reply.text
        found: int = reply.json()["total"]
        return found

    def _send(self) -> None:
        with requests.Session() as session:
            while True:
                name = uuid.uuid4().hex
                self.sent.append(name)
                try:
                    reply = session.post(self._url, json=bundle(name), headers=self._headers, timeout=30)
                except requests.RequestException:
                    return
                assert reply.status_code == 200, reply.text
                self.answered.append(name)


def bundle(name: str) -> dict[str, Any]:
    """A transaction that creates lists which carry its name."""
    listed = minimal("List", identifier=[{"system": SYSTEM, "value": name}])
    entry = {"resource": listed, "request": {"method": "POST", "url": "List"}}
    return {"resourceType": "Bundle", "type": "transaction", "entry": [entry] * ENTRIES}


def end_orphans(client: MongoClient[dict[str, Any]], app: str) -> None:
    """End the transactions of killed clients, which MongoDB would keep for a minute, and the dropping with them.

    They are known by the name under which these connected: the other tests of the run have open ones as well.
    """
    idle = [
        {"$currentOp": {"idleSessions": True, "allUsers": True}},
        {"$match": {"type": "idleSession", "appName": app}},
    ]
    orphans = [{"id": each["lsid"]["id"]} for each in client.admin.aggregate(idle) if "transaction" in each]
    if orphans:
        client.admin.command({"killSessions": orphans})


@pytest.fixture
def parts(
    mongo_url: str, mongo_client: MongoClient[dict[str, Any]], database_name: str, tmp_path: Path
) -> Iterator[Parts]:
    name = f"{database_name}_killed"
    with parts_in(f"{mongo_url}&appName={name}", name, tmp_path) as made:
        yield made
    end_orphans(mongo_client, name)
    mongo_client.drop_database(name)


@pytest.mark.skipif(sys.platform != "linux", reason="children of a process are found in Linux' /proc")
def test_of_a_transaction_that_was_cut_off_all_is_there_or_nothing(parts: Parts, tmp_path: Path) -> None:
    client, _ = register_client(
        parts.registry, organization="Organization/sender", scopes=("system/*.cruds",), now=dates.now()
    )
    served = Served(parts, tmp_path)
    senders = Senders(served.url, parts.issuer.access_token(client, client.scopes, timedelta(hours=1)))
    try:
        for kill in range(1, KILLS + 1):
            served.start()
            with senders.sending():
                wait_until(lambda least=3 * kill: len(senders.answered) >= least)
                served.kill()
        served.start()
        found = {name: senders.stored(name) for name in senders.sent}
    finally:
        served.end()

    assert set(found.values()) <= {0, ENTRIES}
    assert {found[name] for name in senders.answered} == {ENTRIES}
    assert len(senders.sent) - len(senders.answered) == KILLS * SENDERS, "each kill cut somebody off"
