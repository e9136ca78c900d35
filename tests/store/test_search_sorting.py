"""Sorted by any parameter: in order there and back, each match once, what has no value last."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from decimal import Decimal
from functools import cmp_to_key
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.database import Database

from fhir_server.definitions.search_parameters import Part, SearchParameter, parameters_of
from fhir_server.definitions.structures import RESOURCE_TYPES
from fhir_server.fhir.errors import MalformedRequest, TooCostly
from fhir_server.fhir.json import Resource, encode
from fhir_server.search.elements import values_of
from fhir_server.search.escaping import escape
from fhir_server.search.grant import Grant, Stamp
from fhir_server.search.keys import LONGEST, has_key, key_of, missing_key, sortable
from fhir_server.search.parse import parse
from fhir_server.search.query import Near
from fhir_server.search.types import near
from fhir_server.search.types.codes import tokens_of
from fhir_server.store.mongo.documents import current_document
from fhir_server.store.mongo.indexing.indexes import ensure_indexes
from fhir_server.store.mongo.search.searching import search
from fhir_server.store.values import Page, Stored
from tests.store.search_questions import BASE_URL, MOMENT, QUESTIONS, often

UCUM = "http://unitsofmeasure.org"
SECRET = b"a secret of these tests"
EVERYONE = [Grant("open", everyone=True)]
TYPES = ["Task", "Observation", "Patient", "Condition", "RiskAssessment", "ValueSet", "DocumentReference"]


@pytest.fixture(scope="module")
def apart(mongo_client: MongoClient[dict[str, Any]]) -> Iterator[Database[dict[str, Any]]]:
    """A database of these tests alone: they ask whole collections."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    ensure_indexes(mongo_client[name], TYPES)
    yield mongo_client[name]
    mongo_client.drop_database(name)


def document(resource: Resource) -> dict[str, Any]:
    updated = datetime.fromisoformat(resource["meta"]["lastUpdated"])
    kept = Stored(resource["resourceType"], resource["id"], 1, updated, encode(resource), Stamp(audience="everyone"))
    return current_document(kept)


def page(
    apart: Database[dict[str, Any]], type_name: str, sort: str, count: int, cursor: str | None, *more: tuple[str, str]
) -> Page[Stored]:
    pairs = [*more, ("_sort", sort), ("_count", str(count)), *([("_cursor", cursor)] if cursor else ())]
    return search(apart, parse(type_name, pairs, base_url=BASE_URL), EVERYONE, MOMENT, secret=SECRET)


def walked(apart: Database[dict[str, Any]], type_name: str, sort: str, count: int, *more: tuple[str, str]) -> list[str]:
    """The ids of all pages, which the way back must show in the same order."""
    pages = [page(apart, type_name, sort, count, None, *more)]
    while pages[-1].next:
        pages.append(page(apart, type_name, sort, count, pages[-1].next, *more))
    back = [pages[-1]]
    while back[-1].previous:
        back.append(page(apart, type_name, sort, count, back[-1].previous, *more))
    assert [each.matches for each in back[::-1]] == [each.matches for each in pages]
    return [match.id for each in pages for match in each.matches]


def sort_value(resource: Resource, name: str, *, descending: bool) -> Any:
    """What the resource is sorted by, or None; read from the resource and not from what is stored."""
    if name == "_lastUpdated":
        return resource["meta"]["lastUpdated"]
    parameter = parameters_of(resource["resourceType"])[name]
    if parameter.parts:
        tuples = [each for part in parameter.parts for each in together(resource, part, descending=descending)]
        return (max(tuples) if descending else min(tuples)) if tuples else None
    return value_of(parameter, resource, descending=descending)


def together(resource: Resource, part: Part, *, descending: bool) -> list[tuple[Any, ...]]:
    """What the components have, at each place of the part that has them all."""
    places = resource.get(part.at, []) if part.at else [resource]
    found = [tuple(value_of(each, place, descending=descending) for each in part.components) for place in places]
    return [each for each in found if None not in each]


def value_of(parameter: SearchParameter, place: Resource, *, descending: bool) -> Any:
    """What a resource, or an element of it, is sorted by."""
    values = values_of(place, parameter)
    if has_key(parameter) or parameter.type == "quantity":
        end = "hi" if descending else "lo"
        found = key_of(parameter, values)[end]
        return None if found == missing_key(parameter)[end] else found
    known = [each for datatype, value in values for each in _READ[parameter.type](parameter, datatype, value)]
    return (max(known) if descending else min(known)) if known else None


def codes(parameter: SearchParameter, datatype: str, value: Any) -> list[str]:
    exact = all(path.datatype in {"code", "boolean", "id", "uri", "canonical"} for path in parameter.paths)
    found = [each.code for each in tokens_of(datatype, value) if each.code]
    return [escape(code if exact else code.casefold())[:LONGEST] for code in found]


