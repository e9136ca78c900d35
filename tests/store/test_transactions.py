"""A transaction: sees its own writes, keeps all or nothing, and costs few commands."""

import inspect
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo.database import Database

from fhir_server.fhir.errors import Forbidden, VersionConflict
from fhir_server.search.grant import Reader, Stamp
from fhir_server.store.contract import Transaction
from fhir_server.store.mongo.store import MongoStore
from fhir_server.store.mongo.writing.committing import ENDING_SECONDS
from fhir_server.store.values import Circle, Stored

Versions = Callable[..., Stored]

MOMENT = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def id() -> str:
    return str(uuid.uuid4())


def audit_event(id: str) -> dict[str, Any]:
    return {"resourceType": "AuditEvent", "id": id, "recorded": "2026-05-01T12:00:00.000Z", "action": "C"}


def test_its_result_is_handed_back(store: MongoStore) -> None:
    assert store.transact(lambda tx: "done") == "done"


def test_nothing_to_keep_is_no_error(store: MongoStore) -> None:
    def work(tx: Transaction) -> None:
        tx.record([], Stamp())
        tx.announce([])
        tx.log_moves([], "plan")
        tx.take_up("plan", "Patient/1", "Organization/1", [])

    store.transact(work)


def test_every_question_sees_its_own_writes(store: MongoStore, version_of: Versions, id: str) -> None:
    first, second = version_of("Task", id, 1, plans=(id,)), version_of("Task", id, 2, plans=(id,))
    reference = f"Task/{id}"

    def work(tx: Transaction) -> list[bool]:
        tx.save(first)
        seen = [tx.read("Task", id) == first, tx.read_many([reference]) == {reference: first}]
        tx.save(second)
        seen += [tx.read("Task", id) == second, tx.in_plan(id, "Task") == [second]]
        seen += [tx.read_version("Task", id, 1) == first, tx.history("Task", id, None, 9) == [second, first]]
        tx.restamp("Task", id, Stamp(author="Organization/5"))
        after = tx.read("Task", id)
        seen += [after is not None and after.stamp.author == "Organization/5", tx.in_plan(id, "Task") == []]
        return seen

    assert store.transact(work) == [True] * 8


def test_a_version_on_a_waiting_stamp_wins(store: MongoStore, version_of: Versions, id: str) -> None:
    store.transact(lambda tx: tx.save(version_of("Task", id, 1)))
    second = version_of("Task", id, 2, author="Organization/2")

    def work(tx: Transaction) -> None:
        tx.restamp("Task", id, Stamp(author="Organization/1"))
        tx.save(second)

    store.transact(work)
    assert store.read("Task", id) == second


def test_a_stamp_on_a_waiting_version_wins(store: MongoStore, version_of: Versions, id: str) -> None:
    stamp = Stamp(author="Organization/1", readers=(Reader("Organization/1"),))

    def work(tx: Transaction) -> None:
        tx.save(version_of("Task", id, 1))
        tx.restamp("Task", id, stamp)

    store.transact(work)
    current = store.read("Task", id)
    assert current is not None
    assert current.stamp == stamp


@pytest.mark.parametrize("error", [Forbidden("no"), ValueError("a mistake"), KeyboardInterrupt()])
def test_nothing_is_kept_when_the_work_raises(
    store: MongoStore, database: Database[dict[str, Any]], version_of: Versions, id: str, error: BaseException
) -> None:
    def work(tx: Transaction) -> None:
        tx.guard(id)
        tx.save(version_of("Task", id, 1, plans=(id,)))
        tx.save(version_of("Task", id, 2, plans=(id,)))
        tx.save_circle(Circle(id, "Patient/1", "als-be", "o/1", "o/2", "team"))
        tx.log_moves([{"item": "Task/1"}], id)
        tx.record([audit_event(id)], Stamp())
        tx.announce([{"at": MOMENT, "focus": f"Task/{id}"}])
        assert tx.in_plan(id, "Task")
        raise error

    with pytest.raises(type(error)):
        store.transact(work)
    store.settle_audit()
    assert kept_of(database, id) == []
    store.transact(lambda tx: tx.guard(id))


