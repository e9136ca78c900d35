"""What the shape of a resource may not be: one bad resource per rule, with the path and code of its issue."""

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
from minimal import PRIMITIVES, minimal

from fhir_server.fhir.outcome import Issue
from fhir_server.validation import Validator

VALIDATOR = Validator()
TASK: dict[str, Any] = {
    "resourceType": "Task",
    "id": "t1",
    "status": "requested",
    "intent": "order",
    "for": {"reference": "Patient/1"},
    "authoredOn": "2026-03-01T09:00:00+01:00",
    "restriction": {"repetitions": 1, "period": {"start": "2026-03-01", "end": "2026-03-31"}},
    "input": [{"type": {"text": "Volume"}, "valueDecimal": Decimal("1.00")}],
    "note": [{"text": "Bring the key"}],
}
PATIENT: dict[str, Any] = {"resourceType": "Patient", "name": [{"family": "Peeters", "given": ["An", "Maria"]}]}
EXTENSION = {"url": "https://samen.example/x", "valueString": "x"}


def check(resource: Any) -> list[Issue]:
    return VALIDATOR.check(resource)


def places(issues: list[Issue]) -> list[tuple[str | None, str]]:
    return [(issue.path, issue.code) for issue in issues]


BAD_TASKS = [
    # unknown and missing elements
    ({"colour": "red"}, "Task.colour", "structure"),
    ({"_colour": {"id": "x"}}, "Task._colour", "structure"),
    ({"_for": {"id": "x"}}, "Task._for", "structure"),
    ({"fhir_comments": ["x"]}, "Task.fhir_comments", "structure"),
    ({"restriction": {"period": {"until": "2026"}}}, "Task.restriction.period.until", "structure"),
    ({"for": {"resourceType": "Patient", "display": "An"}}, "Task.for.resourceType", "structure"),
    ({"status": None}, "Task.status", "structure"),
    ({"input": [{"valueString": "x"}]}, "Task.input[0].type", "required"),
    ({"input": [{"type": {"text": "x"}}]}, "Task.input[0].value", "required"),
    # JSON types and cardinality
    ({"restriction": "soon"}, "Task.restriction", "structure"),
    ({"restriction": [{"repetitions": 1}]}, "Task.restriction", "structure"),
    ({"note": {"text": "x"}}, "Task.note", "structure"),
    ({"note": []}, "Task.note", "structure"),
    ({"note": [None]}, "Task.note[0]", "structure"),
    ({"note": [{"text": "x"}, {}]}, "Task.note[1]", "structure"),
    ({"restriction": {}}, "Task.restriction", "structure"),
    ({"restriction": {"id": "a"}}, "Task.restriction", "structure"),
    ({"status": ["requested"]}, "Task.status", "structure"),
    ({"status": True}, "Task.status", "structure"),
    ({"description": 1}, "Task.description", "structure"),
    ({"restriction": {"repetitions": True}}, "Task.restriction.repetitions", "structure"),
    ({"restriction": {"repetitions": Decimal("1.0")}}, "Task.restriction.repetitions", "structure"),
    ({"restriction": {"repetitions": "1"}}, "Task.restriction.repetitions", "structure"),
    ({"restriction": {"repetitions": 0}}, "Task.restriction.repetitions", "value"),
    ({"authoredOn": 1700000000}, "Task.authoredOn", "structure"),
    # choices
    ({"input": [{"type": {"text": "x"}, "valueString": "x", "valueCode": "x"}]}, "Task.input[0].value", "structure"),
    (
        {"input": [{"type": {"text": "x"}, "valueString": "x", "_valueCode": {"extension": [EXTENSION]}}]},
        "Task.input[0].value",
        "structure",
    ),
    ({"input": [{"type": {"text": "x"}, "valueCode": "x", "valueTask": "x"}]}, "Task.input[0].valueTask", "structure"),
    # codes
    ({"status": "bogus"}, "Task.status", "code-invalid"),
    ({"priority": "Urgent"}, "Task.priority", "code-invalid"),
    # formats
    ({"id": "a" * 65}, "Task.id", "value"),
    ({"id": "a b"}, "Task.id", "value"),
    ({"authoredOn": "2026-02-30"}, "Task.authoredOn", "value"),
    ({"description": " \n "}, "Task.description", "value"),
    ({"description": ""}, "Task.description", "value"),
    ({"description": "bell\u0007"}, "Task.description", "value"),
    ({"description": "a" * (1024 * 1024 + 1)}, "Task.description", "value"),
    ({"instantiatesUri": "urn:a b"}, "Task.instantiatesUri", "value"),
    # primitives and their siblings
    ({"_description": {}}, "Task._description", "structure"),
    ({"_description": [{"id": "x"}]}, "Task._description", "structure"),
    ({"_description": {"text": "x"}}, "Task._description.text", "structure"),
    ({"_description": None}, "Task._description", "structure"),
    # extensions
    ({"extension": [{"valueString": "x"}]}, "Task.extension[0].url", "required"),
    ({"extension": [{"url": "https://samen.example/x"}]}, "Task.extension[0]", "invariant"),
    ({"extension": [{**EXTENSION, "extension": [EXTENSION]}]}, "Task.extension[0]", "invariant"),
    ({"modifierExtension": [{"url": "a b", "valueCode": "x"}]}, "Task.modifierExtension[0].url", "value"),
    ({"restriction": {"extension": [{**EXTENSION, "url": ""}]}}, "Task.restriction.extension[0].url", "value"),
    ({"extension": [{**EXTENSION, "url": "bare"}]}, "Task.extension[0].url", "value"),
    ({"modifierExtension": [{**EXTENSION, "url": "Some/place"}]}, "Task.modifierExtension[0].url", "value"),
    ({"_description": {"extension": [{**EXTENSION, "url": "#x"}]}}, "Task._description.extension[0].url", "value"),
    # invariants
    ({"restriction": {"period": {"start": "2026-04-01", "end": "2026-03-31"}}}, "Task.restriction.period", "invariant"),
    ({"lastModified": "2026-02-01T09:00:00+01:00"}, "Task", "invariant"),
]


