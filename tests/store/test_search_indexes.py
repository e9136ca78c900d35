"""The searches that people wait for are one range of an index: few keys, no scan, no sort in memory."""

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from fhir_server.definitions.structures import RESOURCE_TYPES
from fhir_server.fhir.dates import instant
from fhir_server.fhir.json import encode
from fhir_server.search.grant import Grant, Reader, Stamp
from fhir_server.search.parse import parse
from fhir_server.store.mongo.documents import current_document
from fhir_server.store.mongo.indexing.indexes import ensure_indexes, indexes_of
from fhir_server.store.mongo.logic import both
from fhir_server.store.mongo.search.queries import grant_filter, query_filter
from fhir_server.store.mongo.search.sorting import after, order_of
from fhir_server.store.values import Stored

MOMENT = datetime(2026, 5, 1, 12, tzinfo=UTC)
PAGE = 50
TASKS = 20_000
OBSERVATIONS = 6_000
BUSY, QUIET, PERSON = "Organization/1", "Organization/2", "Practitioner/3"
STATUSES = ["requested", "accepted", "in-progress", "completed"]
MEMBER = [Grant("circle", readers=(BUSY,))]
NURSE = [Grant("circle", readers=(PERSON, BUSY))]
CHART = [Grant("member", plans=tuple(str(plan) for plan in range(20))), Grant("author", authors=(BUSY,))]


def stored(type_name: str, number: int, stamp: Stamp, **content: Any) -> dict[str, Any]:
    updated = MOMENT - timedelta(seconds=number * 7919 % 1_000_000)
    resource = {"resourceType": type_name, "id": f"{number * 7919 % 1_000_003:07}", **content}
    resource["meta"] = {"lastUpdated": instant(updated)}
    return current_document(Stored(type_name, resource["id"], 1, updated, encode(resource), stamp))


def task(number: int) -> dict[str, Any]:
    chance = random.Random(number)  # the same corpus in every run
    readers = tuple(
        Reader(each) for each in (BUSY, QUIET, PERSON) if chance.random() < (0.05 if each == QUIET else 0.7)
    )
    due = {"restriction": {"period": {"end": f"2026-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"}}}
    return stored(
        "Task",
        number,
        Stamp(readers=readers),
        status=chance.choice(STATUSES),
        intent="order",
        owner={"reference": chance.choice([BUSY, BUSY, QUIET])},
        **{"for": {"reference": f"Patient/{number % 500}"}},
        **(due if chance.random() < 0.8 else {}),
    )


def observation(number: int) -> dict[str, Any]:
    return stored(
        "Observation",
        number,
        Stamp(patient=f"Patient/{number % 30}", plans=(str(number % 30),), author=QUIET),
        status="final",
        code={"coding": [{"system": "http://loinc.org", "code": f"{number % 7}"}]},
        subject={"reference": f"Patient/{number % 30}"},
        effectiveDateTime=f"2026-{1 + number % 12:02}-{1 + number % 28:02}",
    )


@pytest.fixture(scope="module")
def crowded(mongo_client: MongoClient[dict[str, Any]]) -> Iterator[Database[dict[str, Any]]]:
    """A database with 20,000 Tasks of a few organisations and the charts of thirty people."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    database = mongo_client[name]
    ensure_indexes(database, ["Task", "Observation"])
    database["Task"].insert_many([task(number) for number in range(TASKS)])
    database["Observation"].insert_many([observation(number) for number in range(OBSERVATIONS)])
    yield database
    mongo_client.drop_database(name)


def asked(
    database: Database[dict[str, Any]], search: str, grants: list[Grant], *, page: int = 1
) -> tuple[dict[str, Any], int]:
    """The plan of a search's page, with what it cost, and the entries on the page."""
    type_name, _, parameters = search.partition("?")
    pairs = [(name, value) for name, _, value in (each.partition("=") for each in parameters.split("&") if each)]
    query = parse(type_name, pairs, base_url="https://here.example/fhir")
    condition, keys = both(query_filter(query), grant_filter(grants, MOMENT)), order_of(query).keys
    for _ in range(page - 1):
        last = list(database[type_name].find(condition).sort(list(keys)).limit(PAGE))[-1]
        condition = both(
            query_filter(query), grant_filter(grants, MOMENT), after(keys, [dig(last, key) for key, _ in keys])
        )
    found = database[type_name].find(condition).sort(list(keys)).limit(PAGE + 1)
    return found.explain(), min(PAGE, len(list(found.clone())))