def addresses(parameter: SearchParameter, datatype: str, value: Any) -> list[str]:
    address = value.get("reference") if datatype == "Reference" else value
    if not address or address.startswith("#"):
        return []
    return [address, address.partition("/_history/" if datatype == "Reference" else "|")[0]]


_READ: dict[str, Callable[[SearchParameter, str, Any], list[str]]] = {
    "token": codes,
    "reference": addresses,
    "uri": addresses,
}
Sorts = list[tuple[str, bool]]


def by_all(sorts: Sorts) -> Callable[[Resource, Resource], int]:
    """How two resources compare: by each key in turn, what has no value last, then by id in the last direction."""

    def compare(one: Resource, other: Resource) -> int:
        for name, descending in sorts:
            mine, theirs = (sort_value(each, name, descending=descending) for each in (one, other))
            if mine != theirs:
                if mine is None or theirs is None:
                    return 1 if mine is None else -1
                return -1 if (mine < theirs) is not descending else 1
        return -1 if (one["id"] < other["id"]) is not sorts[-1][1] else 1

    return compare


SORTED = {
    "Task": ["identifier", "code", "owner", "subject", "priority", "due", "period", "_tag", "_profile", "_lastUpdated"],
    "Observation": [
        "code",
        "combo-code",
        "subject",
        "date",
        "value-string",
        "value-concept",
        "status",
        "value-quantity",
        "code-value-quantity",
        "component-code-value-quantity",
        "combo-code-value-quantity",
        "combo-code-value-concept",
        "code-value-string",
        "code-value-date",
    ],
    "Patient": ["name", "telecom", "phone", "active", "deceased", "birthdate", "address-city"],
    "DocumentReference": ["relatesto", "relation", "relationship", "_tag"],
    "ValueSet": ["url", "_profile", "_tag"],
}


@pytest.mark.parametrize("type_name", SORTED)
@often
@given(data=st.data())
def test_every_order_is_that_of_the_values(
    apart: Database[dict[str, Any]], type_name: str, data: st.DataObject
) -> None:
    drawn = data.draw(st.lists(QUESTIONS[type_name][0], min_size=1, max_size=7))
    resources = [{**each, "id": str(position)} for position, each in enumerate(drawn)]
    names = data.draw(st.lists(st.sampled_from(SORTED[type_name]), min_size=1, max_size=3, unique=True))
    sorts = [(name, data.draw(st.booleans())) for name in names]
    apart[type_name].delete_many({})
    apart[type_name].insert_many([document(each) for each in resources])

    found = walked(apart, type_name, ",".join("-" * down + name for name, down in sorts), 2)

    assert found == [each["id"] for each in sorted(resources, key=cmp_to_key(by_all(sorts)))]


coded = st.sampled_from(["a", "B", "c"]).map(lambda code: {"coding": [{"code": code}]})
measured = st.sampled_from(["1", "2", "10"]).map(lambda value: {"value": Decimal(value), "code": "kg", "system": UCUM})
said = {"code": coded, "valueQuantity": measured, "valueCodeableConcept": coded}
measurements = st.fixed_dictionaries(
    {"component": st.lists(st.fixed_dictionaries({}, optional=said), max_size=3)},
    optional={**said, "valueString": st.sampled_from(["x", "y"]), "valueDateTime": st.sampled_from(["2026", "2027"])},
)
COMPOSITES = [code for code, each in parameters_of("Observation").items() if each.parts]


@often
@given(
    drawn=st.lists(measurements, min_size=2, max_size=8),
    name=st.sampled_from(COMPOSITES),
    back=st.booleans(),
    after=st.sampled_from([[], [("status", True)]]),
)
def test_a_composite_is_sorted_by_its_first_component_and_then_by_the_next(
    apart: Database[dict[str, Any]], drawn: list[Resource], name: str, back: bool, after: list[tuple[str, bool]]
) -> None:
    head = {"resourceType": "Observation", "status": "final", "meta": {"lastUpdated": "2026-02-01T10:00:00.000Z"}}
    resources = [{**head, **each, "id": str(position)} for position, each in enumerate(drawn)]
    sorts = [(name, back), *after]
    apart["Observation"].delete_many({})
    apart["Observation"].insert_many([document(each) for each in resources])

    found = walked(apart, "Observation", ",".join("-" * down + each for each, down in sorts), 3)

    assert found == [each["id"] for each in sorted(resources, key=cmp_to_key(by_all(sorts)))]


def quantities(*values: tuple[str, str]) -> list[Resource]:
    return [{"valueQuantity": {"value": Decimal(value), "code": unit, "system": UCUM}} for value, unit in values]


