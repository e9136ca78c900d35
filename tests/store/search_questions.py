"""Resources of all kinds, and questions about them, for the tests that ask the database and the memory alike."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from fhir_server.fhir.json import Resource, encode
from fhir_server.search.grant import Stamp
from fhir_server.store.mongo.documents import current_document
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
WHY_NOT = [{"url": "http://why-not", "valueCode": "unknown"}]
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
concepts = optional(coding=st.lists(codings, max_size=2), text=texts, extension=st.just(WHY_NOT))
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
    comparator=st.sampled_from(["<", "<=", ">", ">="]),
    extension=st.just(WHY_NOT),
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
        pairs(["_id", "_id:not"], ids | ids.map("|{}".format) | ids.map("urn:ids|{}".format)),
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
