"""What R4's page of search says in passing, and where a search that is wrong only finds less."""

import uuid
from typing import Any
from urllib.parse import quote

import pytest

from fhir_server.fhir.json import Resource
from tests.http.finding import finds, stored
from tests.http.test_searching import ids, observation
from tests.minimal import minimal
from tests.world import Party, World

UCUM = "http://unitsofmeasure.org"


@pytest.fixture
def patient(hosp: Party) -> str:
    """A Patient of the hospital."""
    return f"Patient/{made(hosp, minimal('Patient'))}"


def made(party: Party, resource: Resource) -> str:
    """The id of a resource that the party creates."""
    reply = party.post(resource)
    assert reply.status == 201, reply.body
    return str(reply.body["id"])


def encoded(asked: str) -> str:
    """The parameters as an address has them; a plus stays."""
    return quote(asked, safe="=&:+,*")


# --- Canonicals lead on by their urls.


@pytest.fixture
def form(hosp: Party, patient: str) -> dict[str, str]:
    """A Questionnaire of a url of its own and a response to its version."""
    url = f"https://forms.example/{uuid.uuid4().hex}"
    asked = made(hosp, minimal("Questionnaire", url=url, version="1.2", status="active", title="Intake"))
    answered = minimal("QuestionnaireResponse", questionnaire=f"{url}|1.2", subject={"reference": patient})
    return {"url": url, "questionnaire": asked, "response": made(hosp, answered)}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("questionnaire.title=intake", True),
        ("questionnaire.title=outtake", False),
        ("questionnaire:Questionnaire.url={url}", True),
        ("questionnaire:below={url}", True),
        ("questionnaire:below={url}|1", True),
        ("questionnaire:below={url}|1.2", True),
        ("questionnaire:below={url}|2", False),
        ("questionnaire:below={url}|1.", False),
        ("_filter=questionnaire.title eq intake", True),
    ],
)
def test_a_canonical_leads_on_by_its_url(
    hosp: Party, patient: str, form: dict[str, str], asked: str, found: bool
) -> None:
    reply = hosp.get(f"QuestionnaireResponse?patient={patient}&{encoded(asked.format(**form))}")

    assert ids(reply) == ([form["response"]] if found else [])


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("_has:QuestionnaireResponse:questionnaire:status:missing=false", True),
        ("_has:QuestionnaireResponse:questionnaire:_id={response}", True),
        ("_has:QuestionnaireResponse:questionnaire:_id=another", False),
        ("url={url}|1.2", True),
        ("url={url}|1.3", False),
        ("url={url}|1.3,{url}|1.2", True),
        ("url={url}", True),
    ],
)
def test_a_definition_is_found_by_its_url_with_a_version_and_by_what_names_it(
    hosp: Party, form: dict[str, str], asked: str, found: bool
) -> None:
    reply = hosp.get(f"Questionnaire?_id={form['questionnaire']}&{encoded(asked.format(**form))}")

    assert ids(reply) == ([form["questionnaire"]] if found else [])


def test_what_names_a_definition_comes_with_it(hosp: Party, form: dict[str, str]) -> None:
    reply = hosp.get(f"Questionnaire?url={form['url']}&_revinclude=QuestionnaireResponse:questionnaire")

    assert (ids(reply), ids(reply, "include")) == ([form["questionnaire"]], [form["response"]])


def test_what_names_a_definition_is_seen_by_its_readers_alone(world: World, form: dict[str, str]) -> None:
    other, by_response = world.hospital(), f"_has:QuestionnaireResponse:questionnaire:_id={form['response']}"

    assert ids(other.get(f"Questionnaire?url={form['url']}&_revinclude=*"), "include") == []
    assert ids(other.get(f"Questionnaire?url={form['url']}&{by_response}")) == []


def test_a_canonical_has_no_identifier(hosp: Party) -> None:
    reply = hosp.get("QuestionnaireResponse?questionnaire:identifier=a|b")

    assert (reply.status, "':identifier'" in reply.issues[0]["diagnostics"]) == (400, True)


