"""Which elements each party may change, and which nobody may."""

from typing import Any

import pytest
from als_case import HOME, PHYS, care_team, consent, directory, order, plan, task

from fhir_server.care.differences import changed_elements
from fhir_server.care.elements import ELEMENTS, check_elements
from fhir_server.fhir.change import Change
from fhir_server.fhir.errors import FhirError, Forbidden, InvalidWorkflow

Resource = dict[str, Any]


def change(before: Resource, **elements: Any) -> Change:
    return Change(before, {**before, **elements})


def refusal(asked: Change, *roles: str) -> FhirError:
    with pytest.raises((Forbidden, InvalidWorkflow)) as refused:
        check_elements(asked, frozenset(roles), directory)
    return refused.value


def test_b7_whoever_has_no_part_in_a_task_is_refused_also_when_the_status_stays() -> None:
    asked = change(task(), note=[{"text": "mine"}], output=[{"type": {"text": "x"}, "valueString": "y"}])

    for roles in [(), ("member",)]:
        error = refusal(asked, *roles)
        assert isinstance(error, Forbidden)
        assert error.issues[0].rule == "element-party"


def test_whoever_has_no_part_is_refused_even_when_nothing_changes() -> None:
    assert isinstance(refusal(change(task())), Forbidden)


def test_b8_the_owner_adds_output_note_and_business_status() -> None:
    asked = change(
        task(status="in-progress"), note=[{"text": "n"}], output=[{"valueString": "o"}], businessStatus={"text": "b"}
    )

    check_elements(asked, frozenset({"owner"}), directory)


@pytest.mark.parametrize("element", ["output", "businessStatus", "location", "executionPeriod", "owner"])
def test_the_requester_does_not_write_what_is_the_owners(element: str) -> None:
    error = refusal(change(task(), **{element: {"reference": "x"}}), "requester")

    assert isinstance(error, Forbidden)
    assert error.issues[0].path == f"Task.{element}"
    assert "owner" in error.issues[0].diagnostics
    assert "requester" in error.issues[0].diagnostics


@pytest.mark.parametrize("element", ["priority", "restriction", "description"])
def test_the_owner_does_not_write_what_is_the_requesters(element: str) -> None:
    assert isinstance(refusal(change(task(), **{element: "x"}), "owner"), Forbidden)


@pytest.mark.parametrize(
    "element", ["basedOn", "focus", "for", "requester", "code", "intent", "partOf", "input", "contained"]
)
def test_what_a_task_said_at_its_start_is_changed_by_nobody(element: str) -> None:
    error = refusal(change(task(), **{element: "other"}), "requester", "owner", "custodian", "member")

    assert isinstance(error, InvalidWorkflow)
    assert error.issues[0].path == f"Task.{element}"


def test_b10_a_task_is_handed_on_within_the_organisation_only() -> None:
    within = change(task(owner=HOME), owner={"reference": "PractitionerRole/home-nurse"})
    check_elements(within, frozenset({"owner"}), directory)

    for elsewhere in [PHYS, "PractitionerRole/phys-nurse", "PractitionerRole/nobody", "Device/pump"]:
        error = refusal(change(task(owner=HOME), owner={"reference": elsewhere}), "owner")
        assert isinstance(error, InvalidWorkflow)
        assert error.issues[0].path == "Task.owner"


def test_a_draft_is_still_written_by_its_requester() -> None:
    asked = change(task(status="draft"), owner={"reference": PHYS}, input=[{"valueString": "i"}], description="d")

    check_elements(asked, frozenset({"requester"}), directory)


def test_the_owner_of_an_ended_task_appends_output_and_rewrites_none() -> None:
    first = {"type": {"text": "report"}, "valueString": "one"}
    ended = task(status="completed", output=[first])

    check_elements(change(ended, output=[first, {**first, "valueString": "two"}]), frozenset({"owner"}), directory)

    for rewritten in [[], [{**first, "valueString": "changed"}]]:
        assert refusal(change(ended, output=rewritten), "owner").issues[0].rule == "append-only"


def test_the_reason_of_an_ended_task_is_not_rewritten() -> None:
    ended = task(status="rejected", statusReason={"text": "no capacity"})

    assert isinstance(refusal(change(ended, statusReason={"text": "other"}), "requester"), InvalidWorkflow)
    to_error = change(ended, status="entered-in-error", statusReason={"text": "wrong person"})
    check_elements(to_error, frozenset({"requester"}), directory)


def test_notes_are_added_never_taken_away() -> None:
    for resource, role in [(task(), "owner"), (order(), "requester"), (plan(), "member"), (care_team(), "custodian")]:
        noted = {**resource, "note": [{"text": "theirs"}]}
        assert refusal(change(noted, note=[]), role).issues[0].rule == "append-only"
        check_elements(change(noted, note=[*noted["note"], {"text": "ours"}]), frozenset({role}), directory)


@pytest.mark.parametrize("element", ["code", "reasonCode", "occurrenceDateTime", "performer", "subject", "requester"])
def test_the_content_of_a_placed_order_never_changes(element: str) -> None:
    assert isinstance(refusal(change(order(), **{element: "x"}), "requester"), InvalidWorkflow)


