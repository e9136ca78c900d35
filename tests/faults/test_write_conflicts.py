"""Two writers at one plan, in every order: nobody commits on a state that another has changed."""

import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from fhir_server.fhir.errors import Unavailable, VersionConflict
from fhir_server.store.contract import Transaction
from fhir_server.store.mongo.store import MongoStore
from fhir_server.store.values import Stored

Versions = Callable[..., Stored]
WAIT = 60.0


@pytest.fixture
def id() -> str:
    return str(uuid.uuid4())


def next_version(tx: Transaction, version_of: Versions, id: str) -> int:
    """Read the Task and save the version after it, as an interaction does; says which version was read."""
    current = tx.read("Task", id)
    version = current.version if current else 0
    tx.save(version_of("Task", id, version + 1))
    return version


def test_who_read_before_the_other_committed_starts_again(store: MongoStore, version_of: Versions, id: str) -> None:
    """The late one has its snapshot, the other one commits, then the late one takes its turn at the guard."""
    has_read, other_committed = threading.Event(), threading.Event()
    seen: list[int] = []

    def late(tx: Transaction) -> None:
        current = tx.read("Task", id)
        has_read.set()
        assert other_committed.wait(WAIT)
        tx.guard(id)
        seen.append(current.version if current else 0)
        next_version(tx, version_of, id)

    def other(tx: Transaction) -> None:
        tx.guard(id)
        next_version(tx, version_of, id)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(store.transact, late)
        assert has_read.wait(WAIT)
        store.transact(other)
        other_committed.set()
        writing.result(WAIT)
    assert set(seen) == {1}, "only the attempt that saw the other's version got past the guard"
    assert [stored.version for stored in store.history("Task", id, None, 9)] == [2, 1]


def test_who_comes_while_another_has_the_turn_waits_and_sees_it(
    store: MongoStore, version_of: Versions, id: str
) -> None:
    has_turn, second_tried = threading.Event(), threading.Event()
    seen: list[int] = []

    def first(tx: Transaction) -> None:
        tx.guard(id)
        has_turn.set()
        assert second_tried.wait(WAIT)
        next_version(tx, version_of, id)

    def second(tx: Transaction) -> None:
        try:
            tx.guard(id)
        finally:
            second_tried.set()
        seen.append(next_version(tx, version_of, id))

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(store.transact, first)
        assert has_turn.wait(WAIT)
        store.transact(second)
        writing.result(WAIT)
    assert set(seen) == {1}
    assert [stored.version for stored in store.history("Task", id, None, 9)] == [2, 1]


def test_without_a_guard_two_who_read_the_same_could_both_commit(store: MongoStore, version_of: Versions) -> None:
    """Why the guard exists: the reading of one and the writing of the other touch different documents."""
    # A transaction that MongoDB lets start again for another reason reads anew; it does not each time.
    assert ("1", 2) in (_read_and_written(store, version_of, str(uuid.uuid4())) for _ in range(3))


def _read_and_written(store: MongoStore, version_of: Versions, id: str) -> tuple[str, int]:
    """The version of the team by which a Task was written, and the one that is there afterwards."""
    reading, written = threading.Event(), threading.Event()

    def reader(tx: Transaction) -> None:
        seen = tx.read("CareTeam", id)
        reading.set()
        assert written.wait(WAIT)
        tx.save(version_of("Task", id, 1, content={"note": [{"text": str(seen.version if seen else 0)}]}))

    store.transact(lambda tx: tx.save(version_of("CareTeam", id, 1)))
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(store.transact, reader)
        assert reading.wait(WAIT)
        store.transact(lambda tx: tx.save(version_of("CareTeam", id, 2)))
        written.set()
        writing.result(WAIT)
    task, team = store.read("Task", id), store.read("CareTeam", id)
    assert task is not None
    assert team is not None
    return task.resource()["note"][0]["text"], team.version