@pytest.mark.parametrize(
    ("sort", "expected"), [("", ["g", "mixed", "mg", "none"]), ("-", ["mixed", "mg", "g", "none"])]
)
def test_amounts_of_many_places_are_sorted_in_the_base_unit(
    apart: Database[dict[str, Any]], sort: str, expected: list[str]
) -> None:
    meta = {"lastUpdated": "2026-02-01T10:00:00.000Z"}
    weights = {"mg": [("3", "mg")], "g": [("0.001", "g")], "mixed": [("2", "mg"), ("1", "kg")], "none": []}
    apart["Observation"].delete_many({})
    apart["Observation"].insert_many(
        [
            document({"resourceType": "Observation", "id": id, "meta": meta, "component": quantities(*amounts)})
            for id, amounts in weights.items()
        ]
    )
    assert walked(apart, "Observation", f"{sort}component-value-quantity", 1) == expected


@pytest.mark.parametrize("type_name", sorted(RESOURCE_TYPES))
def test_every_parameter_can_be_sorted_by(apart: Database[dict[str, Any]], type_name: str) -> None:
    apart[type_name].insert_one(
        document({"resourceType": type_name, "id": "x", "meta": {"lastUpdated": "2026-02-01T10:00:00.000Z"}})
    )
    for code in sortable(type_name):
        for sort in (code, f"-{code}") if code != "near" else ():
            assert len(page(apart, type_name, sort, 5, None).matches) >= 1, sort
    assert set(sortable(type_name)) == set(parameters_of(type_name))


def at(id: str, latitude: float, longitude: float) -> dict[str, Any]:
    meta, position = {"lastUpdated": "2026-02-01T10:00:00.000Z"}, {"latitude": latitude, "longitude": longitude}
    return document({"resourceType": "Location", "id": id, "meta": meta, "position": position})


spots = st.tuples(st.floats(-89, 89).map(lambda each: round(each, 3)), st.floats(-180, 180).map(lambda e: round(e, 3)))


@often
@given(
    places=st.lists(spots, min_size=1, max_size=6), asked=st.lists(spots, min_size=1, max_size=2), back=st.booleans()
)
def test_what_is_sought_near_places_can_be_sorted_by_its_distance_from_the_nearest(
    apart: Database[dict[str, Any]], places: list[tuple[float, float]], asked: list[tuple[float, float]], back: bool
) -> None:
    apart["Location"].delete_many({})
    apart["Location"].insert_many([at(str(number), *place) for number, place in enumerate(places)])
    text = ",".join(f"{latitude:f}|{longitude:f}|20000|km" for latitude, longitude in asked)
    sort = ("-" if back else "") + "near"

    found = walked(apart, "Location", sort, 2, ("near", text))

    def metres(id: str) -> int:
        """By bisection, since the memory only says whether a place is within so many kilometres."""
        nearer, farther = -1, 20_040_000
        latitude, longitude = places[int(id)]
        while farther - nearer > 1:
            middle = (nearer + farther) // 2
            within = any(near.meets(Near(*each, middle / 1000), [longitude, latitude]) for each in asked)
            nearer, farther = (nearer, middle) if within else (middle, farther)
        return farther

    away = [metres(id) for id in found]
    assert all((later - former) * (-1 if back else 1) >= -2 for former, later in pairwise(away))
    assert sorted(found) == [id for id in map(str, range(len(places))) if metres(id) <= 20_000_000]


@pytest.mark.parametrize("pairs", [[("_sort", "near")], [("near:missing", "false"), ("_sort", "status,-near")]])
def test_who_asks_for_no_place_cannot_sort_by_distance(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(MalformedRequest, match="sought near a place"):
        parse("Location", pairs, base_url=BASE_URL)


@pytest.mark.parametrize("sort", ["authored-on", "-authored-on", "code", "status,authored-on"])
def test_what_was_stored_before_a_key_existed_is_not_lost(apart: Database[dict[str, Any]], sort: str) -> None:
    meta = {"lastUpdated": "2026-02-01T10:00:00.000Z"}
    tasks = [
        document({"resourceType": "Task", "id": f"{day}", "meta": meta, "authoredOn": f"2026-02-0{day}"})
        for day in range(1, 7)
    ]
    for old in tasks[3:]:
        del old["k"]["authored-on"]
    apart["Task"].delete_many({})
    apart["Task"].insert_many(tasks)

    found = walked(apart, "Task", sort, 2)

    assert sorted(found) == ["1", "2", "3", "4", "5", "6"]
    if "authored-on" in sort:
        assert set(found[3:]) == {"4", "5", "6"}


def test_an_order_that_takes_too_long_is_too_costly(
    database: Database[dict[str, Any]], failing_command: Callable[..., AbstractContextManager[None]]
) -> None:
    with failing_command("aggregate", "Task", errorCode=50), pytest.raises(TooCostly, match="sort it by _id"):
        page(database, "Task", "owner", 5, None)


def test_a_sort_has_a_bound() -> None:
    nine = ["_id", "_lastUpdated", "_tag", "_profile", "status", "code", "owner", "due", "priority"]
    with pytest.raises(MalformedRequest, match="'_sort' takes at most 8 parameters, not 9"):
        parse("Task", [("_sort", ",".join(nine))], base_url=BASE_URL)
