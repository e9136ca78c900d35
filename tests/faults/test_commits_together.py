"""Threads that end a transaction at the same moment commit together, and none is the worse for its neighbours."""

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import pytest
from pymongo.errors import PyMongoError

from fhir_server.fhir.errors import Unavailable, VersionConflict
from fhir_server.search.grant import Stamp
from fhir_server.store.contract import Transaction
from fhir_server.store.mongo.connection import Connection, may_start_again
from fhir_server.store.mongo.store import MongoStore
from fhir_server.store.mongo.writing import committing
from fhir_server.store.mongo.writing.committing import Committing
from fhir_server.store.mongo.writing.sending import Save
from fhir_server.store.mongo.writing.unit import StartAgain, Taken, Unit
from fhir_server.store.values import Circle, Foreseen, Stored
from tests.conftest import TYPES
from tests.patience import until

Versions = Callable[..., Stored]
Failing = Callable[..., AbstractContextManager[None]]

WORKFLOW = ("CarePlan", "CareTeam", "Consent", "Goal", "ServiceRequest", "Task")
NO_SUCH_TRANSACTION = 251
LONG = 60.0


@pytest.fixture
def id() -> str:
    return str(uuid.uuid4())


@pytest.fixture
def own(mongo_url: str, database_name: str, id: str) -> Iterator[MongoStore]:
    """A process of its own at the database, known to MongoDB by the id of this test."""
    with MongoStore(f"{mongo_url}&appName={id}", database_name, secret=b"s", seconds=LONG, write_seconds=LONG) as made:
        made.prepare(TYPES)
        yield made


@pytest.fixture
def plans(store: MongoStore, version_of: Versions) -> list[str]:
    """Four plans with a Task and a circle each, of four people."""
    made = [str(uuid.uuid4()) for _ in range(4)]
    for plan in made:
        store.transact(lambda tx, plan=plan: _open(tx, plan, version_of))
    return made


def _open(tx: Transaction, plan: str, version_of: Versions) -> None:
    person = f"Patient/{plan}"
    tx.guard(plan)
    tx.guard(person)
    tx.save(version_of("Task", plan, plans=(plan,), patient=person))
    tx.save_circle(Circle(plan, person, "als-be", "Organization/1", "Organization/2", "team"))


def foreseen(plan: str) -> Foreseen:
    return Foreseen(frozenset({f"CarePlan/{plan}"}), WORKFLOW, frozenset({f"Patient/{plan}"}))


class Held:
    """The way to MongoDB, closed for the first who goes; knows what went together, and what came to its commit."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[set[str]] = []
        self.written: list[str] = []
        self.first = threading.Event()
        self.open = threading.Event()
        self.fails: BaseException | None = None
        self._write = committing.write
        monkeypatch.setattr(committing, "write", self)

    def __call__(self, database: Any, unit: Unit, session: Any, full_text: frozenset[str]) -> None:
        first = not self.sent
        self.sent.append({id for _, id in unit.saves})
        if first:
            self.first.set()
            assert self.open.wait(LONG)
        elif self.fails is not None:
            error, self.fails = self.fails, None
            with suppress(PyMongoError):
                self._write(database, unit, session, full_text)
            raise error
        self._write(database, unit, session, full_text)
        self.written += [id for _, id in unit.saves]

    @property
    def together(self) -> list[set[str]]:
        """What went together, in its order; once, for MongoDB may let any transaction start again."""
        return [group for place, group in enumerate(self.sent) if group not in self.sent[:place]]

    def close(self) -> None:
        """Hold the next who goes."""
        self.sent.clear()
        self.written.clear()
        self.first.clear()
        self.open.clear()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(monkeypatch)


@contextmanager
def at_once(held: Held, store: MongoStore, works: Sequence[Callable[[], Any]]) -> Iterator[list[Future[Any]]]:
    """The works, each in its thread: the first is on its way to MongoDB, the others wait for it in their order; they
    go on when the block ends, and are over behind it."""
    queue = store._transacting._committing._together._queue
    with ThreadPoolExecutor(len(works)) as pool:
        futures = [pool.submit(works[0])]
        assert held.first.wait(LONG)
        for number, work in enumerate(works[1:]):
            futures.append(pool.submit(work))
            until(lambda number=number: len(queue) > number)
        try:
            yield futures
        finally:
            held.open.set()


def moving(store: MongoStore, version_of: Versions, plan: str) -> Callable[[], Any]:
    """A step of the plan's Task: its next version, its past one, a move, an AuditEvent, an entry of the outbox."""

    def work(tx: Transaction) -> int:
        tx.guard(plan)
        [task] = tx.in_plan(plan, "Task")
        event = {"resourceType": "AuditEvent", "id": str(uuid.uuid4()), "recorded": "2026-05-01T12:00:00.000Z"}
        tx.save(version_of("Task", plan, task.version + 1, plans=(plan,), patient=f"Patient/{plan}"))
        tx.log_moves([{"item": f"Task/{plan}"}], plan)
        tx.record([{**event, "action": "U"}], task.stamp)
        tx.announce([{"at": task.last_updated, "focus": f"Task/{plan}"}])
        return task.version

    return lambda: store.transact(work, foreseen(plan))


