"""What each kind of search parameter finds, as R4 says it: https://hl7.org/fhir/R4/search.html"""

from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_server.fhir.json import Resource
from fhir_server.search.match import matches
from fhir_server.search.parse import parse

BASE_URL = "https://here.example/fhir"
MOMENT = datetime(2026, 5, 1, tzinfo=UTC)
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
KBO = "urn:oid:2.16.56"


def finds(search: str, resource: Resource) -> bool:
    type_name, _, parameters = search.partition("?")
    pairs = [(name, value) for name, _, value in (each.partition("=") for each in parameters.split("&"))]
    return matches(parse(type_name, pairs, base_url=BASE_URL, moment=MOMENT), resource)


def task(**content: Any) -> Resource:
    return {"resourceType": "Task", "id": "1", "status": "requested", "intent": "order", **content}


def observation(**content: Any) -> Resource:
    return {"resourceType": "Observation", "id": "1", "status": "final", **content}


def patient(**content: Any) -> Resource:
    return {"resourceType": "Patient", "id": "1", **content}


def coded(*codings: tuple[str | None, str]) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code} if system else {"code": code} for system, code in codings]}


@pytest.mark.parametrize(
    ("asked", "code", "found"),
    [
        ("8867-4", coded((LOINC, "8867-4")), True),
        (f"{LOINC}|8867-4", coded((LOINC, "8867-4")), True),
        (f"{LOINC}|", coded((LOINC, "8867-4")), True),
        (f"{LOINC}|8867-4", coded(("http://other", "8867-4")), False),
        ("|8867-4", coded((LOINC, "8867-4")), False),
        ("|8867-4", coded((None, "8867-4")), True),
        ("8867-4", coded((None, "8867-4")), True),
        ("8867", coded((LOINC, "8867-4")), False),
        ("pulse", coded((LOINC, "Pulse")), True),
        (f"{UCUM}|mmol", coded((UCUM, "Mmol")), False),
        (f"{UCUM}|Mmol", coded((UCUM, "Mmol")), True),
        ("HTTP://LOINC.ORG|8867-4", coded((LOINC, "8867-4")), False),
        ("b,a", coded((LOINC, "a")), True),
        (r"a\,b", coded((LOINC, "a,b")), True),
        (r"a\|b", coded((LOINC, "a|b")), True),
        ("a|b", coded((LOINC, "a|b")), False),
        ("b", coded((LOINC, "a"), ("http://other", "b")), True),
        ("a", {"text": "a"}, False),
    ],
)
def test_a_token_finds_a_code(asked: str, code: dict[str, Any], found: bool) -> None:
    assert finds(f"Observation?code={asked}", observation(code=code)) is found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("requested", True),
        ("|requested", True),
        ("http://hl7.org/fhir/task-status|requested", True),
        ("http://other|requested", False),
        ("Requested", False),
        ("accepted,requested", True),
    ],
)
def test_the_system_of_a_code_is_the_one_that_it_is_bound_to(asked: str, found: bool) -> None:
    assert finds(f"Task?status={asked}", task()) is found


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("Task?status:not=accepted", True),
        ("Task?status:not=requested", False),
        ("Task?status:not=accepted,requested", False),
        ("Task?status:not=accepted&status:not=completed", True),
        ("Task?priority:not=urgent", True),
        ("Task?code:not=x", True),
    ],
)
def test_not_finds_what_has_none_of_the_codes_or_no_code_at_all(search: str, found: bool) -> None:
    assert finds(search, task()) is found


@pytest.mark.parametrize(
    ("asked", "found"),
    [("85041800112", True), ("http://ssin|85041800112", True), ("http://ssin|", True), ("|85041800112", False)],
)
def test_a_token_finds_an_identifier(asked: str, found: bool) -> None:
    identified = patient(identifier=[{"system": "http://ssin", "value": "85041800112"}])
    assert finds(f"Patient?identifier={asked}", identified) is found


@pytest.mark.parametrize("asked", ["+32 2 123 45 67", "+32 (0)2/123.45.67", "+3221234567"])
def test_a_telephone_number_is_found_however_it_is_written(asked: str) -> None:
    reachable = patient(telecom=[{"system": "phone", "value": "+32 2 123.45.67"}])
    assert finds(f"Patient?phone={asked}", reachable)
    assert finds(f"Patient?telecom={asked}", reachable)
    assert not finds(f"Patient?email={asked}", reachable)


@pytest.mark.parametrize(
    ("content", "deceased"),
    [
        ({}, False),
        ({"deceasedBoolean": False}, False),
        ({"deceasedBoolean": True}, True),
        ({"deceasedDateTime": "2026-01-01"}, True),
    ],
)
def test_whether_a_patient_died_is_always_known(content: dict[str, Any], deceased: bool) -> None:
    assert finds("Patient?deceased=true", patient(**content)) is deceased
    assert finds("Patient?deceased=false", patient(**content)) is not deceased


