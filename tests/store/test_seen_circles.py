"""A page comes with the circles that decide on it in one question, by a guess that the same question proves."""

import random
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pymongo.database import Database

from fhir_server.fhir.dates import now
from fhir_server.fhir.errors import TooCostly
from fhir_server.search.grant import Grant, Reader
from fhir_server.search.parse import parse
from fhir_server.search.query import Query
from fhir_server.store.contract import Reading
from fhir_server.store.mongo.circles.seen import MOST_OF_ONE, SeenCircles
from fhir_server.store.mongo.store import MongoStore
from fhir_server.store.mongo.time_limit import MAX_TIME_MS
from fhir_server.store.values import Circle, Match, Page


class Person:
    """A person with a circle of two members and three Conditions in its plan; the store below has seen the circle."""

    def __init__(self, store: MongoStore, version_of: Any) -> None:
        self.id = str(uuid.uuid4())
        self.reference = f"Patient/{self.id}"
        self.given: list[list[Circle]] = []
        subject = {"subject": {"reference": self.reference}}
        for number in range(3):
            one = version_of("Condition", f"{self.id}-{number}", plans=(self.id,), content=subject)
            store.transact(lambda tx, one=one: tx.save(one))  # type: ignore[misc]
        self.admits(store, "Organization/1", "Organization/2")

    def circle(self, plan: str, *members: str) -> Circle:
        readers = tuple(Reader(each) for each in members)
        return Circle(plan, self.reference, "als-be", "Organization/1", "Organization/9", "team", readers)

    def admits(self, store: MongoStore, *members: str) -> None:
        store.transact(lambda tx: tx.save_circle(self.circle(self.id, *members)))

    def looked_up(self, reading: Reading) -> None:
        reading.circles(parties=["Organization/1"], patient=self.reference, moment=now(), limit=10)

    def query(self, *more: tuple[str, str]) -> Query:
        return parse("Condition", [("patient", self.id), *more], base_url="")

    def asked(self, reading: Reading, *more: tuple[str, str], party: str = "Organization/2") -> Page[Match] | None:
        def grants(circles: Sequence[Circle]) -> list[Grant]:
            self.given.append(list(circles))
            plans = tuple(circle.plan for circle in circles if circle.admits([party], now()))
            return [Grant("member", plans=plans)] if plans else []

        return reading.search_about(self.reference, self.query(*more), grants, now())


@pytest.fixture
def person(store: MongoStore, version_of: Any) -> Person:
    return Person(store, version_of)


@pytest.fixture
def other(mongo_url: str, database_name: str, person: Person) -> Iterator[MongoStore]:
    """The store as another process has it, whose questions a test can make fail; it has seen the person's circle."""
    with MongoStore(f"{mongo_url}&appName={person.id}", database_name, secret=b"s") as made:
        person.looked_up(made)
        yield made


def ids(page: Page[Match] | None) -> list[str]:
    assert page is not None
    return [match.id[-2:] for match in page.matches]


def shown(page: Page[Any] | None) -> list[object]:
    """All that a page shows, and where it leads."""
    assert page is not None
    of_each = [(m.reference, m.body, m.stamp.patient, m.stamp.plans, m.stamp.audience) for m in page.matches]
    return [of_each, page.included, page.next, page.previous, page.total]


def test_one_command_brings_the_page_and_proves_the_circles(
    other: MongoStore, person: Person, failing_command: Any
) -> None:
    with failing_command("find", None, appName=person.id, errorCode=8):
        page = person.asked(other)

    assert ids(page) == ["-0", "-1", "-2"]
    assert shown(page) == shown(other.search(person.query(), [Grant("", plans=(person.id,))], now()))


def test_its_pages_lead_on_and_back(other: MongoStore, person: Person) -> None:
    first = person.asked(other, ("_count", "2"))
    assert first is not None
    assert first.next is not None
    second = person.asked(other, ("_count", "2"), ("_cursor", first.next))
    assert second is not None
    assert second.previous is not None
    back = person.asked(other, ("_count", "2"), ("_cursor", second.previous))

    assert [ids(first), ids(second), ids(back)] == [["-0", "-1"], ["-2"], ["-0", "-1"]]


