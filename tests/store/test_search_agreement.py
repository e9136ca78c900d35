"""One Query, two interpreters: the database and the memory answer every question alike."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.database import Database

from fhir_server.fhir.json import Resource
from fhir_server.search.folding import fold
from fhir_server.search.grant import Grant, Reader, Stamp, admits
from fhir_server.search.match import matches
from fhir_server.search.parse import parse
from fhir_server.search.query import Clause, Query, Text
from fhir_server.store.mongo.search.queries import grant_filter, query_filter
from tests.store.search_questions import (
    BASE_URL,
    CODES,
    DATES,
    MOMENT,
    PREFIXES,
    QUESTIONS,
    SYSTEMS,
    UPDATES,
    URLS,
    documents,
    escaped,
    ids,
    often,
)


@pytest.fixture(scope="module")
def apart(mongo_client: MongoClient[dict[str, Any]]) -> Iterator[Database[dict[str, Any]]]:
    """A database of these tests alone: they ask whole collections."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield mongo_client[name]
    mongo_client.drop_database(name)


@pytest.mark.parametrize("type_name", QUESTIONS)
@often
@given(data=st.data())
def test_the_database_and_the_memory_agree(
    apart: Database[dict[str, Any]], type_name: str, data: st.DataObject
) -> None:
    makes, asks = QUESTIONS[type_name]
    resources = [
        {**resource, "id": str(position)} for position, resource in enumerate(data.draw(st.lists(makes, max_size=6)), 1)
    ]
    questions = data.draw(st.lists(asks, min_size=1, max_size=6))
    apart[type_name].delete_many({})
    if resources:
        apart[type_name].insert_many(documents(resources))
    for question in questions:
        query = parse(type_name, question, base_url=BASE_URL, moment=MOMENT)
        in_database = {each["_id"] for each in apart[type_name].find(query_filter(query), {"_id": 1})}
        in_memory = {resource["id"] for resource in resources if matches(query, resource)}
        event("some match" if in_memory else "none matches")
        assert in_database == in_memory, question


@pytest.mark.parametrize("type_name", ["Task", "Observation"])
@often
@given(data=st.data())
def test_the_database_and_the_memory_agree_on_what_is_about_a_person(
    apart: Database[dict[str, Any]], type_name: str, data: st.DataObject
) -> None:
    makes, asks = QUESTIONS[type_name]
    resources = [{**each, "id": str(at)} for at, each in enumerate(data.draw(st.lists(makes, max_size=5)))]
    apart[type_name].delete_many({})
    if resources:
        apart[type_name].insert_many(documents(resources))
    query = parse(type_name, data.draw(asks), base_url=BASE_URL, moment=MOMENT, patient=data.draw(ids))
    in_database = {each["_id"] for each in apart[type_name].find(query_filter(query), {"_id": 1})}
    assert in_database == {resource["id"] for resource in resources if matches(query, resource)}


def agree(apart: Database[dict[str, Any]], resources: list[Resource], name: str, texts: list[str]) -> int:
    """Ask each text of all resources, both ways; the number of matches says that something was compared."""
    type_name, found = resources[0]["resourceType"], 0
    apart[type_name].delete_many({})
    apart[type_name].insert_many(documents(resources))
    for text in texts:
        query = parse(type_name, [(name, text)], base_url=BASE_URL, moment=MOMENT)
        in_database = {each["_id"] for each in apart[type_name].find(query_filter(query), {"_id": 1})}
        in_memory = {resource["id"] for resource in resources if matches(query, resource)}
        assert in_database == in_memory, (name, text)
        found += len(in_memory)
    return found


@pytest.mark.parametrize("name", ["due", "period", "_lastUpdated"])
def test_they_agree_on_every_prefix_of_every_date(apart: Database[dict[str, Any]], name: str) -> None:
    resources = [
        {
            "resourceType": "Task",
            "id": f"{number}",
            "meta": {"lastUpdated": UPDATES[number % len(UPDATES)]},
            "executionPeriod": {"start": start, "end": end},
            "restriction": {"period": {"end": end}},
        }
        for number, (start, end) in enumerate(product([None, *DATES], repeat=2))
    ]
    asked = [*map("".join, product(PREFIXES, [*DATES, *UPDATES])), "lt2026,gt2026", "2026-02-01,2025-12-31"]
    assert agree(apart, resources, name, asked) > 1000


