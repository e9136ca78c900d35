"""Searches by what R4 keeps in extensions or says in words only, over HTTP."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.http.test_searching import ids, observation, pages
from tests.minimal import minimal
from tests.world import Party

HL7 = "http://hl7.org/fhir"
DIN = f"{HL7}/SearchParameter/device-extensions-Device-din"
IS_SUBJECT = f"{HL7}/StructureDefinition/questionnaireresponse-isSubject"
CHANGE = f"{HL7}/StructureDefinition/observation-geneticsAminoAcidChange"
VARIANT = f"{HL7}/StructureDefinition/observation-geneticsDnaVariant"


@pytest.fixture
def patient(hosp: Party) -> str:
    """A person of the hospital, as a reference."""
    return made(hosp, "Patient")


def made(party: Party, type_name: str, **elements: Any) -> str:
    """What the party creates, as a reference."""
    reply = party.post(minimal(type_name, **elements))
    assert reply.status == 201, reply.body
    return f"{type_name}/{reply.body['id']}"


def of(references: list[str]) -> list[str]:
    """Their ids."""
    return [each.partition("/")[2] for each in references]


def test_a_device_is_found_by_its_donation_number(hosp: Party, patient: str) -> None:
    about, number = {"patient": {"reference": patient}}, uuid.uuid4().hex
    values = ({"valueIdentifier": {"system": "urn:din", "value": number}}, {"valueString": number})
    devices = [made(hosp, "Device", extension=[{"url": DIN, **value}], **about) for value in values]
    other = made(hosp, "Device", extension=[{"url": "http://other", "valueString": number}], **about)

    def found(asked: str) -> set[str]:
        return set(ids(hosp.get(f"Device?patient={patient}&{asked}")))

    assert found(f"din={number}") == set(of(devices))
    assert found(f"din=urn:din|{number}") == set(of(devices[:1]))
    assert found(f"din:not={number}") == found("din:missing=true") == set(of([other]))


def test_an_observation_is_found_by_the_genetic_changes_that_it_states(hosp: Party, patient: str) -> None:
    name = {"url": "Name", "valueCodeableConcept": {"text": "p.Leu858Arg [EGFR], p.(Gly12=)"}}
    changed = made(hosp, **observation_with(patient, {"url": CHANGE, "extension": [name]}))
    varied = made(hosp, **observation_with(patient, {"url": VARIANT, "valueString": "c.2573T>G"}))
    neither = made(hosp, **observation_with(patient, {"url": "http://other", "valueString": "p.Leu858Arg"}))

    def found(asked: str) -> set[str]:
        return set(ids(hosp.get(f"Observation?patient={patient}&{asked}")))

    assert found("amino-acid-change=p.leu858") == found("gene-amino-acid-change:contains=egfr") == set(of([changed]))
    assert found("amino-acid-change:exact=p.Leu858Arg [EGFR]\\, p.(Gly12=)") == set(of([changed]))
    assert found("amino-acid-change:exact=p.leu858arg [egfr]\\, p.(gly12=)") == set()
    assert found("dna-variant=c.2573t") == found("gene-dnavariant:contains=2573") == set(of([varied]))
    assert found('_filter=dna-variant co "73" or amino-acid-change co "(Gly"') == set(of([changed, varied]))
    assert found("dna-variant:missing=true") == set(of([changed, neither]))
    assert ids(hosp.get(f"Observation?patient={patient}&_sort=dna-variant"))[0] == of([varied])[0]


def observation_with(patient: str, extension: dict[str, Any]) -> dict[str, Any]:
    """The elements of an Observation with an extension, and its type."""
    about = observation(patient, extension=[extension])
    return {"type_name": about.pop("resourceType"), **about}


def test_answers_are_found_by_whom_they_are_about(hosp: Party, patient: str) -> None:
    child = made(hosp, "RelatedPerson", patient={"reference": patient})

    def response(*, marked: bool) -> str:
        marks = {"extension": [{"url": IS_SUBJECT, "valueBoolean": True}]} if marked else {}
        item = [{"linkId": "who", "answer": [{"valueReference": {"reference": child}}], **marks}]
        return made(hosp, "QuestionnaireResponse", subject={"reference": patient}, item=item)

    about, unmarked = response(marked=True), response(marked=False)

    def found(asked: str) -> list[str]:
        return ids(hosp.get(f"QuestionnaireResponse?patient={patient}&{asked}"))

    assert found(f"item-subject={child}") == of([about])
    assert found(f"item-subject:RelatedPerson={of([child])[0]}") == of([about])
    assert found(f"item-subject:RelatedPerson.patient={patient}") == of([about])
    assert found("item-subject:missing=true") == of([unmarked])
    assert ids(hosp.get(f"RelatedPerson?_has:QuestionnaireResponse:item-subject:patient={patient}")) == of([child])
    reply = hosp.get(f"QuestionnaireResponse?_id={of([about])[0]}&_include=QuestionnaireResponse:item-subject")
    assert ids(reply, "include") == of([child])


def test_a_person_is_found_by_whether_they_were_born_with_others(hosp: Party) -> None:
    unique = uuid.uuid4().hex
    births: tuple[dict[str, Any], ...] = (
        {"multipleBirthInteger": 2},
        {"multipleBirthBoolean": True},
        {"multipleBirthBoolean": False},
        {},
    )
    second, twin, alone, unknown = (made(hosp, "Patient", name=[{"family": unique}], **birth) for birth in births)

    def found(asked: str) -> set[str]:
        return set(ids(hosp.get(f"Patient?family={unique}&{asked}")))

    assert found("birthOrderBoolean=true") == set(of([second, twin]))
    assert found("birthOrderBoolean=false") == set(of([alone]))
    assert found("birthOrderBoolean:not=true") == set(of([alone, unknown]))
    assert found("birthOrderBoolean:missing=true") == set(of([unknown]))
    reply = hosp.get(f"Patient?family={unique}&birthOrderBoolean=2")
    assert (reply.status, "takes true or false" in reply.issues[0]["diagnostics"]) == (400, True)


def test_a_person_is_found_by_age(hosp: Party) -> None:
    unique, today = uuid.uuid4().hex, datetime.now(UTC).date()

    def born(years: int, **elements: Any) -> str:
        birth = (today - timedelta(days=round(365.25 * years) + 100)).isoformat()
        return made(hosp, "Patient", name=[{"family": unique}], **{"birthDate": birth} | elements)

    child, adult, old = born(8), born(40), born(90)
    dead, unknown = born(40, deceasedBoolean=True), made(hosp, "Patient", name=[{"family": unique}])
    seen = made(hosp, **{"type_name": "Flag", "subject": {"reference": old}})

    def found(asked: str) -> list[str]:
        return ids(hosp.get(f"Patient?family={unique}&{asked}"))

    assert found("age=8") == of([child])
    assert set(found("age=ge40")) == set(of([adult, old]))
    assert set(found("age=8,ap88")) == set(of([child, old]))
    assert set(found("age:missing=true")) == set(of([dead, unknown]))
    assert set(found("_filter=age lt 9 or age gt 89")) == set(of([child, old]))
    assert found("_sort=age")[:3] == of([child, adult, old])
    assert found("_sort=-age")[:3] == of([old, adult, child])
    assert ids(hosp.get(f"Flag?patient.age=ge90&patient.family={unique}")) == of([seen])
    assert [page for one in pages(hosp, f"Patient?family={unique}&_sort=-age&_count=1") for page in one][:3] == of(
        [old, adult, child]
    )
    reply = hosp.get("Patient?age=old")
    assert (reply.status, "no number for 'age'" in reply.issues[0]["diagnostics"]) == (400, True)


def test_a_mothers_maiden_name_is_found_by_either_url(hosp: Party) -> None:
    unique = uuid.uuid4().hex
    urls = ("patient-mothersMaidenName", "patient-extensions-Patient-mothersMaidenName")
    people = [
        made(hosp, "Patient", extension=[{"url": f"{HL7}/StructureDefinition/{url}", "valueString": f"Née {unique}"}])
        for url in urls
    ]

    assert set(ids(hosp.get(f"Patient?mothersMaidenName=nee {unique}"))) == set(of(people))


def test_parts_of_a_device_stand_below_it(hosp: Party, patient: str) -> None:
    def device(above: str | None = None) -> str:
        parent = {"parent": {"reference": above}} if above else {}
        return made(hosp, "Device", patient={"reference": patient}, **parent)

    ventilator = device()
    mask = device(ventilator)
    valve = device(mask)
    devices = {"ventilator": ventilator, "mask": mask, "valve": valve}
    uses = {
        made(hosp, "DeviceUseStatement", subject={"reference": patient}, device={"reference": each}): name
        for name, each in devices.items()
    }

    def found(asked: str) -> set[str]:
        reply = hosp.get(f"DeviceUseStatement?patient={patient}&{asked}")
        return {uses[f"DeviceUseStatement/{id}"] for id in ids(reply)}

    assert found(f"device:below={mask}") == {"mask", "valve"}
    assert found(f"device:above={valve}") == {"ventilator", "mask", "valve"}
    assert ids(hosp.get(f"Device?parent={ventilator}")) == of([mask])
    assert set(ids(hosp.get(f"Device?parent:below={ventilator}"))) == set(of([mask, valve]))
