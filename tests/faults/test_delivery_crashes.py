"""Workers die, stall and compete; endpoints fail for days. Nothing is lost, nothing is turned around."""

import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from notifying import BASE, HOME, HOSP, House, PatientOutbox
from receiver import Received, Receiver, listening

from fhir_server.fhir.errors import Unavailable
from fhir_server.store.mongo.ledger import ENTRIES

LONG = 300.0

# A worker as its own process. What it may read is everything; `DIE_IN` kills it inside the numbering transaction.
PROCESS = """
    import os, signal, sys
    from pymongo import MongoClient
    from fhir_server.store.mongo.store import MongoStore
    from fhir_server.store.mongo.delivery.queue import queue_in
    from fhir_server.subscriptions import worker

    url, name, die = sys.argv[1:]

    def dying(subscription, entry, moment):
        os.kill(os.getpid(), signal.SIGKILL)

    if die == "numbering":
        worker.subscribes = dying
    store = MongoStore(url, name, secret=b"for tests")
    base = "https://samen.example/fhir"
    worker.main(store, queue_in(MongoClient(url)[name]), base_url=base, may_read=lambda *_: True, http_endpoints=True)
"""


@pytest.fixture
def process(samen: House) -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    """Start a worker process; it is gone at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start(die: str = "never", app: str = "worker") -> "subprocess.Popen[bytes]":
        url = f"{samen.url}&appName={app}"
        command = [sys.executable, "-c", textwrap.dedent(PROCESS), url, samen.database.name, die]
        started.append(subprocess.Popen(command))
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.wait()


def join(threads: Sequence[threading.Thread]) -> None:
    """Wait until they have ended."""
    for thread in threads:
        thread.join(LONG)
    assert not any(thread.is_alive() for thread in threads), "somebody never ended"


def first_of_each(numbers: list[int]) -> list[int]:
    """Numbers without repeats, in the order in which they first came."""
    return list(dict.fromkeys(numbers))


def test_a_worker_killed_between_delivery_and_acknowledgement_repeats_and_loses_nothing(
    samen: House, receiver: Receiver, process: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    samen.subscribe(HOME, receiver.url, status="active")
    for number in (1, 2, 3):
        samen.announce(f"Task/{number}", HOME)
    doomed: Future[subprocess.Popen[bytes]] = Future()

    def kill_at_two(received: Received) -> int:
        worker = doomed.result(LONG)
        if received.number == 2 and worker.poll() is None:
            worker.kill()
            worker.wait()
        return 204

    receiver.answer = kill_at_two
    doomed.set_result(process())
    receiver.wait_for(lambda r: 2 in r.numbers)
    doomed.result().wait(LONG)
    samen.ahead = timedelta(minutes=1)
    samen.worker("b").run_once()
    assert receiver.numbers == [1, 2, 2, 3]
    assert receiver.events[1].bundle["id"] == receiver.events[2].bundle["id"]


def test_a_worker_killed_while_numbering_leaves_nothing_half_done(
    samen: House, receiver: Receiver, process: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    id = samen.subscribe(HOME, receiver.url, status="active")
    for number in (1, 2, 3):
        samen.announce(f"Task/{number}", HOME)
    app = uuid4().hex
    assert process("numbering", app).wait(60) == -signal.SIGKILL
    assert (samen.events_of(id), samen.database["ledger"].count_documents(ENTRIES)) == ([], 3)
    end_sessions_of(samen, app)
    samen.ahead = timedelta(minutes=1)
    samen.worker("b").run_once()
    assert [(e["number"], e["focus"]) for e in samen.events_of(id)] == [(1, "Task/1"), (2, "Task/2"), (3, "Task/3")]
    assert receiver.numbers == [1, 2, 3]


def end_sessions_of(samen: House, app: str) -> None:
    """What MongoDB does by itself a minute after its client died."""
    admin = samen.database.client.admin
    idle = admin.aggregate(
        [{"$currentOp": {"idleSessions": True}}, {"$match": {"appName": app, "lsid": {"$exists": 1}}}]
    )
    sessions = [{"id": each["lsid"]["id"]} for each in idle]
    if sessions:
        admin.command({"killSessions": sessions})


def test_a_worker_that_is_told_to_stop_ends_cleanly(
    samen: House, receiver: Receiver, process: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    samen.subscribe(HOME, receiver.url)
    worker = process()
    receiver.wait_for(lambda r: r.received != [])
    worker.terminate()
    assert worker.wait(60) == 0
    assert samen.database["deliveries"].count_documents({"owner": {"$ne": None}}) == 0


def test_two_workers_number_every_entry_once_and_without_a_gap(samen: House) -> None:
    ids = [samen.subscribe(party, "http://127.0.0.1:1/", status="active") for party in (HOME, HOSP)]
    announced = 120
    writing = threading.Event()

    def write() -> None:
        try:
            for number in range(announced):
                samen.announce(f"Task/{number}", HOME, HOSP)
        finally:
            writing.set()

    def work(owner: str) -> None:
        outbox = samen.outbox(owner)
        while not writing.is_set() or samen.database["ledger"].find_one(ENTRIES) is not None:
            outbox.sequence(lambda *_: True, samen.clock(), most=7)

    threads = [threading.Thread(target=write)] + [threading.Thread(target=work, args=(owner,)) for owner in "ab"]
    for thread in threads:
        thread.start()
    join(threads)
    for id in ids:
        events = samen.events_of(id)
        assert [event["number"] for event in events] == list(range(1, announced + 1))
        assert [event["focus"] for event in events] == [f"Task/{number}" for number in range(announced)]


def test_a_worker_that_lost_its_lease_numbers_nothing(samen: House) -> None:
    id = samen.subscribe(HOME, "http://127.0.0.1:1/", status="active")
    samen.announce("Task/1", HOME)
    other: list[int] = []

    class Stalled(PatientOutbox):
        """Sleeps past its lease after it has claimed it, and another worker comes."""

        def _transact(self, work: Any) -> int:
            samen.ahead = timedelta(minutes=1)
            other.append(samen.sequence("b"))
            return super()._transact(work)

    moment = samen.clock()
    stalled = Stalled(samen.database, "a").sequence(lambda resource, entry: True, moment)
    assert (other, stalled) == ([1], 0)
    assert [event["number"] for event in samen.events_of(id)] == [1]


def test_a_stalled_numbering_and_a_second_worker_number_an_entry_once(samen: House) -> None:
    id = samen.subscribe(HOME, "http://127.0.0.1:1/", status="active")
    samen.announce("Task/1", HOME)
    inside, go_on = threading.Event(), threading.Event()

    def stalling(resource: Any, entry: Any) -> bool:
        inside.set()
        return go_on.wait(60)

    first = threading.Thread(target=lambda: samen.outbox("a").sequence(stalling, samen.clock()))
    first.start()
    assert inside.wait(60)
    late = samen.clock() + timedelta(minutes=1)
    second = threading.Thread(target=lambda: samen.outbox("b").sequence(lambda *_: True, late))
    second.start()
    go_on.set()
    join([first, second])
    assert [event["number"] for event in samen.events_of(id)] == [1]
    assert samen.database["ledger"].count_documents(ENTRIES) == 0


def test_a_late_version_is_not_told_before_an_early_one(samen: House) -> None:
    id = samen.subscribe(HOME, "http://127.0.0.1:1/", status="active")
    second = samen.entry("Task/1", HOME, version=2, event="update")
    first = samen.entry("Task/1", HOME, version=1)
    samen.store.transact(lambda transaction: transaction.announce([second, first]))
    samen.outbox().sequence(lambda *_: True, samen.clock(), most=1)
    assert [event["version"] for event in samen.events_of(id)] == [1, 2]


def test_order_is_kept_though_the_endpoint_fails_now_and_then(samen: House, receiver: Receiver) -> None:
    samen.subscribe(HOME, receiver.url, status="active")
    for number in range(1, 13):
        samen.announce(f"Task/{number}", HOME)
    receiver.answer = lambda _: 503 if len(receiver.received) % 3 == 0 else 204
    worker = samen.worker()
    for hours in range(12):
        samen.ahead = timedelta(hours=hours)
        worker.run_once()
    assert first_of_each(receiver.numbers) == list(range(1, 13))
    assert receiver.numbers == sorted(receiver.numbers)


def test_two_workers_at_one_subscription_take_turns(samen: House, receiver: Receiver) -> None:
    samen.subscribe(HOME, receiver.url)
    for number in range(1, 41):
        samen.announce(f"Task/{number}", HOME)
    stop = threading.Event()
    threads = [threading.Thread(target=samen.worker(owner, poll=0.02).run, args=(stop,)) for owner in "ab"]
    for thread in threads:
        thread.start()
    try:
        receiver.wait_for(lambda r: 40 in r.numbers)
    finally:
        stop.set()
        join(threads)
    assert receiver.numbers == list(range(1, 41))


def test_dead_subscribers_do_not_slow_a_living_one(samen: House, receiver: Receiver) -> None:
    silence = threading.Event()
    with listening() as dead:
        dead.answer = lambda _: 504 if silence.wait(20) else 204
        for _ in range(12):
            samen.subscribe(HOSP, dead.url, status="active")
        samen.subscribe(HOME, receiver.url, status="active")
        stop = threading.Event()
        thread = threading.Thread(target=samen.worker(quick=4, most=24).run, args=(stop,))
        thread.start()
        try:
            samen.announce("Task/1", HOSP)
            dead.wait_for(lambda r: len(r.received) >= 12)
            took = []
            for number in (2, 3, 4, 5):
                samen.announce(f"Task/{number}", HOME, HOSP)
                took.append(receiver.wait_for(lambda r, n=number: f"{BASE}/Task/{n}" in [e.focus for e in r.events]))  # type: ignore[misc]
        finally:
            stop.set()
            silence.set()
            join([thread])
    assert max(took) < 8, "the dead ones hold their threads for longer"
    assert receiver.numbers == [1, 2, 3, 4]


def test_endpoints_that_failed_before_wait_apart(samen: House, receiver: Receiver) -> None:
    silence = threading.Event()
    with listening() as dead:
        for number in range(6):
            samen.subscribe(HOSP, dead.url, status="active", id=f"a{number}")
        samen.subscribe(HOME, receiver.url, status="active", id="z")
        samen.announce("Task/1", HOSP)
        dead.answer = lambda _: 503
        samen.worker().run_once()
        dead.answer = lambda _: 504 if silence.wait(20) else 204
        samen.ahead = timedelta(minutes=1)
        samen.announce("Task/2", HOME)
        stop = threading.Event()
        thread = threading.Thread(target=samen.worker(quick=1, most=3).run, args=(stop,))
        thread.start()
        try:
            assert receiver.wait_for(lambda r: r.numbers == [1]) < 8, "the dead ones hold their threads for longer"
        finally:
            stop.set()
            silence.set()
            join([thread])


def test_an_endpoint_that_fails_for_days_ends_in_error_and_misses_nothing(samen: House, receiver: Receiver) -> None:
    id = samen.subscribe(HOME, receiver.url, status="active")
    samen.announce("Task/1", HOME)
    receiver.answer = lambda _: 503
    samen.stop_clock()  # the first pause is a second, and the second look of the worker falls into it
    worker = samen.worker()
    for hours in (0, 1, 24, 71):
        samen.ahead = timedelta(hours=hours)
        worker.run_once()
        worker.run_once()
        assert samen.subscription(id)["status"] == "active"
    samen.ahead = timedelta(hours=73)
    worker.run_once()
    subscription = samen.subscription(id)
    assert subscription["status"] == "error"
    assert "answered 503: event 1 was tried 5 times" in subscription["error"]
    assert receiver.numbers == [1] * 5

    samen.announce("Task/2", HOME)
    samen.ahead = timedelta(hours=74)
    worker.run_once()
    assert receiver.numbers == [1] * 5
    receiver.answer = lambda _: 200
    samen.change(id, status="requested")
    worker.run_once()
    assert [(each.kind, each.focus) for each in receiver.received[5:]] == [
        ("handshake", None),
        ("event-notification", f"{BASE}/Task/1"),
        ("event-notification", f"{BASE}/Task/2"),
    ]
    assert "error" not in samen.subscription(id)


def test_a_handshake_that_is_never_answered_ends_in_error(samen: House) -> None:
    id = samen.subscribe(HOME, "http://127.0.0.1:1/")
    worker = samen.worker()
    for seconds in (0, 2, 5, 10):
        samen.ahead = timedelta(seconds=seconds)
        worker.run_once()
        assert samen.subscription(id)["status"] == "requested"
    samen.ahead = timedelta(seconds=20)
    worker.run_once()
    subscription = samen.subscription(id)
    assert subscription["status"] == "error"
    assert "refused the connection: the handshake was tried 5 times" in subscription["error"]


def test_a_client_that_changes_its_subscription_need_not_wait(samen: House, receiver: Receiver) -> None:
    id = samen.subscribe(HOME, "http://127.0.0.1:1/")
    worker = samen.worker()
    worker.run_once()
    samen.change(id, channel={**samen.subscription(id)["channel"], "endpoint": receiver.url})
    worker.run_once()
    assert samen.subscription(id)["status"] == "active"


def test_a_change_during_the_handshake_asks_for_another_one(samen: House, receiver: Receiver) -> None:
    id = samen.subscribe(HOME, receiver.url)

    def change_once(_: Received) -> int:
        if len(receiver.received) == 1:
            samen.change(id, reason="Another reason")
        return 200

    receiver.answer = change_once
    worker = samen.worker()
    worker.run_once()
    assert samen.subscription(id)["status"] == "requested"
    worker.run_once()
    assert samen.subscription(id)["status"] == "active"
    assert [each.kind for each in receiver.received] == ["handshake", "handshake"]


def test_a_worker_outlives_a_queue_that_does_not_answer(samen: House, receiver: Receiver) -> None:
    samen.subscribe(HOME, receiver.url, status="active")
    samen.announce("Task/1", HOME)
    samen.sequence()
    samen.announce("Task/2", HOME)
    failures: list[Exception] = [Unavailable("no primary"), ZeroDivisionError(), Unavailable("no primary")]

    class Failing(PatientOutbox):
        """Fails three times, and on until what is numbered has gone out."""

        def sequence(self, *args: Any, **how: Any) -> int:
            if failures:
                raise failures.pop()
            if not receiver.numbers:
                raise Unavailable("no primary")
            return super().sequence(*args, **how)

    stop = threading.Event()
    worker = samen.worker(outbox=Failing(samen.database, "a"), poll=0.05)
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        receiver.wait_for(lambda r: r.numbers == [1, 2])
    finally:
        stop.set()
        join([thread])
    assert failures == []


def test_what_is_pending_is_found_by_the_index(samen: House) -> None:
    samen.subscribe(HOME, "http://127.0.0.1:1/", status="active")
    for number in range(50):
        samen.announce(f"Task/{number}", HOME)
    samen.sequence()
    plan = samen.database.command(
        {
            "explain": {"distinct": "events", "key": "subscription", "query": {"pending": True}},
            "verbosity": "executionStats",
        }
    )
    assert plan["executionStats"]["totalKeysExamined"] <= 3
    assert "DISTINCT_SCAN" in str(plan["queryPlanner"]["winningPlan"])
