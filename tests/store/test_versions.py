"""Versions of a resource: kept exactly, one after the other, never lost."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo.collection import Collection
from pymongo.database import Database

from fhir_server.fhir.errors import TooLarge, VersionConflict
from fhir_server.search.grant import Grant, Reader, Stamp
from fhir_server.store.contract import Transaction
from fhir_server.store.mongo.changing import changes
from fhir_server.store.mongo.ledger import LEDGER
from fhir_server.store.mongo.store import MongoStore
from fhir_server.store.values import Changed, Span, Stored

Versions = Callable[..., Stored]


@pytest.fixture
def id() -> str:
    return str(uuid.uuid4())


def save(store: MongoStore, *versions: Stored) -> None:
    for version in versions:
        store.transact(lambda tx, version=version: tx.save(version))


def test_what_was_saved_is_read_back_to_the_byte(store: MongoStore, id: str) -> None:
    body = b'{"resourceType":"Observation","id":"x","status":"final","valueQuantity":{"value":1.00}}'
    stamp = Stamp(
        "Patient/1",
        ("plan-1", "plan-2"),
        (Reader("Organization/1"), Reader("Organization/2", datetime(2026, 1, 1, tzinfo=UTC))),
        "Organization/1",
    )
    stored = Stored("Observation", id, 1, datetime(2026, 3, 1, 10, 0, 0, 123000, tzinfo=UTC), body, stamp)
    save(store, stored)
    assert store.read("Observation", id) == stored


def test_what_never_was_is_none(store: MongoStore, id: str) -> None:
    assert store.read("Task", id) is None
    assert store.read_version("Task", id, 1) is None
    assert store.history("Task", id, None, 10) == []


def test_past_versions_stay_readable(store: MongoStore, version_of: Versions, id: str) -> None:
    first = version_of("Task", id, 1, content={"status": "requested"})
    second = version_of("Task", id, 2, content={"status": "accepted"})
    save(store, first, second)
    assert store.read("Task", id) == second
    assert store.read_version("Task", id, 1) == first
    assert store.read_version("Task", id, 2) == second
    assert store.read_version("Task", id, 3) is None
    assert store.read_version("Task", id, 10**30) is None


def test_history_is_newest_first_by_number_and_pages(store: MongoStore, version_of: Versions, id: str) -> None:
    save(store, *(version_of("Task", id, number) for number in range(1, 12)))
    save(store, version_of("Task", id + "0", 1))
    assert [stored.version for stored in store.history("Task", id, None, 100)] == list(range(11, 0, -1))
    assert [stored.version for stored in store.history("Task", id, None, 3)] == [11, 10, 9]
    assert [stored.version for stored in store.history("Task", id, 9, 3)] == [8, 7, 6]
    assert [stored.version for stored in store.history("Task", id, 12, 1)] == [11]
    assert store.history("Task", id, 1, 3) == []


def test_what_is_followed_while_a_history_is_read_stands_in_it_once(
    store: MongoStore, database: Database[dict[str, Any]], version_of: Versions, id: str
) -> None:
    author = f"Organization/{id}"
    first, second = (version_of("Task", id, number, author=author) for number in (1, 2))
    save(store, first)

    def collections(name: str) -> Collection[dict[str, Any]]:
        if name == LEDGER:  # between the question for current versions and the one for past ones
            save(store, second)
        return database[name]

    asked = Span(("Task",)), lambda _: [Grant("author", authors=(author,))], [], datetime.now(UTC), 10
    assert changes(collections, *asked) == [Changed(first, first)]
    assert [each.version.version for each in changes(database.__getitem__, *asked)] == [2, 1]


def test_a_tombstone_keeps_its_stamp_and_no_content(store: MongoStore, version_of: Versions, id: str) -> None:
    first = version_of("Task", id, 1, author="Organization/1", plans=("plan",))
    tombstone = version_of("Task", id, 2, deleted=True, author="Organization/1", plans=("plan",))
    save(store, first, tombstone)
    assert store.read("Task", id) == tombstone
    assert store.read_many([f"Task/{id}"]) == {}
    assert store.history("Task", id, None, 10) == [tombstone, first]


def test_a_tombstone_lies_in_no_plan_any_more(store: MongoStore, version_of: Versions, id: str) -> None:
    plan = str(uuid.uuid4())
    save(store, version_of("Task", id, 1, plans=(plan,)))
    assert [stored.id for stored in store.in_plan(plan, "Task")] == [id]
    save(store, version_of("Task", id, 2, deleted=True, plans=(plan,)))
    assert store.in_plan(plan, "Task") == []


def test_a_deleted_resource_can_come_back(store: MongoStore, version_of: Versions, id: str) -> None:
    save(store, version_of("Task", id, 1), version_of("Task", id, 2, deleted=True), version_of("Task", id, 3))
    assert store.read_many([f"Task/{id}"])[f"Task/{id}"].version == 3


def test_read_many_answers_by_reference_and_ignores_the_rest(store: MongoStore, version_of: Versions, id: str) -> None:
    task, patient = version_of("Task", id), version_of("Patient", id)
    save(store, task, patient)
    asked = [f"Task/{id}", f"Patient/{id}", f"Task/{uuid.uuid4()}", "urn:uuid:1", "https://elsewhere.example/Task/1"]
    assert store.read_many(asked) == {f"Task/{id}": task, f"Patient/{id}": patient}


@pytest.mark.parametrize("number", [1, 3, 7])
def test_a_version_must_follow_the_one_that_is_stored(
    store: MongoStore, version_of: Versions, id: str, number: int
) -> None:
    save(store, version_of("Task", id, 1))
    with pytest.raises(VersionConflict):
        save(store, version_of("Task", id, number))
    assert [stored.version for stored in store.history("Task", id, None, 10)] == [1]


def test_a_second_version_needs_a_first(store: MongoStore, version_of: Versions, id: str) -> None:
    with pytest.raises(VersionConflict):
        save(store, version_of("Task", id, 2))
    assert store.read("Task", id) is None


def test_versions_of_one_transaction_follow_each_other(store: MongoStore, version_of: Versions, id: str) -> None:
    def twice(tx: Transaction) -> None:
        tx.save(version_of("Task", id, 1))
        tx.save(version_of("Task", id, 2))

    def with_a_gap(tx: Transaction) -> None:
        tx.save(version_of("Task", id, 3))
        tx.save(version_of("Task", id, 5))

    store.transact(twice)
    with pytest.raises(VersionConflict, match=f"Task/{id}"):
        store.transact(with_a_gap)
    assert [stored.version for stored in store.history("Task", id, None, 10)] == [2, 1]


def test_more_than_twelve_megabytes_are_refused(store: MongoStore, version_of: Versions, id: str) -> None:
    with pytest.raises(TooLarge, match="at most 12582912"):
        save(store, version_of("Task", id, content={"description": "x" * 12 * 1024 * 1024}))
    save(store, version_of("Task", id, content={"note": [{"text": "x" * 11 * 1024 * 1024}]}))
    current = store.read("Task", id)
    assert current is not None
    assert len(current.body) > 11 * 1024 * 1024


def test_a_new_stamp_makes_no_version_and_leaves_the_past(store: MongoStore, version_of: Versions, id: str) -> None:
    save(store, version_of("Task", id, 1, author="Organization/1"), version_of("Task", id, 2, author="Organization/1"))
    stamp = Stamp("Patient/1", ("plan",), (Reader("Organization/9"),), "Organization/1")
    store.transact(lambda tx: tx.restamp("Task", id, stamp))
    assert [(stored.version, stored.stamp) for stored in store.history("Task", id, None, 10)] == [
        (2, stamp),
        (1, Stamp(author="Organization/1")),
    ]
    current = store.read_version("Task", id, 2)
    assert current is not None
    assert current.stamp == stamp


def test_a_version_that_is_followed_keeps_the_stamp_it_had_then(
    store: MongoStore, version_of: Versions, id: str
) -> None:
    stamped, later = Stamp("Patient/1", ("plan",)), Stamp("Patient/1", ("plan", "other"))
    save(store, version_of("Condition", id, 1, patient="Patient/1"))
    store.transact(lambda tx: tx.restamp("Condition", id, stamped))

    def read_stamp_and_follow(tx: Transaction) -> None:
        tx.read("Condition", id)
        tx.restamp("Condition", id, later)
        tx.save(version_of("Condition", id, 3, patient="Patient/1"))

    save(store, version_of("Condition", id, 2, patient="Patient/1"))
    store.transact(read_stamp_and_follow)
    assert [stored.stamp for stored in store.history("Condition", id, None, 9)] == [
        Stamp("Patient/1"),
        later,
        stamped,
    ]


def test_an_absent_resource_cannot_be_stamped(store: MongoStore, id: str) -> None:
    with pytest.raises(VersionConflict):
        store.transact(lambda tx: tx.restamp("Task", id, Stamp()))
