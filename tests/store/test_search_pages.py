"""Pages of a search: nobody is shown twice, nobody is left out, nothing is shown that no grant admits."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import pymongo
import pytest
from pymongo import MongoClient
from pymongo.database import Database

from fhir_server.fhir.dates import instant
from fhir_server.fhir.errors import MalformedRequest, TooCostly
from fhir_server.fhir.json import encode
from fhir_server.search.grant import Grant, Reader, Stamp
from fhir_server.search.parse import parse
from fhir_server.search.query import Query
from fhir_server.store.mongo.documents import current_document
from fhir_server.store.mongo.indexing.indexes import ensure_indexes
from fhir_server.store.mongo.search import paging
from fhir_server.store.mongo.search.going_through import linked
from fhir_server.store.mongo.search.searching import search
from fhir_server.store.values import Page, Stored

SECRET = b"a secret of these tests"
MOMENT = datetime(2026, 5, 1, 12, tzinfo=UTC)
EVERYONE = [Grant("open", everyone=True)]
OPEN = Stamp(audience="everyone")
HOME = "Organization/home"
STATUSES = ["requested", "accepted", "completed"]

Keep = Callable[..., str]


@pytest.fixture(scope="module")
def apart(mongo_client: MongoClient[dict[str, Any]]) -> Iterator[Database[dict[str, Any]]]:
    """A database of these tests alone, with its indexes."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    ensure_indexes(mongo_client[name], ["Task", "ServiceRequest", "Patient", "Observation"])
    yield mongo_client[name]
    mongo_client.drop_database(name)


@pytest.fixture
def keep(apart: Database[dict[str, Any]]) -> Keep:
    """`keep("Task", status="requested")` stores a resource and gives its `Type/id`."""

    def store(
        type_name: str, *, stamp: Stamp = OPEN, updated: datetime = MOMENT, deleted: bool = False, **content: Any
    ) -> str:
        id = content.pop("id", uuid.uuid4().hex)
        meta = {**content.pop("meta", {}), "lastUpdated": instant(updated)}
        body = encode({"resourceType": type_name, "id": id, "meta": meta, **content})
        apart[type_name].insert_one(current_document(Stored(type_name, id, 1, updated, body, stamp, deleted)))
        return f"{type_name}/{id}"

    return store


def asked(type_name: str, *pairs: tuple[str, str]) -> Query:
    return parse(type_name, pairs, base_url="https://here.example/fhir")


def tagged(type_name: str, tag: str, *pairs: tuple[str, str]) -> Query:
    """A query of the resources of one test only."""
    return asked(type_name, ("_tag", tag), *pairs)


def pages(apart: Database[dict[str, Any]], type_name: str, tag: str, *pairs: tuple[str, str]) -> list[Page[Stored]]:
    found = [search(apart, tagged(type_name, tag, *pairs), EVERYONE, MOMENT, secret=SECRET)]
    while found[-1].next:
        query = tagged(type_name, tag, *pairs, ("_cursor", found[-1].next))
        found.append(search(apart, query, EVERYONE, MOMENT, secret=SECRET))
    return found


