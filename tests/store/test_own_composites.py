"""An operator's composite finds and sorts what R4's own of the same components does, in the database and in memory."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.database import Database

from fhir_server.definitions.composite_rows import composite_row
from fhir_server.definitions.search_parameters import Own, parameter_from, using
from fhir_server.fhir.json import Resource
from fhir_server.search.grant import Grant
from fhir_server.search.match import matches
from fhir_server.search.parse import parse
from fhir_server.store.mongo.search.queries import query_filter
from fhir_server.store.mongo.search.searching import search
from tests.store.search_questions import BASE_URL, MOMENT, QUESTIONS, often
from tests.store.test_search_sorting import document, measurements

EVERYONE = Grant("open", everyone=True)
EVERYWHERE, BELOW = "Observation | Observation.component", "Observation.component"
AMOUNT, CONCEPT = ("quantity", "value.as(Quantity)"), ("token", "(value as CodeableConcept)")
ALIKE = {
    "combo-code-value-quantity": (EVERYWHERE, AMOUNT),
    "component-code-value-quantity": (BELOW, AMOUNT),
    "code-value-quantity": ("Observation", AMOUNT),
    "combo-code-value-concept": (EVERYWHERE, CONCEPT),
    "component-code-value-concept": (BELOW, CONCEPT),
    "code-value-concept": ("Observation", CONCEPT),
}


def own_of(expression: str, other: tuple[str, str]) -> dict[str, Any]:
    kind, path = other
    components = [{"expression": "code"}, {"expression": path}]
    return composite_row({"expression": expression, "component": components}, "Observation", ["token", kind])


OWN = Own({"Observation": tuple(parameter_from(f"own-{code}", own_of(*said)) for code, said in ALIKE.items())})


@pytest.fixture(scope="module")
def apart(mongo_client: MongoClient[dict[str, Any]]) -> Iterator[Database[dict[str, Any]]]:
    """A database of these tests alone: they ask whole collections."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield mongo_client[name]
    mongo_client.drop_database(name)


def stored(apart: Database[dict[str, Any]], drawn: list[Resource]) -> list[Resource]:
    head = {"resourceType": "Observation", "status": "final", "meta": {"lastUpdated": "2026-02-01T10:00:00.000Z"}}
    resources = [{**head, **each, "id": str(position)} for position, each in enumerate(drawn)]
    apart["Observation"].delete_many({})
    apart["Observation"].insert_many([document(each) for each in resources])
    return resources


@often
@given(
    drawn=st.lists(QUESTIONS["Observation"][0] | measurements, min_size=1, max_size=6),
    code=st.sampled_from(sorted(ALIKE)),
    asked=st.sampled_from(["a", "b", "urn:one|a", "|B"]),
    amount=st.sampled_from(["1", "gt1", "le10", "2||kg", "1|http://unitsofmeasure.org|mg"]),
    concept=st.sampled_from(["a", "b", "urn:one|b"]),
)
def test_it_finds_what_r4s_own_finds(
    apart: Database[dict[str, Any]], drawn: list[Resource], code: str, asked: str, amount: str, concept: str
) -> None:
    value = f"{asked}${amount if code.endswith('quantity') else concept}"
    with using(OWN):
        resources = stored(apart, drawn)
        theirs, ours = (parse("Observation", [(name, value)], base_url=BASE_URL) for name in (code, f"own-{code}"))
        found = [
            {each["_id"] for each in apart["Observation"].find(query_filter(query), {"_id": 1})}
            for query in (theirs, ours)
        ]
        in_memory = {each["id"] for each in resources if matches(ours, each)}

    event("some match" if in_memory else "none matches")
    assert found == [in_memory, in_memory]


@often
@given(
    drawn=st.lists(measurements, min_size=2, max_size=7),
    code=st.sampled_from(sorted(ALIKE)),
    back=st.sampled_from(["", "-"]),
)
def test_it_sorts_as_r4s_own_sorts(
    apart: Database[dict[str, Any]], drawn: list[Resource], code: str, back: str
) -> None:
    with using(OWN):
        stored(apart, drawn)
        pages = [
            search(
                apart,
                parse("Observation", [("_sort", back + name)], base_url=BASE_URL),
                [EVERYONE],
                MOMENT,
                secret=b"s",
            )
            for name in (code, f"own-{code}")
        ]
    assert [each.id for each in pages[0].matches] == [each.id for each in pages[1].matches]
    assert len(pages[0].matches) == len(drawn)


def test_what_stands_deep_or_is_narrowed_is_a_place_too() -> None:
    place = "Observation.component.where(extension('urn:seen').exists()).referenceRange"
    row = composite_row(
        {"expression": place, "component": [{"expression": "text"}, {"expression": "low"}]},
        "Observation",
        ["string", "quantity"],
    )
    own = Own({"Observation": (parameter_from("range", row),)})
    ranges = [{"text": "usual", "low": {"value": 4}}, {"text": "rare", "low": {"value": 9}}]
    seen = {"extension": [{"url": "urn:seen", "valueBoolean": True}], "referenceRange": ranges}
    resource: Resource = {"resourceType": "Observation", "component": [{"referenceRange": ranges}]}

    def is_found(asked: str, component: Resource) -> bool:
        with using(own):
            query = parse("Observation", [("range", asked)], base_url=BASE_URL)
            return matches(query, {**resource, "component": [component]})

    assert is_found("usual$4", seen)
    assert not is_found("usual$9", seen)
    assert not is_found("usual$4", {"referenceRange": ranges})


def test_references_to_one_type_are_a_place() -> None:
    place = "Observation.focus.where(resolve() is Patient)"
    components = [{"expression": "display"}, {"expression": "identifier.value"}]
    row = composite_row({"expression": place, "component": components}, "Observation", ["string", "string"])
    own = Own({"Observation": (parameter_from("about", row),)})

    def is_found(address: str) -> bool:
        focus = {"reference": address, "display": "Mia", "identifier": {"value": "77"}}
        with using(own):
            query = parse("Observation", [("about", "mia$77")], base_url=BASE_URL)
            return matches(query, {"resourceType": "Observation", "focus": [focus]})

    assert is_found("Patient/1")
    assert not is_found("Group/1")