def test_circles_that_are_others_now_decide_nothing(store: MongoStore, other: MongoStore, person: Person) -> None:
    person.admits(store, "Organization/1")

    assert person.asked(other) is None
    assert ids(person.asked(other)) == []
    assert person.given == [
        [person.circle(person.id, "Organization/1", "Organization/2")],
        [person.circle(person.id, "Organization/1")],
    ]


def test_a_further_circle_is_noticed(store: MongoStore, other: MongoStore, person: Person) -> None:
    store.transact(lambda tx: tx.save_circle(person.circle(f"{person.id}-later", "Organization/2")))

    assert person.asked(other) is None
    assert len(person.given[0]) == 1
    assert ids(person.asked(other)) == ["-0", "-1", "-2"]
    assert len(person.given[1]) == 2


def test_of_whom_nothing_was_seen_it_needs_two_questions(store: MongoStore, person: Person, mongo_url: str) -> None:
    assert person.asked(store) is None
    person.looked_up(store)
    assert ids(person.asked(store)) == ["-0", "-1", "-2"]


def test_what_many_search_at_the_same_moment_is_each_ones_own(
    other: MongoStore, store: MongoStore, person: Person, version_of: Any
) -> None:
    """Of several people, with and without more pages; one of them is no longer cared for by who asks."""
    people = [person, *(Person(store, version_of) for _ in range(5))]
    for each in people:
        each.looked_up(other)
    people[3].admits(store, "Organization/1")
    asked = [(each, more) for each in people for more in ((), (("_count", "1"),))] * 5
    random.shuffle(asked)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda one: (one, one[0].asked(other, *one[1])), asked))

    for (each, more), page in found:
        if each is people[3]:
            assert page is None or page.matches == ()
            continue
        assert page is not None
        assert [match.id for match in page.matches] == [f"{each.id}-{n}" for n in range(1 if more else 3)]
        assert (page.next is not None) == bool(more)


def test_others_wait_for_half_a_second_at_most_and_who_needs_longer_asks_again_alone(
    other: MongoStore, person: Person, database: Database[dict[str, Any]], failing_command: Any
) -> None:
    """The first command is given up by MongoDB, as when its time is over."""
    database.command({"profile": 2})
    try:
        with failing_command("aggregate", None, times=1, appName=person.id, errorCode=50):
            assert ids(person.asked(other)) == ["-0", "-1", "-2"]
        assert ids(person.asked(other)) == ["-0", "-1", "-2"]
    finally:
        database.command({"profile": 0})

    asked = {"appName": person.id, "command.aggregate": "Condition"}
    found = list(database["system.profile"].find(asked).sort("$natural", 1))
    database["system.profile"].drop()
    limits = [each["command"]["maxTimeMS"] for each in found]
    assert limits[:2] == [MAX_TIME_MS, 500]
    assert limits[2:] in ([], [MAX_TIME_MS]), "half a second may have been too short for it"


def test_whose_own_time_is_over_is_refused(other: MongoStore, person: Person, failing_command: Any) -> None:
    with failing_command("aggregate", None, appName=person.id, errorCode=50), pytest.raises(TooCostly):
        person.asked(other)


def test_an_order_that_is_worked_out_needs_two_questions(other: MongoStore, person: Person) -> None:
    assert person.asked(other, ("_sort", "clinical-status")) is None


def test_a_transaction_goes_by_what_it_sees_itself(other: MongoStore, person: Person) -> None:
    assert other.transact(lambda tx: person.asked(tx)) is None


def test_only_those_who_were_asked_about_last_are_remembered() -> None:
    seen, circle = SeenCircles(most=2), Circle("1", "Patient/1", "als-be", "Organization/1", "", "")
    for patient in ("a", "b", "a", "c"):
        seen.keep(patient, [circle])
    assert [seen.about(each) for each in ("a", "b", "c")] == [[circle], None, [circle]]

    seen.keep("a", [circle] * (MOST_OF_ONE + 1))
    assert seen.about("a") is None