@pytest.fixture
def tag() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def tasks(keep: Keep, tag: str) -> list[str]:
    """Twenty-three tasks whose sort values repeat and are sometimes missing."""
    return [
        keep(
            "Task",
            meta={"tag": [{"code": tag}]},
            updated=MOMENT + timedelta(milliseconds=number // 4),
            status=STATUSES[number % 3],
            **({"authoredOn": f"2026-04-{1 + number // 5:02}"} if number % 4 else {}),
        )
        for number in range(23)
    ]


@pytest.mark.parametrize(
    "sort",
    [
        "_id",
        "-_id",
        "_lastUpdated",
        "-_lastUpdated",
        "authored-on",
        "-authored-on",
        "status,-authored-on",
        "-status,authored-on,-_lastUpdated",
        "-authored-on,_id",
    ],
)
def test_pages_show_each_match_once_and_in_order(
    apart: Database[dict[str, Any]], tasks: list[str], tag: str, sort: str
) -> None:
    at_once = pages(apart, "Task", tag, ("_sort", sort))
    in_pages = pages(apart, "Task", tag, ("_sort", sort), ("_count", "5"))

    shown = [each.reference for page in in_pages for each in page.matches]
    assert [len(page.matches) for page in in_pages] == [5, 5, 5, 5, 3]
    assert shown == [each.reference for each in at_once[0].matches]
    assert sorted(shown) == sorted(tasks)


@pytest.mark.parametrize("sort", ["authored-on", "-authored-on"])
def test_what_has_no_value_comes_last_both_ways(
    apart: Database[dict[str, Any]], tasks: list[str], tag: str, sort: str
) -> None:
    (page,) = pages(apart, "Task", tag, ("_sort", sort))
    dates = [each.resource().get("authoredOn") for each in page.matches]

    given = [date for date in dates if date]
    assert given == sorted(given, reverse=sort.startswith("-"))
    assert dates[len(given) :] == [None] * 6


def test_a_page_that_is_just_full_has_no_next(apart: Database[dict[str, Any]], tasks: list[str], tag: str) -> None:
    (page,) = pages(apart, "Task", tag, ("_count", "23"))
    assert (len(page.matches), page.next) == (23, None)


def test_the_total_is_counted_only_when_asked(apart: Database[dict[str, Any]], tasks: list[str], tag: str) -> None:
    assert [page.total for page in pages(apart, "Task", tag, ("_count", "20"))] == [None, None]
    assert [page.total for page in pages(apart, "Task", tag, ("_count", "20"), ("_total", "accurate"))] == [23, 23]


@pytest.mark.parametrize("pair", [("_summary", "count"), ("_count", "0")])
def test_a_count_shows_no_resources(
    apart: Database[dict[str, Any]], tasks: list[str], tag: str, pair: tuple[str, str]
) -> None:
    assert pages(apart, "Task", tag, pair) == [Page((), total=23)]


def cursor_of(apart: Database[dict[str, Any]], tag: str, *pairs: tuple[str, str]) -> str:
    page = search(apart, tagged("Task", tag, *pairs, ("_count", "5")), EVERYONE, MOMENT, secret=SECRET)
    assert page.next
    return page.next


@pytest.mark.parametrize(
    "pairs",
    [[("status", "requested")], [("_sort", "_lastUpdated")], [("_sort", "-_id")], [("_tag", "another")]],
)
def test_a_cursor_serves_only_the_question_it_was_given_for(
    apart: Database[dict[str, Any]], tasks: list[str], tag: str, pairs: list[tuple[str, str]]
) -> None:
    query = tagged("Task", tag, *pairs, ("_cursor", cursor_of(apart, tag)))
    with pytest.raises(MalformedRequest, match="_cursor"):
        search(apart, query, EVERYONE, MOMENT, secret=SECRET)


@pytest.mark.parametrize("spoilt", ["", "x", "ééé", "A" * 40, "=", "a" * 5000, "Zm9v"])
def test_a_cursor_that_we_did_not_write_is_refused(apart: Database[dict[str, Any]], tag: str, spoilt: str) -> None:
    with pytest.raises(MalformedRequest, match="_cursor"):
        search(apart, tagged("Task", tag, ("_cursor", spoilt)), EVERYONE, MOMENT, secret=SECRET)


def test_a_cursor_cannot_be_changed_by_one_character(
    apart: Database[dict[str, Any]], tasks: list[str], tag: str
) -> None:
    cursor = cursor_of(apart, tag)
    for position in range(0, len(cursor) - 1, 7):
        changed = cursor[:position] + ("A" if cursor[position] != "A" else "B") + cursor[position + 1 :]
        with pytest.raises(MalformedRequest, match="_cursor"):
            search(apart, tagged("Task", tag, ("_cursor", changed)), EVERYONE, MOMENT, secret=SECRET)


def test_a_cursor_of_another_server_is_refused(apart: Database[dict[str, Any]], tasks: list[str], tag: str) -> None:
    query = tagged("Task", tag, ("_cursor", cursor_of(apart, tag)))
    with pytest.raises(MalformedRequest, match="_cursor"):
        search(apart, query, EVERYONE, MOMENT, secret=b"another secret")


def test_a_member_who_is_removed_between_pages_sees_no_further_page(
    apart: Database[dict[str, Any]], keep: Keep, tag: str
) -> None:
    removed = MOMENT + timedelta(hours=1)
    for _ in range(6):
        keep("Task", stamp=Stamp(readers=(Reader(HOME, until=removed),)), meta={"tag": [{"code": tag}]}, status="draft")
    grants = [Grant("circle", readers=(HOME,))]

    first = search(apart, tagged("Task", tag, ("_count", "5")), grants, MOMENT, secret=SECRET)
    query = tagged("Task", tag, ("_count", "5"), ("_cursor", str(first.next)))

    assert len(first.matches) == 5
    assert len(search(apart, query, grants, MOMENT, secret=SECRET).matches) == 1
    assert search(apart, query, grants, removed, secret=SECRET).matches == ()


def test_without_a_grant_nothing_is_found_and_nothing_counted(
    apart: Database[dict[str, Any]], tasks: list[str], tag: str
) -> None:
    page = search(apart, tagged("Task", tag, ("_total", "accurate")), [], MOMENT, secret=SECRET)
    assert page == Page((), total=0)


def test_a_tombstone_is_never_found(apart: Database[dict[str, Any]], keep: Keep) -> None:
    kept = keep("Task", status="draft", deleted=True)
    page = search(apart, asked("Task", ("_id", kept.partition("/")[2])), EVERYONE, MOMENT, secret=SECRET)
    assert page.matches == ()


@pytest.fixture
def ordered(keep: Keep, tag: str) -> dict[str, str]:
    """Two tasks with one order, which only HOME may read, and a patient whom everyone may read."""
    order = keep("ServiceRequest", stamp=Stamp(readers=(Reader(HOME),)), status="active", intent="order")
    patient = keep("Patient")
    for _ in range(2):
        keep(
            "Task",
            meta={"tag": [{"code": tag}]},
            status="draft",
            focus={"reference": order},
            **{"for": {"reference": patient}},
        )
    return {"order": order, "patient": patient}


def including(apart: Database[dict[str, Any]], tag: str, grants: list[Grant] | None, *includes: str) -> list[str]:
    query = tagged("Task", tag, *(("_include", each) for each in includes))
    page = search(
        apart, query, EVERYONE, MOMENT, secret=SECRET, grants_for=None if grants is None else lambda type_name: grants
    )
    assert len(page.matches) == 2
    return [each.reference for each in page.included]


def test_an_included_resource_is_shown_once(apart: Database[dict[str, Any]], ordered: dict[str, str], tag: str) -> None:
    grants = [Grant("circle", readers=(HOME,)), *EVERYONE]
    assert including(apart, tag, grants, "Task:focus", "Task:patient") == [ordered["order"], ordered["patient"]]


def test_an_included_resource_that_no_grant_admits_is_absent(
    apart: Database[dict[str, Any]], ordered: dict[str, str], tag: str
) -> None:
    assert including(apart, tag, EVERYONE, "Task:focus", "Task:patient") == [ordered["patient"]]
    assert including(apart, tag, [], "Task:focus", "Task:patient") == []
    assert including(apart, tag, None, "Task:focus", "Task:patient") == []


def test_an_include_may_name_the_type_that_it_wants(
    apart: Database[dict[str, Any]], ordered: dict[str, str], tag: str
) -> None:
    grants = [Grant("circle", readers=(HOME,)), *EVERYONE]
    assert including(apart, tag, grants, "Task:focus:CarePlan", "Task:subject:Patient") == [ordered["patient"]]


def test_a_match_is_not_included_again(apart: Database[dict[str, Any]], keep: Keep, tag: str) -> None:
    whole = keep("Task", meta={"tag": [{"code": tag}]}, status="draft")
    keep("Task", meta={"tag": [{"code": tag}]}, status="draft", partOf=[{"reference": whole}])
    assert including(apart, tag, EVERYONE, "Task:part-of") == []


def test_a_deleted_resource_is_not_included(apart: Database[dict[str, Any]], keep: Keep, tag: str) -> None:
    gone = keep("Patient", deleted=True)
    for _ in range(2):
        keep("Task", meta={"tag": [{"code": tag}]}, status="draft", **{"for": {"reference": gone}})
    assert including(apart, tag, EVERYONE, "Task:patient") == []


@pytest.mark.parametrize("code", [50, 292])
def test_a_search_that_is_too_costly_says_how_to_narrow_it(
    database: Database[dict[str, Any]], failing_command: Callable[..., AbstractContextManager[None]], code: int
) -> None:
    with failing_command("find", "Task", errorCode=code), pytest.raises(TooCostly, match="Narrow it by"):
        search(database, asked("Task"), EVERYONE, MOMENT, secret=SECRET)


def test_the_time_limit_reaches_the_database(apart: Database[dict[str, Any]]) -> None:
    for begin in range(0, 200_000, 50_000):
        apart["Observation"].insert_many([{"_id": f"{each}", "del": False} for each in range(begin, begin + 50_000)])
    slow = asked("Observation", ("value-string:contains", "x"), ("code:not", "y"), ("_total", "accurate"))
    with pytest.raises(TooCostly, match="Narrow it by"), pymongo.timeout(10):
        search(apart, slow, EVERYONE, MOMENT, secret=SECRET, max_time_ms=10)


SORTS = [
    "_id",
    "-_id",
    "_lastUpdated",
    "-_lastUpdated,_id",
    "authored-on",
    "-authored-on,status",
    "status,-_lastUpdated",
]


@pytest.mark.parametrize("sort", SORTS)
def test_the_way_back_shows_the_same_pages(
    apart: Database[dict[str, Any]], tasks: list[str], tag: str, sort: str
) -> None:
    pairs = [("_sort", sort), ("_count", "5")]
    there = pages(apart, "Task", tag, *pairs)
    back, cursor = [there[-1]], there[-1].previous
    while cursor:
        back.append(search(apart, tagged("Task", tag, *pairs, ("_cursor", cursor)), EVERYONE, MOMENT, secret=SECRET))
        cursor = back[-1].previous

    assert [page.matches for page in back[::-1]] == [page.matches for page in there]
    assert there[0].previous is None
    assert all(page.next for page in back[1:])


def test_a_cursor_is_good_for_a_day(apart: Database[dict[str, Any]], tasks: list[str], tag: str) -> None:
    query = tagged("Task", tag, ("_cursor", cursor_of(apart, tag)))
    assert search(apart, query, EVERYONE, MOMENT + timedelta(hours=23), secret=SECRET).matches
    with pytest.raises(MalformedRequest, match="more than a day ago"):
        search(apart, query, EVERYONE, MOMENT + timedelta(hours=25), secret=SECRET)


def test_an_estimated_total_is_the_number_when_that_is_quick(
    apart: Database[dict[str, Any]], tasks: list[str], tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "ESTIMATE_MS", 60_000)  # what is quick may still be held up
    [page] = pages(apart, "Task", tag, ("_total", "estimate"))
    assert page.total == len(tasks)


@pytest.mark.parametrize(("limit", "found"), [(23, 23), (22, None)])
def test_what_a_join_goes_through_is_bounded(
    apart: Database[dict[str, Any]], tasks: list[str], tag: str, limit: int, found: int | None
) -> None:
    query = tagged("Task", tag)
    if found is None:
        with pytest.raises(TooCostly, match="goes through more than 22 resources of the type Task"):
            linked(apart, query, EVERYONE, MOMENT, parameter=None, limit=limit)
    else:
        assert sorted(linked(apart, query, EVERYONE, MOMENT, parameter=None, limit=limit)) == sorted(tasks)


def test_what_no_grant_admits_does_not_count_towards_the_bound(
    apart: Database[dict[str, Any]], tasks: list[str], tag: str
) -> None:
    assert linked(apart, tagged("Task", tag), [], MOMENT, parameter=None, limit=1) == []
    assert linked(apart, tagged("Task", tag), [Grant("x", readers=(HOME,))], MOMENT, parameter=None, limit=1) == []


def test_numbers_are_sorted_with_the_missing_last(apart: Database[dict[str, Any]], keep: Keep, tag: str) -> None:
    ucum = {"system": "http://unitsofmeasure.org"}
    values: list[tuple[str, str] | None] = [("5", "mg"), ("0.001", "g"), None, ("2", "mg"), None]
    made = [
        keep(
            "Observation",
            meta={"tag": [{"code": tag}]},
            **({"valueQuantity": {"value": float(value[0]), "code": value[1], **ucum}} if value else {}),
        )
        for value in values
    ]

    def order(sort: str) -> list[str]:
        found = pages(apart, "Observation", tag, ("_sort", sort), ("_count", "2"))
        return [each.reference for page in found for each in page.matches]

    assert order("value-quantity")[:3] == [made[1], made[3], made[0]]
    assert order("-value-quantity")[:3] == [made[0], made[3], made[1]]
    assert set(order("value-quantity")[3:]) == {made[2], made[4]} == set(order("-value-quantity")[3:])
