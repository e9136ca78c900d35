"""Questions that are answered by one batch, and what happens when an answer does not fit into one."""

import random
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from pymongo.database import Database

from fhir_server.fhir.dates import now
from fhir_server.search.grant import Grant, Reader
from fhir_server.search.parse import parse
from fhir_server.store.contract import Transaction
from fhir_server.store.mongo.connection import Connection, MoreToCome
from fhir_server.store.mongo.store import MongoStore
from fhir_server.store.values import Circle, Stored


@pytest.fixture
def id() -> str:
    return str(uuid.uuid4())


def circle(plan: str, patient: str, *members: str) -> Circle:
    return Circle(
        plan, patient, "als-be", "Organization/1", "Organization/9", "team", tuple(Reader(each) for each in members)
    )


def test_a_resource_comes_with_the_circles_of_its_plans(store: MongoStore, version_of: Any, id: str) -> None:
    plans = (f"{id}-a", f"{id}-b", f"{id}-without")
    stored = version_of("Condition", id, plans=plans, patient="Patient/1")

    def write(tx: Transaction) -> None:
        tx.save(stored)
        for plan in (*plans[:2], f"{id}-other"):
            tx.save_circle(circle(plan, "Patient/1", f"Organization/{plan}"))
        assert tx.read_with_circles("Condition", id)[1] == [
            circle(p, "Patient/1", f"Organization/{p}") for p in plans[:2]
        ]

    store.transact(write)

    found, circles = store.read_with_circles("Condition", id)
    assert found == store.read("Condition", id)
    assert found is not None
    assert (found.body, found.stamp) == (stored.body, stored.stamp)
    assert circles == [circle(plan, "Patient/1", f"Organization/{plan}") for plan in plans[:2]]
    assert store.read_with_circles("Condition", f"{id}-absent") == (None, [])


def test_what_many_read_at_the_same_moment_is_each_ones_own(store: MongoStore, version_of: Any, id: str) -> None:
    """The last ones are so large that no two of them fit into one answer."""
    written = [version_of("Condition", f"{id}-{n}", plans=(f"{id}-{n}",), patient=f"Patient/{n}") for n in range(20)]
    written += [
        replace(each, body=each.body + b" " * 9_000_000)
        for each in (version_of("Condition", f"{id}-large-{n}", plans=(f"{id}-{n}",)) for n in range(3))
    ]

    for n, stored in enumerate(written):

        def write(tx: Transaction, n: int = n, stored: Stored = stored) -> None:
            tx.save(stored)
            tx.save_circle(circle(f"{id}-{n}", f"Patient/{id}-{n}", f"Organization/{n}"))

        store.transact(write)

    with ThreadPoolExecutor(16) as pool:
        asked = [*written, version_of("Condition", f"{id}-absent")] * 3
        random.shuffle(asked)
        found = list(pool.map(lambda each: store.read_with_circles("Condition", each.id), asked))
        people = list(pool.map(store.circles_about, [f"Patient/{id}-{n}" for n in range(25)]))

    for each, (stored, circles) in zip(asked, found, strict=True):
        if each.id == f"{id}-absent":
            assert (stored, circles) == (None, [])
            continue
        assert stored is not None
        assert (stored.id, stored.body) == (each.id, each.body)
        assert [circle.plan for circle in circles] == list(each.stamp.plans)
    there = [f"{id}-{n}" for n in range(23)]
    assert [[circle.plan for circle in each] for each in people] == [[plan] for plan in there] + [[], []]


def test_a_person_may_have_more_circles_than_one_batch_holds(
    store: MongoStore, database: Database[dict[str, Any]], id: str
) -> None:
    person, party = f"Patient/{id}", f"Organization/{id}"

    def write(tx: Transaction) -> None:
        for number in range(620):
            tx.save_circle(circle(f"{id}-{number:03d}", person, party if number % 2 else "Organization/other"))

    store.transact(write)

    assert [each.plan for each in store.circles_about(person)] == [f"{id}-{number:03d}" for number in range(620)]
    mine = store.circles(parties=[party], patient=person, moment=now(), limit=1000)
    assert [each.plan for each in mine] == [f"{id}-{number:03d}" for number in range(1, 620, 2)]
    assert len(store.circles(parties=[party], patient=person, moment=now(), limit=7)) == 7


def test_what_does_not_fit_into_one_batch_is_said(
    mongo_url: str, database_name: str, store: MongoStore, id: str
) -> None:
    store.transact(lambda tx: [tx.save_circle(circle(f"{id}-{n}", id)) for n in range(3)])
    connection = Connection(mongo_url, database_name)

    with pytest.raises(MoreToCome):
        connection.first_batch({"find": "circles", "filter": {"patient": id}, "batchSize": 2})
    assert len(connection.first_batch({"find": "circles", "filter": {"patient": id}})) == 3
    connection.close()


def test_a_read_is_asked_again_when_the_connection_was_lost(
    mongo_url: str, database_name: str, store: MongoStore, version_of: Any, failing_command: Any, id: str
) -> None:
    store.transact(lambda tx: tx.save(version_of("Condition", id)))
    with (
        MongoStore(f"{mongo_url}&appName={id}", database_name, secret=b"s") as other,
        failing_command("aggregate", None, times=1, appName=id, closeConnection=True),
    ):
        found, _ = other.read_with_circles("Condition", id)
    assert found is not None


def test_a_page_that_does_not_fit_into_one_batch_is_whole(store: MongoStore, version_of: Any, id: str) -> None:
    for number in range(5):
        large = version_of("Condition", f"{id}-{number}", plans=(id,), content={"note": [{"text": "x" * 4_000_000}]})
        store.transact(lambda tx, large=large: tx.save(large))  # type: ignore[misc]

    query = parse("Condition", [("_count", "10")], base_url="")
    page = store.search(query, [Grant("", plans=(id,))], now())

    assert [match.id for match in page.matches] == [f"{id}-{number}" for number in range(5)]
    assert {len(match.body) > 4_000_000 for match in page.matches} == {True}


def test_a_page_that_the_database_sorts_itself_is_one_batch(
    mongo_url: str, database_name: str, store: MongoStore, version_of: Any, failing_command: Any, id: str
) -> None:
    for number in range(4):
        said = {"code": {"text": id, "coding": [{"code": id}]}, "effectiveDateTime": f"2026-05-0{number + 1}"}
        made = version_of("Observation", f"{id}-{number}", plans=(id,), content=said)
        store.transact(lambda tx, made=made: tx.save(made))  # type: ignore[misc]
    query = parse("Observation", [("code", id), ("_sort", "-date"), ("_count", "2")], base_url="")

    with (
        MongoStore(f"{mongo_url}&appName={id}", database_name, secret=b"s") as other,
        failing_command("killCursors", None, appName=id, errorCode=8),
    ):
        page = other.search(query, [Grant("", plans=(id,))], now())

    assert [match.id for match in page.matches] == [f"{id}-3", f"{id}-2"]
