"""What other servers get wrong about searches, each a promise, asked over HTTP of the real database."""

from decimal import Decimal
from urllib.parse import quote

import pytest

from fhir_server.access.types import TYPES
from fhir_server.definitions.search_parameters import parameters_of
from tests.http.finding import finds, stored
from tests.http.test_searching import ids, observation, pages
from tests.minimal import minimal
from tests.world import Party, World

UCUM = "http://unitsofmeasure.org"


# --- What is not there is named, with what is.


@pytest.mark.parametrize(
    ("asked", "named", "listed"),
    [
        ("colour=red", "'colour'", ["code", "date", "patient", "value-quantity"]),
        ("date:exact=2026", "':exact'", [":missing"]),
        ("code:colour=red", "':colour'", [":missing", ":not", ":text", ":in", ":not-in"]),
        ("subject:Colour=7", "':Colour'", [":identifier", ":Device"]),
        ("_include=Observation:colour", "'Observation:colour'", ["Observation:subject", "Observation:encounter"]),
        ("_include=Observation:subject:Colour", "'Colour'", ["Patient", "Group"]),
        ("_revinclude=Provenance:colour", "'Provenance:colour'", ["Provenance:target"]),
        ("_revinclude=Colour:target", "'Colour:target'", ["Provenance", "Task"]),
        ("_include=Colour:subject", "'Colour:subject'", ["Observation:subject", "Observation:encounter"]),
        ("_has:Colour:patient:code=1", "'Colour'", ["Observation", "Provenance"]),
        ("_has:Observation:colour:code=1", "'colour'", ["derived-from", "has-member"]),
        ("_has:Observation:derived-from:colour=1", "'colour'", ["code", "date"]),
        ("subject.colour=1", "'colour'", ["Device", "Group", "Location", "Patient"]),
        ("subject:Colour.name=1", "'Colour'", ["Device", "Group", "Location", "Patient"]),
        ("subject:Patient.colour=1", "'colour'", ["birthdate", "identifier"]),
        ("colour.name=1", "'colour.name'", ["subject", "encounter"]),
        ("_filter=colour eq 1", "'colour'", ["code", "date"]),
        ("_filter=date co 2026", "'co'", ["eq", "ge", "po"]),
        ("date=about2026", "'about2026'", ["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]),
        ("_contained=some", "'some'", ["true", "false", "both"]),
        ("_containedType=some", "'some'", ["container", "contained"]),
        ("_list=$some", "'$some'", ["$current-problems", "$current-medications"]),
        ("_sort=colour", "'colour'", ["date", "status"]),
        ("_total=some", "'some'", ["none", "estimate", "accurate"]),
        ("_summary=short", "'short'", ["true", "text", "data", "count", "false"]),
        ("_elements=colour", "'colour'", ["code", "component", "value"]),
    ],
)
def test_what_is_unknown_is_refused_by_name_with_what_exists(
    hosp: Party, asked: str, named: str, listed: list[str]
) -> None:
    reply = hosp.get(f"Observation?{asked}")

    assert reply.status == 400
    [issue] = reply.issues
    assert named in issue["diagnostics"]
    assert [each for each in listed if each not in issue["diagnostics"]] == []


def test_an_unknown_type_among_several_is_refused_by_name(hosp: Party) -> None:
    reply = hosp.get("?_type=Task,Colour")

    assert (reply.status, "'Colour'" in reply.issues[0]["diagnostics"]) == (400, True)
    assert [each for each in TYPES if each not in reply.issues[0]["diagnostics"]] == []


@pytest.mark.parametrize("place", ["Colour?date=2026", "Colour/1", "Colour/_history", "Patient/1/Colour"])
def test_an_unknown_type_in_an_address_is_named_beside_those_that_there_are(hosp: Party, place: str) -> None:
    reply = hosp.get(place)

    told = reply.issues[0]["diagnostics"]
    assert (reply.status, "'Colour'" in told, [each for each in TYPES if each not in told]) == (404, True, [])


def test_every_parameter_of_the_type_is_listed_when_one_is_unknown(hosp: Party) -> None:
    told = hosp.get("Task?colour=red").issues[0]["diagnostics"]

    assert [code for code in parameters_of("Task") if code not in told] == []


# --- Tokens: four forms, `:not` finds what has none, case.

CODED = {"coding": [{"system": "urn:codes", "code": "Ab"}, {"code": "bare"}]}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("Ab", True),
        ("urn:codes|Ab", True),
        ("urn:codes|", True),
        ("|bare", True),
        ("|Ab", False),
        ("urn:other|Ab", False),
        ("urn:other|", False),
        ("urn:codes|bare", False),
        ("A", False),
        ("other,urn:codes|Ab", True),
    ],
)
def test_a_token_is_asked_in_four_forms(hosp: Party, patient: str, asked: str, found: bool) -> None:
    made = stored(hosp, {**observation(patient), "code": CODED})

    assert finds(hosp, made, "code", asked) is found