@pytest.mark.parametrize("name", ["code", "code:not", "identifier", "owner:identifier", "_tag"])
def test_they_agree_on_every_form_of_every_token(apart: Database[dict[str, Any]], name: str) -> None:
    pairs = list(product([None, *SYSTEMS], [None, *CODES]))
    resources = []
    for number, (system, code) in enumerate(pairs):
        coding = {key: value for key, value in (("system", system), ("code", code)) if value}
        identifier = {key: value for key, value in (("system", system), ("value", code)) if value}
        resources.append(
            {
                "resourceType": "Task",
                "id": f"{number}",
                "meta": {"lastUpdated": UPDATES[0], "tag": [coding]},
                "code": {"coding": [coding]},
                "identifier": [identifier],
                "owner": {"identifier": identifier},
            }
        )
    forms = ["{1}", "{0}|{1}", "|{1}", "{0}|"]
    asked = {form.format(escaped(system), escaped(code)) for form in forms for system in SYSTEMS for code in CODES}
    assert agree(apart, resources, name, sorted(asked)) > 100


@pytest.mark.parametrize("name", ["value-string", "value-string:contains", "value-string:exact"])
def test_they_agree_on_texts_that_are_near_to_each_other(apart: Database[dict[str, Any]], name: str) -> None:
    texts = ["".join(letters) for length in (1, 2) for letters in product("abcÁ힣𝔷$+", repeat=length)]
    resources = [
        {"resourceType": "Observation", "id": text, "meta": {"lastUpdated": UPDATES[0]}, "valueString": text}
        for text in texts
    ]
    asked = [text for text in texts if any(character.isalnum() for character in text)]
    assert agree(apart, resources, name, asked) > 50


@pytest.mark.parametrize("name", ["status", "status:not", "priority", "priority:not"])
def test_they_agree_on_codes_that_are_given_or_missing(apart: Database[dict[str, Any]], name: str) -> None:
    element = name.partition(":")[0]
    codes = {"status": ["requested", "accepted", "completed"], "priority": ["routine", "urgent", "stat"]}[element]
    resources: list[Resource] = [{"resourceType": "Task", "id": "none", "meta": {"lastUpdated": UPDATES[0]}}]
    resources += [{**resources[0], "id": code, element: code} for code in codes]
    asked = [*codes, ",".join(codes[:2]), "other", f"|{codes[0]}", f"http://other|{codes[0]}"]
    assert agree(apart, resources, name, asked) > 5


def observed(number: int, **elements: Any) -> Resource:
    return {"resourceType": "Observation", "id": f"{number}", "meta": {"lastUpdated": UPDATES[0]}, **elements}


def test_they_agree_on_every_unit_of_every_quantity(apart: Database[dict[str, Any]]) -> None:
    units = [None, "mg", "g", "Cel", "K", "a|b"]
    stored = product([None, "http://one", "http://unitsofmeasure.org"], units, ["5.4", "0.0054", "278.55"], [None, "<"])
    resources = []
    for number, (system, code, value, comparator) in enumerate(stored):
        said = {"system": system, "code": code, "comparator": comparator, "value": Decimal(value), "unit": "milligram"}
        resources.append(observed(number, valueQuantity={name: each for name, each in said.items() if each}))
    forms = [*(f"|{system}|{code}" for system in ("http://one", "http://unitsofmeasure.org") for code in units if code)]
    forms += ["", "||mg", "||milligram", "||nothing"]
    escaped_forms = [form.replace("a|b", "a\\|b") for form in forms]
    asked = ["".join(each) for each in product(["", "ne", "gt", "le", "ap"], ["5.4", "0.0054"], escaped_forms)]
    assert agree(apart, resources, "value-quantity", asked) > 1000


@pytest.mark.parametrize("name", ["component-code-value-quantity", "combo-code-value-quantity", "code-value-quantity"])
def test_they_agree_on_what_stands_together(apart: Database[dict[str, Any]], name: str) -> None:
    def part(code: str, value: int) -> Resource:
        return {"code": {"coding": [{"code": code}]}, "valueQuantity": {"value": value}}

    parts = [part(code, value) for code in "ab" for value in (1, 2)]
    pairs = [(one, other) for one in [{}, *parts] for other in [None, *parts]]
    resources = [
        observed(number, **one, component=[other, *parts[number % 3 : 2]] if other else [])
        for number, (one, other) in enumerate(pairs)
    ]
    asked = [f"{code}${prefix}{value}" for code in "abc" for prefix in ("", "gt", "le") for value in (1, 2)]
    assert agree(apart, resources, name, [*asked, "a$1,b$2"]) > 50


@pytest.mark.parametrize("name", ["code:text", "value-string", "value-string:contains"])
def test_they_agree_on_words_that_begin_or_hold_each_other(apart: Database[dict[str, Any]], name: str) -> None:
    texts = ["weight", "body weight", "Weight (body)", "overweight", "Gewicht"]
    resources = [observed(at, valueString=text, code={"text": text}) for at, text in enumerate(texts)]
    assert agree(apart, resources, name, ["weight", "body", "over", "wei", "gew", "ight"]) > 5


