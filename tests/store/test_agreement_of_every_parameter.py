"""Every parameter with every modifier, asked of the database and of the memory: the answers are the same."""

import uuid
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.database import Database

from fhir_server.definitions.search_parameters import SearchParameter, parameters_of
from fhir_server.fhir.errors import MalformedRequest
from fhir_server.search.clauses import MODIFIERS
from fhir_server.search.join_answers import joined, joins_in
from fhir_server.search.match import matches
from fhir_server.search.parse import parse
from fhir_server.search.query import Query, Target, Token
from fhir_server.store.mongo.search.queries import query_filter
from tests.store.search_questions import (
    BASE_URL,
    CODES,
    MOMENT,
    PREFIXES,
    QUESTIONS,
    SYSTEMS,
    URLS,
    asked_codes,
    asked_dates,
    asked_numbers,
    asked_quantities,
    asked_systems,
    asked_texts,
    asked_tokens,
    documents,
    ids,
    missing,
    several,
)

many = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])

references = st.builds("{}/{}".format, st.sampled_from(["Patient", "Organization", "Group"]), ids)
places = st.sampled_from(["51.05|3.72", "51.3|3.72|40|km", "0|0|1"])
VALUES: dict[str, st.SearchStrategy[str]] = {
    "token": asked_tokens | st.sampled_from(["requested", "final", "true", "urgent", "replaces"]),
    "reference": references | ids | st.sampled_from(["https://there.example/Patient/1", "http://a/b|1"]),
    "date": asked_dates,
    "string": asked_texts,
    "uri": st.sampled_from(URLS),
    "number": asked_numbers,
    "quantity": asked_quantities,
    "sound": asked_texts,
    "age": asked_numbers | st.integers(0, 200).map(str),
    "special": places,
}
OF_MODIFIERS: dict[str, st.SearchStrategy[str]] = {
    "missing": missing,
    "text": asked_texts,
    "of-type": st.builds("{}|{}|{}".format, asked_systems, asked_codes, asked_codes),
    "identifier": asked_tokens,
    "in": st.just("https://samen.example/fhir/ValueSet/some"),
    "not-in": st.just("https://samen.example/fhir/ValueSet/some"),
}
OF_HIERARCHIES = {"token": st.builds("{}|{}".format, asked_systems, asked_codes), "uri": st.sampled_from(URLS)}
THROUGH = {
    "Task": [
        "owner:Organization.name",
        "patient.name",
        "based-on:CarePlan.status",
        "_has:Task:part-of:status",
        "_list",
    ],
    "Observation": ["patient.name", "_has:Observation:has-member:status", "subject:Patient.birthdate"],
    "Patient": ["general-practitioner:Organization.name", "_has:Observation:patient:code", "_list"],
}

Asked = tuple[str, str]


def value_of(parameter: SearchParameter, modifier: str) -> st.SearchStrategy[str]:
    """What can be asked of a parameter, with a modifier or without."""
    if parameter.type == "composite":
        parts = [VALUES[component.type] for component in parameter.parts[0].components]
        return st.tuples(*parts).map("$".join)
    if modifier in {"above", "below"}:
        return OF_HIERARCHIES.get(parameter.type, references)
    return OF_MODIFIERS.get(modifier, ids if modifier[:1].isupper() else VALUES[parameter.type])


def modifiers_of(parameter: SearchParameter) -> list[str]:
    """None, those of its type, and for a reference a type."""
    types = [name for name in ("Patient", "Group") if parameter.type == "reference" and parameter.may_point_to(name)]
    return ["", *MODIFIERS[parameter.type], *types]


def asked_of(type_name: str) -> list[tuple[SearchParameter, str]]:
    """Every parameter of a type with each of its modifiers."""
    return [(each, modifier) for each in parameters_of(type_name).values() for modifier in modifiers_of(each)]


@pytest.fixture(scope="module")
def apart(mongo_client: MongoClient[dict[str, Any]]) -> Iterator[Database[dict[str, Any]]]:
    """A database of these tests alone: they ask whole collections."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield mongo_client[name]
    mongo_client.drop_database(name)


def agreed(apart: Database[dict[str, Any]], query: Query, resources: list[dict[str, Any]]) -> int:
    """How many resources both find; what they find must be the same."""
    apart[query.type].delete_many({})
    if resources:
        apart[query.type].insert_many(documents(resources))
    in_database = {each["_id"] for each in apart[query.type].find(query_filter(query), {"_id": 1})}
    in_memory = {resource["id"] for resource in resources if matches(query, resource)}
    assert in_database == in_memory, query
    return len(in_memory)


@pytest.mark.parametrize("type_name", sorted(QUESTIONS))
@many
@given(data=st.data())
def test_they_agree_on_every_parameter_with_every_modifier(
    apart: Database[dict[str, Any]], type_name: str, data: st.DataObject
) -> None:
    resources = numbered(data.draw(st.lists(QUESTIONS[type_name][0], min_size=2, max_size=6)))
    parameter, modifier = data.draw(st.sampled_from(asked_of(type_name)))
    name = f"{parameter.code}:{modifier}" if modifier else parameter.code
    one_value = modifier in {"missing", "in", "not-in", "above", "below"}
    values = value_of(parameter, modifier)
    text = data.draw(values if one_value else several(values))
    try:
        query = parse(type_name, [(name, text)], base_url=BASE_URL, moment=MOMENT)
    except MalformedRequest:
        event("not served")
        return

    found = agreed(apart, answered(query, data), resources)

    event("some match" if found else "none matches")


@pytest.mark.parametrize("type_name", sorted(THROUGH))
@many
@given(data=st.data())
def test_they_agree_on_what_other_resources_answer(
    apart: Database[dict[str, Any]], type_name: str, data: st.DataObject
) -> None:
    resources = numbered(data.draw(st.lists(QUESTIONS[type_name][0], min_size=2, max_size=6)))
    names = data.draw(st.lists(st.sampled_from(THROUGH[type_name]), min_size=1, max_size=2))
    texts = {"birthdate": "2026", "code": "a", "status": "final"}
    asked = [(name, texts.get(name.rpartition(":")[2].rpartition(".")[2], "a")) for name in names]
    query = parse(type_name, asked, base_url=BASE_URL, moment=MOMENT)

    assert joins_in(query)
    event("some match" if agreed(apart, answered(query, data), resources) else "none matches")


@pytest.mark.parametrize(("kind", "modifiers"), sorted(MODIFIERS.items()))
def test_every_modifier_is_among_what_is_asked(kind: str, modifiers: tuple[str, ...]) -> None:
    asked = {modifier for name in QUESTIONS for each, modifier in asked_of(name) if each.type == kind}

    assert asked >= {"", *modifiers}
    assert PREFIXES == ["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]


def numbered(resources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The resources with ids from 1."""
    ids_of = count(1)
    return [{**resource, "id": str(next(ids_of))} for resource in resources]


def answered(query: Query, data: st.DataObject) -> Query:
    """The query with its joins answered by whatever other resources could say."""
    found = data.draw(st.lists(st.builds("{}/{}".format, st.sampled_from([query.type, "Patient"]), ids), max_size=3))
    codes = data.draw(st.lists(st.builds(Token, st.sampled_from(SYSTEMS), st.sampled_from(CODES)), max_size=3))
    standing = [Target(reference=each) for each in found]
    of_references = {each.parameter for each in joins_in(query) if each.members and _refers(query.type, each.parameter)}
    return joined(query, lambda *_: found, lambda each: standing if each.parameter in of_references else codes)


def _refers(type_name: str, code: str) -> bool:
    return parameters_of(type_name)[code].type == "reference"
