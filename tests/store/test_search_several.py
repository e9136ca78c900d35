"""Pages over several types: each match once, in one order, there and back, whatever ties there are."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from fhir_server.fhir.dates import instant
from fhir_server.fhir.errors import MalformedRequest, TooCostly
from fhir_server.fhir.json import Resource, encode
from fhir_server.search.grant import Grant, Stamp
from fhir_server.search.several import parse_several
from fhir_server.store.mongo.documents import current_document
from fhir_server.store.mongo.search import paging, several
from fhir_server.store.mongo.search.several import search_several
from fhir_server.store.values import Page, Stored

SECRET = b"a secret of these tests"
MOMENT = datetime(2026, 5, 1, 12, tzinfo=UTC)
EVERYONE = [Grant("open", everyone=True)]
TYPES = ["CarePlan", "Observation", "Procedure"]
EACH = 9
DATED = {
    "CarePlan": lambda date: {"period": {"start": date}},
    "Observation": lambda date: {"effectiveDateTime": date},
    "Procedure": lambda date: {"performedDateTime": date},
}


@pytest.fixture
def tag(database: Database[dict[str, Any]]) -> str:
    """A tag that twenty-seven resources of three types have; ids and times repeat across the types."""
    tag = uuid.uuid4().hex
    for type_name in TYPES:
        for number in range(EACH):
            id = f"{tag[:12]}-{number}"
            updated = MOMENT + timedelta(milliseconds=number // 3)
            content: Resource = {"resourceType": type_name, "id": id, "meta": {"lastUpdated": instant(updated)}}
            content["meta"]["tag"] = [{"code": tag}]
            content |= DATED[type_name](f"2026-03-0{1 + number // 2}") if number % 4 else {}
            stored = Stored(type_name, id, 1, updated, encode(content), Stamp(audience="everyone"))
            database[type_name].insert_one(current_document(stored))
    return tag


def dated(resource: Resource) -> str | None:
    """The date that a resource of these tests is sorted by."""
    period = resource.get("period", {}).get("start")
    return period or resource.get("effectiveDateTime") or resource.get("performedDateTime")


def page(
    database: Database[dict[str, Any]], *pairs: tuple[str, str], grants: dict[str, Any] | None = None
) -> Page[Stored]:
    queries = parse_several(TYPES, pairs, base_url="https://here.example/fhir", default_count=50, max_count=50)
    granted = [(query, EVERYONE if grants is None else grants.get(query.type, [])) for query in queries]
    return search_several(database, granted, MOMENT, secret=SECRET)


def pages(database: Database[dict[str, Any]], *pairs: tuple[str, str]) -> list[Page[Stored]]:
    found = [page(database, *pairs)]
    while found[-1].next:
        found.append(page(database, *pairs, ("_cursor", found[-1].next)))
    return found


SORTS = [None, "date", "-date", "_id", "-_id", "_lastUpdated", "-_lastUpdated", "-_lastUpdated,_id", "_id,_lastUpdated"]


@pytest.mark.parametrize("sort", SORTS)
def test_pages_over_several_types_show_each_match_once_and_in_order(
    database: Database[dict[str, Any]], tag: str, sort: str | None
) -> None:
    pairs = [("_tag", tag), *([("_sort", sort)] if sort else [])]

    at_once = page(database, *pairs)
    in_pages = pages(database, *pairs, ("_count", "4"))

    shown = [each.reference for every in in_pages for each in every.matches]
    assert [len(every.matches) for every in in_pages] == [4] * 6 + [3]
    assert shown == [each.reference for each in at_once.matches]
    assert len(set(shown)) == len(TYPES) * EACH
    if sort is None:
        assert shown == sorted(shown)
    elif sort in {"date", "-date"}:
        dates = [dated(each.resource()) for each in at_once.matches]
        known = sorted((date for date in dates if date), reverse=sort.startswith("-"))
        assert dates == [*known, *[None] * (len(dates) - len(known))]
    elif "_lastUpdated" in sort.split(",")[0]:
        times = [each.last_updated for each in at_once.matches]
        assert times == sorted(times, reverse=sort.startswith("-"))
    else:
        ids = [each.id for each in at_once.matches]
        assert ids == sorted(ids, reverse=sort.startswith("-"))


@pytest.mark.parametrize("sort", SORTS)
def test_the_way_back_over_several_types_shows_the_same_pages(
    database: Database[dict[str, Any]], tag: str, sort: str | None
) -> None:
    pairs = [("_tag", tag), ("_count", "4"), *([("_sort", sort)] if sort else [])]
    there = pages(database, *pairs)

    back, cursor = [there[-1]], there[-1].previous
    while cursor:
        back.append(page(database, *pairs, ("_cursor", cursor)))
        cursor = back[-1].previous

    assert [every.matches for every in back[::-1]] == [every.matches for every in there]


def test_each_type_is_judged_by_its_own_grants(database: Database[dict[str, Any]], tag: str) -> None:
    seen = page(database, ("_tag", tag), ("_total", "accurate"), grants={"Procedure": EVERYONE})
    assert {each.type for each in seen.matches} == {"Procedure"}
    assert seen.total == EACH
    nothing = page(database, ("_tag", tag), ("_total", "accurate"), grants={})
    assert nothing == Page((), total=0)


@pytest.mark.parametrize("total", ["accurate", "estimate"])
def test_the_total_of_several_types_is_that_of_all(
    database: Database[dict[str, Any]], tag: str, total: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (paging, several):  # what is quick may still be held up
        monkeypatch.setattr(module, "ESTIMATE_MS", 60_000)
    assert page(database, ("_tag", tag), ("_count", "2"), ("_total", total)).total == len(TYPES) * EACH
    assert page(database, ("_tag", tag), ("_summary", "count")) == Page((), total=len(TYPES) * EACH)
    assert page(database, ("_tag", tag)).total is None


def test_more_than_two_thousand_beside_several_types_are_too_costly(
    database: Database[dict[str, Any]], version_of: Callable[..., Stored]
) -> None:
    plan, many = uuid.uuid4().hex, 2001
    contents = [(f"{plan}-{number}", {"basedOn": [{"reference": f"CarePlan/{plan}"}]}) for number in range(many)]
    made = [version_of("Observation", id, content=content, audience="everyone") for id, content in contents]
    database["Observation"].insert_many([current_document(each) for each in made])
    database["CarePlan"].insert_one(current_document(version_of("CarePlan", plan, audience="everyone")))
    pairs = [("_id", plan), ("_revinclude", "Observation:based-on")]
    queries = parse_several(TYPES, pairs, base_url="https://here", default_count=50, max_count=50)
    asked = [(query, EVERYONE) for query in queries]

    def brought() -> tuple[Stored, ...]:
        return search_several(database, asked, MOMENT, secret=SECRET, grants_for=lambda _: EVERYONE).included

    with pytest.raises(TooCostly, match="more than 2000"):
        brought()
    database["Observation"].delete_one({"_id": f"{plan}-0"})
    assert len(brought()) == many - 1
    assert search_several(database, asked, MOMENT, secret=SECRET, grants_for=lambda _: []).included == ()


def test_a_cursor_of_several_types_belongs_to_its_question(database: Database[dict[str, Any]], tag: str) -> None:
    cursor = page(database, ("_tag", tag), ("_count", "4")).next
    assert cursor is not None
    for pairs in ([("_tag", "another")], [("_tag", tag), ("_sort", "_lastUpdated")]):
        with pytest.raises(MalformedRequest, match="_cursor"):
            page(database, *pairs, ("_cursor", cursor))
    two = parse_several(
        TYPES[:2],
        [("_tag", tag), ("_cursor", cursor)],
        base_url="https://here.example/fhir",
        default_count=50,
        max_count=50,
    )
    with pytest.raises(MalformedRequest, match="_cursor"):
        search_several(database, [(query, EVERYONE) for query in two], MOMENT, secret=SECRET)


def test_all_questions_of_a_page_share_one_limit_of_time(database: Database[dict[str, Any]], tag: str) -> None:
    queries = parse_several(TYPES, [("_tag", tag)], base_url="https://here", default_count=50, max_count=50)
    with pytest.raises(TooCostly, match="several types"):
        search_several(database, [(query, EVERYONE) for query in queries], MOMENT, secret=SECRET, max_time_ms=0)