@pytest.mark.parametrize(
    ("asked", "reference", "found"),
    [
        ("Organization/1", "Organization/1", True),
        ("1", "Organization/1", True),
        ("Organization/2", "Organization/1", False),
        ("1", "Organization/11", False),
        ("Practitioner/1", "Organization/1", False),
        (f"{BASE_URL}/Organization/1", "Organization/1", True),
        (f"{BASE_URL}/Organization/1", f"{BASE_URL}/Organization/1", True),
        ("https://there.example/Organization/1", "https://there.example/Organization/1", True),
        ("https://there.example/Organization/1", "Organization/1", False),
        ("Organization/1", "Organization/1/_history/2", True),
        ("Organization/1/_history/2", "Organization/1/_history/2", True),
        ("Organization/1/_history/3", "Organization/1/_history/2", False),
        ("urn:uuid:1", "urn:uuid:1", True),
        ("Organization/1", "#Organization/1", False),
    ],
)
def test_a_reference_is_found_by_its_address(asked: str, reference: str, found: bool) -> None:
    assert finds(f"Task?owner={asked}", task(owner={"reference": reference})) is found


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("Task?owner:Organization=1", True),
        ("Task?owner:Practitioner=1", False),
        (f"Task?owner:identifier={KBO}|0123", True),
        ("Task?owner:identifier=0123", True),
        (f"Task?owner:identifier={KBO}|9", False),
        (f"Task?owner={KBO}", False),
    ],
)
def test_a_reference_is_found_by_type_and_by_identifier(search: str, found: bool) -> None:
    owned = task(owner={"reference": "Organization/1", "identifier": {"system": KBO, "value": "0123"}})
    assert finds(search, owned) is found


@pytest.mark.parametrize(
    ("subject", "found"),
    [
        ({"reference": "Patient/1"}, True),
        ({"reference": "Group/1"}, False),
        ({"reference": "https://there.example/fhir/Patient/1"}, False),
    ],
)
def test_the_patient_of_a_task_is_no_group(subject: dict[str, str], found: bool) -> None:
    assert finds("Task?patient=1", task(**{"for": subject})) is found


@pytest.mark.parametrize(
    ("subject", "contained", "missing"),
    [
        ({"reference": "Group/1"}, [], True),
        ({"reference": "#p"}, [{"resourceType": "Patient", "id": "p"}], False),
        ({"reference": "#p"}, [{"resourceType": "Group", "id": "p"}], True),
        ({"type": "Patient", "identifier": {"value": "9"}}, [], False),
        ({"reference": "https://there.example/fhir/Patient/1/_history/1"}, [], False),
        ({"display": "somebody"}, [], True),
    ],
)
def test_a_reference_says_in_many_ways_that_it_means_a_patient(
    subject: dict[str, Any], contained: list[Resource], missing: bool
) -> None:
    assert finds("Task?patient:missing=true", task(contained=contained, **{"for": subject})) is missing


def test_a_canonical_is_found_with_and_without_its_version() -> None:
    answered = {"resourceType": "QuestionnaireResponse", "id": "1", "questionnaire": "http://q|2"}
    assert finds("QuestionnaireResponse?questionnaire=http://q", answered)
    assert finds(r"QuestionnaireResponse?questionnaire=http://q\|2", answered)
    assert finds("QuestionnaireResponse?questionnaire=http://q|2", answered)
    assert not finds("QuestionnaireResponse?questionnaire=http://q|1", answered)


def test_a_uri_is_compared_whole() -> None:
    valued = {"resourceType": "ValueSet", "id": "1", "url": "http://a/B", "meta": {"profile": ["http://p|1"]}}
    assert finds("ValueSet?url=http://a/B", valued)
    assert not finds("ValueSet?url=http://a/b", valued)
    assert not finds("ValueSet?url=http://a", valued)
    assert finds("ValueSet?_profile=http://p", valued)


DAY = {"effectiveDateTime": "2026-03-05"}
MOMENT_IN_IT = {"effectiveDateTime": "2026-03-05T10:00:00+01:00"}
MARCH = {"effectivePeriod": {"start": "2026-03-01", "end": "2026-03-31"}}
FROM_MARCH = {"effectivePeriod": {"start": "2026-03-01"}}
UNTIL_MARCH = {"effectivePeriod": {"end": "2026-03-31"}}
TWICE = {"effectiveTiming": {"event": ["2026-03-01", "2026-03-09"]}}


