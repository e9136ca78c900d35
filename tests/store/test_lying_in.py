"""What lies in a plan, page by page, judged inside the database; and the events of a Subscription by their numbers."""

import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

import pytest

from fhir_server.fhir.dates import now
from fhir_server.fhir.errors import TooCostly
from fhir_server.search.grant import Grant, Reader
from fhir_server.store.mongo.logic import both
from fhir_server.store.mongo.search.queries import grant_filter
from fhir_server.store.mongo.store import MongoStore
from fhir_server.store.values import Stored

ANY = 1000
HOSP, HOME = "Organization/hosp", "Organization/home"


@pytest.fixture
def plan(store: MongoStore, version_of: Callable[..., Stored]) -> str:
    """A plan with thirty Observations of two authors, a tombstone, and Tasks that one party reads; beside another."""
    name = f"p{uuid.uuid4().hex[:10]}"

    def save(type_name: str, id: str, **stamp: object) -> None:
        store.transact(lambda tx: tx.save(version_of(type_name, f"{name}-{id}", **stamp)))

    for number in range(30):
        save("Observation", f"{number:02}", plans=(name,), author=HOSP if number % 3 else HOME)
    save("Observation", "30", plans=(name, f"{name}-other"), author=HOSP)
    save("Observation", "31", plans=(f"{name}-other",), author=HOSP)
    store.transact(lambda tx: tx.save(version_of("Observation", f"{name}-29", 2, deleted=True, plans=(name,))))
    save("Task", "0", plans=(name,), readers=(Reader(HOME),))
    save("Task", "1", plans=(name,), readers=(Reader(HOSP), Reader(HOME, until=datetime(2020, 1, 1, tzinfo=UTC))))
    return name


def ids(found: list[Stored]) -> list[str]:
    return [stored.id.rpartition("-")[2] for stored in found]


def test_pages_by_id_hold_everything_once(store: MongoStore, plan: str) -> None:
    grants, told, after = [Grant("member", plans=(plan,))], list[str](), None
    while page := store.lying_in(plan, "Observation", grants, now(), after=after, count=7):
        told += ids(page)
        after = page[-1].id

    assert told == [f"{number:02}" for number in (*range(29), 30)]


@pytest.mark.parametrize("page", [1, 4, ANY])
def test_grants_are_judged_before_the_limit(store: MongoStore, plan: str, page: int) -> None:
    mine = store.lying_in(plan, "Observation", [Grant("author", authors=(HOME,))], now(), count=page)

    assert ids(mine) == [f"{number:02}" for number in range(0, 29, 3)][:page]
    assert store.lying_in(plan, "Observation", [], now(), count=ANY) == []
    assert ids(store.lying_in(plan, "Task", [Grant("circle", readers=(HOME,))], now(), count=ANY)) == ["0"]


def test_a_grant_for_another_plan_shows_only_what_lies_in_both(store: MongoStore, plan: str) -> None:
    other = [Grant("member", plans=(f"{plan}-other",))]

    assert ids(store.lying_in(plan, "Observation", other, now(), count=ANY)) == ["30"]


def test_only_what_was_updated_since(store: MongoStore, version_of: Callable[..., Stored], plan: str) -> None:
    grants, moment = [Grant("member", plans=(plan,))], now() + timedelta(milliseconds=1)
    while now() <= moment:
        pass
    store.transact(lambda tx: tx.save(version_of("Observation", f"{plan}-04", 2, plans=(plan,), author=HOSP)))

    assert ids(store.lying_in(plan, "Observation", grants, now(), since=moment, count=ANY)) == ["04"]


def test_it_is_one_range_of_an_index(store: MongoStore, plan: str) -> None:
    grants = [Grant("member", plans=(plan, f"{plan}-other")), Grant("author", authors=(HOME,))]
    condition = both({"plans": plan, "del": False, "_id": {"$gt": f"{plan}-03"}}, grant_filter(grants, now()))

    told = store._database["Observation"].find(condition).sort("_id", 1).limit(8).explain()

    assert "COLLSCAN" not in str(told["queryPlanner"]["winningPlan"])
    assert told["executionStats"]["totalDocsExamined"] <= 31


def test_what_takes_too_long_is_too_costly(
    store: MongoStore, plan: str, failing_command: Callable[..., AbstractContextManager[None]]
) -> None:
    with failing_command("find", "Observation", errorCode=50), pytest.raises(TooCostly, match="Observation"):
        store.lying_in(plan, "Observation", [Grant("member", plans=(plan,))], now(), count=ANY)


def test_events_are_found_by_their_numbers(store: MongoStore) -> None:
    subscription = uuid.uuid4().hex
    events = [
        {
            "_id": f"{subscription}/{number}",
            "subscription": subscription,
            "number": number,
            "at": now(),
            "focus": f"Task/{number}",
            "event": "update",
        }
        for number in range(1, 8)
    ]
    assert (store.events(subscription, 1, None, ANY), store.last_event(subscription)) == ([], 0)
    store._database["events"].insert_many(events)
    store._database["counters"].insert_one({"_id": subscription, "last": 7})

    assert [event.number for event in store.events(subscription, 3, 5, ANY)] == [3, 4, 5]
    assert [event.focus for event in store.events(subscription, 6, None, ANY)] == ["Task/6", "Task/7"]
    assert [event.number for event in store.events(subscription, 1, None, 2)] == [1, 2]
    assert store.events(subscription, 8, None, ANY) == []
    assert store.last_event(subscription) == 7