# --- Tokens that are no codes.


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("active=http://hl7.org/fhir/special-values|true", True),
        ("active=http://hl7.org/fhir/special-values|false", False),
        ("active:not=false", True),
        ("deceased=false", True),
        ("telecom=+32 9 123", True),
        ("phone=+329123", True),
        ("telecom=|%2B329123", True),
        ("name:exact=-", False),
    ],
)
def test_yes_and_no_and_telephone_numbers_are_asked_as_they_are_written(hosp: Party, asked: str, found: bool) -> None:
    telecom = [{"system": "phone", "value": "+32 9 123"}]
    id = made(hosp, minimal("Patient", active=True, telecom=telecom, name=[{"text": "A-B"}]))

    assert ids(hosp.get(f"Patient?_id={id}&{asked.replace(' ', '+')}")) == ([id] if found else [])


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("active=TRUE", "takes true or false"),
        ("active=yes", "takes true or false"),
        ("deceased=urn:other|true", "takes true or false"),
        ("phone=phone|123", "state no system"),
        ("telecom=email|a@b.be", "state no system"),
    ],
)
def test_what_no_value_can_be_is_refused(hosp: Party, asked: str, says: str) -> None:
    reply = hosp.get(f"Patient?{encoded(asked)}")

    assert (reply.status, says in reply.issues[0]["diagnostics"]) == (400, True), reply.body


def test_a_mime_type_is_found_with_its_parameters(hosp: Party, patient: str) -> None:
    content = [{"attachment": {"contentType": "text/xml; charset=UTF-8", "url": "https://files.example/1"}}]
    id = made(hosp, minimal("DocumentReference", subject={"reference": patient}, content=content))

    def found(asked: str) -> bool:
        return ids(hosp.get(f"DocumentReference?_id={id}&{encoded(asked)}")) == [id]

    assert found("contenttype:below=text/xml")
    assert found("contenttype=text/xml; charset=UTF-8")
    assert not found("contenttype=text/xml")
    assert not found("contenttype:below=text/x")


def test_a_mime_type_is_the_same_in_capitals(hosp: Party, patient: str) -> None:
    content = [{"attachment": {"contentType": "Image/PNG", "url": "https://files.example/1"}}]
    id = made(hosp, minimal("DocumentReference", subject={"reference": patient}, content=content))

    for asked in ("=image/png", "=IMAGE/png", ":below=image", ":below=Image"):
        assert ids(hosp.get(f"DocumentReference?_id={id}&contenttype{asked}")) == [id], asked
    assert ids(hosp.get(f"DocumentReference?_id={id}&contenttype:not=image/png")) == []


def test_exactly_a_sign_is_found(hosp: Party, patient: str) -> None:
    id = made(hosp, observation(patient, valueString="--"))

    assert ids(hosp.get(f"Observation?patient={patient}&value-string:exact=--")) == [id]
    assert hosp.get(f"Observation?patient={patient}&value-string=--").status == 400


# --- Value sets that are made of others.


def test_in_follows_what_a_value_set_is_made_of(world: World, hosp: Party, patient: str) -> None:
    unique = uuid.uuid4().hex
    system, base = f"https://terms.example/{unique}", world.parts.services.base_url

    def value_set(name: str, *include: Resource) -> str:
        kept: dict[str, Any] = {"id": f"{name}-{unique}", "url": f"https://sets.example/{unique}/{name}"}
        compose = {"include": list(include)}
        assert world.operator.put(minimal("ValueSet", status="active", compose=compose, **kept)).status == 201
        return str(kept["url"])

    concept = [{"code": "a", "concept": [{"code": "a1"}]}, {"code": "b"}]
    kept = {"id": f"cs-{unique}", "url": system, "status": "active", "content": "complete", "concept": concept}
    assert world.operator.put(minimal("CodeSystem", **kept)).status == 201
    inner = value_set("inner", {"system": system, "concept": [{"code": "b"}]})
    outer = value_set("outer", {"valueSet": [inner]})
    whole = value_set("whole", {"system": system})
    below = value_set("below", {"system": system, "filter": [{"property": "concept", "op": "is-a", "value": "a"}]})
    lost = value_set("lost", {"valueSet": ["https://sets.example/nowhere"]})
    seen = {}
    for code in ("a", "a1", "b", "c"):
        coded = {"coding": [{"system": system, "code": code}]}
        seen[made(hosp, {**observation(patient), "code": coded})] = code

    def found(asked: str) -> str:
        return " ".join(sorted(seen[id] for id in ids(hosp.get(f"Observation?patient={patient}&code:{asked}"))))

    assert found(f"in={outer}") == "b"
    assert found(f"in={whole}") == "a a1 b"
    assert found(f"not-in={whole}") == "c"
    assert found(f"in={below}") == "a a1"
    assert found(f"in={base}/ValueSet/inner-{unique}") == "b"
    refused = hosp.get(f"Observation?code:in={lost}")
    assert (refused.status, "https://sets.example/nowhere" in refused.issues[0]["diagnostics"]) == (400, True)