def dig(document: Any, path: str) -> Any:
    for name in path.split("."):
        document = document[name]
    return document


def stages(plan: Any) -> set[str]:
    """The names of all stages in a plan."""
    if isinstance(plan, list):
        return {stage for each in plan for stage in stages(each)}
    if not isinstance(plan, dict):
        return set()
    own = {plan["stage"]} if "stage" in plan else set()
    return own.union(*(stages(child) for child in plan.values()))


WORKLISTS = [
    ("Task?status=requested&_sort=due", MEMBER),
    ("Task?status=requested,accepted&_sort=due", MEMBER),
    ("Task?status=requested,accepted,in-progress&_sort=due", NURSE),
    ("Task?status:not=completed&_sort=due", MEMBER),
    ("Task?status=requested&due=lt2026-05-01&_sort=due", MEMBER),
    ("Task?_sort=due", NURSE),
    ("Task?_sort=-_lastUpdated", NURSE),
    ("Task?", MEMBER),
    (f"Task?owner={BUSY}&status=requested&_sort=due", MEMBER),
]


@pytest.mark.parametrize("page", [1, 3])
@pytest.mark.parametrize(("search", "grants"), WORKLISTS)
def test_a_page_of_a_worklist_examines_few_keys(
    crowded: Database[dict[str, Any]], search: str, grants: list[Grant], page: int
) -> None:
    plan, entries = asked(crowded, search, grants, page=page)

    assert entries == PAGE
    assert not stages(plan["queryPlanner"]["winningPlan"]) & {"COLLSCAN", "SORT"}
    assert plan["executionStats"]["totalKeysExamined"] <= 3 * (PAGE + 1)


CHARTS = [
    ("Observation?patient=Patient/7", CHART),
    ("Observation?patient=Patient/7&_sort=-date", CHART),
    ("Observation?patient=7&status=final&_sort=-date", CHART),
]


@pytest.mark.parametrize("page", [1, 3])
@pytest.mark.parametrize(("search", "grants"), CHARTS)
def test_a_page_of_a_chart_examines_few_keys(
    crowded: Database[dict[str, Any]], search: str, grants: list[Grant], page: int
) -> None:
    plan, entries = asked(crowded, search, grants, page=page)

    assert entries == PAGE
    assert not stages(plan["queryPlanner"]["winningPlan"]) & {"COLLSCAN", "SORT"}
    assert plan["executionStats"]["totalKeysExamined"] <= 3 * (PAGE + 1)


@pytest.mark.parametrize(
    ("search", "grants"),
    [
        ("Task?patient=Patient/7", MEMBER),
        ("Observation?patient=Patient/7&code=http://loinc.org|3", CHART),
        ("Observation?code=3&_sort=-_lastUpdated", CHART),
    ],
)
def test_a_selective_search_reads_no_more_than_its_range(
    crowded: Database[dict[str, Any]], search: str, grants: list[Grant]
) -> None:
    plan, entries = asked(crowded, search, grants)

    assert entries > 0
    assert "COLLSCAN" not in stages(plan["queryPlanner"]["winningPlan"])
    assert plan["executionStats"]["totalKeysExamined"] <= 1000


@pytest.mark.parametrize(("search", "grants"), WORKLISTS[:6])
def test_the_way_back_through_a_worklist_examines_few_keys(
    crowded: Database[dict[str, Any]], search: str, grants: list[Grant]
) -> None:
    type_name, _, parameters = search.partition("?")
    pairs = [(name, value) for name, _, value in (each.partition("=") for each in parameters.split("&") if each)]
    query = parse(type_name, pairs, base_url="https://here.example/fhir")
    condition, keys = both(query_filter(query), grant_filter(grants, MOMENT)), order_of(query).keys
    last = list(crowded[type_name].find(condition).sort(list(keys)).limit(2 * PAGE))[-1]
    back = [(field, -direction) for field, direction in keys]
    before = both(condition, after(back, [dig(last, field) for field, _ in back]))
    plan = crowded[type_name].find(before).sort(back).limit(PAGE + 1).explain()

    assert plan["executionStats"]["nReturned"] == PAGE + 1
    assert not stages(plan["queryPlanner"]["winningPlan"]) & {"COLLSCAN", "SORT"}
    assert plan["executionStats"]["totalKeysExamined"] <= 3 * (PAGE + 1)