@pytest.mark.parametrize(("elements", "path", "code"), BAD_TASKS)
def test_bad_task_is_refused_at_the_element_that_is_wrong(elements: dict[str, Any], path: str, code: str) -> None:
    assert places(check({**TASK, **elements})) == [(path, code)]


def test_good_task_has_no_issues_and_is_not_changed() -> None:
    task = deepcopy(TASK)

    assert check(task) == []
    assert task == TASK
    assert str(task["input"][0]["valueDecimal"]) == "1.00"


@pytest.mark.parametrize("value", [None, [], "Task", 1, True])
def test_what_is_no_object_is_no_resource(value: Any) -> None:
    assert [issue.code for issue in check(value)] == ["structure"]


@pytest.mark.parametrize(
    ("resource", "code"),
    [
        ({}, "required"),
        ({"resourceType": 3}, "required"),
        ({"resourceType": "Spaceship"}, "value"),
        ({"resourceType": "Period"}, "value"),
        ({"resourceType": "Composition"}, "value"),
    ],
)
def test_resource_names_a_type_that_the_server_supports(resource: dict[str, Any], code: str) -> None:
    assert places(check(resource)) == [("resourceType", code)]


def test_all_errors_are_told_at_once() -> None:
    issues = check({"resourceType": "Task", "status": "bogus", "colour": 1, "for": {"reference": "Task/1 2"}})

    assert places(issues) == [
        ("Task.status", "code-invalid"),
        ("Task.colour", "structure"),
        ("Task.for.reference", "value"),
        ("Task.intent", "required"),
    ]


def test_the_message_names_the_codes_that_would_be_right() -> None:
    (issue,) = check({**TASK, "intent": "wish"})

    assert "'wish'" in issue.diagnostics
    assert "proposal" in issue.diagnostics


def test_errors_beyond_the_limit_are_counted() -> None:
    issues = check({**TASK, "note": [{}] * 5000})

    assert len(issues) == 201
    assert "more errors" in issues[-1].diagnostics


def test_nesting_is_limited() -> None:
    extension: dict[str, Any] = EXTENSION
    for _ in range(5000):
        extension = {"url": "https://samen.example/x", "extension": [extension]}

    assert places(check({**TASK, "extension": [extension]})) == [("Task", "structure")]


def test_parts_of_an_extension_have_bare_names() -> None:
    within = {"url": "outer", "extension": [{"url": "inner", "valueString": "x"}]}
    assert check({**TASK, "extension": [{"url": "urn:oid:1.2.3", "extension": [within]}]}) == []
    period = {"start": "2026-03-01", "extension": [{**EXTENSION, "url": "bare"}]}
    given = {"url": "urn:oid:1.2.3", "extension": [{"url": "inner", "valuePeriod": period}]}
    assert places(check({**TASK, "extension": [given]})) == [
        ("Task.extension[0].extension[0].valuePeriod.extension[0].url", "value")
    ]