def test_an_order_is_changed_by_its_requester_alone() -> None:
    for roles in [("owner",), ("custodian",), ("member",), ()]:
        assert isinstance(refusal(change(order(), status="completed"), *roles), Forbidden)


@pytest.mark.parametrize("type_name", ["CarePlan", "CareTeam"])
def test_what_the_server_keeps_is_refused_to_everybody_with_its_path(type_name: str) -> None:
    resource = {"CarePlan": plan(), "CareTeam": care_team()}[type_name]
    owned = ELEMENTS[type_name].server_owned
    assert owned

    for element in sorted(owned - {"activity.reference"}):
        error = refusal(change(resource, **{element: "x"}), "custodian", "member", "author", "subject")
        assert isinstance(error, InvalidWorkflow)
        assert (error.issues[0].path, error.issues[0].rule) == (f"{type_name}.{element}", "server-owned")


def test_members_write_activities_of_their_own_but_not_those_of_orders() -> None:
    ordered = {"reference": {"reference": "ServiceRequest/order"}}
    written = {"detail": {"status": "scheduled", "description": "buy a bell"}}
    before = plan(activity=[ordered])

    check_elements(change(before, activity=[written, ordered]), frozenset({"member"}), directory)

    error = refusal(change(before, activity=[written]), "custodian")
    assert error.issues[0].path == "CarePlan.activity.reference"


def test_status_and_period_of_a_plan_are_the_custodians() -> None:
    for element in ["status", "period"]:
        asked = change(plan(), **{element: "other"})
        assert isinstance(refusal(asked, "member"), Forbidden)
        check_elements(asked, frozenset({"custodian"}), directory)


def test_a_consent_keeps_its_person_and_its_scope() -> None:
    for element in ["patient", "scope"]:
        assert isinstance(refusal(change(consent(), **{element: "x"}), "author"), InvalidWorkflow)
    check_elements(change(consent(), status="inactive"), frozenset({"subject"}), directory)
    assert isinstance(refusal(change(consent(), status="inactive"), "member"), Forbidden)


@pytest.mark.parametrize("ended", ["inactive", "rejected", "entered-in-error"])
def test_a_consent_that_ended_is_not_revived(ended: str) -> None:
    error = refusal(change(consent(status=ended), status="active"), "subject", "author", "custodian")

    assert error.issues[0].path == "Consent.status"


def test_all_findings_are_told_at_once() -> None:
    error = refusal(change(task(), focus="x", intent="y", basedOn="z"), "owner")

    assert {issue.path for issue in error.issues} == {"Task.focus", "Task.intent", "Task.basedOn"}


def test_meta_and_id_are_no_change_but_extensions_of_primitives_are() -> None:
    before = task(meta={"versionId": "1"})

    assert changed_elements(before, {**task(), "meta": {"versionId": "2"}, "id": "other"}) == ()
    assert changed_elements(before, {**before, "_status": {"extension": []}}) == ("status",)


def narrative(inner: str) -> Resource:
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{inner}</div>'}


@pytest.mark.parametrize(
    ("resource", "role", "changes"),
    [
        (task(), "requester", True),
        (task(), "owner", False),
        (task(), "custodian", False),
        (task(status="draft"), "requester", True),
        (task(status="completed"), "requester", False),
        (order(), "requester", False),
        (order(status="draft"), "requester", True),
        (plan(), "member", True),
        (care_team(), "custodian", True),
        (consent(), "author", True),
        (consent(status="inactive"), "author", False),
    ],
)
@pytest.mark.parametrize("element", ["text", "language"])
def test_the_narrative_is_written_by_whoever_writes_what_it_tells(
    resource: Resource, role: str, changes: bool, element: str
) -> None:
    told = {"text": (narrative("Nursing"), narrative("No nursing")), "language": ("nl", "fr")}[element]
    before = {**resource, element: told[0]}
    asked = change(before, **{element: told[1]}, note=[{"text": "n"}])

    if changes:
        check_elements(change(before, **{element: told[1]}), frozenset({role}), directory)
    else:
        assert f"{resource['resourceType']}.{element}" in {issue.path for issue in refusal(asked, role).issues}


def test_whoever_changes_what_the_narrative_tells_may_leave_it_out() -> None:
    before = task(text=narrative("Requested"))
    without = {name: value for name, value in before.items() if name != "text"}

    check_elements(Change(before, {**without, "status": "accepted"}), frozenset({"owner"}), directory)

    assert refusal(Change(before, without), "owner").issues[0].path == "Task.text"


def test_a_narrative_that_is_only_written_down_otherwise_is_the_same() -> None:
    before = task(text=narrative('<p title="a">caf\u00e9</p><!-- by A --><br/>'))
    other = task(text=narrative("<p title='a'>caf&#233;</p><br></br>"))

    assert changed_elements(before, other) == ()
    assert changed_elements(before, task(text=narrative("<p title='b'>caf&#233;</p><br/>"))) == ("text",)


def test_implicit_rules_that_were_stored_once_may_be_left_out() -> None:
    check_elements(Change(task(implicitRules="urn:r"), task(status="accepted")), frozenset({"owner"}), directory)


def test_creates_and_other_types_pass() -> None:
    observation = {"resourceType": "Observation", "id": "o", "status": "final"}

    check_elements(Change(None, task()), frozenset(), directory)
    check_elements(change(observation, status="amended"), frozenset(), directory)