def test_not_finds_what_has_another_code_or_none_and_no_other(hosp: Party, patient: str) -> None:
    none = stored(hosp, observation(patient))
    one = stored(hosp, observation(patient, valueCodeableConcept=CODED))

    assert [finds(hosp, each, "value-concept:not", "Ab") for each in (none, one)] == [True, False]
    assert [finds(hosp, each, "value-concept:not", "other") for each in (none, one)] == [True, True]


def test_case_counts_in_codes_of_r4_and_in_ucum_and_not_in_others(hosp: Party, patient: str) -> None:
    unit = {"coding": [{"system": UCUM, "code": "mg"}]}
    made = stored(hosp, {**observation(patient, status="final", valueCodeableConcept=unit), "code": CODED})

    assert [finds(hosp, made, "status", each) for each in ("final", "FINAL")] == [True, False]
    assert [finds(hosp, made, "value-concept", f"{UCUM}|{each}") for each in ("mg", "Mg")] == [True, False]
    assert [finds(hosp, made, "code", each) for each in ("Ab", "aB")] == [True, True]


def test_case_is_folded_in_every_script(hosp: Party, patient: str) -> None:
    made = stored(hosp, {**observation(patient), "code": {"coding": [{"system": "urn:codes", "code": "Straße-Σς"}]}})

    asked = ("STRASSE-ΣΣ", "straße-σς", "urn:codes|strasse-σσ", "strase-σς")
    assert [finds(hosp, made, "code", each) for each in asked] == [True, True, True, False]


def test_a_system_is_compared_by_every_character(hosp: Party, patient: str) -> None:
    made = stored(hosp, {**observation(patient), "code": CODED})

    assert not finds(hosp, made, "code", "URN:CODES|Ab")


# --- Strings: accents, case, from the beginning.


@pytest.mark.parametrize(
    ("name", "found", "not_found"),
    [
        ("family", ["müller", "MULLER", "mul", "Müller-Pëeters", "muller peeters", "peet"], ["eeters", "üller", "x"]),
        ("family:exact", [], ["Pëeters", "peeters"]),
        ("family:exact", ["Müller-Pëeters"], ["müller-pëeters", "Müller", "Muller-Peeters"]),
        ("family:contains", ["PEET", "ller-p", "Müller"], ["peters"]),
        ("given", ["elo", "ÉLODIE", "an"], ["lodie"]),
        ("name", ["élo", "mull", "peeters"], ["odie"]),
    ],
)
def test_strings_fold_case_and_accents_and_begin_at_the_beginning(
    hosp: Party, name: str, found: list[str], not_found: list[str]
) -> None:
    names = [{"family": "Müller-Pëeters", "given": ["Élodie", "An"]}]
    made = stored(hosp, minimal("Patient", name=names))

    assert [each for each in found if not finds(hosp, made, name, each)] == []
    assert [each for each in not_found if finds(hosp, made, name, each)] == []


# --- Composites: together or not at all. Escapes: what belongs to a value.

PRESSURE = [
    {
        "code": {"coding": [{"system": "urn:codes", "code": code}]},
        "valueQuantity": {"value": value, "system": UCUM, "code": "mm[Hg]"},
    }
    for code, value in (("systolic", 150), ("diastolic", 90))
]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("component-code-value-quantity=systolic$150", True),
        ("component-code-value-quantity=urn:codes|diastolic$lt100||mm[Hg]", True),
        ("component-code-value-quantity=systolic$90", False),
        ("component-code-value-quantity=diastolic$gt100", False),
        ("component-code-value-quantity=systolic$90,diastolic$90", True),
        ("combo-code-value-quantity=diastolic$90", True),
        ("combo-code-value-quantity=weight$150", False),
        ("combo-code-value-quantity=weight$72", True),
        ("code-value-quantity=weight$72", True),
        ("code-value-quantity=systolic$150", False),
        ("component-code=systolic&component-value-quantity=90", True),
    ],
)
def test_a_composite_is_met_by_values_that_stand_together_alone(
    hosp: Party, patient: str, asked: str, found: bool
) -> None:
    weight = {"code": {"coding": [{"code": "weight"}]}, "valueQuantity": {"value": 72}, "component": PRESSURE}
    made = stored(hosp, {**observation(patient), **weight})

    reply = hosp.get(f"Observation?_id={made['id']}&{quote(asked, safe='=&')}")

    assert ids(reply) == ([made["id"]] if found else [])


@pytest.mark.parametrize("value", ["a,b", "a|b", "a$b", "a\\b", "x\\,|$\\\\y", "a\\,b"])
def test_a_sign_with_a_backslash_belongs_to_the_value(hosp: Party, patient: str, value: str) -> None:
    system = "urn:with,and|and$"
    code = {"coding": [{"system": system, "code": value}], "text": value}
    made = stored(hosp, {**observation(patient, valueString=value), "code": code})
    parts = stored(hosp, {**observation(patient, valueString="a"), "code": {"coding": [{"code": "a"}, {"code": "b"}]}})
    own = "".join(f"\\{sign}" if sign in "\\,|$" else sign for sign in value)
    of = "".join(f"\\{sign}" if sign in "\\,|$" else sign for sign in system)

    for asked in (
        ("code", own),
        ("code", f"{of}|{own}"),
        ("code", f"nothing,{of}|{own},nothing"),
        ("value-string:exact", own),
        ("code-value-string", f"{own}${own}"),
        ("code-value-string", f"{of}|{own}$x,{of}|{own}${own}"),
    ):
        assert [finds(hosp, each, *asked) for each in (made, parts)] == [True, False], asked


