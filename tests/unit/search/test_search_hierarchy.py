"""What stands above and below a code, as a CodeSystem says it."""

from typing import Any

import pytest

from fhir_server.fhir.errors import MalformedRequest
from fhir_server.fhir.json import Resource
from fhir_server.search.hierarchy import ABOVE, BELOW, related_codes
from fhir_server.search.joins import asks_through
from fhir_server.search.parse import parse
from fhir_server.search.query import Clause, Join, Query, Target, Token


def system(*concepts: Resource, **more: Any) -> Resource:
    return {"resourceType": "CodeSystem", "id": "s", "content": "complete", "concept": list(concepts), **more}


def parent(code: str, *above: str, name: str = "parent") -> Resource:
    return {"code": code, "property": [{"code": name, "valueCode": each} for each in above]}


NESTED = system({"code": "a", "concept": [{"code": "b", "concept": [{"code": "c"}]}, {"code": "d"}]}, {"code": "e"})
LINKED = system({"code": "a"}, parent("b", "a"), parent("c", "b", "d"), {"code": "d"})
DECLARED = system(
    {"code": "a", "property": [{"code": "under", "valueCode": "b"}]},
    {"code": "b"},
    parent("c", "b", name="over"),
    property=[
        {"code": "under", "uri": "http://hl7.org/fhir/concept-properties#child", "type": "code"},
        {"code": "over", "uri": "http://hl7.org/fhir/concept-properties#parent", "type": "code"},
    ],
)
CIRCLE = system(parent("a", "c"), parent("b", "a"), parent("c", "b"))


@pytest.mark.parametrize(
    ("code_system", "code", "direction", "related"),
    [
        (NESTED, "a", BELOW, "abcd"),
        (NESTED, "b", BELOW, "bc"),
        (NESTED, "e", BELOW, "e"),
        (NESTED, "c", ABOVE, "abc"),
        (NESTED, "a", ABOVE, "a"),
        (LINKED, "c", ABOVE, "abcd"),
        (LINKED, "d", BELOW, "cd"),
        (LINKED, "a", BELOW, "abc"),
        (DECLARED, "a", BELOW, "abc"),
        (DECLARED, "c", ABOVE, "abc"),
        (CIRCLE, "b", BELOW, "abc"),
        (system({"code": "a", "concept": [{"code": "b"}]}, caseSensitive=False), "A", BELOW, "ab"),
    ],
)
def test_nesting_and_properties_say_what_stands_above_and_below(
    code_system: Resource, code: str, direction: str, related: str
) -> None:
    assert sorted(related_codes(code_system, code, direction, 10)) == list(related)


@pytest.mark.parametrize(
    ("code_system", "says"),
    [
        (system({"code": "a"}, content="fragment"), "is not complete"),
        (system({"code": "a"}, hierarchyMeaning="part-of"), "does not say what is a kind of what"),
        (system({"code": "A"}), "CodeSystem/s has no code 'a'"),
        (system({"code": "a", "concept": [{"code": f"{number}"} for number in range(10)]}), "More than 10 codes"),
    ],
)
def test_no_part_of_an_answer_is_given(code_system: Resource, says: str) -> None:
    with pytest.raises(MalformedRequest, match=says):
        related_codes(code_system, "a", BELOW, 10)


def test_a_hierarchy_of_great_depth_is_read() -> None:
    deep: Resource = {"code": "0"}
    for number in range(1, 3000):
        deep = {"code": f"{number}", "concept": [deep]}
    assert len(related_codes(system(deep), "0", ABOVE, 5000)) == 3000


def test_codes_ask_their_code_systems_and_references_their_type() -> None:
    codes = parse("Observation", [("code:below", "urn:a|1,urn:b|2")], base_url="").joins
    places = parse("Encounter", [("location:above", "7")], base_url="").joins
    url_of = {name: Query("CodeSystem", (Clause("url", "uri", (Target(url=name),)),)) for name in ("urn:a", "urn:b")}

    values = (Token("urn:a", "1"), Token("urn:b", "2"))
    assert codes == (Join("code", (url_of["urn:a"], url_of["urn:b"]), members="below", values=values),)
    assert places == (Join("location", (Query("Location"),), members="above", values=(Target("Location/7"),)),)


@pytest.mark.parametrize(
    ("type_name", "name", "through"),
    [
        ("Observation", "code:below", True),
        ("Encounter", "location:above", True),
        ("ValueSet", "url:below", False),
        ("Observation", "patient:below", False),
        ("Observation", "colour:below", False),
        ("Observation", "patient.identifier", True),
    ],
)
def test_only_codes_and_places_ask_through_others(type_name: str, name: str, through: bool) -> None:
    assert asks_through(type_name, name) is through
