"""The references that a resource holds, with their paths and without."""

from typing import Any

import pytest

from fhir_server.fhir.reference import references_in, targets_in

TASK: dict[str, Any] = {
    "resourceType": "Task",
    "basedOn": [{"reference": "CarePlan/1"}, {"reference": "CarePlan/2"}],
    "for": {"reference": "Patient/1", "identifier": {"assigner": {"reference": "Organization/1"}}},
    "contained": [{"resourceType": "Group", "member": [{"entity": {"reference": "Patient/2"}}]}],
    "input": [{"type": {"text": "x"}, "valueReference": {"reference": "#1"}}, {"valueString": "Patient/3"}],
}


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (TASK, {"CarePlan/1", "CarePlan/2", "Patient/1", "Organization/1", "Patient/2", "#1"}),
        ({"resourceType": "DetectedIssue", "reference": "https://example.org"}, set()),
        ({"subject": {"reference": 7}, "note": [[{"reference": "Patient/4"}]]}, {"Patient/4"}),
        ({}, set()),
        (None, set()),
    ],
    ids=["everywhere", "an element of that name", "only texts", "nothing", "no resource"],
)
def test_the_targets_are_those_of_the_references(held: Any, expected: set[str]) -> None:
    assert targets_in(held) == expected
    assert {text for _, text in references_in(held)} == expected
