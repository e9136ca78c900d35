"""Circles: who is in, in which period, and the log of moves that says why."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fhir_server.fhir.json import Resource
from fhir_server.search.grant import Reader
from fhir_server.store.contract import Reading, Transaction
from fhir_server.store.mongo.store import MongoStore
from fhir_server.store.values import Circle

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def party() -> str:
    return f"Organization/{uuid.uuid4()}"


@pytest.fixture
def plan() -> str:
    return str(uuid.uuid4())


def circle_of(plan: str, *members: Reader, patient: str = "Patient/1", former: tuple[Reader, ...] = ()) -> Circle:
    return Circle(
        plan,
        patient,
        "als-be",
        "Organization/1",
        "Organization/2",
        "team-1",
        members,
        ("Organization/3",),
        former,
    )


def keep(store: MongoStore, *circles: Circle) -> None:
    def work(tx: Transaction) -> None:
        for circle in circles:
            tx.save_circle(circle)

    store.transact(work)


def plans_of(reading: Reading, party: str, **narrowed: object) -> list[str]:
    asked = {"parties": [party], "moment": NOON, "limit": 100, **narrowed}
    return [circle.plan for circle in reading.circles(**asked)]  # type: ignore[arg-type]


def test_a_circle_is_read_back_whole_and_replaced(store: MongoStore, plan: str, party: str) -> None:
    circle = circle_of(plan, Reader(party), Reader("Organization/2", NOON, NOON + HOUR), former=(Reader("x/1"),))
    keep(store, circle)
    assert store.circle(plan) == circle
    closed = replace(circle, members=(), pending=(), open=False)
    keep(store, closed)
    assert store.circle(plan) == closed


def test_an_unknown_plan_has_no_circle(store: MongoStore, plan: str) -> None:
    assert store.circle(plan) is None
    assert store.moves(plan) == []


def test_members_count_from_their_start_until_before_their_end(store: MongoStore, plan: str, party: str) -> None:
    keep(store, circle_of(plan, Reader(party, NOON, NOON + HOUR)))
    moments = [NOON - timedelta(milliseconds=1), NOON, NOON + HOUR - timedelta(milliseconds=1), NOON + HOUR]
    assert [plans_of(store, party, moment=moment) for moment in moments] == [[], [plan], [plan], []]


def test_pending_and_former_parties_are_no_members(store: MongoStore, plan: str, party: str) -> None:
    keep(store, replace(circle_of(plan, former=(Reader(party),)), pending=(party,)))
    assert plans_of(store, party) == []


def test_periods_of_different_members_are_not_mixed(store: MongoStore, plan: str, party: str) -> None:
    keep(store, circle_of(plan, Reader(party, NOON - 2 * HOUR, NOON - HOUR), Reader("Organization/9")))
    assert plans_of(store, party) == []


def test_circles_are_narrowed_by_patient_plans_and_limit(store: MongoStore, party: str) -> None:
    plans = sorted(str(uuid.uuid4()) for _ in range(4))
    keep(store, *(circle_of(plan, Reader(party), patient=f"Patient/{i % 2}") for i, plan in enumerate(plans)))
    assert plans_of(store, party) == plans
    assert plans_of(store, party, patient="Patient/1") == [plans[1], plans[3]]
    assert plans_of(store, party, plans=plans[2:]) == plans[2:]
    assert plans_of(store, party, plans=[]) == []
    assert plans_of(store, party, limit=3) == plans[:3]
    assert [circle.plan for circle in store.circles(parties=[], moment=NOON, limit=5)] == []


def test_a_transaction_sees_its_own_circles(store: MongoStore, plan: str, party: str) -> None:
    circle = circle_of(plan, Reader(party))

    def work(tx: Transaction) -> tuple[Circle | None, list[str]]:
        tx.save_circle(circle)
        return tx.circle(plan), plans_of(tx, party)

    assert store.transact(work) == (circle, [plan])


def test_the_worklist_of_circles_is_answered_by_an_index(store: MongoStore, party: str) -> None:
    keep(store, *(circle_of(str(uuid.uuid4()), Reader(party)) for _ in range(30)))
    condition = {"members": {"$elemMatch": {"p": {"$in": [party, "Practitioner/x"]}, "f": {"$lte": NOON}}}}
    explained = store._database["circles"].find(condition).sort("_id", 1).limit(10).explain()
    assert "'SORT'" not in str(explained["queryPlanner"]["winningPlan"])
    assert "COLLSCAN" not in str(explained["queryPlanner"]["winningPlan"])


def test_moves_keep_their_order_over_transactions_and_plans(store: MongoStore, plan: str) -> None:
    other = str(uuid.uuid4())

    def log(names: list[str], of: str) -> None:
        store.transact(lambda tx: tx.log_moves([{"item": name} for name in names], of))

    log(["a", "b"], plan)
    log(["x"], other)
    log(["c"], plan)
    log(["d", "e"], plan)
    assert [move["item"] for move in store.moves(plan)] == ["a", "b", "c", "d", "e"]
    assert [move["item"] for move in store.moves(other)] == ["x"]


def test_a_move_comes_back_as_it_was_given(store: MongoStore, plan: str) -> None:
    given: Resource = {"item": "Task/1", "to": None, "at": "2026-05-01T12:00:00.000Z", "confers": True}
    store.transact(lambda tx: tx.log_moves([given], plan))
    [move] = store.moves(plan)
    assert {name: value for name, value in move.items() if name not in {"plan", "seq"}} == given
    assert set(given) == {"item", "to", "at", "confers"}


def test_a_transaction_sees_its_own_moves_after_those_before(store: MongoStore, plan: str) -> None:
    store.transact(lambda tx: tx.log_moves([{"item": "a"}], plan))

    def work(tx: Transaction) -> list[str]:
        tx.log_moves([{"item": "b"}], plan)
        between = tx.moves(plan)
        tx.log_moves([{"item": "c"}], plan)
        return [move["item"] for move in between]

    assert store.transact(work) == ["a", "b"]
    assert [move["item"] for move in store.moves(plan)] == ["a", "b", "c"]
