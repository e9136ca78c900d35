"""What the operator imports may refer to what is elsewhere; what anybody else writes may not."""

import pytest

from fhir_server.fhir.json import Resource
from tests.minimal import minimal
from tests.world import World

ELSEWHERE = ["MolecularSequence/some", "https://elsewhere.example/fhir/Observation/7", "urn:oid:1.2.3"]


def observation(reference: str) -> Resource:
    return minimal("Observation", derivedFrom=[{"reference": reference}])


@pytest.mark.parametrize("reference", ELSEWHERE)
def test_the_import_keeps_references_to_what_is_elsewhere_and_finds_by_them(world: World, reference: str) -> None:
    made = world.operator.post(observation(reference))

    assert made.status == 201, made.body
    assert made.body["derivedFrom"] == [{"reference": reference}]
    found = world.operator.get(f"Observation?_id={made.body['id']}&derived-from={reference}")
    assert [each["id"] for each in found.entries] == [made.body["id"]]


def test_a_bare_id_finds_a_reference_to_a_type_that_is_not_stored(world: World) -> None:
    made = world.operator.post(observation("MolecularSequence/some")).body["id"]

    found = world.operator.get(f"Observation?_id={made}&derived-from=some")

    assert [each["id"] for each in found.entries] == [made]


@pytest.mark.parametrize("reference", ELSEWHERE)
def test_other_writers_refer_to_what_is_here(world: World, reference: str) -> None:
    refused = world.hospital().post({**observation(reference), "subject": {"display": "nobody"}})

    assert refused.status == 422
    assert "Observation.derivedFrom[0].reference" in refused.paths


@pytest.mark.parametrize("reference", ["Nothing/some", "Patient?identifier=1|2", "../Patient/7"])
def test_the_import_refuses_what_is_no_reference(world: World, reference: str) -> None:
    assert world.operator.post(minimal("Flag", author={"reference": reference})).status == 422


def test_the_uri_of_a_text_is_no_reference(world: World) -> None:
    hospital = world.hospital()
    patient = {"reference": f"Patient/{hospital.post(minimal('Patient')).body['id']}"}
    text = "https://elsewhere.example/guidelines.pdf"

    made = hospital.post(minimal("DetectedIssue", patient=patient, reference=text))

    assert made.status == 201, made.body
    assert hospital.read(f"DetectedIssue/{made.body['id']}")["reference"] == text


def test_an_imported_task_may_name_a_person_whom_nobody_knows(world: World) -> None:
    person = {"identifier": {"system": "urn:elsewhere", "value": "nobody-here"}}

    made = world.operator.post(minimal("Task", **{"for": person}))
    refused = world.hospital().post(minimal("Task", **{"for": person}))

    assert (made.status, made.body["for"]) == (201, person)
    assert (refused.status, refused.paths) == (422, {"Task.for"})