def test_a_guarded_reader_never_commits_on_an_old_team(store: MongoStore, version_of: Versions, id: str) -> None:
    reading, removed = threading.Event(), threading.Event()

    def create(tx: Transaction) -> None:
        team = tx.read("CareTeam", id)
        reading.set()
        assert removed.wait(WAIT)
        tx.guard(id)
        tx.save(version_of("Task", id, 1, content={"note": [{"text": str(team.version if team else 0)}]}))

    def remove(tx: Transaction) -> None:
        tx.guard(id)
        tx.save(version_of("CareTeam", id, 2))

    store.transact(lambda tx: tx.save(version_of("CareTeam", id, 1)))
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(store.transact, create)
        assert reading.wait(WAIT)
        store.transact(remove)
        removed.set()
        writing.result(WAIT)
    task = store.read("Task", id)
    assert task is not None
    assert task.resource()["note"][0]["text"] == "2"


def test_many_writers_of_one_plan_all_get_their_turn(
    mongo_url: str, database_name: str, store: MongoStore, version_of: Versions, id: str
) -> None:
    def work(tx: Transaction) -> int:
        tx.guard(id)
        tx.log_moves([{"item": "Task/1"}], id)
        return next_version(tx, version_of, id)

    with (
        MongoStore(mongo_url, database_name, secret=b"s", seconds=WAIT, write_seconds=WAIT * 3) as patient,
        ThreadPoolExecutor(6) as pool,
    ):
        seen = [writing.result(WAIT * 4) for writing in [pool.submit(patient.transact, work) for _ in range(24)]]
    assert sorted(seen) == list(range(24))
    numbers = [move["seq"] for move in store.moves(id)]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 24


def test_two_creates_of_one_id_leave_one(store: MongoStore, version_of: Versions, id: str) -> None:
    both = threading.Barrier(2)

    def create(tx: Transaction) -> None:
        tx.read("Task", id)
        if both.n_waiting < 2 and not both.broken:
            with suppress(threading.BrokenBarrierError):
                both.wait(1)
        tx.save(version_of("Task", id, 1))

    def attempt() -> bool:
        try:
            store.transact(create)
        except VersionConflict:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        kept = [writing.result(WAIT) for writing in [pool.submit(attempt) for _ in range(2)]]
    assert sorted(kept) == [False, True]
    assert len(store.history("Task", id, None, 9)) == 1


def test_who_finds_an_id_taken_begins_again_and_follows(store: MongoStore, version_of: Versions, id: str) -> None:
    both, met = threading.Barrier(2), threading.Event()

    def store_it(tx: Transaction) -> None:
        found = tx.read("Task", id)
        with suppress(threading.BrokenBarrierError):
            if found is None and not met.is_set():  # who begins again too soon to see the other's finds nobody there
                both.wait(WAIT)
                met.set()
        tx.save(version_of("Task", id, found.version + 1 if found else 1))

    with ThreadPoolExecutor(2) as pool:
        for storing in [pool.submit(store.transact, store_it) for _ in range(2)]:
            storing.result(WAIT)
    assert [stored.version for stored in store.history("Task", id, None, 9)] == [2, 1]


def test_who_never_gets_a_turn_is_told_so(
    mongo_url: str, database_name: str, store: MongoStore, version_of: Versions, id: str
) -> None:
    has_turn, refused = threading.Event(), threading.Event()

    def holder(tx: Transaction) -> None:
        tx.guard(id)
        has_turn.set()
        assert refused.wait(WAIT)

    with (
        MongoStore(mongo_url, database_name, secret=b"s", write_seconds=5) as hurried,
        ThreadPoolExecutor(1) as pool,
    ):
        holding = pool.submit(store.transact, holder)
        assert has_turn.wait(WAIT)
        start = time.monotonic()
        try:
            with pytest.raises(Unavailable, match="never had its turn"):
                hurried.transact(lambda tx: tx.guard(id))
            assert time.monotonic() - start < WAIT / 2
        finally:
            refused.set()
        holding.result(WAIT)
