"""What passed once is not gone through again; what was wrong, and what depends on the resource around it, is."""

from fhir_server.fhir.json import Resource
from fhir_server.validation.findings import NONE, Findings, Locals, finding
from fhir_server.validation.passed import Passed
from fhir_server.validation.validator import Validator

_WEIGHT: Resource = {"resourceType": "Observation", "status": "final", "code": {"text": "Weight"}}


def test_a_value_that_passed_is_asked_once_by_each_check() -> None:
    asked = []

    def check(value: object, local: Locals) -> Findings:
        asked.append(value)
        return NONE

    passed = Passed()
    first, second = passed.remembering(check), passed.remembering(check)

    for each in (first, first, second):
        assert each({"text": "a"}, []) == NONE
    assert first({"text": "b"}, []) == NONE

    assert asked == [{"text": "a"}, {"text": "a"}, {"text": "b"}]


def test_a_value_that_was_wrong_is_wrong_each_time() -> None:
    again = Passed().remembering(lambda value, local: finding("value", "wrong"))

    assert [bool(again({"text": "a"}, [])) for _ in range(3)] == [True, True, True]


def test_what_passes_in_one_element_may_be_wrong_in_another() -> None:
    validator = Validator()
    named = {"reference": "Practitioner/1"}

    assert validator.check({**_WEIGHT, "performer": [named]}) == []
    assert validator.check({**_WEIGHT, "performer": [named]}) == []
    assert [issue.path for issue in validator.check({**_WEIGHT, "subject": named})] == ["Observation.subject.reference"]
    assert [issue.path for issue in validator.check({**_WEIGHT, "performer": named})] == ["Observation.performer"]


def test_a_reference_to_what_is_contained_is_judged_in_each_resource() -> None:
    validator = Validator()
    named = {**_WEIGHT, "subject": {"reference": "#who"}}

    assert validator.check({**named, "contained": [{"resourceType": "Patient", "id": "who"}]}) == []
    assert [issue.rule for issue in validator.check(named)] == ["ref-1"]
    herd = {"resourceType": "Medication", "id": "who"}
    assert [issue.path for issue in validator.check({**named, "contained": [herd]})] == [
        "Observation.subject.reference"
    ]


def test_numbers_that_are_written_in_another_way_are_another_value() -> None:
    asked = []

    def check(value: object, local: Locals) -> Findings:
        asked.append(value)
        return NONE

    again = Passed().remembering(check)
    for number in (1, True, "1"):
        again({"value": number}, [])

    assert len(asked) == 3