# --- What is part of something.


def test_what_happened_in_a_part_of_an_encounter_is_found_below_the_encounter(hosp: Party, patient: str) -> None:
    def encounter(above: str | None = None) -> str:
        part_of = {"partOf": {"reference": above}} if above else {}
        return f"Encounter/{made(hosp, minimal('Encounter', subject={'reference': patient}, **part_of))}"

    stay = encounter()
    ward = encounter(stay)
    bed = encounter(ward)
    places = {stay: "stay", ward: "ward", bed: "bed"}
    seen = {made(hosp, observation(patient, encounter={"reference": each})): name for each, name in places.items()}

    def found(asked: str) -> set[str]:
        return {seen[id] for id in ids(hosp.get(f"Observation?{asked}"))}

    assert found(f"encounter:below={stay}") == {"stay", "ward", "bed"}
    assert found(f"encounter:below={ward}") == {"ward", "bed"}
    assert found(f"encounter:above={bed}") == {"stay", "ward", "bed"}
    assert found(f"encounter:above={stay}") == {"stay"}
    parts = ids(hosp.get(f"Encounter?part-of:below={stay}"))
    assert {f"Encounter/{id}" for id in parts} == {ward, bed}


def test_a_hidden_part_leads_no_further(world: World, hosp: Party, patient: str) -> None:
    stay = made(hosp, minimal("Encounter", subject={"reference": patient}))
    other = world.hospital()

    assert ids(other.get(f"Observation?encounter:below=Encounter/{stay}")) == []


# --- Chains lead into what is contained.


def test_a_chain_leads_into_what_a_resource_contains(world: World, hosp: Party, patient: str) -> None:
    unique = uuid.uuid4().hex
    device = {"resourceType": "Device", "id": "d", "identifier": [{"value": unique}], "patient": {"reference": patient}}
    inside = made(hosp, {**observation(patient), "contained": [device], "device": {"reference": "#d"}})
    other = made(hosp, {**observation(patient), "contained": [device], "focus": [{"reference": "#d"}]})
    alone = made(hosp, minimal("Device", identifier=[{"value": unique}]))
    outside = made(hosp, observation(patient, device={"reference": f"Device/{alone}"}))

    def found(asked: str, party: Party = hosp) -> set[str]:
        return set(ids(party.get(f"Observation?{encoded(asked)}")))

    assert found(f"device.identifier={unique}") == {inside, outside}
    assert found(f"device:Device.identifier={unique}&patient={patient}") == {inside, outside}
    assert found(f"focus:Device.identifier={unique}") == {other}
    assert found(f"device.identifier={unique}x") == set()
    assert found(f"device.patient._id={patient.removeprefix('Patient/')}") == {inside}
    assert found(f"device._id={alone}") == {outside}
    assert found(f"patient={patient}&_filter=not (device.identifier eq {unique})") == {other}
    assert found(f"_has:Provenance:target:recorded=ge2026&device.identifier={unique}") == set()
    assert found(f"device.identifier={unique}", world.hospital()) == set()


# --- What comes beside.


