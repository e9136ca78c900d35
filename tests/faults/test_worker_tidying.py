"""A worker tells that it works, and forgets what was told long ago; never what is still to be told."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from notifying import HOME, House, eventually
from receiver import Receiver

from fhir_server.cli import main
from fhir_server.settings import Settings
from fhir_server.store.embedded import EmbeddedMongo
from fhir_server.store.mongo.delivery.deliveries import Deliveries
from fhir_server.store.mongo.delivery.heartbeats import Heartbeats
from fhir_server.store.mongo.delivery.outbox import Outbox, Subscribes, durable
from fhir_server.subscriptions.worker import Worker
from tests.faults.test_embedded import on_a_kept_port

KEPT = timedelta(days=30)


def signs(samen: House, host: str = "") -> Heartbeats:
    return Heartbeats(durable(samen.database), "a", host or socket.gethostname())


def environment(samen: House) -> dict[str, str]:
    return {"SAMEN_MONGODB_URL": samen.url, "SAMEN_DATABASE": samen.database.name}


def check(samen: House) -> Result:
    return CliRunner().invoke(main, ["worker", "--check"], env=environment(samen))


@contextmanager
def running(worker: Worker) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()


def test_a_worker_that_works_is_seen_from_outside(samen: House) -> None:
    before = check(samen)
    with running(samen.worker(heartbeats=signs(samen))):
        eventually(lambda: signs(samen).last(samen.clock()) is not None)
    after = check(samen)

    assert (before.exit_code, after.exit_code) == (1, 0)
    assert "There was no sign of life" in before.output
    assert after.output == "A worker works on this machine.\n"


def test_the_worker_of_the_command_gives_signs_and_forgets(samen: House) -> None:
    old = {"subscription": "s", "number": 1, "at": samen.clock() - Settings().event_life * 2}
    samen.database["events"].insert_one({"_id": "s/1", **old})
    process = subprocess.Popen(
        [sys.executable, "-m", "fhir_server", "worker"], env={**os.environ, **environment(samen)}
    )
    try:
        eventually(lambda: check(samen).exit_code == 0)
        eventually(lambda: samen.events_of("s") == [])
    finally:
        process.terminate()

    assert process.wait(60) == 0


@pytest.mark.parametrize("comes", [True, False])
def test_a_worker_that_starts_before_its_database_waits_for_it(tmp_path: Path, comes: bool) -> None:
    with on_a_kept_port(tmp_path / "mongodb") as mongo:
        url = mongo.url
    settings = {"SAMEN_MONGODB_URL": url, "SAMEN_AUDIT_FOLDER": str(tmp_path / "audit")}
    log = tmp_path / "worker.log"
    with log.open("wb") as words:
        process = subprocess.Popen(
            [sys.executable, "-m", "fhir_server", "worker"], env=os.environ | settings, stdout=words, stderr=words
        )
    try:
        eventually(lambda: process.poll() is not None or "works as soon as the database answers" in log.read_text())
        if comes:
            with EmbeddedMongo(tmp_path / "mongodb"):
                eventually(lambda: CliRunner().invoke(main, ["worker", "--check"], env=settings).exit_code == 0)
                process.terminate()
                process.wait(60)
    finally:
        process.terminate()

    assert process.wait(60) == 0, log.read_text()
    assert "Traceback" not in log.read_text()


def test_a_worker_that_fell_silent_or_works_elsewhere_is_not_well_here(samen: House) -> None:
    signs(samen, "elsewhere").beat(samen.clock())
    assert check(samen).exit_code == 1

    signs(samen).beat(samen.clock() - timedelta(minutes=2))
    silent = check(samen)

    assert silent.exit_code == 1
    assert "The last sign of life was at" in silent.output


def test_a_sign_of_before_the_clock_was_set_back_is_none_of_now(samen: House) -> None:
    signs(samen).beat(samen.clock() + timedelta(hours=1))
    assert check(samen).exit_code == 1

    Heartbeats(durable(samen.database), "b", socket.gethostname()).beat(samen.clock())
    assert check(samen).exit_code == 0


class Broken(Outbox):
    """An outbox that cannot be numbered."""

    def sequence(self, subscribes: Subscribes, moment: object, *, most: int = 0) -> int:
        raise RuntimeError("broken")


def test_a_worker_whose_work_fails_gives_no_sign(samen: House) -> None:
    worker = samen.worker(outbox=Broken(samen.database, "a"), heartbeats=signs(samen), poll=0.01)
    with running(worker):
        threading.Event().wait(0.5)

    assert signs(samen).last(samen.clock()) is None


def test_what_was_told_long_ago_is_forgotten_and_nothing_else(samen: House, receiver: Receiver) -> None:
    told = samen.subscribe(HOME, receiver.url, status="active")
    parked = samen.subscribe(HOME, receiver.url, status="error")
    for number in (1, 2):
        samen.announce(f"Task/{number}", HOME)
    samen.worker().run_once()
    samen.ahead = KEPT * 100
    samen.database["events"].update_one({"_id": f"{told}/2"}, {"$set": {"at": samen.clock()}})

    with running(samen.worker(kept=KEPT)):
        eventually(lambda: len(samen.events_of(told)) == 1)

    assert [event["number"] for event in samen.events_of(told)] == [2]
    assert [(event["number"], event["pending"]) for event in samen.events_of(parked)] == [(1, True), (2, True)]
    assert Deliveries(samen.database, "a").count(told) == 2


def test_much_is_forgotten_in_portions(samen: House) -> None:
    old = samen.clock() - KEPT
    samen.database["events"].insert_many(
        {"_id": f"s/{number}", "subscription": "s", "number": number, "at": old} for number in range(25)
    )
    deliveries = Deliveries(samen.database, "a")

    assert [deliveries.forget(samen.clock(), 10) for _ in range(4)] == [10, 10, 5, 0]
