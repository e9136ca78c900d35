"""A reference has a readable form and points to a type that its element allows."""

from typing import Any

import pytest

from fhir_server.validation import Validator

VALIDATOR = Validator()
PLAN: dict[str, Any] = {"resourceType": "CarePlan", "status": "active", "intent": "plan"}
SUBJECT = {"subject": {"reference": "Patient/1"}}
GOAL = {"resourceType": "Goal", "id": "g", "lifecycleStatus": "active", "description": {"text": "x"}, **SUBJECT}


def places(resource: dict[str, Any]) -> list[tuple[str | None, str]]:
    return [(issue.path, issue.code) for issue in VALIDATOR.check(resource)]


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "Patient/1"},
        {"reference": "Patient/1/_history/2"},
        {"reference": "Group/1", "type": "Group"},
        {"reference": "https://elsewhere.example/fhir/Patient/1"},
        {"reference": "https://elsewhere.example/patients?id=1"},
        {"reference": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520", "type": "Patient"},
        {"reference": "Patient?identifier=urn:x|1"},
        {"type": "http://hl7.org/fhir/StructureDefinition/Patient", "display": "An"},
        {"identifier": {"system": "urn:x", "value": "1"}},
        {"display": "An"},
    ],
)
def test_subject_of_a_plan_may_be_a_patient_or_group(subject: dict[str, Any]) -> None:
    assert places({**PLAN, "subject": subject}) == []


@pytest.mark.parametrize(
    ("subject", "path", "code"),
    [
        ({"reference": "Practitioner/1"}, ".reference", "value"),
        ({"reference": "https://elsewhere.example/fhir/Task/1"}, ".reference", "value"),
        ({"reference": "Task?identifier=urn:x|1"}, ".reference", "value"),
        ({"reference": "Person/1"}, ".reference", "value"),
        ({"reference": "Spaceship/1"}, ".reference", "value"),
        ({"reference": "Patient"}, ".reference", "value"),
        ({"reference": "Patient/a_b"}, ".reference", "value"),
        ({"reference": "/Patient/1"}, ".reference", "value"),
        ({"reference": "An Peeters"}, ".reference", "value"),
        ({"reference": 1}, ".reference", "structure"),
        ({"type": "Practitioner"}, ".type", "value"),
        ({"type": "Spaceship"}, ".type", "code-invalid"),
        ({"reference": "Patient/1", "type": "Group"}, ".type", "value"),
        ({"reference": "#p"}, ".reference", "invariant"),
        ("Patient/1", "", "structure"),
    ],
)
def test_other_subjects_are_refused(subject: Any, path: str, code: str) -> None:
    assert places({**PLAN, "subject": subject}) == [("CarePlan.subject" + path, code)]


def test_task_may_focus_on_any_resource_type_of_r4_but_no_other() -> None:
    task = {"resourceType": "Task", "status": "requested", "intent": "order"}

    assert places({**task, "focus": {"reference": "Contract/1"}}) == []
    assert places({**task, "focus": {"reference": "Nothing/1"}}) == [("Task.focus.reference", "value")]


def test_local_reference_finds_its_contained_resource() -> None:
    plan = {**PLAN, **SUBJECT, "contained": [GOAL], "goal": [{"reference": "#g"}]}

    assert places(plan) == []
    assert places({**plan, "addresses": [{"reference": "#g"}]}) == [
        ("CarePlan.goal[0].reference", "value"),
        ("CarePlan.addresses[0].reference", "value"),
    ]


def test_every_local_reference_that_finds_nothing_is_told() -> None:
    issues = VALIDATOR.check({**PLAN, **SUBJECT, "goal": [{"reference": "#a"}, {"reference": "#b"}]})

    assert [(issue.path, issue.rule) for issue in issues] == [
        ("CarePlan.goal[0].reference", "ref-1"),
        ("CarePlan.goal[1].reference", "ref-1"),
    ]


