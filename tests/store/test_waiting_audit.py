"""A new document is kept with its audit by one insert: the AuditEvent waits in it, and comes to the others once."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import pytest
from pymongo.database import Database

from fhir_server.fhir.errors import Unavailable, VersionConflict
from fhir_server.fhir.json import decode
from fhir_server.search.grant import Stamp
from fhir_server.store.contract import Transaction
from fhir_server.store.mongo.indexing.indexes import FINGERPRINTS
from fhir_server.store.mongo.store import MongoStore
from fhir_server.store.values import Stored

Versions = Callable[..., Stored]
Failing = Callable[..., AbstractContextManager[None]]
Documents = Database[dict[str, Any]]

DISK_FULL = 14031


@pytest.fixture
def id() -> str:
    return str(uuid.uuid4())


def told(id: str, number: int = 0) -> dict[str, Any]:
    return {"resourceType": "AuditEvent", "id": f"{id}-{number}", "recorded": "2026-05-01T12:00:00.000Z", "action": "C"}


def create(store: MongoStore, stored: Stored, events: int = 1) -> None:
    def work(tx: Transaction) -> None:
        tx.save(stored)
        tx.record([told(stored.id, number) for number in range(events)], Stamp(plans=("plan-1",)))

    store.transact(work)


def waits(database: Documents, id: str) -> bool:
    document = database["Observation"].find_one({"_id": id})
    assert document is not None
    assert ("told" in document) == ("waiting" in document)
    return "told" in document


def heard(database: Documents, id: str) -> list[str]:
    """The AuditEvents that stand with the others, by their numbers."""
    found = database["AuditEvent"].find({"_id": {"$regex": f"^{id}-"}})
    return sorted(event["_id"].rpartition("-")[2] for event in found)


@pytest.fixture
def apart(mongo_url: str, database_name: str, store: MongoStore) -> MongoStore:
    """A store whose own thread never wakes: what it writes waits until somebody settles it."""
    made = MongoStore(mongo_url, database_name, secret=b"s")
    made._waiting.wrote = lambda type_name: None  # type: ignore[method-assign]
    return made


def test_one_new_document_is_kept_without_a_commit(
    mongo_url: str, database_name: str, failing_command: Failing, version_of: Versions, id: str
) -> None:
    with (
        MongoStore(f"{mongo_url}&appName={id}", database_name, secret=b"s") as store,
        failing_command("commitTransaction", appName=id, errorCode=DISK_FULL),
    ):
        create(store, version_of("Observation", id))
        assert store.read("Observation", id) is not None


def test_its_audit_waits_in_it_and_then_stands_with_the_others(
    apart: MongoStore, database: Documents, version_of: Versions, id: str
) -> None:
    create(apart, version_of("Observation", id))
    assert waits(database, id)
    apart.settle_audit()
    assert not waits(database, id)
    event = apart.read("AuditEvent", f"{id}-0")
    assert event is not None
    assert decode(event.body) == told(id)
    assert event.stamp.plans == ("plan-1",)


def test_what_waits_is_never_shown(apart: MongoStore, version_of: Versions, id: str) -> None:
    stored = version_of("Observation", id)
    create(apart, stored)
    assert apart.read("Observation", id) == stored


def test_the_process_that_wrote_it_looks_after_it(
    mongo_url: str, database_name: str, database: Documents, version_of: Versions, id: str
) -> None:
    with MongoStore(mongo_url, database_name, secret=b"s") as store:
        create(store, version_of("Observation", id))
    assert not waits(database, id)
    assert heard(database, id) == ["0"]


def test_settled_twice_it_is_there_once(
    apart: MongoStore, store: MongoStore, database: Documents, version_of: Versions, id: str
) -> None:
    create(apart, version_of("Observation", id))
    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(which.settle_audit) for which in (apart, store) * 2]:
            each.result()
    assert heard(database, id) == ["0"]
    assert not waits(database, id)


def test_a_later_version_keeps_what_waits(
    apart: MongoStore, database: Documents, version_of: Versions, id: str
) -> None:
    create(apart, version_of("Observation", id))
    apart.transact(lambda tx: tx.save(version_of("Observation", id, 2, content={"status": "amended"})))
    assert waits(database, id)
    apart.transact(lambda tx: tx.save(version_of("Observation", id, 3, deleted=True)))
    assert waits(database, id)
    apart.settle_audit()
    assert heard(database, id) == ["0"]
    gone = database["Observation"].find_one({"_id": id})
    assert gone is not None
    assert gone["v"] == 3
    assert not {"t", "d", "s", "k", "has", "told", "waiting"} & gone.keys()


def test_settling_and_writing_at_once_lose_nothing(
    apart: MongoStore, database: Documents, version_of: Versions, id: str
) -> None:
    ids = [f"{id}-{number}" for number in range(12)]

    def write(each: str) -> None:
        create(apart, version_of("Observation", each))
        apart.transact(lambda tx: tx.save(version_of("Observation", each, 2)))

    with ThreadPoolExecutor(4) as pool:
        settling = [pool.submit(apart.settle_audit) for _ in range(4)]
        for done in [*pool.map(write, ids), *(each.result() for each in settling)]:
            assert done is None
    apart.settle_audit()
    assert all(heard(database, each) == ["0"] for each in ids)
    assert not any(waits(database, each) for each in ids)


def test_a_document_that_cannot_be_kept_leaves_no_audit(
    store: MongoStore, database: Documents, failing_command: Failing, version_of: Versions, id: str
) -> None:
    with failing_command("insert", "Observation", errorCode=DISK_FULL), pytest.raises(Unavailable):
        create(store, version_of("Observation", id))
    store.settle_audit()
    assert store.read("Observation", id) is None
    assert heard(database, id) == []


def test_an_audit_that_cannot_be_put_in_its_place_goes_on_waiting(
    apart: MongoStore, database: Documents, failing_command: Failing, version_of: Versions, id: str
) -> None:
    create(apart, version_of("Observation", id))
    with failing_command("insert", "AuditEvent", errorCode=DISK_FULL), pytest.raises(Unavailable):
        apart.settle_audit()
    assert waits(database, id)
    apart.settle_audit()
    assert heard(database, id) == ["0"]


def test_the_same_id_twice_is_a_conflict_and_is_told_once(
    apart: MongoStore, database: Documents, version_of: Versions, id: str
) -> None:
    create(apart, version_of("Observation", id))
    with pytest.raises(VersionConflict):
        create(apart, version_of("Observation", id), events=2)
    apart.settle_audit()
    assert heard(database, id) == ["0"]


def test_many_events_come_with_their_transaction(
    apart: MongoStore, database: Documents, version_of: Versions, id: str
) -> None:
    create(apart, version_of("Observation", id), events=9)
    assert not waits(database, id)
    assert heard(database, id) == sorted(str(number) for number in range(9))


def test_a_document_that_is_purged_leaves_its_audit(
    apart: MongoStore, database: Documents, version_of: Versions, id: str
) -> None:
    create(apart, version_of("Observation", id))
    apart.purges.remove([f"Observation/{id}"])
    assert apart.read("Observation", id) is None
    assert heard(database, id) == ["0"]


def test_every_type_can_be_asked_for_what_waits(store: MongoStore, database: Documents) -> None:
    prepared = [each["_id"] for each in database[FINGERPRINTS].find()]
    assert len(prepared) > 5
    for type_name in prepared:
        fields = [list(index["key"]) for index in database[type_name].list_indexes()]
        assert ["waiting"] in fields, type_name