def kept(store: MongoStore, plan: str) -> tuple[list[int], int]:
    """The versions of the plan's Task, and how many moves there are."""
    return [stored.version for stored in store.history("Task", plan, None, 20)], len(store.moves(plan))


def test_who_ends_while_another_commits_goes_with_the_next(
    own: MongoStore, store: MongoStore, held: Held, plans: list[str], version_of: Versions
) -> None:
    with at_once(held, own, [moving(own, version_of, plan) for plan in plans]) as steps:
        pass
    assert [step.result(LONG) for step in steps] == [1, 1, 1, 1]
    assert held.together[:2] == [{plans[0]}, set(plans[1:])]
    assert [kept(store, plan) for plan in plans] == [([2, 1], 1)] * 4
    ledger = store._database["ledger"]
    assert ledger.count_documents({"focus": {"$in": [f"Task/{plan}" for plan in plans]}}) == 4
    store.settle_audit()
    told = store._database["AuditEvent"].count_documents({"plans": {"$in": plans}})
    assert told == 4


def test_what_is_remembered_of_a_plan_is_what_was_kept_together(
    own: MongoStore, store: MongoStore, held: Held, plans: list[str], version_of: Versions
) -> None:
    with at_once(held, own, [moving(own, version_of, plan) for plan in plans]):
        pass
    assert [moving(own, version_of, plan)() for plan in plans] == [2] * 4
    assert [kept(store, plan) for plan in plans] == [([3, 2, 1], 2)] * 4


def test_who_was_overtaken_begins_again_and_the_others_are_kept(
    own: MongoStore, store: MongoStore, held: Held, plans: list[str], version_of: Versions
) -> None:
    with at_once(held, own, [moving(own, version_of, plan) for plan in plans]) as steps:
        moving(store, version_of, plans[2])()
    assert [step.result(LONG) for step in steps] == [1, 1, 2, 1]
    assert held.together[:3] == [{plans[0]}, {plans[2]}, set(plans[1:])]
    assert [kept(store, plan)[0] for plan in plans] == [[2, 1], [2, 1], [3, 2, 1], [2, 1]]
    assert [kept(store, plan)[1] for plan in plans] == [1, 1, 2, 1]


def test_who_is_refused_is_refused_alone(
    own: MongoStore, store: MongoStore, held: Held, plans: list[str], version_of: Versions, id: str
) -> None:
    store.transact(lambda tx: tx.save(version_of("Patient", id)))

    def twice(tx: Transaction) -> None:
        tx.save(version_of("Patient", id))
        tx.announce([{"at": version_of("Patient", id).last_updated, "focus": f"Patient/{id}"}])

    works = [moving(own, version_of, plan) for plan in plans]
    works.insert(2, lambda: own.transact(twice))
    with at_once(held, own, works) as steps:
        pass
    assert isinstance(steps.pop(2).exception(LONG), VersionConflict)
    assert [step.result(LONG) for step in steps] == [1, 1, 1, 1]
    assert held.together[1] == {*plans[1:], id}
    assert [kept(store, plan) for plan in plans] == [([2, 1], 1)] * 4
    assert store._database["ledger"].count_documents({"focus": f"Patient/{id}"}) == 0


def test_two_writers_of_one_plan_never_go_together(
    own: MongoStore, store: MongoStore, held: Held, plans: list[str], version_of: Versions
) -> None:
    with at_once(held, own, [moving(own, version_of, plans[each]) for each in (0, 1, 1, 2)]) as steps:
        pass
    assert sorted(step.result(LONG) for step in steps) == [1, 1, 1, 2]
    assert held.together[1] == {plans[1], plans[2]}
    assert [kept(store, plan) for plan in plans[:3]] == [([2, 1], 1), ([3, 2, 1], 2), ([2, 1], 1)]


