"""What is asked of contained resources goes on within their container: chains, and the words that each of them says."""

import uuid
from typing import Any

import pytest

from tests.http.test_searching_contained import drug, made, urls
from tests.minimal import minimal
from tests.world import Party, World


@pytest.fixture
def unique() -> str:
    """A word that no other test has."""
    return f"w{uuid.uuid4().hex}"


@pytest.fixture
def patient(hosp: Party) -> str:
    """A person of the hospital."""
    return f"Patient/{hosp.post(minimal('Patient')).body['id']}"


def pump(unique: str) -> list[dict[str, Any]]:
    """A Device of an Organization that is part of another, which has an Endpoint: all contained beside each other."""
    return [
        {**drug(unique, "pump"), "owner": {"reference": "#ward"}, "parent": {"reference": "#set"}},
        {"resourceType": "Device", "id": "set", "lotNumber": unique, "parent": {"reference": "#pump"}},
        {"resourceType": "Organization", "id": "ward", "name": f"Ward {unique}", "partOf": {"reference": "#house"}},
        minimal("Organization", id="house", name=f"House {unique}", active=True, endpoint=[{"reference": "#door"}]),
        minimal("Endpoint", id="door", name=f"Door {unique}"),
    ]


def test_a_chain_goes_on_within_its_container(hosp: Party, patient: str, unique: str) -> None:
    contained = pump(unique)
    holder = made(hosp, "Procedure", patient, usedReference=[{"reference": "#pump"}], contained=contained)
    ward = {"performer": [{"actor": {"reference": "#ward"}}]}  # whose Device it is, nothing says
    made(
        hosp,
        "Procedure",
        patient,
        usedReference=[{"reference": "#drug"}],
        contained=[drug(unique), *contained[2:]],
        **ward,
    )
    asked = f"Device?_contained=true&identifier={unique}"

    def found(question: str) -> list[str]:
        return urls(hosp.get(f"{asked}&{question}"))

    assert found(f"organization.name=ward%20{unique}") == [holder]
    assert found(f"organization.partof.name=house%20{unique}") == [holder]
    assert found(f"organization:Organization.partof.endpoint.name=door%20{unique}") == [holder]
    assert found(f"parent.identifier=none&organization.name=ward%20{unique}") == []
    assert found(f"organization.partof.name=ward%20{unique}") == []
    assert found(f"organization.partof.partof.name=house%20{unique}") == []
    assert found("_filter=organization[name%20co%20ward].partof.name%20co%20house") == [holder]
    assert holder not in found(f"_filter=not%20(organization.partof.name%20co%20{unique})")
    assert found(f"parent.parent.parent.parent.organization.name=ward%20{unique}") == [holder]
    assert found(f"organization.name=ward%20{unique}&_containedType=contained&_sort=-identifier") == [f"{holder}#pump"]


def test_a_chain_into_a_container_goes_on_there(world: World, hosp: Party, patient: str, unique: str) -> None:
    holder = made(hosp, "Observation", patient, device={"reference": "#pump"}, contained=pump(unique))
    other = made(hosp, "Observation", patient, focus=[{"reference": "#pump"}], contained=pump(unique))
    through = f"organization.partof.endpoint.name=door%20{unique}"

    assert urls(hosp.get(f"Observation?device.{through}")) == [holder]
    assert urls(hosp.get(f"Observation?focus:Device.{through}")) == [other]
    assert urls(hosp.get(f"Observation?device.{through}&device.organization.name=ward%20{unique}")) == [holder]
    assert urls(hosp.get(f"Observation?device.{through}&device.organization.name=house%20{unique}")) == []
    assert urls(world.hospital().get(f"Observation?device.{through}")) == []
    narrow = world.party("system/Observation.rs", "system/Device.rs", organization=hosp.reference)
    assert narrow.get(f"Observation?device.{through}").status == 403


def test_what_refers_to_a_match_is_asked_through_what_it_contains(hosp: Party, patient: str, unique: str) -> None:
    contained = [
        *pump(unique),
        {"resourceType": "PractitionerRole", "id": "role", "organization": {"reference": "#ward"}},
    ]
    inside = {"device": {"reference": "#pump"}, "performer": [{"reference": "#role"}], "contained": contained}
    holder = made(hosp, "Observation", patient, **inside)
    by_role = "performer:PractitionerRole.organization"

    def found(question: str) -> list[str]:
        return urls(hosp.get(question))

    asked = f"Device?_contained=true&identifier={unique}&_has:Observation:device"
    assert found(f"{asked}:{by_role}.name=ward%20{unique}") == [holder]
    assert found(f"{asked}:{by_role}.partof.endpoint.name=door%20{unique}") == [holder]
    assert found(f"{asked}:{by_role}.name=house%20{unique}") == []
    assert found(f"{asked}:{by_role}.name=ward%20{unique}&_containedType=contained") == [f"{holder}#pump"]
    through = f"Patient?_has:Observation:patient:device.organization.partof.name=house%20{unique}"
    assert found(through) == [patient]


def test_a_chain_to_too_many_types_within_a_container_is_told_to_name_them(hosp: Party) -> None:
    several, one = "part-of." * 7, "part-of:Procedure." * 7

    refused = hosp.get(f"Procedure?_contained=true&{several}status=completed")

    assert (refused.status, refused.issues[0]["code"]) == (403, "too-costly")
    assert "name the types that you mean" in refused.issues[0]["diagnostics"]
    assert hosp.get(f"Procedure?_contained=true&{one}status=completed").status == 200


