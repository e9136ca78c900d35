"""One Query, two interpreters: the database and the memory answer every question alike."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.database import Database

from fhir_server.fhir.json import Resource, encode
from fhir_server.search.folding import fold
from fhir_server.search.grant import Grant, Reader, Stamp, admits
from fhir_server.search.match import matches
from fhir_server.search.parse import parse
from fhir_server.search.query import Clause, Query, Text
from fhir_server.store.mongo.documents import current_document
from fhir_server.store.mongo.queries import grant_filter, query_filter
from fhir_server.store.values import Stored

BASE_URL = "https://here.example/fhir"
MOMENT = datetime(2026, 5, 1, 12, tzinfo=UTC)

CODES = ["a", "A", "b", "a|b", "x,y", "mg", "MG", "\\"]
SYSTEMS = ["http://one", "http://two", "http://unitsofmeasure.org", "http://a|b"]
PREFIXES = ["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]
NUMBERS = [
    "0",
    "1",
    "1.0",
    "5.4",
    "5.35",
    "5.45",
    "5.399999999999999999999",
    "0.0054",
    "-3",
    "99.5",
    "100",
    "100.5",
    "1e3",
]
UNITS = ["mg", "g", "kg", "Cel", "K", "{beats}/min", "/min", "mmol", "a|b"]
DEGREES = [Decimal(text) for text in ("0", "51.05", "3.72", "51.3", "-90", "180", "500")]
DATES = [
    "2026",
    "2026-02",
    "2026-02-01",
    "2026-02-28",
    "2025-12-31",
    "2026-01-31T23:30:00Z",
    "2026-02-01T00:30:00+01:00",
    "2026-02-01T10:00:00.123Z",
    "2026-02-01T10:00:00.123456Z",
    "0001-01-01",
    "9999-12-31",
]
URLS = ["http://a", "http://a/", "http://a/b", "http://a/b/c", "http://a/bc", "http://a/b|1", "urn:oid:1.2"]
UPDATES = [
    "2026-01-31T23:30:00.000Z",
    "2026-02-01T10:00:00.123Z",
    "2026-02-01T10:00:00.124Z",
    "2026-03-01T00:00:00.000Z",
]

often = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def apart(mongo_client: MongoClient[dict[str, Any]]) -> Iterator[Database[dict[str, Any]]]:
    """A database of these tests alone: they ask whole collections."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield mongo_client[name]
    mongo_client.drop_database(name)


texts = st.sampled_from(
    [
        "Peeters",
        "peeters",
        "Pëeters",
        "Van den Berg",
        "van-den-berg",
        "O'Brien",
        "OBRIEN",
        "Straße",
        "a.b*c",
        "Ω",
        "x^y$",
    ]
) | st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6)
codes = st.sampled_from(CODES)
systems = st.sampled_from(SYSTEMS)
ids = st.sampled_from(["1", "2", "3"])
dates = st.sampled_from(DATES)


def optional(**elements: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=elements)