def test_required_primitive_may_be_given_by_an_extension_where_coordination_does_not_need_it() -> None:
    absent = {"extension": [EXTENSION]}

    assert check({"resourceType": "Observation", "_status": absent, "code": {"text": "x"}}) == []
    assert [issue.rule for issue in check({"resourceType": "Task", "_status": absent, "intent": "order"})] == [
        "samen-1"
    ]


def test_invariants_bear_values_that_are_only_extensions() -> None:
    definition = minimal("StructureDefinition", type=None, _type={"extension": [EXTENSION]})

    assert check(definition) == []


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ({"given": ["An", None], "_given": [None, {"extension": [EXTENSION]}]}, None),
        ({"_given": [{"extension": [EXTENSION]}]}, None),
        ({"given": ["An", "Maria"], "_given": [{"id": "a"}]}, None),
        ({"given": ["An", None]}, "Patient.name[0].given[1]"),
        ({"given": ["An", None], "_given": [{"id": "a"}, None]}, "Patient.name[0].given[1]"),
        ({"given": ["An"], "_given": [None, {"id": "a"}]}, "Patient.name[0]._given"),
        ({"given": ["An"], "_given": [None]}, "Patient.name[0]._given"),
        ({"given": ["An"], "_given": []}, "Patient.name[0]._given"),
        ({"given": ["An"], "_given": {"id": "a"}}, "Patient.name[0]._given"),
        ({"_given": [None, {"extension": [EXTENSION]}]}, "Patient.name[0]._given[0]"),
        ({"_given": [{"id": "a"}]}, "Patient.name[0]._given[0]"),
        ({"given": ["An"], "_given": [{}]}, "Patient.name[0]._given[0]"),
        ({"given": [None], "_given": [{"id": "a"}]}, "Patient.name[0]._given[0]"),
        ({"family": "Peeters", "_family": {"id": "a"}}, None),
        ({"family": "Peeters", "_family": {}}, "Patient.name[0]._family"),
        ({"_family": {"id": "a"}}, "Patient.name[0]._family"),
        ({"given": ["An"], "_given": [{"id": "a", "x": 1}]}, "Patient.name[0]._given[0].x"),
    ],
)
def test_siblings_of_primitives_stay_in_step(name: dict[str, Any], path: str | None) -> None:
    issues = check({"resourceType": "Patient", "name": [name]})

    assert [issue.path for issue in issues] == ([path] if path else [])


@pytest.mark.parametrize(
    ("elements", "path"),
    [
        ({"_id": {"extension": [EXTENSION]}}, None),
        ({"name": [{"family": "Peeters", "_id": {"extension": [EXTENSION]}}]}, "Patient.name[0]._id"),
        ({"extension": [{**EXTENSION, "_url": {"extension": [EXTENSION]}}]}, "Patient.extension[0]._url"),
        ({"text": {"status": "generated", "div": PRIMITIVES["xhtml"], "_div": {"id": "a"}}}, "Patient.text._div"),
    ],
)
def test_an_elements_id_an_url_and_a_narrative_have_no_sibling(elements: dict[str, Any], path: str | None) -> None:
    issues = check({"resourceType": "Patient", "id": "a", **elements})

    assert [issue.path for issue in issues] == ([path] if path else [])


def test_concept_of_a_required_binding_needs_system_and_code() -> None:
    system = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    condition = {"resourceType": "Condition", "subject": {"reference": "Patient/1"}}

    assert (
        check({**condition, "clinicalStatus": {"coding": [{"code": "x"}, {"system": system, "code": "active"}]}}) == []
    )
    for concept in (
        {"text": "active"},
        {"coding": [{"code": "active"}]},
        {"coding": [{"system": system, "code": "x"}]},
    ):
        assert places(check({**condition, "clinicalStatus": concept})) == [
            ("Condition.clinicalStatus.coding", "code-invalid")
        ]


def test_simple_quantity_has_no_comparator() -> None:
    quantity = {"value": 1, "comparator": "<"}
    group = {
        "resourceType": "Group",
        "type": "person",
        "actual": False,
        "characteristic": [{"code": {"text": "age"}, "valueRange": {"low": quantity}, "exclude": False}],
    }

    assert places(check(group)) == [("Group.characteristic[0].valueRange.low.comparator", "structure")]


def test_resources_in_a_bundle_are_checked_with_their_place() -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "POST", "url": "Task"}, "resource": {**TASK, "status": "bogus"}}],
    }

    assert places(check(bundle)) == [("Bundle.entry[0].resource.status", "code-invalid")]


def test_resources_in_parameters_are_checked_with_their_place() -> None:
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "x", "resource": {"resourceType": "Nothing"}}]}

    assert places(check(parameters)) == [("Parameters.parameter[0].resource.resourceType", "value")]