def test_everything_is_kept_when_it_ends(
    store: MongoStore, database: Database[dict[str, Any]], version_of: Versions, id: str
) -> None:
    def work(tx: Transaction) -> None:
        tx.save(version_of("Task", id, 1))
        tx.save(version_of("Task", id, 2))
        tx.save_circle(Circle(id, "Patient/1", "als-be", "o/1", "o/2", "team"))
        tx.log_moves([{"item": "Task/1"}], id)
        tx.record([audit_event(id)], Stamp(author="server"))
        tx.announce([{"at": MOMENT, "focus": f"Task/{id}", "recipients": ["Organization/1"]}])

    store.transact(work)
    store.settle_audit()
    assert kept_of(database, id) == KEPT
    event = store.read("AuditEvent", id)
    assert event is not None
    assert (event.resource(), event.stamp) == (audit_event(id), Stamp(author="server"))
    assert store.history("AuditEvent", id, None, 10) == [event]
    entry = database["ledger"].find_one({"focus": f"Task/{id}"})
    assert entry is not None
    assert (entry["at"], entry["recipients"]) == (MOMENT, ["Organization/1"])


KEPT = ["Task", "audit", "circle", "entry", "guard", "move", "version"]


def kept_of(database: Database[dict[str, Any]], id: str) -> list[str]:
    """What there is of a write, of the kinds that a commit keeps."""
    places: dict[str, tuple[str, dict[str, Any]]] = {
        "Task": ("Task", {"_id": id}),
        "audit": ("AuditEvent", {"_id": id}),
        "circle": ("circles", {"_id": id}),
        "entry": ("ledger", {"focus": f"Task/{id}"}),
        "guard": ("ledger", {"_id": f"turn/{id}"}),
        "move": ("ledger", {"_id": {"$regex": f"^move/{id}/"}}),
        "version": ("ledger", {"_id": f"version/Task/{id}/0000000001"}),
    }
    return [kind for kind, (name, condition) in places.items() if database[name].find_one(condition)]


def test_one_conflict_keeps_all_the_others_out(store: MongoStore, version_of: Versions, id: str) -> None:
    store.transact(lambda tx: tx.save(version_of("Task", id)))

    def work(tx: Transaction) -> None:
        tx.save(version_of("Patient", id))
        tx.save(version_of("Task", id))

    with pytest.raises(VersionConflict):
        store.transact(work)
    assert store.read("Patient", id) is None


def test_a_bundle_of_300_creates_is_a_few_commands(
    mongo_url: str, database_name: str, database: Database[dict[str, Any]], version_of: Versions, id: str
) -> None:
    """Told apart from those of others by this test's id, and counted for each time that MongoDB makes it begin."""
    attempts = []

    def work(tx: Transaction) -> None:
        attempts.append(1)
        for number in range(300):
            tx.save(version_of(("Observation", "Condition")[number % 2], f"{id}.{number}"))
        tx.record([audit_event(f"{id}.{number}") for number in range(300)], Stamp())

    with MongoStore(f"{mongo_url}&appName={id}", database_name, secret=b"s") as store:
        database.command("profile", 2)
        try:
            store.transact(work)
        finally:
            database.command("profile", 0)
        sent = database["system.profile"].count_documents({"op": "insert", "appName": id})
        database["system.profile"].drop()
        assert 0 < sent <= 10 * len(attempts)
        assert store.read("Condition", f"{id}.299") is not None


def test_a_plan_takes_up_the_authors_chart_of_the_patient(store: MongoStore, version_of: Versions, id: str) -> None:
    patient, author = f"Patient/{id}", f"Organization/{id}"
    chart = {
        "loose": {"patient": patient, "author": author},
        "placed": {"patient": patient, "author": author, "plans": ("another",)},
        "of-another-author": {"patient": patient, "author": "Organization/other"},
        "of-another-patient": {"patient": "Patient/other", "author": author},
    }

    def work(tx: Transaction) -> None:
        for name, stamp in chart.items():
            tx.save(version_of("Condition", f"{id}.{name}", **stamp))
        tx.take_up("plan", patient, author, ["Condition", "Observation"])

    store.transact(work)
    plans = {name: store.read("Condition", f"{id}.{name}") for name in chart}
    assert {name: stored.stamp.plans for name, stored in plans.items() if stored} == {
        "loose": ("plan",),
        "placed": ("another",),
        "of-another-author": (),
        "of-another-patient": (),
    }
    [version] = store.history("Condition", f"{id}.loose", None, 5)
    assert version.stamp.plans == ("plan",)


def test_a_write_is_visible_half_a_minute_after_its_time_at_the_latest() -> None:
    """Who polls relies on it: docs/search.md, decision 0012."""
    longest = inspect.signature(MongoStore).parameters["write_seconds"].default
    assert longest + ENDING_SECONDS < 30