def test_a_commit_that_the_database_undoes_is_repeated_one_by_one(
    own: MongoStore,
    store: MongoStore,
    held: Held,
    plans: list[str],
    version_of: Versions,
    failing_command: Failing,
    id: str,
) -> None:
    how = {"appName": id, "errorCode": NO_SUCH_TRANSACTION, "errorLabels": ["TransientTransactionError"]}
    with (
        failing_command("commitTransaction", times=2, **how),
        at_once(held, own, [moving(own, version_of, plan) for plan in plans]) as steps,
    ):
        held.open.set()
        assert [step.result(LONG) for step in steps] == [1, 1, 1, 1]
    assert [kept(store, plan) for plan in plans] == [([2, 1], 1)] * 4


def test_when_nobody_knows_whether_it_was_kept_all_are_told_so_and_nothing_is_done_twice(
    own: MongoStore,
    store: MongoStore,
    held: Held,
    plans: list[str],
    version_of: Versions,
    failing_command: Failing,
    monkeypatch: pytest.MonkeyPatch,
    id: str,
) -> None:
    with (
        monkeypatch.context() as hurried,
        failing_command("commitTransaction", appName=id, closeConnection=True),
        at_once(held, own, [moving(own, version_of, plan) for plan in plans]) as steps,
    ):
        hurried.setattr(committing, "ENDING_SECONDS", 0.3)
        held.open.set()
        found = [step.exception(LONG) for step in steps]
    assert [type(error) for error in found] == [committing.Unknown] * 4
    assert all("Read it again" in str(error) for error in found)
    assert sorted(held.written) == sorted(plans)
    assert all(kept(store, plan) in [([1], 0), ([2, 1], 1)] for plan in plans)
    # MongoDB ends what nobody confirmed after half a minute, and looks for it now and then.
    until(lambda: all(_goes_through(own, version_of, plan) for plan in plans), 10 * LONG)


def _goes_through(store: MongoStore, version_of: Versions, plan: str) -> bool:
    """Whether the plan can be written again: MongoDB ends by itself what nobody confirmed."""
    try:
        moving(store, version_of, plan)()
    except (Unavailable, VersionConflict, PyMongoError):
        return False
    return True


def test_when_the_database_dies_before_the_commit_nothing_is_kept(
    own: MongoStore,
    store: MongoStore,
    held: Held,
    plans: list[str],
    version_of: Versions,
    failing_command: Failing,
    id: str,
) -> None:
    held.open.set()
    for plan in plans:
        moving(own, version_of, plan)()  # so that it is remembered, and nothing else is asked
    held.close()
    own._transacting._write_seconds = 2.0
    with (
        failing_command("update", "ledger", appName=id, closeConnection=True),
        at_once(held, own, [moving(own, version_of, plan) for plan in plans]) as steps,
    ):
        held.open.set()
        found = [step.exception(LONG) for step in steps]
    assert [type(error) for error in found] == [Unavailable] * 4
    own._transacting._write_seconds = LONG
    assert [kept(store, plan) for plan in plans] == [([2, 1], 1)] * 4
    assert [moving(own, version_of, plan)() for plan in plans] == [2] * 4


def test_who_is_interrupted_while_it_goes_for_others_leaves_nothing_and_they_are_told(
    own: MongoStore, store: MongoStore, held: Held, plans: list[str], version_of: Versions
) -> None:
    held.fails = KeyboardInterrupt()
    with at_once(held, own, [moving(own, version_of, plan) for plan in plans]) as steps:
        pass
    found = [step.exception(LONG) for step in steps]
    assert [type(error) for error in found] == [type(None), KeyboardInterrupt, committing.Unknown, committing.Unknown]
    assert [kept(store, plan) for plan in plans] == [([2, 1], 1), *[([1], 0)] * 3]
    assert [moving(own, version_of, plan)() for plan in plans] == [2, 1, 1, 1]


def test_a_mistake_of_ours_is_everybodys_own(
    own: MongoStore, store: MongoStore, held: Held, plans: list[str], version_of: Versions
) -> None:
    held.fails = TypeError("once")
    with at_once(held, own, [moving(own, version_of, plan) for plan in plans]) as steps:
        pass
    assert [step.result(LONG) for step in steps] == [1, 1, 1, 1], "each was tried by itself"
    assert [kept(store, plan) for plan in plans] == [([2, 1], 1)] * 4


def test_what_was_asked_inside_goes_in_its_own_transaction(
    own: MongoStore, store: MongoStore, held: Held, plans: list[str], version_of: Versions
) -> None:
    def asks(tx: Transaction) -> None:
        assert tx.history("Task", plans[0], None, 9)
        tx.save(version_of("Task", plans[0], 2))
        tx.announce([{"at": version_of("Task", plans[0]).last_updated, "focus": plans[0]}])

    own.transact(asks)
    assert held.sent == []
    assert kept(store, plans[0])[0] == [2, 1]