def test_everything_that_refers_to_a_match_comes_with_it(hosp: Party, patient: str) -> None:
    seen = made(hosp, observation(patient))
    flag = made(hosp, minimal("Flag", subject={"reference": patient}))

    reply = hosp.get(f"Patient?_id={patient.removeprefix('Patient/')}&_revinclude=*")

    assert {seen, flag} <= set(ids(reply, "include"))
    assert "AuditEvent" not in {entry["resourceType"] for entry in reply.entries}


def test_iterate_with_a_wildcard_follows_everything_that_was_included(hosp: Party) -> None:
    patient = made(hosp, minimal("Patient", managingOrganization={"reference": hosp.reference}))
    first = made(hosp, observation(f"Patient/{patient}"))
    second = made(hosp, observation(f"Patient/{patient}", derivedFrom=[{"reference": f"Observation/{first}"}]))

    reply = hosp.get(f"Observation?_id={second}&_include:iterate=*")

    assert set(ids(reply, "include")) == {first, patient, hosp.reference.removeprefix("Organization/")}


def test_a_repeated_sort_sorts_within(hosp: Party, patient: str) -> None:
    values = [("b", 1), ("a", 2), ("b", 3), ("a", 1)]
    made_ids = {made(hosp, observation(patient, code, valueQuantity={"value": n})): (code, n) for code, n in values}

    found = [made_ids[id] for id in ids(hosp.get(f"Observation?patient={patient}&_sort=code&_sort=-value-quantity"))]

    assert found == [("a", 2), ("a", 1), ("b", 3), ("b", 1)]
    assert hosp.get(f"Observation?patient={patient}&_sort=code&_sort=-code").status == 400


@pytest.mark.parametrize(
    ("asked", "found"),
    [("+0.3", True), ("%2B0.3", True), ("ge+3e-1", True), ("3.0e-1", True), ("3e-1", True), ("-0.3", False)],
)
def test_a_number_may_have_a_sign(hosp: Party, patient: str, asked: str, found: bool) -> None:
    risk = {"prediction": [{"probabilityDecimal": 0.3}], "subject": {"reference": patient}}
    id = made(hosp, minimal("RiskAssessment", references={"Patient": patient}, **risk))

    assert ids(hosp.get(f"RiskAssessment?_id={id}&probability={asked}")) == ([id] if found else [])


@pytest.mark.parametrize(
    ("asked", "found"),
    [("0.30000000000000000000", True), ("ne0.30000000000000000000", False), ("0.30000000000000100000", False)],
)
def test_a_number_with_more_digits_than_are_compared_finds_itself(
    hosp: Party, patient: str, asked: str, found: bool
) -> None:
    risk = {"prediction": [{"probabilityDecimal": 0.3}], "subject": {"reference": patient}}
    made_risk = stored(hosp, minimal("RiskAssessment", references={"Patient": patient}, **risk))

    assert finds(hosp, made_risk, "probability", asked) is found


def test_a_litre_may_be_written_small(hosp: Party, patient: str) -> None:
    amount = {"value": 41, "system": UCUM, "code": "U/L"}
    enzyme = stored(hosp, observation(patient, valueQuantity=amount))

    assert finds(hosp, enzyme, "value-quantity", f"41|{UCUM}|U/l")
    assert finds(hosp, enzyme, "value-quantity", f"0.041|{UCUM}|U/ml")
    assert not finds(hosp, enzyme, "value-quantity", f"41|{UCUM}|U/ml")


def test_the_type_of_an_identifier_is_compared_as_codes_are(hosp: Party, patient: str) -> None:
    kinds = "http://terminology.hl7.org/CodeSystem/v2-0203"
    of_type = {"value": "A-77", "type": {"coding": [{"system": kinds, "code": "MR"}]}}
    made_one = stored(hosp, observation(patient, identifier=[of_type]))

    assert finds(hosp, made_one, "identifier:of-type", f"{kinds}|mr|a-77")
    assert not finds(hosp, made_one, "identifier:of-type", f"{kinds}|SS|A-77")
