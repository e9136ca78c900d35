"""The id of an element comes once in a resource."""

from typing import Any

import pytest

from fhir_server.validation import Validator

VALIDATOR = Validator()
PATIENT: dict[str, Any] = {"resourceType": "Patient"}
ORGANIZATION = {"resourceType": "Organization", "id": "o", "name": "x"}
CONTAINED = {"managingOrganization": {"reference": "#o"}}


def told(resource: Any) -> list[tuple[str | None, str | None]]:
    return [(issue.path, issue.rule) for issue in VALIDATOR.check(resource)]


@pytest.mark.parametrize(
    ("elements", "path"),
    [
        ({"name": [{"id": "a", "text": "x"}, {"text": "y"}, {"id": "a", "text": "z"}]}, "Patient.name[2].id"),
        ({"name": [{"id": "a", "text": "x", "period": {"id": "a", "start": "2026"}}]}, "Patient.name[0].period.id"),
        ({"gender": "male", "_gender": {"id": "a"}, "photo": [{"id": "a", "title": "x"}]}, "Patient.photo[0].id"),
        (
            {"name": [{"given": ["An", "Mia"], "_given": [{"id": "a"}, {"id": "a"}]}]},
            "Patient.name[0]._given[1].id",
        ),
        ({"maritalStatus": {"id": "#a", "text": "x"}, "name": [{"id": "#a", "text": "x"}]}, "Patient.name[0].id"),
    ],
)
def test_two_elements_of_one_id_are_refused(elements: dict[str, Any], path: str) -> None:
    for _ in range(2):  # what passed before is not gone through again
        assert told({**PATIENT, **elements}) == [(path, "element-id")]


@pytest.mark.parametrize(
    "elements",
    [
        {"name": [{"id": "a", "text": "x"}, {"id": "b", "text": "x"}]},
        {"id": "a", "name": [{"id": "a", "text": "x"}]},
        {"telecom": [{"id": "a", "system": "phone", "value": "1"}], "_gender": {"id": "b"}, "gender": "male"},
        {"name": [{"id": "x", "text": "x"}], "identifier": [{"id": "y", "value": "x"}], "active": True},
    ],
)
def test_ids_of_their_own_are_taken(elements: dict[str, Any]) -> None:
    assert told({**PATIENT, **elements}) == []


def test_a_contained_resource_is_one_of_its_own() -> None:
    organization = {**ORGANIZATION, "telecom": [{"id": "a", "system": "phone", "value": "1"}]}
    patient = {**PATIENT, **CONTAINED, "name": [{"id": "a", "text": "x"}], "contained": [organization]}
    assert told(patient) == []

    twice = {**organization, "telecom": organization["telecom"] * 2}
    assert told({**patient, "contained": [twice]}) == [("Patient.contained[0].telecom[1].id", "element-id")]


def test_each_entry_of_a_bundle_is_one_of_its_own() -> None:
    entry = {"resource": {**PATIENT, "name": [{"id": "a", "text": "x"}]}}
    assert told({"resourceType": "Bundle", "type": "collection", "entry": [entry, entry]}) == []


def test_an_element_definition_has_its_id_in_snapshot_and_differential() -> None:
    elements = {"element": [{"id": "Task", "path": "Task", "min": 0, "max": "*"}]}
    definition = {
        "resourceType": "StructureDefinition",
        "url": "https://samen.example/fhir/StructureDefinition/x",
        "name": "X",
        "status": "draft",
        "kind": "resource",
        "abstract": False,
        "type": "Task",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Task",
        "derivation": "constraint",
        "differential": elements,
    }
    assert "element-id" not in {rule for _, rule in told({**definition, "snapshot": elements})}
