"""Starting a server: collections and indexes are made once, by whoever is first."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pymongo import MongoClient

from fhir_server.search.grant import Stamp
from fhir_server.store.mongo.preparing import OfAnEarlierBuild
from fhir_server.store.mongo.store import MongoStore
from fhir_server.store.values import Stored
from tests.databases import passing_database

TYPES = ["Task", "Patient"]


@pytest.fixture
def name(mongo_client: MongoClient[dict[str, Any]]) -> Iterator[str]:
    with passing_database(mongo_client) as name:
        yield name


def test_every_collection_is_there_before_the_first_write(
    mongo_url: str, mongo_client: MongoClient[dict[str, Any]], name: str
) -> None:
    with MongoStore(mongo_url, name, secret=b"s") as store:
        store.prepare(TYPES)
    expected = {"Task", "Patient", "AuditEvent", "circles", "ledger"}
    assert expected <= set(mongo_client[name].list_collection_names())


def test_the_second_start_changes_nothing(mongo_url: str, mongo_client: MongoClient[dict[str, Any]], name: str) -> None:
    def laid_out() -> dict[str, Any]:
        return {
            each: mongo_client[name][each].index_information() for each in mongo_client[name].list_collection_names()
        }

    with MongoStore(mongo_url, name, secret=b"s") as store:
        store.prepare(TYPES)
        first = laid_out()
        store.prepare(TYPES)

    assert laid_out() == first


@pytest.mark.parametrize("left", ["guards", "history", "moves", "outbox"])
def test_what_an_earlier_build_laid_out_is_not_begun_on(
    mongo_url: str, mongo_client: MongoClient[dict[str, Any]], name: str, left: str
) -> None:
    mongo_client[name].create_collection(left)

    with MongoStore(mongo_url, name, secret=b"s") as store, pytest.raises(OfAnEarlierBuild, match="make demo-reset"):
        store.prepare(TYPES)

    assert mongo_client[name].list_collection_names() == [left]


def test_two_servers_may_start_at_the_same_time(mongo_url: str, name: str) -> None:
    def start() -> None:
        with MongoStore(mongo_url, name, secret=b"s") as store:
            store.prepare(TYPES)

    with ThreadPoolExecutor(4) as servers:
        for started in [servers.submit(start) for _ in range(4)]:
            started.result()


def test_a_closed_store_opens_again_when_it_is_asked(mongo_url: str, name: str) -> None:
    with MongoStore(mongo_url, name, secret=b"s") as store:
        assert store.read("Task", "1") is None
        store.close()
        assert store.read("Task", "1") is None


FORKING = """
import os, sys
from fhir_server.store.values import Stored
from tests.databases import passing_database
from fhir_server.store.mongo.store import MongoStore
from tests.databases import passing_database

store = MongoStore(sys.argv[1], sys.argv[2], secret=b"s")
clients = [store._connection.client]
assert store.read("Task", "1") is None
child = os.fork()
if child == 0:
    clients.append(store._connection.client)
    os._exit(0 if store.read("Task", "1") is None and clients[0] is not clients[1] else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert store._connection.client is clients[0]
store.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_makes_a_client_of_its_own(mongo_url: str, name: str) -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", FORKING, mongo_url, name], check=True, timeout=120)


def _when_a_majority_has_it(store: MongoStore) -> Stored | None:
    """Questions are answered by what a majority has; what was only acknowledged may come a moment later."""
    deadline = time.monotonic() + 60
    while (stored := store.read("AuditEvent", "1")) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return stored


@pytest.mark.parametrize("kept", ["journaled", "acknowledged"])
def test_a_reading_is_recorded_either_way(mongo_url: str, name: str, kept: Any) -> None:
    event = {"resourceType": "AuditEvent", "id": "1", "recorded": "2026-05-01T12:00:00.000Z", "action": "R"}
    with MongoStore(mongo_url, name, secret=b"s", reading_audit=kept) as store:
        store.record_reading(event, Stamp(patient="Patient/1"))
        stored = _when_a_majority_has_it(store)
    assert stored is not None
    assert (stored.resource(), stored.stamp.patient) == (event, "Patient/1")
