"""The minimal resources that other tests start from are valid, for our Validator and for a library of others."""

import pytest
from fhir.resources.R4B import get_fhir_model_class
from minimal import minimal

from fhir_server.definitions.structures import MESSAGE_TYPES, RESOURCE_TYPES
from fhir_server.fhir.json import encode
from fhir_server.validation import Validator

VALIDATOR = Validator()


@pytest.mark.parametrize("type_name", sorted(RESOURCE_TYPES | MESSAGE_TYPES))
def test_minimal_resource_is_valid(type_name: str) -> None:
    resource = minimal(type_name)

    assert VALIDATOR.check(resource) == []
    get_fhir_model_class(type_name).model_validate_json(encode(resource))


@pytest.mark.parametrize("type_name", sorted(RESOURCE_TYPES | MESSAGE_TYPES))
def test_minimal_resource_has_nothing_to_spare(type_name: str) -> None:
    resource = minimal(type_name)

    for name in resource.keys() - {"resourceType"}:
        assert VALIDATOR.check({k: v for k, v in resource.items() if k != name}), f"{name} could be left out"


def test_required_references_point_where_the_caller_says() -> None:
    given = {"Practitioner": "Practitioner/5", "Patient": "Patient/7"}

    assert minimal("CarePlan", references=given)["subject"] == {"reference": "Patient/7"}
    assert minimal("CarePlan")["subject"] == {"reference": "Patient/example"}


def test_overrides_replace_and_remove_elements() -> None:
    task = minimal("Task", status="accepted", intent=None, id="t1")

    assert task == {"resourceType": "Task", "status": "accepted", "id": "t1"}
