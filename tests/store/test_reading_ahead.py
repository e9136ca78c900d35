"""What a write foresees is read before its transaction; what it rests on is proved, or the transaction begins again."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.fhir.errors import VersionConflict
from fhir_server.search.grant import Reader, Stamp
from fhir_server.store.contract import Transaction
from fhir_server.store.mongo.store import MongoStore
from fhir_server.store.values import Circle, Foreseen, Stored

Versions = Callable[..., Stored]

WORKFLOW = ("CarePlan", "CareTeam", "Consent", "Goal", "ServiceRequest", "Task")


@pytest.fixture
def plan(store: MongoStore, version_of: Versions) -> str:
    """A plan with a Task, an order, a deleted Task, a circle, two moves, and the Patient."""
    id = str(uuid.uuid4())

    def work(tx: Transaction) -> None:
        tx.guard(id)
        tx.guard(f"Patient/{id}")
        for type_name in ("CarePlan", "ServiceRequest", "Task", "Task"):
            own = id if type_name == "CarePlan" else str(uuid.uuid4())
            tx.save(
                version_of(type_name, own, plans=(id,), patient=f"Patient/{id}", readers=(Reader("Organization/1"),))
            )
        tx.save(version_of("Patient", id, plans=(id,), patient=f"Patient/{id}"))
        tx.save_circle(Circle(id, f"Patient/{id}", "als-be", "Organization/1", "Organization/2", "team"))
        tx.log_moves([{"item": "Task/1"}, {"item": "Task/2"}], id)

    store.transact(work)
    gone = store.in_plan(id, "Task")[1]
    store.transact(lambda tx: tx.save(version_of("Task", gone.id, 2, plans=(id,), deleted=True)))
    return id


def foreseen(plan: str, *more: str) -> Foreseen:
    person = f"Patient/{plan}"
    return Foreseen(frozenset({f"CarePlan/{plan}", person, *more}), WORKFLOW, frozenset({person}))


def everything(tx: Transaction, plan: str) -> list[Any]:
    """All that may be asked of a plan."""
    asked: list[Any] = [tx.in_plan(plan, name) for name in WORKFLOW]
    asked += [tx.circle(plan), tx.circles_about(f"Patient/{plan}"), tx.moves(plan)]
    asked += [tx.read("CarePlan", plan), tx.read("Patient", plan), tx.read("Patient", "nobody")]
    return asked


@pytest.mark.parametrize("named", ["plan", "task", "person alone"])
def test_what_is_read_ahead_is_what_the_transaction_reads(store: MongoStore, plan: str, named: str) -> None:
    task = store.in_plan(plan, "Task")[0]
    hints = {
        "plan": foreseen(plan, "Patient/nobody"),
        "task": Foreseen(frozenset({task.reference}), WORKFLOW),
        "person alone": Foreseen(frozenset(), WORKFLOW, frozenset({f"Patient/{plan}"})),
    }

    def work(tx: Transaction) -> list[Any]:
        tx.guard(plan)
        return everything(tx, plan)

    assert store.transact(work, hints[named]) == store.transact(work)


def test_it_costs_no_question_inside(store: MongoStore, plan: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from fhir_server.store.mongo.reading import MongoReading

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("asked inside the transaction")

    for name in ("read", "in_plan", "circle", "circles_about", "moves"):
        monkeypatch.setattr(MongoReading, name, refuse)
    assert len(store.transact(lambda tx: everything(tx, plan), foreseen(plan, "Patient/nobody"))) == 12


def interrupted(store: MongoStore, plan: str, meanwhile: Callable[[Transaction], None]) -> tuple[int, Any]:
    """How often a write of the plan began that another one overtook, and what it saw at last."""
    attempts = 0

    def work(tx: Transaction) -> list[Any]:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            store.transact(meanwhile)
        seen = everything(tx, plan)
        tx.guard(plan)
        return seen

    seen = store.transact(work, foreseen(plan))
    return attempts, seen


def test_who_read_before_anothers_turn_begins_again(store: MongoStore, version_of: Versions, plan: str) -> None:
    goal = version_of("Goal", str(uuid.uuid4()), plans=(plan,))

    def meanwhile(tx: Transaction) -> None:
        tx.guard(plan)
        tx.save(goal)

    attempts, seen = interrupted(store, plan, meanwhile)
    assert attempts >= 2, "and as often as others make it"
    assert [goal] in seen


def test_a_guard_that_was_not_read_ahead_begins_again(store: MongoStore, plan: str) -> None:
    attempts = []

    def work(tx: Transaction) -> None:
        attempts.append(1)
        tx.guard(str(uuid.uuid4()))

    store.transact(work, foreseen(plan))
    assert len(attempts) >= 2, "and as often as others make it"


def test_a_stamp_that_changed_meanwhile_is_not_overwritten(store: MongoStore, version_of: Versions, plan: str) -> None:
    """The Patient's readers change without a new version; an update that read them before begins again."""
    newcomer = Stamp(f"Patient/{plan}", (plan,), (Reader("Organization/9"),))
    attempts = []

    def work(tx: Transaction) -> None:
        before = tx.read("Patient", plan)
        assert before is not None
        if not attempts:
            store.transact(lambda other: other.restamp("Patient", plan, newcomer))
        attempts.append(1)
        tx.save(Stored("Patient", plan, 2, before.last_updated, before.body, before.stamp, method="PUT"))

    store.transact(work, Foreseen(frozenset({f"Patient/{plan}"})))
    after = store.read("Patient", plan)
    assert after is not None
    assert (after.version, after.stamp.readers) == (2, newcomer.readers)
    assert len(attempts) >= 2, "and as often as others make it"