def test_a_canonical_leads_to_the_questionnaire_that_is_contained(hosp: Party, patient: str, unique: str) -> None:
    asked = minimal("Questionnaire", id="q", title=f"Intake {unique}")
    answers = minimal("QuestionnaireResponse", questionnaire="#q", subject={"reference": patient})
    reply = hosp.post({**answers, "contained": [asked]})
    assert reply.status == 201, reply.body

    found = hosp.get(f"QuestionnaireResponse?questionnaire.title=intake%20{unique}")

    assert urls(found) == [f"QuestionnaireResponse/{reply.body['id']}"]


def told(word: str, **elements: Any) -> dict[str, Any]:
    """A contained Procedure that says the word."""
    note = [{"text": f"the {word} ramp"}]
    return {"resourceType": "Procedure", "id": "p", "status": "completed", "note": note, **elements}


def test_words_of_contained_resources_are_found_and_of_no_others(
    world: World, hosp: Party, patient: str, unique: str
) -> None:
    subject, part_of = {"reference": patient}, {"partOf": [{"reference": "#p"}]}
    inside = made(hosp, "Observation", patient, contained=[told(unique, subject=subject)], **part_of)
    made(hosp, "Observation", patient, contained=[told("x", subject=subject)], note=[{"text": unique}], **part_of)
    alone = made(hosp, "Procedure", patient, note=[{"text": f"ramp {unique}"}])

    def found(question: str, party: Party = hosp) -> list[str]:
        return urls(party.get(f"Procedure?{question}"))

    assert found(f"_contained=true&_content={unique}") == [inside]
    assert found(f"_contained=true&_content={unique}&_containedType=contained") == [f"{inside}#p"]
    assert found(f"_contained=both&_content={unique}&_sort=_lastUpdated") == [inside, alone]
    assert found(f"_contained=both&_content={unique}&_containedType=contained") == [alone, f"{inside}#p"]
    assert found(f'_contained=both&_content="{unique}%20ramp"') == [inside]
    assert found(f"_contained=true&_filter=_content%20co%20{unique}%20and%20status%20eq%20completed") == [inside]
    assert found(f"_contained=true&_content={unique}&_sort=-status&_total=accurate") == [inside]
    assert found(f"_contained=true&_content={unique}%20NOT%20ramp") == []
    assert found(f"_contained=true&_text={unique}") == []
    assert found(f"_contained=both&_content={unique}", world.hospital()) == []
    assert urls(hosp.get(f"Observation?part-of:Procedure._content={unique}")) == [inside]
    assert urls(hosp.get(f"?_type=Procedure&_contained=true&_content={unique}")) == [inside]


def test_the_narrative_of_a_contained_resource_is_searched_where_it_has_one(
    hosp: Party, patient: str, unique: str
) -> None:
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{unique} ramp</p></div>'
    narrative = {"text": {"status": "generated", "div": div}, "subject": {"reference": patient}}
    inside = made(hosp, "Observation", patient, contained=[told("x", **narrative)], partOf=[{"reference": "#p"}])

    assert urls(hosp.get(f"Procedure?_contained=true&_text={unique}")) == [inside]
    assert urls(hosp.get(f"Procedure?_contained=true&_text={unique}&_containedType=contained")) == [f"{inside}#p"]
    assert urls(hosp.get(f"Observation?part-of:Procedure._text={unique}")) == [inside]


def test_words_are_found_within_a_container_step_by_step(hosp: Party, patient: str, unique: str) -> None:
    subject = {"reference": patient}
    whole = told(unique, id="whole", subject=subject)
    part = told("x", subject=subject, partOf=[{"reference": "#whole"}])
    inside = made(hosp, "Observation", patient, contained=[part, whole], partOf=[{"reference": "#p"}])

    asked = f"_containedType=contained&_contained=true&part-of:Procedure._content={unique}"

    assert urls(hosp.get(f"Procedure?{asked}")) == [f"{inside}#p"]
    assert urls(hosp.get(f"Observation?part-of:Procedure.part-of:Procedure._content={unique}")) == [inside]


def test_who_joins_the_plan_finds_within_its_containers_and_who_is_only_asked_does_not(
    world: World, hosp: Party, unique: str
) -> None:
    home = world.party()
    case = world.case(hosp, home)
    linked = made(hosp, "Observation", case.patient, device={"reference": "#pump"}, contained=pump(unique))
    said = [told(unique, subject={"reference": case.patient})]
    noted = made(hosp, "Observation", case.patient, partOf=[{"reference": "#p"}], contained=said)
    questions = {
        f"Device?_contained=true&organization.partof.name=house%20{unique}": linked,
        f"Observation?device.organization.name=ward%20{unique}": linked,
        f"Procedure?_contained=true&_content={unique}": noted,
        f"Observation?part-of:Procedure._content={unique}": noted,
    }

    before = [urls(home.get(each)) for each in questions]
    accepted = [home.move(case.task, status).status for status in ("received", "accepted")]

    assert before == [[]] * len(questions)
    assert accepted == [200, 200]
    assert [urls(home.get(each)) for each in questions] == [[each] for each in questions.values()]