# --- References: every form.


def test_a_reference_is_found_in_every_form(world: World, hosp: Party, patient: str) -> None:
    made = stored(hosp, observation(patient))
    id, base = patient.removeprefix("Patient/"), world.parts.services.base_url

    found = [("subject", patient), ("subject", f"{base}/{patient}"), ("subject", id), ("patient", id)]
    found.append(("subject:Patient", id))
    assert [each for each in found if not finds(hosp, made, *each)] == []
    for text in ("Group/" + id, f"https://elsewhere.example/fhir/{patient}", f"{patient}/_history/1"):
        assert not finds(hosp, made, "subject", text), text


def test_a_versioned_reference_is_found_with_and_without_its_version(hosp: Party, patient: str) -> None:
    first = [{"reference": f"{patient}/_history/1"}]
    made = stored(hosp, minimal("Provenance", target=first, agent=[{"who": {"reference": hosp.reference}}]))

    asked = (patient, f"{patient}/_history/1", f"{patient}/_history/2")
    assert [finds(hosp, made, "target", each) for each in asked] == [True, True, False]


def test_a_reference_by_identifier_is_found_by_it_alone(hosp: Party, patient: str) -> None:
    performer = [{"identifier": {"system": "urn:ids", "value": "7"}}]
    made = stored(hosp, observation(patient, performer=performer))

    assert finds(hosp, made, "performer:identifier", "urn:ids|7")
    assert not finds(hosp, made, "performer:identifier", "urn:ids|8")
    assert not finds(hosp, made, "performer", "7")


def test_a_canonical_is_found_with_and_without_its_version(hosp: Party, patient: str) -> None:
    url = "https://samen.example/fhir/Questionnaire/exact"
    subject = {"reference": patient}
    made = stored(hosp, minimal("QuestionnaireResponse", questionnaire=f"{url}|2", subject=subject))

    asked = (url, f"{url}|2", f"{url}|1", f"{url}x")
    assert [finds(hosp, made, "questionnaire", each) for each in asked] == [True, True, False, False]


# --- Sorting, including, digits.


@pytest.mark.parametrize("sort", ["date", "-date", "status", "-code", "value-quantity,-date"])
def test_ties_of_a_sort_are_never_shown_twice_and_never_lost(hosp: Party, patient: str, sort: str) -> None:
    made = [stored(hosp, observation(patient, effectiveDateTime="2026-03-05"))["id"] for _ in range(7)]

    found = pages(hosp, f"Observation?patient={patient}&_sort={sort}&_count=2")

    assert [len(page) for page in found] == [2, 2, 2, 1]
    assert sorted(id for page in found for id in page) == sorted(made)


def test_an_include_brings_nothing_that_its_reader_may_not_read(world: World, hosp: Party) -> None:
    home = world.party()
    case = world.case(hosp, home)
    asked = (
        "_include=*",
        "_include:iterate=ServiceRequest:*",
        "_include:iterate=CarePlan:*",
        "_revinclude=Task:part-of",
    )

    reply = home.get(f"Task?_id={case.task.removeprefix('Task/')}&{'&'.join(asked)}")

    assert ids(reply) == [case.task.removeprefix("Task/")]
    included = [f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in reply.body["entry"][1:]]
    assert case.order in included
    assert [each for each in included if home.get(each).status != 200] == []
    assert case.condition not in included


@pytest.mark.parametrize("digits", ["5.40", "5.4", "100", "1E+2", "0.00", "-0.10", "12345678901234567890.12345678"])
def test_a_number_keeps_its_digits_however_it_is_read(hosp: Party, patient: str, digits: str) -> None:
    body = b'{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"%s"},'
    raw = body % patient.encode() + b'"valueQuantity":{"value":%s}}' % digits.encode()

    made = hosp.ask("POST", "Observation", raw)

    assert made.status == 201, made.body
    place = f"Observation/{made.body['id']}"
    for told in (made, hosp.get(place), hosp.get(f"{place}/_history/1"), hosp.get(f"Observation?patient={patient}")):
        assert b'"value":%s}' % digits.encode() in told.raw.replace(b" ", b"")


def test_values_that_differ_in_digits_only_are_the_same_number(hosp: Party, patient: str) -> None:
    made = stored(hosp, observation(patient, valueQuantity={"value": Decimal("5.400")}))

    asked = ["5.4", "5.40", "5.400", "eq5.4", "ge5.4", "le5.4"]
    assert [each for each in asked if not finds(hosp, made, "value-quantity", each)] == []