codings = optional(system=systems, code=codes)
concepts = optional(coding=st.lists(codings, max_size=2), text=texts)
identifiers = optional(system=systems, value=codes)
typed_identifiers = optional(system=systems, value=codes, type=concepts)
addresses = st.builds("{}/{}".format, st.sampled_from(["Patient", "Organization", "Group"]), ids) | st.sampled_from(
    ["Patient/1/_history/2", f"{BASE_URL}/Patient/1", "https://there.example/Patient/1", "#p", "urn:uuid:1"]
)
references = optional(reference=addresses, identifier=identifiers, type=st.sampled_from(["Patient", "Group"]))
periods = optional(start=dates, end=dates)
document_addresses = st.builds("DocumentReference/{}".format, ids)
numbers = st.sampled_from([Decimal(text) for text in NUMBERS])
quantities = optional(
    value=numbers,
    comparator=st.sampled_from(["<", ">="]),
    unit=st.sampled_from(["mg", "milligram"]),
    code=st.sampled_from(UNITS),
    system=st.sampled_from(["http://unitsofmeasure.org", "http://one"]),
)
metas = st.fixed_dictionaries(
    {
        "lastUpdated": st.sampled_from(
            ["2026-01-31T23:30:00.000Z", "2026-02-01T10:00:00.123Z", "2026-03-01T00:00:00.000Z"]
        )
    },
    optional={"tag": st.lists(codings, max_size=2), "profile": st.lists(st.sampled_from(["http://p", "http://p|1"]))},
)
tasks = st.fixed_dictionaries(
    {"resourceType": st.just("Task"), "meta": metas},
    optional={
        "status": st.sampled_from(["requested", "accepted", "completed"]),
        "priority": st.sampled_from(["urgent", "routine"]),
        "identifier": st.lists(typed_identifiers, max_size=2),
        "code": concepts,
        "owner": references,
        "for": references,
        "focus": references,
        "contained": st.just([{"resourceType": "Patient", "id": "p"}]),
        "authoredOn": dates,
        "executionPeriod": periods,
        "restriction": st.fixed_dictionaries({"period": periods}),
    },
)
observations = st.fixed_dictionaries(
    {"resourceType": st.just("Observation"), "meta": metas, "status": st.sampled_from(["final", "amended"])},
    optional={
        "code": concepts,
        "subject": references,
        "effectiveDateTime": dates,
        "effectivePeriod": periods,
        "effectiveTiming": optional(event=st.lists(dates, max_size=3), repeat=optional(boundsPeriod=periods)),
        "valueString": texts,
        "valueCodeableConcept": concepts,
        "valueQuantity": quantities,
        "component": st.lists(
            optional(code=concepts, valueQuantity=quantities, valueCodeableConcept=concepts), max_size=3
        ),
    },
)
value_sets = st.fixed_dictionaries(
    {"resourceType": st.just("ValueSet"), "meta": metas}, optional={"url": st.sampled_from(URLS)}
)
assessments = st.fixed_dictionaries(
    {"resourceType": st.just("RiskAssessment"), "meta": metas, "status": st.just("final")},
    optional={
        "prediction": st.lists(
            optional(
                probabilityDecimal=numbers,
                probabilityRange=optional(low=optional(value=numbers), high=optional(value=numbers)),
            ),
            max_size=3,
        )
    },
)
conditions = st.fixed_dictionaries(
    {"resourceType": st.just("Condition"), "meta": metas},
    optional={"onsetAge": quantities, "onsetRange": optional(low=quantities, high=quantities)},
)
documents_of_all_kinds = st.fixed_dictionaries(
    {"resourceType": st.just("DocumentReference"), "meta": metas},
    optional={
        "relatesTo": st.lists(
            optional(code=st.sampled_from(["replaces", "signs"]), target=optional(reference=document_addresses)),
            max_size=3,
        )
    },
)
locations = st.fixed_dictionaries(
    {"resourceType": st.just("Location"), "meta": metas},
    optional={"position": optional(latitude=st.sampled_from(DEGREES), longitude=st.sampled_from(DEGREES))},
)
patients = st.fixed_dictionaries(
    {"resourceType": st.just("Patient"), "meta": metas},
    optional={
        "active": st.booleans(),
        "deceasedBoolean": st.booleans(),
        "deceasedDateTime": dates,
        "name": st.lists(optional(family=texts, given=st.lists(texts, max_size=2), text=texts), max_size=2),
        "telecom": st.lists(
            optional(system=st.sampled_from(["phone", "email"]), value=st.sampled_from(["+32 2 123", "a@b.be"])),
            max_size=2,
        ),
        "address": st.lists(optional(city=texts, line=st.lists(texts, max_size=2)), max_size=1),
        "birthDate": dates,
    },
)


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace(",", "\\,").replace("|", "\\|").replace("$", "\\$")