def test_a_restamp_of_what_changed_meanwhile_begins_again(store: MongoStore, plan: str) -> None:
    first, second = Reader("Organization/8"), Reader("Organization/9")
    attempts = []

    def work(tx: Transaction) -> None:
        before = tx.read("Patient", plan)
        assert before is not None
        if not attempts:
            other = Stamp(before.stamp.patient, before.stamp.plans, (first,))
            store.transact(lambda tx: tx.restamp("Patient", plan, other))
        attempts.append(1)
        readers = (*before.stamp.readers, second)
        tx.restamp("Patient", plan, Stamp(before.stamp.patient, before.stamp.plans, readers))

    store.transact(work, Foreseen(frozenset({f"Patient/{plan}"})))
    after = store.read("Patient", plan)
    assert after is not None
    assert after.stamp.readers == (first, second)


def test_a_version_that_moved_on_is_a_conflict_only_on_the_new_state(
    store: MongoStore, version_of: Versions, plan: str
) -> None:
    attempts = []

    def work(tx: Transaction) -> None:
        if not attempts:
            store.transact(lambda other: other.save(version_of("Patient", plan, 2, plans=(plan,))))
        attempts.append(1)
        tx.save(version_of("Patient", plan, 2, plans=(plan,)))

    with pytest.raises(VersionConflict):
        store.transact(work, Foreseen(frozenset({f"Patient/{plan}"})))
    assert len(attempts) >= 2, "and as often as others make it"


def test_own_writes_are_seen_over_what_was_read_ahead(store: MongoStore, version_of: Versions, plan: str) -> None:
    def work(tx: Transaction) -> bool:
        tx.guard(plan)
        task = tx.in_plan(plan, "Task")[0]
        changed = version_of("Task", task.id, 2, plans=(plan,), content={"status": "accepted"})
        tx.save(changed)
        tx.log_moves([{"item": "Task/3"}], plan)
        return (
            tx.in_plan(plan, "Task") == [changed] and len(tx.moves(plan)) == 3 and tx.read("Task", task.id) == changed
        )

    assert store.transact(work, foreseen(plan))
