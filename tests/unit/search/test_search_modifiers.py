"""What modifiers find, as R4 says it: https://hl7.org/fhir/R4/search.html#modifiers"""

from typing import Any

import pytest

from fhir_server.fhir.errors import MalformedRequest
from fhir_server.fhir.json import Resource
from fhir_server.search.join_answers import joined
from fhir_server.search.match import matches
from fhir_server.search.members import MOST_READ, codes_of
from fhir_server.search.parse import parse
from fhir_server.search.query import Query, Token

SCT = "http://snomed.info/sct"
V2 = "http://terminology.hl7.org/CodeSystem/v2-0203"


def asked(type_name: str, name: str, text: str) -> Query:
    return parse(type_name, [(name, text)], base_url="https://here.example/fhir")


def finds(type_name: str, name: str, text: str, **content: Any) -> bool:
    resource: Resource = {"resourceType": type_name, "id": "1", **content}
    return matches(asked(type_name, name, text), resource)


@pytest.mark.parametrize(
    ("text", "found"), [("nausea", True), ("Nausée", False), ("morn", True), ("sickness", False), ("x,morning", True)]
)
def test_text_searches_the_words_of_a_code_from_their_beginning(text: str, found: bool) -> None:
    code = {"text": "Morning sickness", "coding": [{"system": SCT, "code": "51885006", "display": "Nausea"}]}
    assert finds("Condition", "code:text", text, code=code) is found


def test_text_searches_the_type_of_an_identifier() -> None:
    assert finds(
        "Patient", "identifier:text", "social", identifier=[{"type": {"text": "Social security"}, "value": "1"}]
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"{V2}|MR|12345", True),
        (f"{V2}|mr|12345", True),
        (f"{V2}|SS|12345", False),
        (f"{V2}|MR|1234", False),
        ("http://other|MR|12345", False),
    ],
)
def test_of_type_finds_an_identifier_by_its_type_and_value(text: str, found: bool) -> None:
    identifier = [{"type": {"coding": [{"system": V2, "code": "MR"}]}, "value": "12345"}]
    assert finds("Patient", "identifier:of-type", text, identifier=identifier) is found


@pytest.mark.parametrize("text", [f"{V2}|MR", "12345", f"{V2}||1", f"{V2}|MR|1|2"])
def test_of_type_needs_its_three_parts(text: str) -> None:
    with pytest.raises(MalformedRequest, match=r"write SYSTEM\|CODE\|VALUE"):
        asked("Patient", "identifier:of-type", text)


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("url:below", "http://a.example/fhir", True),
        ("url:below", "http://a.example/fhir/", True),
        ("url:below", "http://a.example/fhir/ValueSet/x", True),
        ("url:below", "http://a.example/fhi", False),
        ("url:below", "http://a.example/fhir/ValueSet/x/y", False),
        ("url:above", "http://a.example/fhir/ValueSet/x/y", True),
        ("url:above", "http://a.example/fhir/ValueSet/x", True),
        ("url:above", "http://a.example/fhir/ValueSet", False),
        ("url:above", "http://a.example/fhir/ValueSet/xy", False),
    ],
)
def test_urls_stand_above_and_below_each_other_path_by_path(name: str, text: str, found: bool) -> None:
    assert finds("ValueSet", name, text, url="http://a.example/fhir/ValueSet/x") is found


def nothing_else(type_name: str, url: str) -> Resource:
    raise AssertionError("no other definition is needed")


LISTED: Resource = {
    "resourceType": "ValueSet",
    "compose": {
        "include": [{"system": "http://s", "concept": [{"code": "a"}, {"code": "b"}]}],
        "exclude": [{"system": "http://s", "concept": [{"code": "b"}]}],
    },
}


def test_the_codes_of_a_value_set_are_those_it_names() -> None:
    assert codes_of(LISTED, 10, nothing_else) == [Token("http://s", "a")]


def test_the_codes_of_an_expansion_are_all_that_it_contains() -> None:
    contains = [
        {"system": "http://s", "code": "a", "abstract": True, "contains": [{"system": "http://s", "code": "b"}]},
        {"system": "http://s", "code": "c"},
    ]
    found = codes_of({"expansion": {"contains": contains}}, 10, nothing_else)
    assert found == [Token("http://s", "b"), Token("http://s", "c")]