PEOPLE = ",".join(f"Patient/{number}" for number in range(20))


@pytest.mark.parametrize(
    ("search", "grants"),
    [
        (f"Task?patient={PEOPLE}", MEMBER),  # what a chain comes to
        (f"Observation?subject={PEOPLE}", CHART),  # what refers to a page of people
        (
            f"Task?_id={','.join(f'{number * 7919 % 1_000_003:07}' for number in range(50))}",
            MEMBER,
        ),  # what _has comes to
    ],
)
def test_what_a_join_comes_to_reads_no_more_than_its_ranges(
    crowded: Database[dict[str, Any]], search: str, grants: list[Grant]
) -> None:
    plan, entries = asked(crowded, search, grants)

    assert entries > 0
    assert "COLLSCAN" not in stages(plan["queryPlanner"]["winningPlan"])
    assert plan["executionStats"]["totalKeysExamined"] <= 5000


def test_without_a_grant_no_key_is_examined(crowded: Database[dict[str, Any]]) -> None:
    plan, entries = asked(crowded, "Task?status=requested&_sort=due", [])
    assert (entries, plan["executionStats"]["totalKeysExamined"]) == (0, 0)


def test_a_second_start_finds_the_indexes_in_place(mongo_client: MongoClient[dict[str, Any]]) -> None:
    database = mongo_client[f"test_{uuid.uuid4().hex[:12]}"]
    try:
        ensure_indexes(database, ["Task", "Patient"])
        made = {name: database[name].index_information() for name in ("Task", "Patient")}
        ensure_indexes(database, ["Task", "Patient"])
        assert {name: database[name].index_information() for name in ("Task", "Patient")} == made
        assert len(made["Task"]) == len(indexes_of("Task")) + len(["_id", "waiting"])
    finally:
        mongo_client.drop_database(database.name)


def test_indexes_that_an_earlier_version_had_are_dropped_and_others_stay(
    mongo_client: MongoClient[dict[str, Any]],
) -> None:
    database = mongo_client[f"test_{uuid.uuid4().hex[:12]}"]
    former = [[("readers.p", 1), ("lu", 1), ("_id", 1)], [("readers.p", 1), ("k.due.lo", 1), ("_id", 1)]]
    try:
        for type_name in ("Task", "Patient"):
            for keys in former:
                database[type_name].create_index(keys)
        database["Task"].create_index("method")

        ensure_indexes(database, ["Task", "Patient"])

        kept = {
            name: [index["key"] for index in database[name].index_information().values()]
            for name in ("Task", "Patient")
        }
        assert not [keys for keys in former if keys in kept["Task"]]
        assert [("method", 1)] in kept["Task"]
        assert former[0] in kept["Patient"], "people have no status"
    finally:
        mongo_client.drop_database(database.name)


@pytest.mark.parametrize("search", ["Task?_sort=-_lastUpdated", "Task?_lastUpdated=le2026-05-02", "Task?_sort=due"])
def test_what_has_no_status_stands_among_the_rest(crowded: Database[dict[str, Any]], search: str) -> None:
    only = f"Organization/{uuid.uuid4().hex}"
    with_status, without, unkept = (
        {**stored("Task", 1, Stamp(readers=(Reader(only),)), **said), "_id": uuid.uuid4().hex}
        for said in ({"status": "ready"}, {}, {"status": "ready"})
    )
    del unkept["k"]["status"]
    crowded["Task"].insert_many([with_status, without, unkept])
    name, _, value = search.partition("?")[2].partition("=")
    query = parse("Task", [(name, value)], base_url="https://here.example/fhir")

    found = crowded["Task"].find(both(query_filter(query), grant_filter([Grant("only", readers=(only,))], MOMENT)))

    assert {document["_id"] for document in found} == {with_status["_id"], without["_id"], unkept["_id"]}


@pytest.mark.parametrize("type_name", sorted(RESOURCE_TYPES))
def test_every_index_ends_where_a_page_can_begin_again(type_name: str) -> None:
    for index in indexes_of(type_name):
        assert list(index.document["key"])[-1] == "_id"