def several(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(values, min_size=1, max_size=3).map(",".join)


asked_codes = codes.map(escaped)
asked_systems = systems.map(escaped)
asked_tokens = asked_codes | st.one_of(
    st.builds("{}|{}".format, asked_systems, asked_codes),
    asked_codes.map("|{}".format),
    asked_systems.map("{}|".format),
)
asked_dates = st.builds(
    "{}{}".format, st.sampled_from(["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]), dates
)
asked_texts = texts.filter(lambda text: any(character.isalnum() for character in text)).map(escaped)
asked_numbers = st.builds("{}{}".format, st.sampled_from(PREFIXES), st.sampled_from([*NUMBERS, "5e-3", "1e2"]))
asked_quantities = asked_numbers | st.one_of(
    st.builds("{}|http://unitsofmeasure.org|{}".format, asked_numbers, st.sampled_from(UNITS).map(escaped)),
    st.builds("{}||{}".format, asked_numbers, st.sampled_from([*UNITS, "milligram"]).map(escaped)),
)
missing = st.sampled_from(["true", "false"])


def pairs(names: list[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, str]]:
    return st.tuples(st.sampled_from(names), several(values))


def parameters(*kinds: st.SearchStrategy[tuple[str, str]]) -> st.SearchStrategy[list[tuple[str, str]]]:
    shared = (
        pairs(["_id", "_id:not"], ids),
        pairs(["_lastUpdated"], asked_dates),
        pairs(["_tag", "_tag:not"], asked_tokens),
        pairs(["_profile"], st.sampled_from(["http://p", "http://p|1", "http://q"])),
    )
    return st.lists(st.one_of(*kinds, *kinds, *shared), min_size=1, max_size=2)


QUESTIONS: dict[str, tuple[Any, Any]] = {
    "Task": (
        tasks,
        parameters(
            pairs(
                ["status", "status:not"],
                st.sampled_from(["requested", "http://hl7.org/fhir/task-status|accepted", "x"]),
            ),
            pairs(["priority", "priority:not"], st.sampled_from(["urgent", "|routine", "http://other|urgent"])),
            pairs(["identifier", "code", "code:not", "owner:identifier"], asked_tokens),
            pairs(["code:text", "identifier:text"], asked_texts),
            pairs(["identifier:of-type"], st.builds("{}|{}|{}".format, asked_systems, asked_codes, asked_codes)),
            pairs(["owner", "owner:Organization", "focus"], ids),
            pairs(
                ["patient", "subject"], st.sampled_from(["Patient/1", "Patient/1/_history/2", f"{BASE_URL}/Patient/1"])
            ),
            pairs(["subject"], st.sampled_from(["Group/2", "https://there.example/Patient/1", "urn:uuid:1"])),
            pairs(["due", "period", "authored-on"], asked_dates),
            st.tuples(
                st.sampled_from(["due:missing", "owner:missing", "priority:missing", "patient:missing"]), missing
            ),
        ),
    ),
    "Observation": (
        observations,
        parameters(
            pairs(["code", "value-concept", "code:not"], asked_tokens),
            pairs(["patient"], st.sampled_from(["1", "2", "Patient/1/_history/2", f"{BASE_URL}/Patient/1"])),
            pairs(["date"], asked_dates),
            pairs(["value-string", "value-string:exact", "value-string:contains"], asked_texts),
            pairs(["value-quantity", "combo-value-quantity", "component-value-quantity"], asked_quantities),
            pairs(
                ["code-value-quantity", "combo-code-value-quantity", "component-code-value-quantity"],
                st.builds("{}${}".format, asked_tokens, asked_quantities),
            ),
            pairs(
                ["code-value-concept", "combo-code-value-concept", "component-code-value-concept"],
                st.builds("{}${}".format, asked_tokens, asked_tokens),
            ),
            pairs(["code-value-string"], st.builds("{}${}".format, asked_tokens, asked_texts)),
            pairs(["code-value-date"], st.builds("{}${}".format, asked_tokens, asked_dates)),
            st.tuples(st.sampled_from(["date:missing", "value-string:missing"]), missing),
        ),
    ),
    "ValueSet": (
        value_sets,
        parameters(
            pairs(["url", "url:above", "url:below", "_profile:below"], st.sampled_from([*URLS, "http://a/b/c/d", "x"])),
        ),
    ),
    "RiskAssessment": (assessments, parameters(pairs(["probability"], asked_numbers))),
    "Condition": (
        conditions,
        parameters(pairs(["onset-age"], asked_quantities), st.tuples(st.just("onset-age:missing"), missing)),
    ),
    "DocumentReference": (
        documents_of_all_kinds,
        parameters(
            pairs(
                ["relationship"], st.builds("{}${}".format, st.sampled_from(["replaces", "signs"]), document_addresses)
            )
        ),
    ),
    "Location": (
        locations,
        parameters(
            pairs(
                ["near"],
                st.sampled_from(
                    [
                        "51.05|3.72",
                        "51.05|3.72|20|km",
                        "51|3.7|5000000|m",
                        "0|0|1",
                        "-90|0|1",
                        "0|180|10000",
                        "0|-180|10",
                    ]
                ),
            ),
            st.tuples(st.just("near:missing"), missing),
        ),
    ),
    "Patient": (
        patients,
        parameters(
            pairs(
                ["name", "name:exact", "name:contains", "family", "given", "address", "address-city:contains"],
                asked_texts,
            ),
            pairs(["birthdate", "death-date"], asked_dates),
            pairs(["deceased", "active", "active:not"], st.sampled_from(["true", "false"])),
            pairs(["phone", "telecom"], st.sampled_from(["+322123", "+32 2/123", "A@B.be"])),
            st.tuples(st.sampled_from(["name:missing", "deceased:missing", "email:missing"]), missing),
        ),
    ),
}


def documents(resources: list[Resource], stamps: list[Stamp] | None = None) -> list[dict[str, Any]]:
    stored = []
    for position, resource in enumerate(resources):
        updated = datetime.fromisoformat(resource["meta"]["lastUpdated"])
        stamp = stamps[position] if stamps else Stamp()
        kept = Stored(resource["resourceType"], resource["id"], 1, updated, encode(resource), stamp)
        stored.append(current_document(kept))
    return stored


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


@pytest.mark.parametrize("name", ["_id", "_id:not", "status:missing", "code:missing", "value-quantity:missing"])
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
