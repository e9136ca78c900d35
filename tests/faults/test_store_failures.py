"""The database fails: nothing is half kept, and who asks is told that it does not answer."""

import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fhir_server.fhir.errors import Unavailable
from fhir_server.search.grant import Stamp
from fhir_server.store.contract import Transaction
from fhir_server.store.embedded import EmbeddedMongo
from fhir_server.store.mongo.store import MongoStore
from fhir_server.store.mongo.writing import committing
from fhir_server.store.values import Stored

Failing = Callable[..., AbstractContextManager[None]]
Versions = Callable[..., Stored]

MOMENT = datetime(2026, 5, 1, 12, tzinfo=UTC)

UNREACHABLE = 6
DISK_FULL = 14031

WRITER = """
import sys
from datetime import UTC, datetime
from fhir_server.store.values import Stored
from fhir_server.store.embedded import EmbeddedMongo
from fhir_server.store.mongo.store import MongoStore

url, database, id = sys.argv[1:]

def work(tx):
    body = b'{"resourceType":"Task","id":"' + id.encode() + b'"}'
    tx.guard(id)
    tx.save(Stored("Task", id, 1, datetime(2026, 5, 1, tzinfo=UTC), body))
    assert tx.history("Task", id, None, 1)
    print("between the writes", flush=True)
    sys.stdin.read()

MongoStore(url, database, secret=b"s").transact(work)
"""


@pytest.fixture
def id() -> str:
    return str(uuid.uuid4())


@pytest.fixture
def hurried(mongo_url: str, database_name: str, id: str) -> Iterator[MongoStore]:
    """A store that gives up soon, for what fails: what must succeed may need longer on a busy machine."""
    url = f"{mongo_url}&appName={id}"
    with MongoStore(url, database_name, secret=b"s", seconds=1, write_seconds=1) as store:
        yield store


@pytest.fixture
def nobody() -> Iterator[MongoStore]:
    with MongoStore("mongodb://127.0.0.1:1/", "test", secret=b"s", seconds=0.2, write_seconds=0.2) as store:
        yield store


def audit_event(id: str) -> dict[str, Any]:
    return {"resourceType": "AuditEvent", "id": id, "recorded": "2026-05-01T12:00:00.000Z", "action": "R"}


QUESTIONS: list[tuple[str, Callable[[MongoStore], Any]]] = [
    ("read", lambda store: store.read("Task", "1")),
    ("read_many", lambda store: store.read_many(["Task/1"])),
    ("read_version", lambda store: store.read_version("Task", "1", 1)),
    ("history", lambda store: store.history("Task", "1", None, 1)),
    ("in_plan", lambda store: store.in_plan("1", "Task")),
    ("circle", lambda store: store.circle("1")),
    ("moves", lambda store: store.moves("1")),
    ("transact", lambda store: store.transact(lambda tx: tx.guard("1"))),
    ("record_reading", lambda store: store.record_reading(audit_event("1"), Stamp())),
    ("prepare", lambda store: store.prepare(["Task"])),
]


@pytest.mark.parametrize("ask", [ask for _, ask in QUESTIONS], ids=[name for name, _ in QUESTIONS])
def test_without_a_database_every_question_says_so_soon(nobody: MongoStore, ask: Callable[[MongoStore], Any]) -> None:
    start = time.monotonic()
    with pytest.raises(Unavailable):
        ask(nobody)
    assert time.monotonic() - start < 7


def test_a_reading_that_cannot_be_recorded_raises(
    hurried: MongoStore, store: MongoStore, failing_command: Failing, id: str
) -> None:
    with failing_command("insert", "AuditEvent", errorCode=DISK_FULL), pytest.raises(Unavailable):
        hurried.record_reading(audit_event(id), Stamp())
    assert store.read("AuditEvent", id) is None
    store.record_reading(audit_event(id), Stamp())
    assert store.read("AuditEvent", id) is not None


@pytest.mark.parametrize("how", [{"errorCode": DISK_FULL}, {"closeConnection": True}], ids=["disk full", "no answer"])
def test_a_write_that_cannot_be_recorded_does_not_happen(
    hurried: MongoStore,
    store: MongoStore,
    failing_command: Failing,
    version_of: Versions,
    id: str,
    how: dict[str, Any],
) -> None:
    ledger = store._database["ledger"]

    def work(tx: Transaction) -> None:
        tx.save(version_of("Task", id))
        tx.record([audit_event(id)], Stamp())
        tx.announce([{"at": MOMENT, "focus": id}])

    with failing_command("update", "ledger", **how), pytest.raises(Unavailable):
        hurried.transact(work)
    assert store.read("Task", id) is None
    assert store.history("Task", id, None, 1) == []
    assert ledger.find_one({"focus": id}) is None
    store.transact(work)
    assert store.read("Task", id) is not None
    assert ledger.find_one({"focus": id}) is not None


def test_an_insert_that_fails_once_is_tried_again(store: MongoStore, failing_command: Failing, id: str) -> None:
    with failing_command("insert", "AuditEvent", times=1, errorCode=UNREACHABLE, errorLabels=["RetryableWriteError"]):
        store.record_reading(audit_event(id), Stamp())
    assert store.read("AuditEvent", id) is not None


def test_a_transaction_that_fails_once_starts_again(
    store: MongoStore, failing_command: Failing, version_of: Versions, id: str
) -> None:
    attempts = []

    def work(tx: Transaction) -> None:
        attempts.append(1)
        tx.guard(id)
        tx.save(version_of("Task", id))

    labels = ["TransientTransactionError"]
    with failing_command("insert", "Task", times=1, errorCode=251, errorLabels=labels):
        store.transact(work)
    assert len(attempts) >= 2
    assert len(store.history("Task", id, None, 9)) == 1


def test_a_commit_whose_answer_is_lost_happens_once(
    mongo_url: str,
    database_name: str,
    failing_command: Failing,
    version_of: Versions,
    monkeypatch: pytest.MonkeyPatch,
    id: str,
) -> None:
    monkeypatch.setattr(committing, "ENDING_SECONDS", 60.0)  # a busy machine connects slowly, and here three times

    def work(tx: Transaction) -> None:
        tx.guard(id)
        tx.save(version_of("Task", id))
        tx.log_moves([{"item": "Task/1"}], id)

    with (
        MongoStore(f"{mongo_url}&appName={id}", database_name, secret=b"s") as store,
        failing_command("commitTransaction", times=3, appName=id, closeConnection=True),
    ):
        store.transact(work)
        assert len(store.history("Task", id, None, 9)) == len(store.moves(id)) == 1


def test_a_killed_process_leaves_nothing(tmp_path: Path, id: str) -> None:
    """On a MongoDB of its own: a server keeps a killed client's transaction open for a while, though never its data."""
    with EmbeddedMongo(tmp_path) as mongo, MongoStore(mongo.url, "test", secret=b"s") as store:
        store.prepare(["Task"])
        command = [sys.executable, "-c", WRITER, mongo.url, "test", id]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"between the writes\n"
            assert store.read("Task", id) is None
            writer.send_signal(signal.SIGKILL)
        assert writer.returncode == -signal.SIGKILL
        assert store.read("Task", id) is None
        assert store.history("Task", id, None, 9) == []