@pytest.mark.parametrize(
    ("asked", "when", "found"),
    [
        ("2026-03-05", DAY, True),
        ("2026-03", DAY, True),
        ("2026-03-05T10:00", DAY, False),
        ("2026-03-05", MOMENT_IN_IT, True),
        ("2026-03-05T09:00:00Z", MOMENT_IN_IT, True),
        ("2026-03-05T10:00:00 01:00", MOMENT_IN_IT, True),
        ("2026-03-05T10:00:00Z", MOMENT_IN_IT, False),
        ("2026-03-05", MARCH, False),
        ("2026-03", MARCH, True),
        ("ne2026-03-05", DAY, False),
        ("ne2026-03-05", MARCH, True),
        ("gt2026-03-05", DAY, False),
        ("gt2026-03-04", DAY, True),
        ("gt2026-03-05", MARCH, True),
        ("lt2026-03-05", DAY, False),
        ("lt2026-03-05", MARCH, True),
        ("ge2026-03-05", DAY, True),
        ("ge2026-03-06", DAY, False),
        ("ge2030", FROM_MARCH, True),
        ("le2026-03-05", DAY, True),
        ("le2026-03-04", DAY, False),
        ("le1900", UNTIL_MARCH, True),
        ("le2026-02", FROM_MARCH, False),
        ("sa2026-03-04", DAY, True),
        ("sa2026-03-05", MARCH, False),
        ("sa2026-02", MARCH, True),
        ("eb2026-03-06", DAY, True),
        ("eb2026-03-05", MARCH, False),
        ("eb2026-04", MARCH, True),
        ("2026-03", TWICE, True),
        ("2026-03-01", TWICE, False),
        ("sa2026-02,eb2026-01", DAY, True),
        ("ap2026-03-06", DAY, True),
        ("ap2025-10", DAY, False),
        ("2026", {}, False),
        ("ne2026", {}, False),
    ],
)
def test_dates_are_ranges_on_both_sides(asked: str, when: dict[str, Any], found: bool) -> None:
    assert finds(f"Observation?date={asked}", observation(**when)) is found


def test_a_task_due_on_the_last_of_all_days_is_found() -> None:
    forever = task(restriction={"period": {"end": "9999-12-31"}})
    assert finds("Task?due=9999-12-31", forever)
    assert finds("Task?due=gt2026", forever)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("2026-03-05T10:00:00.123Z", True),
        ("2026-03-05T10:00:00Z", True),
        ("gt2026-03-05T10:00:00.123Z", False),
        ("ge2026-03-05T10:00:00.123Z", True),
        ("lt2026-03-05T10:00:00.123Z", False),
        ("gt2026-03-05T10:00:00.122Z", True),
        ("2026-03-05T10:00:00.123456Z", True),
    ],
)
def test_the_last_update_is_compared_by_the_millisecond(asked: str, found: bool) -> None:
    assert finds(f"Task?_lastUpdated={asked}", task(meta={"lastUpdated": "2026-03-05T10:00:00.123Z"})) is found


NAMED = {"name": [{"family": "Van den Bérg", "given": ["An", "Marie"], "prefix": ["Dr."]}]}


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("name=van den", True),
        ("name=VAN DEN BERG", True),
        ("name=berg", True),
        ("name=den b", True),
        ("name=erg", False),
        ("name:exact=Bérg", False),
        ("family=berg", True),
        ("name:contains=BERG", True),
        ("name=an marie van", True),
        ("name=van den berg an", True),
        ("name=dr", True),
        ("name:exact=Van den Bérg", True),
        ("name:exact=van den berg", False),
        ("name:exact=Van den", False),
        ("family=van", True),
        ("family=an", False),
        ("given=marie", True),
        ("given=x,mar", True),
        ("given=an&given=marie", True),
        ("given=an&given=x", False),
    ],
)
def test_a_string_finds_the_beginning_of_a_name(search: str, found: bool) -> None:
    assert finds(f"Patient?{search}", patient(**NAMED)) is found


@pytest.mark.parametrize(("asked", "found"), [("Gent", True), ("9000", True), ("veld", True), ("Namur", False)])
def test_a_string_finds_a_part_of_an_address(asked: str, found: bool) -> None:
    living = patient(address=[{"line": ["Veldstraat 1"], "city": "Gent", "postalCode": "9000"}])
    assert finds(f"Patient?address={asked}", living) is found


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("Task?owner:missing=true", True),
        ("Task?owner:missing=false", False),
        ("Task?status:missing=false", True),
        ("Task?status:missing=true", False),
    ],
)
def test_missing_asks_whether_there_is_a_value(search: str, found: bool) -> None:
    assert finds(search, task()) is found


def test_clauses_are_joined_by_and() -> None:
    assert finds("Task?status=requested&intent=order&_id=1", task())
    assert not finds("Task?status=requested&intent=plan", task())
    assert not finds("Task?_id=2", task())
    assert finds("Task?_id=2,1", task())
    assert finds("Task?_id=|1", task())
    assert not finds("Task?_id=urn:ids|1", task())
    assert finds("Task?_id:not=urn:ids|1", task())


def test_another_type_never_matches() -> None:
    assert not finds("Task?_id=1", patient())
