"""New documents that threads send by one command: each learns what became of its own, and of nothing else."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import pytest
from pymongo.database import Database
from pymongo.errors import WriteError

from fhir_server.fhir.errors import TooLarge, Unavailable, VersionConflict
from fhir_server.search.grant import Stamp
from fhir_server.store.contract import Transaction
from fhir_server.store.mongo.store import MongoStore
from fhir_server.store.mongo.writing.committing import Unknown
from fhir_server.store.values import Stored
from tests.patience import until

Versions = Callable[..., Stored]
Failing = Callable[..., AbstractContextManager[None]]
Documents = Database[dict[str, Any]]

DISK_FULL = 14031
MANY_BYTES = 11 * 1024 * 1024


@pytest.fixture
def id() -> str:
    return str(uuid.uuid4())


@pytest.fixture
def named(mongo_url: str, database_name: str, store: MongoStore, id: str) -> Iterator[MongoStore]:
    """A store that the server knows by this test's id."""
    with MongoStore(f"{mongo_url}&appName={id}", database_name, secret=b"s") as made:
        yield made


def create(store: MongoStore, stored: Stored) -> None:
    """Keep it with its AuditEvent, as one new document."""
    event = {
        "resourceType": "AuditEvent",
        "id": f"told-{uuid.uuid4()}",
        "recorded": "2026-05-01T12:00:00.000Z",
        "entity": [{"what": {"reference": stored.reference}}],
    }

    def work(tx: Transaction) -> None:
        tx.save(stored)
        tx.record([event], Stamp())

    store.transact(work)


def in_one_command(store: MongoStore, version_of: Versions, id: str, stored: Sequence[Stored]) -> list[Future[None]]:
    """Create all of them while one insert is held up: so they go together when it ends."""
    new, free = store._new_documents, threading.Event()
    insert = new._insert

    def held_up(type_name: str, documents: Sequence[Any]) -> list[Exception | None]:
        assert free.wait(60)
        return insert(type_name, documents)

    new._insert = held_up  # type: ignore[method-assign]
    with ThreadPoolExecutor(len(stored) + 1) as pool:
        pool.submit(create, store, version_of("Observation", f"{id}-filler"))
        until(lambda: "Observation" in new._together.by_kind and new._together.by_kind["Observation"]._under_way)
        created = [pool.submit(create, store, each) for each in stored]
        until(lambda: len(new._together.by_kind["Observation"]._queue) == len(stored))
        new._insert = insert  # type: ignore[method-assign]
        free.set()
    return created


def kept(database: Documents, id: str) -> list[str]:
    """The ends of the ids of what is there."""
    found = database["Observation"].find({"_id": {"$gte": f"{id}-", "$lt": f"{id}."}}, {"_id": 1})
    return sorted(each["_id"].removeprefix(f"{id}-") for each in found if "filler" not in each["_id"])


def test_each_is_kept_with_its_audit(named: MongoStore, version_of: Versions, database: Documents, id: str) -> None:
    stored = [version_of("Observation", f"{id}-{number}") for number in range(5)]

    for each in in_one_command(named, version_of, id, stored):
        each.result()

    assert kept(database, id) == ["0", "1", "2", "3", "4"]
    assert [named.read("Observation", each.id) for each in stored] == stored
    named.settle_audit()
    about = [f"entity=Observation/{each.id}" for each in stored]
    assert database["AuditEvent"].count_documents({"t": {"$in": about}}) == 5


def test_an_id_that_is_taken_is_the_matter_of_one(
    named: MongoStore, version_of: Versions, database: Documents, id: str
) -> None:
    there = version_of("Observation", f"{id}-taken")
    create(named, there)
    stored = [version_of("Observation", f"{id}-{name}") for name in ("a", "taken", "b", "twice", "twice", "c")]

    created = in_one_command(named, version_of, id, stored)

    errors = [each.exception() for each in created]
    assert isinstance(errors[1], VersionConflict)
    assert sorted(type(error).__name__ for error in errors[3:5]) == ["NoneType", "VersionConflict"]
    assert [errors[0], errors[2], errors[5]] == [None, None, None]
    assert kept(database, id) == ["a", "b", "c", "taken", "twice"]
    assert named.read("Observation", there.id) == there


def test_what_is_too_large_is_refused_before_it_goes_with_others(
    named: MongoStore, version_of: Versions, database: Documents, id: str
) -> None:
    """A body that may be stored, with more to be found by than MongoDB takes beside it."""
    codes = [{"system": "s", "code": f"{number:07d}-{'x' * 30}"} for number in range(110_000)]
    large = version_of("Observation", f"{id}-large", content={"status": "final", "category": [{"coding": codes}]})
    small = [version_of("Observation", f"{id}-{number}") for number in range(2)]

    with pytest.raises(TooLarge):
        create(named, large)
    created = in_one_command(named, version_of, id, small)

    assert [each.exception() for each in created] == [None, None]
    assert kept(database, id) == ["0", "1"]


