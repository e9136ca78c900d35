"""Containers sorted by what was found in them: as a reader of the resources would, page by page, there and back."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cmp_to_key
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.database import Database

from fhir_server.fhir.json import Resource
from fhir_server.search.carried import is_the_match, matches_inside
from fhir_server.search.parse import parse
from fhir_server.search.query import Query
from fhir_server.store.mongo.contained import mark_empty
from fhir_server.store.mongo.search.several import search_several
from fhir_server.store.values import Page, Stored
from tests.store.search_questions import BASE_URL, MOMENT, often
from tests.store.test_search_contained import contained_query
from tests.store.test_search_sorting import EVERYONE, SECRET, UCUM, coded, document, sort_value

TYPES = ["Observation", "Task"]
META = {"lastUpdated": "2026-02-01T10:00:00.000Z"}
Sorts = Sequence[tuple[str, bool]]

measured = st.sampled_from(["1", "2", "10"]).map(lambda value: {"value": Decimal(value), "code": "kg", "system": UCUM})
parts = st.fixed_dictionaries(
    {"resourceType": st.just("Observation"), "status": st.sampled_from(["final", "amended"])},
    optional={
        "code": coded,
        "valueQuantity": measured,
        "valueString": st.sampled_from(["Été", "x y", "b"]),
        "effectiveDateTime": st.sampled_from(["2026", "2027-01-01"]),
        "subject": st.sampled_from([{"reference": "Patient/1"}, {"reference": "Patient/2"}]),
    },
)


def holding(contained: list[Resource], outer: Resource, by: str) -> Resource:
    """The outer resource with others inside, of which it refers to the first."""
    inner = [{**each, "id": f"c{at}"} for at, each in enumerate(contained)]
    refers = {"Task": {"focus": {"reference": by}}, "Observation": {"hasMember": [{"reference": by}]}}
    return {**outer, "meta": META, "contained": inner, **refers[outer["resourceType"]]}


tasks = st.just({"resourceType": "Task", "status": "requested"})
holders = st.builds(holding, st.lists(parts, max_size=3), tasks | parts, st.sampled_from(["#c0", "Observation/0"]))
ORDERS = ["code", "status", "value-quantity", "value-string", "date", "subject", "code-value-quantity", "_lastUpdated"]
QUESTIONS = [
    [],
    [("status", "final")],
    [("code", "a,b")],
    [("_has:Observation:has-member:status", "final")],
    [("_has:Task:focus:status", "requested"), ("status", "final")],
    [("_filter", "status eq final or value-quantity gt 1")],
]


@pytest.fixture(scope="module")
def apart(mongo_client: MongoClient[dict[str, Any]]) -> Iterator[Database[dict[str, Any]]]:
    """A database of these tests alone: they ask whole collections."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    mark_empty(mongo_client[name], TYPES)
    yield mongo_client[name]
    mongo_client.drop_database(name)


def walked(apart: Database[dict[str, Any]], pairs: list[tuple[str, str]]) -> list[str]:
    """The ids of all pages, which the way back must show in the same order."""

    def page(cursor: str | None) -> Page[Stored]:
        asked = parse("Observation", [*pairs, *([("_cursor", cursor)] if cursor else ())], base_url=BASE_URL)
        queries = [contained_query(asked, name) for name in TYPES]
        return search_several(apart, [(query, EVERYONE) for query in queries], MOMENT, secret=SECRET)

    pages = [page(None)]
    while pages[-1].next:
        pages.append(page(pages[-1].next))
    back = [pages[-1]]
    while back[-1].previous:
        back.append(page(back[-1].previous))
    assert [each.matches for each in back[::-1]] == [each.matches for each in pages]
    return [match.id for each in pages for match in each.matches]


def compared(queries: Mapping[str, Query], sorts: Sorts, one: Resource, other: Resource) -> int:
    for name, down in sorts:
        mine, theirs = (value(queries[each["resourceType"]], each, name, down) for each in (one, other))
        if mine != theirs:
            if mine is None or theirs is None:
                return 1 if mine is None else -1
            return -1 if (mine < theirs) is not down else 1
    return -1 if (one["id"] < other["id"]) is not sorts[-1][1] else 1


def value(query: Query, resource: Resource, name: str, down: bool) -> Any:
    """The least, or greatest, of what was found of the resource: itself, and what it contains."""
    found = [*([resource] if is_the_match(query, resource) else ()), *matches_inside(query, resource)]
    if name == "_lastUpdated":
        return META["lastUpdated"]
    values = [each for part in found if (each := sort_value(part, name, descending=down)) is not None]
    return (max(values) if down else min(values)) if values else None


@often
@given(
    drawn=st.lists(holders, min_size=2, max_size=7),
    question=st.sampled_from(QUESTIONS),
    how=st.sampled_from(["true", "both"]),
    orders=st.lists(
        st.tuples(st.sampled_from(ORDERS), st.booleans()), min_size=1, max_size=2, unique_by=lambda e: e[0]
    ),
)
def test_containers_come_in_the_order_of_what_was_found_in_them(
    apart: Database[dict[str, Any]], drawn: list[Resource], question: list[tuple[str, str]], how: str, orders: Sorts
) -> None:
    resources = [{**each, "id": str(position)} for position, each in enumerate(drawn)]
    for name in TYPES:
        apart[name].delete_many({})
        made = [document(each) for each in resources if each["resourceType"] == name]
        if made:
            apart[name].insert_many(made)
    pairs = [*question, ("_contained", how), ("_count", "2")]
    pairs.append(("_sort", ",".join("-" * down + name for name, down in orders)))
    asked = parse("Observation", pairs, base_url=BASE_URL)
    queries = {name: contained_query(asked, name) for name in TYPES}
    matching = [
        each
        for each in resources
        if is_the_match(query := queries[each["resourceType"]], each) or matches_inside(query, each)
    ]

    found = walked(apart, pairs)

    event("several match" if len(matching) > 1 else "few match")
    in_order = sorted(matching, key=cmp_to_key(lambda one, other: compared(queries, orders, one, other)))
    assert found == [each["id"] for each in in_order]