def test_what_is_large_goes_by_itself_and_is_waited_for_by_nobody(
    own: MongoStore, store: MongoStore, held: Held, plans: list[str], version_of: Versions, id: str
) -> None:
    content = {"note": [{"text": "x" * 600_000}]}

    def large(tx: Transaction) -> None:
        tx.save(version_of("Task", id, content=content))
        tx.announce([{"at": version_of("Task", id).last_updated, "focus": id}])

    with at_once(held, own, [moving(own, version_of, plan) for plan in plans]) as steps:
        own.transact(large)
        assert store.read("Task", id) is not None
        assert not any(step.done() for step in steps)
    assert [step.result(LONG) for step in steps] == [1, 1, 1, 1]
    assert held.together[:3] == [{plans[0]}, {id}, set(plans[1:])]


@pytest.fixture
def process(mongo_url: str, database_name: str, store: MongoStore) -> Iterator[Committing]:
    connection = Connection(mongo_url, database_name)
    yield Committing(connection, LONG, frozenset())
    connection.close()


def creating(version_of: Versions, id: str, **more: Any) -> Unit:
    return Unit(saves={("Task", id): Save(version_of("Task", id), 0)}, **more)


def keep(process: Committing, unit: Unit, deadline: float) -> None:
    """Keep the unit; again when MongoDB lets the transaction start again, as whoever goes this way does."""
    while True:
        try:
            return process.keep(unit, deadline)
        except PyMongoError as error:
            if not may_start_again(error):
                raise


def test_whose_time_is_over_is_not_kept_and_takes_nobody_along(
    process: Committing, store: MongoStore, held: Held, version_of: Versions, id: str
) -> None:
    names = [f"{id}-{number}" for number in range(4)]
    times = [LONG, LONG, -1.0, LONG]
    now = committing.time.monotonic()
    works = [
        lambda name=name, left=left: keep(process, creating(version_of, name), now + left)
        for name, left in zip(names, times, strict=True)
    ]
    queue = process._together._queue
    with ThreadPoolExecutor(4) as pool:
        steps = [pool.submit(works[0])]
        assert held.first.wait(LONG)
        for number, work in enumerate(works[1:]):
            steps.append(pool.submit(work))
            until(lambda number=number: len(queue) > number)
        held.open.set()
        found = [step.exception(LONG) for step in steps]
    assert found[:2] == [None, None]
    assert isinstance(found[2], Unavailable)
    assert found[3] is None
    assert held.together[1] == {names[1], names[3]}
    assert [store.read("Task", name) is not None for name in names] == [True, True, False, True]


def test_what_does_not_hold_is_told_and_nothing_is_kept(
    process: Committing, store: MongoStore, version_of: Versions, id: str
) -> None:
    deadline = committing.time.monotonic() + LONG
    with pytest.raises(StartAgain):
        keep(process, creating(version_of, id, proofs={f"nobody-{id}": 7}), deadline)
    assert store.read("Task", id) is None
    keep(process, creating(version_of, id, turns={f"new-{id}": 0}), deadline)
    with pytest.raises(StartAgain):
        keep(process, Unit(restamps={("Task", id): Stamp()}, turns={f"new-{id}": 0}), deadline)
    with pytest.raises(Taken):
        keep(process, creating(version_of, id), deadline)
    keep(process, Unit(), deadline)


def test_many_writers_of_many_plans_lose_nothing(
    mongo_url: str, database_name: str, own: MongoStore, store: MongoStore, plans: list[str], version_of: Versions
) -> None:
    """Two processes, both in the same plans: each step sees the one before it, and every step is kept once."""
    with (
        MongoStore(mongo_url, database_name, secret=b"s", seconds=LONG, write_seconds=LONG) as other,
        ThreadPoolExecutor(8) as pool,
    ):
        processes = [own, other]
        steps = [pool.submit(moving(processes[number % 2], version_of, plans[number // 2 % 4])) for number in range(64)]
        seen = [step.result(LONG * 2) for step in steps]
    assert sorted(seen) == sorted(list(range(1, 17)) * 4)
    for plan in plans:
        assert [stored.version for stored in store.history("Task", plan, None, 20)] == list(range(17, 0, -1))
        numbers = [move["seq"] for move in store.moves(plan)]
        assert len(set(numbers)) == 16
        assert numbers == sorted(numbers)