DEFINITIONS: dict[tuple[str, str], Resource] = {
    ("CodeSystem", "http://s"): {
        "id": "s",
        "content": "complete",
        "concept": [{"code": "a", "concept": [{"code": "a1"}, {"code": "a2", "concept": [{"code": "a21"}]}]}],
    },
    ("CodeSystem", "http://part"): {"id": "part", "content": "fragment", "concept": [{"code": "a"}]},
    ("ValueSet", "http://v"): {"url": "http://v", "compose": {"include": [{"system": "http://s"}]}},
    ("ValueSet", "http://v|2"): {"url": "http://v", "compose": {"include": [{"valueSet": ["http://w"]}]}},
    ("ValueSet", "http://w"): {
        "url": "http://w",
        "compose": {"include": [{"system": "http://s", "concept": [{"code": "a"}, {"code": "x"}]}]},
    },
    ("ValueSet", "http://circle"): {"url": "http://circle", "compose": {"include": [{"valueSet": ["http://round"]}]}},
    ("ValueSet", "http://round"): {"url": "http://round", "compose": {"include": [{"valueSet": ["http://circle"]}]}},
}


def below(code: str, op: str = "is-a") -> Resource:
    return {"property": "concept", "op": op, "value": code}


@pytest.mark.parametrize(
    ("include", "exclude", "codes"),
    [
        ({"system": "http://s"}, None, "a a1 a2 a21"),
        ({"system": "http://s", "filter": [below("a2")]}, None, "a2 a21"),
        ({"system": "http://s", "filter": [below("a", "descendent-of"), below("a2")]}, None, "a2 a21"),
        ({"system": "http://s"}, {"system": "http://s", "filter": [below("a2", "descendent-of")]}, "a a1 a2"),
        ({"valueSet": ["http://v"]}, {"valueSet": ["http://w"]}, "a1 a2 a21"),
        ({"valueSet": ["http://v|2"]}, None, "a x"),
        ({"valueSet": ["http://v", "http://w"]}, None, "a"),
        ({"valueSet": ["http://v"], "system": "http://s", "concept": [{"code": "a1"}, {"code": "y"}]}, None, "a1"),
    ],
)
def test_a_value_set_is_made_of_others_and_of_code_systems(
    include: Resource, exclude: Resource | None, codes: str
) -> None:
    compose = {"include": [include], **({"exclude": [exclude]} if exclude else {})}
    found = codes_of({"compose": compose}, 10, lambda kind, url: DEFINITIONS[kind, url])
    assert found == [Token("http://s", code) for code in codes.split()]


@pytest.mark.parametrize(
    ("include", "says"),
    [
        ({"system": "http://part"}, "not complete"),
        ({"system": "http://s", "filter": [{"property": "colour", "op": "=", "value": "red"}]}, "not worked out"),
        ({"system": "http://s", "filter": [below("a", "is-not-a")]}, "not worked out"),
        ({"system": "http://s", "filter": [below("z")]}, "has no code 'z'"),
        ({"valueSet": ["http://circle"]}, "part of itself"),
        ({}, "names no codes"),
    ],
)
def test_codes_that_cannot_be_told_are_not_guessed(include: Resource, says: str) -> None:
    with pytest.raises(MalformedRequest, match=says):
        codes_of({"compose": {"include": [include]}}, 10, lambda kind, url: DEFINITIONS[kind, url])


def test_a_value_set_reads_so_many_others_and_no_more() -> None:
    def other(kind: str, url: str) -> Resource:
        return {"url": url, "compose": {"include": [{"valueSet": [f"{url}+"]}]}}

    with pytest.raises(MalformedRequest, match=f"more than {MOST_READ} others"):
        codes_of({"compose": {"include": [{"valueSet": ["http://v"]}]}}, 10, other)


def test_more_codes_than_a_search_takes_are_refused() -> None:
    with pytest.raises(MalformedRequest, match="more than 1 codes"):
        codes_of({"compose": {"include": [{"concept": [{"code": "a"}, {"code": "b"}]}]}}, 1, nothing_else)


@pytest.mark.parametrize(
    ("name", "code", "found"),
    [
        ("code:in", "a", True),
        ("code:in", "b", False),
        ("code:not-in", "a", False),
        ("code:not-in", "b", True),
        ("code:not-in", None, True),
        ("code:in", None, False),
    ],
)
def test_in_asks_for_the_codes_of_a_value_set(name: str, code: str | None, found: bool) -> None:
    coded = {"code": {"coding": [{"system": "http://s", "code": code}]}} if code else {}
    listed = codes_of(LISTED, 10, nothing_else)
    query = joined(asked("Condition", name, "http://v|1"), lambda sub, linked: [], lambda sub: listed)
    assert matches(query, {"resourceType": "Condition", "id": "1", **coded}) is found


@pytest.mark.parametrize(
    ("type_name", "name"),
    [("Patient", "identifier:in"), ("Patient", "active:text"), ("Task", "status:of-type"), ("Task", "focus:exact")],
)
def test_a_modifier_that_says_nothing_of_a_parameter_is_refused(type_name: str, name: str) -> None:
    with pytest.raises(MalformedRequest, match="has no modifier"):
        asked(type_name, name, "x")