def test_they_agree_on_places_near_the_edge_of_a_circle(apart: Database[dict[str, Any]]) -> None:
    resources = [
        {
            "resourceType": "Location",
            "id": f"{at}",
            "meta": {"lastUpdated": UPDATES[0]},
            "position": {"latitude": Decimal("51") + Decimal(at) / 1000, "longitude": Decimal("3.7")},
        }
        for at in range(-200, 200, 3)
    ]
    assert agree(apart, resources, "near", [f"51|3.7|{km}|km" for km in ("0.1", "1", "5", "10", "20")]) > 50


ABSENT = [f"{name}:missing" for name in ("_id", "_lastUpdated", "status", "code", "value-quantity")]


@pytest.mark.parametrize("name", ["_id", "_id:not", *ABSENT])
def test_they_agree_on_ids_and_on_what_is_missing(apart: Database[dict[str, Any]], name: str) -> None:
    resources = [observed(1), observed(2, status="final"), observed(3, valueQuantity={"value": 1}, code={"text": "x"})]
    asked = ["true", "false"] if name.endswith("missing") else ["1", "1,2", "4"]
    assert agree(apart, resources, name, asked) >= 3


@pytest.mark.parametrize("name", ["url", "url:below", "url:above", "_profile:below", "_profile"])
def test_they_agree_on_every_url_above_and_below_every_other(apart: Database[dict[str, Any]], name: str) -> None:
    resources = [
        {
            **{"resourceType": "ValueSet", "id": f"{at}", "url": url, **({"version": version} if version else {})},
            "meta": {"lastUpdated": UPDATES[0], "profile": [url]},
        }
        for at, (url, version) in enumerate(product(URLS, [None, "1", "1.2", "2"]))
    ]
    assert agree(apart, resources, name, [*URLS, "http://a/b|2", "http://a/b|1.2", "http://a/b/c|1"]) > 20


@pytest.mark.parametrize("modifier", ["equal", "ends", "gt", "lt", "ge", "le"])
def test_they_agree_on_how_texts_are_compared_in_filters(apart: Database[dict[str, Any]], modifier: str) -> None:
    texts = ["a", "ab", "b", "ba", "Á", "z", "𝔷", "힣", "a\nb"]
    resources = [observed(at, valueString=text) for at, text in enumerate(texts)]
    apart["Observation"].delete_many({})
    apart["Observation"].insert_many(documents(resources))
    found = 0
    for text in texts:
        clause = Clause("value-string", "string", (Text(text, fold(text)),), modifier)
        query = Query("Observation", (clause,))
        in_database = {each["_id"] for each in apart["Observation"].find(query_filter(query), {"_id": 1})}
        assert in_database == {each["id"] for each in resources if matches(query, each)}, text
        found += len(in_database)
    assert found > 5


parties = st.sampled_from(["Organization/1", "Organization/2", "Practitioner/3"])
near = st.sampled_from(
    [MOMENT - timedelta(days=1), MOMENT, MOMENT + timedelta(milliseconds=1), MOMENT + timedelta(days=1)]
)
stamps_of_all_kinds = st.builds(
    Stamp,
    plans=st.lists(ids, max_size=2).map(tuple),
    readers=st.lists(st.builds(Reader, parties) | st.builds(Reader, parties, near, near), max_size=3).map(tuple),
    author=st.none() | parties,
    audience=st.sampled_from(["circle", "everyone"]),
)
grants_of_all_kinds = st.one_of(
    st.builds(Grant, st.just("reader"), readers=st.lists(parties, min_size=1, max_size=2).map(tuple)),
    st.builds(Grant, st.just("plan"), plans=st.lists(ids, min_size=1, max_size=2).map(tuple)),
    st.builds(Grant, st.just("author"), authors=st.lists(parties, min_size=1, max_size=2).map(tuple)),
    st.builds(Grant, st.just("everyone"), everyone=st.booleans()),
)


@often
@given(stamps=st.lists(stamps_of_all_kinds, min_size=1, max_size=6), grants=st.lists(grants_of_all_kinds, max_size=3))
def test_the_database_and_the_memory_agree_on_grants(
    apart: Database[dict[str, Any]], stamps: list[Stamp], grants: list[Grant]
) -> None:
    resource = {"resourceType": "Flag", "meta": {"lastUpdated": "2026-01-01T00:00:00.000Z"}}
    apart["Flag"].delete_many({})
    apart["Flag"].insert_many(documents([{**resource, "id": str(each)} for each in range(len(stamps))], stamps))
    in_database = {each["_id"] for each in apart["Flag"].find(grant_filter(grants, MOMENT), {"_id": 1})}
    in_memory = {str(at) for at, stamp in enumerate(stamps) if any(admits(grant, stamp, MOMENT) for grant in grants)}
    assert in_database == in_memory
