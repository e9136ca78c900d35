"""Each example of docs/search.md is a search that the server answers, and it finds something."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from fhir_server.definitions.search_parameters import unserved
from fhir_server.search.clauses import MODIFIERS
from fhir_server.search.types import date
from fhir_server.search.words import IN_WORDS
from tests.http.test_searching import ids
from tests.minimal import minimal
from tests.world import Party, World

PAGE = (Path(__file__).parents[2] / "docs" / "search.md").read_text()
EXAMPLES = re.findall(r"^\| `((?:[A-Z][\w/*]+)?\?.+?)` \|", PAGE, re.MULTILINE)
UCUM = "http://unitsofmeasure.org"
LOINC = "http://loinc.org"


def coded(code: str, text: str) -> dict[str, Any]:
    return {"coding": [{"system": LOINC, "code": code}], "text": text}


def measured(value: str, unit: str) -> dict[str, Any]:
    return {"value": Decimal(value), "unit": unit, "system": UCUM, "code": unit}


def made(party: Party, type_name: str, **elements: Any) -> str:
    reply = party.post(minimal(type_name, **elements))
    assert reply.status == 201, (type_name, reply.body)
    return str(reply.body["id"])


def put(world: World, type_name: str, id: str, **elements: Any) -> None:
    reply = world.operator.put(minimal(type_name, id=id, **elements))
    assert reply.status in {200, 201}, (type_name, reply.body)


@pytest.fixture(scope="module")
def numbers(world: World) -> tuple[Party, dict[str, str]]:
    """A party whose resources the examples find, and the ids that stand for the numbers on the page."""
    hosp = world.hospital()
    medical_record = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}
    patient = made(
        hosp,
        "Patient",
        identifier=[
            {"system": "urn:ids", "value": "77"},
            {"value": "77", "type": medical_record},
            {"system": "urn:ids", "value": "a,b"},
        ],
        active=True,
        name=[{"family": "Janssens", "given": ["Marie", "Louise"]}, {"use": "maiden", "family": "Van den Berg"}],
        birthDate="1960-04-05",
        multipleBirthInteger=2,
        extension=[
            {"url": "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName", "valueString": "Claes"}
        ],
        telecom=[{"system": "phone", "value": "+32 9 123.45.67"}],
        address=[{"city": "Gent"}],
        generalPractitioner=[{"identifier": {"system": "urn:doctors", "value": "1"}}],
    )
    subject = {"reference": f"Patient/{patient}"}
    stay = made(hosp, "Encounter", subject=subject)
    part = made(hosp, "Encounter", subject=subject, partOf={"reference": f"Encounter/{stay}"})
    observation = made(
        hosp,
        "Observation",
        meta={"tag": [{"system": "urn:tags", "code": "checked"}]},
        status="final",
        subject=subject,
        code=coded("29463-7", "Body weight"),
        effectiveDateTime="2026-03-04",
        encounter={"reference": f"Encounter/{part}"},
        valueQuantity=measured("72.4", "kg"),
        component=[{"code": coded("8480-6", "Systolic"), "valueQuantity": measured("150", "mm[Hg]")}],
    )
    agent = [{"who": {"reference": hosp.reference}}]
    made(hosp, "Provenance", agent=agent, target=[{"reference": f"Observation/{observation}"}, subject])
    told = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Wheelchairs and a ramp</div>'}
    performer = [{"actor": {"display": "Dr. Janssens"}}]
    made(hosp, "Procedure", subject=subject, status="completed", text=told, performer=performer)
    made(hosp, "Condition", subject=subject)
    made(hosp, "AllergyIntolerance", patient=subject, category=["medication"])
    made(hosp, "MedicationStatement", subject=subject, status="active")
    made(hosp, "RiskAssessment", subject=subject, prediction=[{"probabilityDecimal": Decimal("0.3")}])
    intake = "https://example.org/questionnaires/intake"
    made(hosp, "Questionnaire", url=intake, status="active")
    made(hosp, "QuestionnaireResponse", questionnaire=f"{intake}|1", subject=subject)
    made(hosp, "Questionnaire", url=f"{intake}/two", version="1.2", status="active", title="Intake")
    made(hosp, "QuestionnaireResponse", questionnaire=f"{intake}/two|1.2", subject=subject)
    attachment = {"contentType": "text/xml; charset=UTF-8", "url": "https://example.org/letter"}
    made(hosp, "DocumentReference", subject=subject, content=[{"attachment": attachment}])
    kinds = [{"code": "vital-sign", "concept": [{"code": "29463-7", "concept": [{"code": "sitting-weight"}]}]}]
    findings = "https://example.org/CodeSystem/findings"
    put(world, "CodeSystem", "of-the-page", url=findings, status="active", content="complete", concept=kinds)
    made(
        hosp,
        "Observation",
        status="final",
        subject=subject,
        code={"coding": [{"system": findings, "code": "29463-7"}]},
    )
    inside = [
        {
            "resourceType": "Device",
            "id": "device",
            "identifier": [{"value": "D-12"}],
            "owner": {"reference": "#branch"},
        },
        {"resourceType": "Organization", "id": "branch", "name": "Branch", "partOf": {"reference": "#maker"}},
        {"resourceType": "Organization", "id": "maker", "name": "Maker"},
    ]
    made(hosp, "Observation", status="final", subject=subject, device={"reference": "#device"}, contained=inside)
    tried = minimal("Procedure", id="tried", subject=subject, note=[{"text": "The ramp was tried."}])
    made(hosp, "Observation", status="final", subject=subject, partOf=[{"reference": "#tried"}], contained=[tried])
    put(world, "Organization", "of-the-page", name="Home care")
    put(world, "Organization", "of-the-page-ward", name="Ward", partOf={"reference": "Organization/of-the-page"})
    put(world, "Practitioner", "of-the-page", name=[{"family": "De Smet"}])
    put(world, "Location", "of-the-page-room", partOf={"reference": "Location/of-the-page"})
    put(
        world,
        "HealthcareService",
        "of-the-page",
        providedBy={"reference": "Organization/of-the-page-ward"},
        location=[{"reference": "Location/of-the-page"}],
    )
    put(world, "Location", "of-the-page", position={"latitude": Decimal("51.05"), "longitude": Decimal("3.72")})
    for name, code in (("vitals", "29463-7"), ("colours", "red")):
        include = [{"system": LOINC, "concept": [{"code": code}]}]
        url = f"https://example.org/ValueSet/{name}"
        put(world, "ValueSet", f"of-the-page-{name}", url=url, status="active", compose={"include": include})
    device = extended(hosp, f"Patient/{patient}")
    listed = made(hosp, "List", subject=subject, entry=[{"item": subject}])
    return hosp, {"7": patient, "5": observation, "12": listed, "21": stay, "31": device}


def extended(hosp: Party, patient: str) -> str:
    """What the page finds by extensions; the id of a device that has a part."""
    r4 = "http://hl7.org/fhir"
    about = {"patient": {"reference": patient}}
    number = [{"url": f"{r4}/SearchParameter/device-extensions-Device-din", "valueString": "W0000-77"}]
    device = made(hosp, "Device", extension=number, **about)
    made(hosp, "Device", parent={"reference": f"Device/{device}"}, **about)
    protein = {"url": "Name", "valueCodeableConcept": {"text": "p.Leu858Arg"}}
    changes = [
        {"url": f"{r4}/StructureDefinition/observation-geneticsAminoAcidChange", "extension": [protein]},
        {"url": f"{r4}/StructureDefinition/observation-geneticsDnaVariant", "valueString": "c.2573T>G"},
    ]
    made(hosp, "Observation", status="final", subject={"reference": patient}, extension=changes)
    marks = [{"url": f"{r4}/StructureDefinition/questionnaireresponse-isSubject", "valueBoolean": True}]
    who = {"linkId": "who", "extension": marks, "answer": [{"valueReference": {"reference": patient}}]}
    made(hosp, "QuestionnaireResponse", subject={"reference": patient}, item=[who])
    return device


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_finds_something(numbers: tuple[Party, dict[str, str]], example: str) -> None:
    hosp, named = numbers
    asked = example.replace("\\|", "|")
    asked = re.sub(r"(?<=[=/])(5|7|12|21|31)(?=[&/]|$)", lambda match: named[match[1]], asked)
    place, _, parameters = asked.partition("?")

    reply = hosp.get(f"{place}?{quote(parameters, safe='=&')}")

    assert ids(reply), reply.body
    if "include" in example:
        assert ids(reply, "include"), reply.body


def test_each_modifier_has_an_example() -> None:
    served = {each for modifiers in MODIFIERS.values() for each in modifiers}
    shown = {found for example in EXAMPLES for found in re.findall(r"\?(?:.*&)?[\w.:-]+?:([\w-]+)=", example)}
    assert served <= shown | {"missing"}


def test_each_prefix_has_an_example() -> None:
    shown = {prefix for prefix in date.PREFIXES if any(f"date={prefix}" in example for example in EXAMPLES)}
    assert shown == set(date.PREFIXES) - {"eq"}


def test_what_is_not_served_is_named() -> None:
    said = PAGE[PAGE.index("## What is not served") :]
    for name in unserved():
        code = name.partition(".")[2]
        assert code in IN_WORDS or code in said, name
