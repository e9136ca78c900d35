"""Threads that read ahead at the same moment ask together, and each gets what it would have got alone."""

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import pytest
from pymongo.database import Database

from fhir_server.fhir.errors import Unavailable
from fhir_server.search.grant import Reader
from fhir_server.store.contract import Transaction
from fhir_server.store.mongo.connection import MoreToCome
from fhir_server.store.mongo.store import MongoStore
from fhir_server.store.mongo.writing.ahead import Ahead, read_ahead
from fhir_server.store.mongo.writing.parts import Part, Parts
from fhir_server.store.values import Circle, Foreseen, Stored
from tests.patience import until

Versions = Callable[..., Stored]
Failing = Callable[..., AbstractContextManager[None]]

DISK_FULL = 14031
WORKFLOW = ("CarePlan", "CareTeam", "Consent", "ServiceRequest", "Task")


@pytest.fixture
def id() -> str:
    return str(uuid.uuid4())


@pytest.fixture
def parts(mongo_url: str, database_name: str, id: str) -> Iterator[Parts]:
    """Questions of a process of its own, which the server knows by this test's id."""
    with MongoStore(f"{mongo_url}&appName={id}", database_name, secret=b"s") as own:
        yield own._transacting._parts


@pytest.fixture
def plans(store: MongoStore, version_of: Versions) -> list[str]:
    """Three plans of two people; the last Task lies in two of them."""
    people = [f"Patient/{uuid.uuid4()}" for _ in range(2)]
    ids = sorted(str(uuid.uuid4()) for _ in range(3))

    def work(tx: Transaction) -> None:
        for person in people:
            tx.save(version_of("Patient", person.partition("/")[2], patient=person, plans=(ids[0],)))
        for number, plan in enumerate(ids):
            person = people[number % 2]
            tx.guard(plan)
            tx.guard(person)
            lies = {"patient": person, "readers": (Reader("Organization/1"),)}
            tx.save(version_of("CarePlan", plan, plans=(plan,), **lies))
            tx.save(version_of("Task", str(uuid.uuid4()), plans=(plan,), **lies))
            tx.save_circle(Circle(plan, person, "als-be", "Organization/1", "Organization/2", f"team-{plan}"))
            tx.log_moves([{"item": f"Task/{number}"}], plan)
        tx.save(version_of("Task", f"both-{ids[0]}", plans=tuple(ids[:2]), patient=people[0]))

    store.transact(work)
    return ids


def asked_of(store: MongoStore, plans: Sequence[str]) -> list[Foreseen]:
    """What different writes foresee of them: of a plan, of a person's chart, of a Task, of what is not there."""
    found = [store.circle(plan) for plan in plans]
    people = [circle.patient for circle in found if circle]
    tasks = [store.in_plan(plan, "Task")[0].reference for plan in plans]
    return [
        Foreseen(frozenset({f"CarePlan/{plans[0]}", people[0]}), WORKFLOW, frozenset({people[0]})),
        Foreseen(frozenset({people[0], "Patient/nobody"}), (), frozenset({people[0]})),
        Foreseen(frozenset({people[1], f"CarePlan/{plans[1]}"}), (), frozenset({people[1]})),
        Foreseen(frozenset({tasks[2], people[1]}), WORKFLOW, frozenset({people[1]})),
        Foreseen(frozenset({f"CarePlan/{each}" for each in plans[:2]}), WORKFLOW),
        Foreseen(frozenset({tasks[0], tasks[1], tasks[2], f"Task/both-{plans[0]}"})),
        Foreseen(frozenset({"Patient/nobody", "CarePlan/none"}), WORKFLOW, frozenset({"Patient/nobody"})),
    ]


def said(ahead: Ahead) -> dict[str, Any]:
    """All that was read, in an order of its own."""
    return {
        "stored": ahead.stored,
        "lying": {place: sorted(found, key=lambda stored: stored.id) for place, found in ahead.lying.items()},
        "circles": ahead.circles,
        "people": ahead.people,
        "moves": {plan: sorted(found, key=lambda move: int(move["seq"])) for plan, found in ahead.moves.items()},
        "turns": ahead.turns,
    }


def in_one_question(parts: Parts, foreseen: Sequence[Foreseen]) -> list[Future[Ahead]]:
    """Read all of it while one question is held up: so they ask together when it ends."""
    ask, free = parts._asked, threading.Event()

    def held_up(asked: Sequence[Part]) -> list[dict[str, Any]]:
        assert free.wait(60)
        return ask(asked)

    parts._asked = held_up  # type: ignore[method-assign]
    with ThreadPoolExecutor(len(foreseen) + 1) as pool:
        pool.submit(read_ahead, parts, Foreseen(frozenset({"Patient/nobody"})))
        until(lambda: parts._together._under_way)
        found = [pool.submit(read_ahead, parts, each) for each in foreseen]
        until(lambda: len(parts._together._queue) == len(foreseen))
        parts._asked = ask  # type: ignore[method-assign]
        free.set()
    return found


def test_each_gets_what_it_would_have_got_alone(store: MongoStore, parts: Parts, plans: list[str]) -> None:
    foreseen = asked_of(store, plans)
    alone = [said(read_ahead(parts, each)) for each in foreseen]
    assert alone[0]["lying"][(plans[0], "Task")] != []
    assert set(alone[4]["circles"]) == set(plans[:2])

    together = in_one_question(parts, foreseen)

    assert [said(each.result()) for each in together] == alone


def test_who_asks_for_too_much_alone_is_told_so(
    store: MongoStore,
    database: Database[dict[str, Any]],
    parts: Parts,
    version_of: Versions,
    plans: list[str],
    id: str,
) -> None:
    many = f"many-{id}"
    store.transact(lambda tx: tx.save(version_of("CarePlan", many, plans=(many,))))
    some = database["CarePlan"].find_one({"_id": many})
    assert some is not None
    orders = [{**some, "_id": f"{many}-{number}", "type": "ServiceRequest"} for number in range(1_001)]
    database["ServiceRequest"].insert_many(orders)
    foreseen = asked_of(store, plans)
    alone = [said(read_ahead(parts, each)) for each in foreseen]
    try:
        together = in_one_question(parts, [*foreseen, Foreseen(frozenset({f"CarePlan/{many}"}), WORKFLOW)])
    finally:
        database["ServiceRequest"].delete_many({"plans": many})

    assert isinstance(together[-1].exception(), MoreToCome)
    assert [said(each.result()) for each in together[:-1]] == alone


def test_a_question_that_is_refused_is_everybodys_and_the_next_is_not(
    store: MongoStore, parts: Parts, failing_command: Failing, plans: list[str], id: str
) -> None:
    foreseen = asked_of(store, plans)
    with (
        failing_command("aggregate", appName=id, errorCode=DISK_FULL),
        ThreadPoolExecutor(len(foreseen)) as pool,
    ):
        refused = [pool.submit(read_ahead, parts, each) for each in foreseen]
    assert all(isinstance(each.exception(), Unavailable) for each in refused)
    assert read_ahead(parts, foreseen[0]).circles.keys() == {plans[0], plans[2]}
