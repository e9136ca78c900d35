"""How a plan is opened and closed."""

from typing import Any

import pytest
from als_case import CMO, HOSP, als, at, order, plan, task
from fhir.resources.R4B.careplan import CarePlan
from fhir.resources.R4B.careteam import CareTeam

from fhir_server.care.parties import party_of
from fhir_server.care.plans import check_move, check_open, check_same_subject, open_plan, opens_plan, with_activity
from fhir_server.care.tasks import check_sub_task
from fhir_server.fhir.errors import Forbidden, InvalidResource, InvalidWorkflow

PATIENT = {"resourceType": "Patient", "id": "p1"}
CUSTODIAN = frozenset({"custodian"})


def first_task(**more: Any) -> dict[str, Any]:
    asked = {**task(), **more}
    del asked["basedOn"]
    return asked


def opened(**more: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    parts = {"task": first_task(), "order": order(), "custodian": CMO, **more}
    return open_plan(
        parts["task"], parts["order"], PATIENT, als(), HOSP, parts["custodian"], ("plan-1", "team-1"), at(0)
    )


def test_a_first_task_opens_a_plan_with_its_order_and_a_team() -> None:
    care_plan, care_team, based = opened()

    assert care_plan["status"] == "active"
    assert care_plan["intent"] == "plan"
    assert care_plan["subject"] == care_team["subject"] == {"reference": "Patient/p1"}
    assert care_plan["author"] == {"reference": HOSP}
    assert care_plan["activity"] == [{"reference": {"reference": "ServiceRequest/order"}}]
    assert care_plan["careTeam"] == [{"reference": "CareTeam/team-1"}]
    assert care_plan["instantiatesCanonical"] == [als().versioned]
    assert care_plan["title"] == "Zorgplan ALS"
    assert care_team["managingOrganization"] == [{"reference": CMO}]
    assert based == {**first_task(), "basedOn": [{"reference": "CarePlan/plan-1"}]}


def test_plan_and_team_are_valid_resources() -> None:
    care_plan, care_team, _ = opened()

    CarePlan.model_validate(care_plan)
    CareTeam.model_validate(care_team)


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"task": first_task(**{"for": {"reference": "Patient/p2"}})}, "Task.for"),
        ({"order": order(subject={"reference": "Patient/p2"})}, "ServiceRequest.subject"),
        ({"custodian": "Practitioner/x"}, "Task.for"),
    ],
)
def test_a_plan_is_about_one_person_and_kept_by_an_organisation(changed: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidResource) as refused:
        opened(**changed)

    assert refused.value.issues[0].path == path


def test_which_tasks_open_a_plan() -> None:
    assert opens_plan(first_task())
    assert not opens_plan(task())
    assert not opens_plan(first_task(code={"text": "x"}))
    assert not opens_plan(first_task(partOf=[{"reference": "Task/t0"}]))
    assert not opens_plan(first_task(focus={"reference": "Task/t0"}))
    assert not opens_plan(first_task(status="accepted"))


def test_an_order_is_held_once() -> None:
    once = with_activity(plan(), "ServiceRequest/a")

    assert with_activity(once, "ServiceRequest/a") is once
    assert [a["reference"]["reference"] for a in with_activity(once, "ServiceRequest/b")["activity"]] == [
        "ServiceRequest/a",
        "ServiceRequest/b",
    ]


@pytest.mark.parametrize("status", ["completed", "revoked", "entered-in-error"])
def test_a10_nothing_new_starts_in_a_closed_plan(status: str) -> None:
    with pytest.raises(InvalidWorkflow, match=status):
        check_open(plan(status=status))

    check_open(plan())


def test_a5_a_task_is_for_the_person_of_its_plan() -> None:
    check_same_subject(plan(), task())

    with pytest.raises(InvalidWorkflow) as refused:
        check_same_subject(plan(), {**task(), "for": {"reference": "Patient/p2"}})
    assert refused.value.issues[0].path == "Task.for"


def test_a11_a_plan_does_not_close_while_tasks_are_open() -> None:
    running = [task("t1", "in-progress"), task("t2", "completed")]

    with pytest.raises(InvalidWorkflow, match="Task/t1"):
        check_move("active", "completed", CUSTODIAN, running)

    check_move("active", "on-hold", CUSTODIAN, running)
    check_move("active", "completed", CUSTODIAN, running[1:])


def test_only_the_custodian_moves_a_plan_and_only_as_the_table_says() -> None:
    with pytest.raises(Forbidden):
        check_move("active", "on-hold", frozenset({"member", "author"}), [])
    with pytest.raises(InvalidWorkflow, match="from completed to active"):
        check_move("completed", "active", CUSTODIAN, [])


def test_d2_a_sub_task_asks_back() -> None:
    parent = task("t0", owner="Organization/home", requester=HOSP)
    asked = task("t1", owner=HOSP, requester="PractitionerRole/home-nurse", partOf=[{"reference": "Task/t0"}])

    check_sub_task(asked, parent, directory_of)

    with pytest.raises(InvalidWorkflow, match="owner"):
        check_sub_task(task("t1", owner=CMO, requester="Organization/home"), parent, directory_of)


def test_d5_a_sub_task_has_no_sub_tasks() -> None:
    part = task("t1", owner=HOSP, requester="Organization/home", partOf=[{"reference": "Task/t0"}])

    with pytest.raises(InvalidWorkflow, match="first Task"):
        check_sub_task(task("t2", owner="Organization/home", requester=HOSP), part, directory_of)


def directory_of(reference: str) -> dict[str, Any] | None:
    known = {"PractitionerRole/home-nurse": {"organization": {"reference": "Organization/home"}}}
    return known.get(reference)


def test_an_absent_party_is_nobody() -> None:
    assert party_of({"resourceType": "Task"}, "owner", directory_of) is None