def test_what_mongodb_has_against_a_document_is_the_matter_of_one(
    named: MongoStore, database: Documents, id: str
) -> None:
    soon = time.monotonic() + 30
    odd = {"_id": ["no", "id"]}
    with ThreadPoolExecutor(9) as pool:
        refused = [pool.submit(named._new_documents.insert, "Observation", dict(odd), soon) for _ in range(3)]
        others = [
            pool.submit(named._new_documents.insert, "Observation", {"_id": f"{id}-{number}"}, soon)
            for number in range(6)
        ]
        assert [type(each.exception()) for each in refused] == [WriteError] * 3
        assert [each.exception() for each in others] == [None] * 6
    database["Observation"].delete_many({"_id": {"$in": [f"{id}-{number}" for number in range(6)]}})


def test_more_bytes_than_a_message_holds_are_kept(
    named: MongoStore, version_of: Versions, database: Documents, id: str
) -> None:
    text = "x" * MANY_BYTES
    stored = [version_of("Observation", f"{id}-{number}", content={"note": [{"text": text}]}) for number in range(5)]

    created = in_one_command(named, version_of, id, stored)

    assert [each.exception() for each in created] == [None] * 5
    assert kept(database, id) == ["0", "1", "2", "3", "4"]


def test_what_is_unknown_is_unknown_to_all_of_a_command_and_to_nobody_after(
    named: MongoStore, failing_command: Failing, version_of: Versions, database: Documents, id: str
) -> None:
    stored = [version_of("Observation", f"{id}-{number}") for number in range(3)]
    failing = {"appName": id, "writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}}
    with failing_command("insert", "Observation", **failing), ThreadPoolExecutor(3) as pool:
        created = [pool.submit(create, named, each) for each in stored]

    assert [type(each.exception()) for each in created] == [Unknown] * 3
    assert kept(database, id) == ["0", "1", "2"]
    create(named, version_of("Observation", f"{id}-after"))
    assert kept(database, id)[-1] == "after"


def test_who_is_refused_knows_it_even_when_of_the_others_it_is_unknown(
    named: MongoStore, failing_command: Failing, version_of: Versions, id: str
) -> None:
    create(named, version_of("Observation", f"{id}-taken"))
    failing = {"appName": id, "writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}}
    with failing_command("insert", "Observation", **failing):
        with pytest.raises(VersionConflict):
            create(named, version_of("Observation", f"{id}-taken"))
        with pytest.raises(Unavailable):
            create(named, version_of("Observation", f"{id}-other"))


def test_a_command_that_the_database_refuses_keeps_nothing(
    named: MongoStore, failing_command: Failing, version_of: Versions, database: Documents, id: str
) -> None:
    with failing_command("insert", "Observation", appName=id, errorCode=DISK_FULL), ThreadPoolExecutor(4) as pool:
        created = [pool.submit(create, named, version_of("Observation", f"{id}-{number}")) for number in range(4)]

    assert [type(each.exception()) for each in created] == [Unknown] * 4
    assert kept(database, id) == []


def test_an_answer_that_is_lost_once_is_asked_for_again(
    named: MongoStore, failing_command: Failing, version_of: Versions, database: Documents, id: str
) -> None:
    """The driver repeats the command under the same number, so what was kept already is kept once and no conflict."""
    with (
        failing_command("insert", "Observation", times=1, appName=id, closeConnection=True),
        ThreadPoolExecutor(4) as pool,
    ):
        created = [pool.submit(create, named, version_of("Observation", f"{id}-{number}")) for number in range(4)]

    assert [each.exception() for each in created] == [None] * 4
    assert kept(database, id) == ["0", "1", "2", "3"]


def test_who_has_no_time_left_is_not_sent_and_holds_nobody_up(
    named: MongoStore, version_of: Versions, database: Documents, id: str
) -> None:
    """The time of one is not that of the others, and nothing is stored after it."""
    new, document = named._new_documents, {"lu": None}

    with pytest.raises(Unavailable):
        new.insert("Observation", {"_id": f"{id}-late", **document}, time.monotonic() - 1)
    new.insert("Observation", {"_id": f"{id}-soon", **document}, time.monotonic() + 30)

    assert kept(database, id) == ["soon"]
    database["Observation"].delete_one({"_id": f"{id}-soon"})


def test_many_threads_each_keep_their_own(
    named: MongoStore, version_of: Versions, database: Documents, id: str
) -> None:
    """Every tenth id is asked for by two threads: one of them gets it."""
    asked = [f"{id}-{number:03d}" for number in range(100)] + [f"{id}-{number:03d}" for number in range(0, 100, 10)]
    with ThreadPoolExecutor(12) as pool:
        created = [pool.submit(create, named, version_of("Observation", each, content={"id": each})) for each in asked]
        errors = [each.exception(60) for each in created]

    assert sum(error is None for error in errors) == 100
    assert all(isinstance(error, VersionConflict) for error in errors if error is not None)
    for each in asked[:100]:
        found = named.read("Observation", each)
        assert found is not None
        assert found.resource()["id"] == each