def test_contained_resource_may_refer_to_its_container_and_its_siblings() -> None:
    organization = {"resourceType": "Organization", "id": "o", "name": "x", "partOf": {"reference": "#p"}}
    parent = {"resourceType": "Organization", "id": "p", "name": "y"}
    task = {"resourceType": "Task", "id": "t", "status": "requested", "intent": "order", "partOf": [{"reference": "#"}]}

    assert places({**PLAN, **SUBJECT, "contained": [organization, parent], "author": {"reference": "#o"}}) == []
    assert places({"resourceType": "Task", "status": "draft", "intent": "order", "contained": [task]}) == []


@pytest.mark.parametrize(
    ("contained", "rule"),
    [
        ({**GOAL, "contained": [GOAL]}, "dom-2"),
        ({**GOAL, "meta": {"versionId": "1"}}, "dom-4"),
        ({**GOAL, "meta": {"lastUpdated": "2026-03-01T09:00:00Z"}}, "dom-4"),
        ({**GOAL, "meta": {"security": [{"code": "R"}]}}, "dom-5"),
    ],
)
def test_contained_resource_has_no_life_of_its_own(contained: dict[str, Any], rule: str) -> None:
    issues = VALIDATOR.check({**PLAN, **SUBJECT, "contained": [contained], "goal": [{"reference": "#g"}]})

    assert rule in [issue.rule for issue in issues]


def test_contained_resource_is_used_by_reference_or_canonical() -> None:
    plan = {**PLAN, **SUBJECT, "contained": [GOAL]}

    assert [(issue.path, issue.rule) for issue in VALIDATOR.check(plan)] == [("CarePlan.contained[0]", "dom-3")]
    assert places({**plan, "instantiatesCanonical": ["#g"]}) == []


def test_contained_resource_without_an_id_is_used_by_nothing_unless_it_refers_to_its_container() -> None:
    nameless = {name: value for name, value in GOAL.items() if name != "id"}
    about = {"resourceType": "Provenance", "target": [{"reference": "#"}], "recorded": "2026-03-01T09:00:00Z"}
    about["agent"] = [{"who": {"display": "An"}}]

    for contained, position in (([nameless], 0), ([GOAL, nameless], 1)):
        used = {**PLAN, **SUBJECT, "contained": contained, "goal": [{"reference": "#g"}] if position else []}
        issues = VALIDATOR.check({name: value for name, value in used.items() if value})
        assert [(issue.path, issue.rule) for issue in issues] == [(f"CarePlan.contained[{position}]", "dom-3")]
    assert places({**PLAN, **SUBJECT, "contained": [about]}) == []


def test_contained_resources_have_ids_of_their_own() -> None:
    twice = {**PLAN, **SUBJECT, "contained": [GOAL, {**GOAL, "lifecycleStatus": "planned"}]}

    issues = VALIDATOR.check({**twice, "goal": [{"reference": "#g"}]})

    assert [(issue.path, issue.rule) for issue in issues] == [("CarePlan.contained[1].id", "contained-id")]


def test_contained_resource_is_checked_as_a_resource() -> None:
    plan = {**PLAN, **SUBJECT, "contained": [{"resourceType": "Goal", "id": "g"}], "goal": [{"reference": "#g"}]}

    assert places(plan) == [
        ("CarePlan.contained[0].lifecycleStatus", "required"),
        ("CarePlan.contained[0].description", "required"),
        ("CarePlan.contained[0].subject", "required"),
    ]


def test_entry_of_a_bundle_keeps_its_contained_resources_to_itself() -> None:
    plan = {**PLAN, **SUBJECT, "contained": [GOAL], "goal": [{"reference": "#g"}]}
    other = {**PLAN, **SUBJECT, "goal": [{"reference": "#g"}]}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": plan}, {"resource": other}]}

    assert places(bundle) == [("Bundle.entry[1].resource.goal[0].reference", "invariant")]
