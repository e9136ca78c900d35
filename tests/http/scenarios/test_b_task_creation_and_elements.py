"""Scenarios B: Task creation and element rules."""

from typing import Any

import pytest

from fhir_server.fhir.json import Resource
from tests.access.circle import made, order
from tests.http.scenarios.test_a_plans_and_teams import _task
from tests.world import World

NARRATIVE = '<div xmlns="http://www.w3.org/1999/xhtml">Nursing is not needed</div>'


@pytest.mark.parametrize("status", ["accepted", "in-progress", "completed"])
def test_b1_a_task_does_not_start_in_a_later_status(world: World, status: str) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)

    reply = hosp.post(_task(case, hosp, home, status=status, basedOn=[{"reference": case.plan}]))

    assert (reply.status, reply.rules, reply.paths) == (422, {"task-move"}, {"Task.status"})


def test_b2_an_outsider_adding_to_a_plan_is_answered_as_if_there_were_none(world: World) -> None:
    hosp, home, out = world.hospital(), world.party(), world.hospital()
    case = world.case(hosp, home)
    hidden = out.post(_task(case, out, home, basedOn=[{"reference": case.plan}]))
    absent = out.post(
        _task(
            case,
            out,
            home,
            basedOn=[{"reference": "CarePlan/never-there"}],
            focus={"reference": "ServiceRequest/never-there"},
            **{"for": {"reference": "Patient/never-there"}},
        )
    )

    assert hidden.status == absent.status == 422
    assert hidden.paths == absent.paths == {"Task.basedOn[0].reference", "Task.focus.reference", "Task.for.reference"}


def test_b2_a_former_member_that_reads_the_plan_may_not_add_to_it(world: World) -> None:
    hosp, home, other = world.hospital(), world.party(), world.party()
    case = world.case(hosp, home)
    for status in ("accepted", "in-progress", "completed"):
        assert home.move(case.task, status).status == 200

    reply = home.post(
        {
            "resourceType": "ServiceRequest",
            "status": "active",
            "intent": "order",
            "basedOn": [{"reference": case.plan}],
            "requester": {"reference": home.reference},
            "performer": [{"reference": other.reference}],
            "subject": {"reference": home.read(case.task)["for"]["reference"]},
        }
    )

    assert reply.status in {403, 422}
    assert home.get(case.plan).status == 200


@pytest.mark.parametrize(
    "based_on",
    [
        ["CarePlan/{plan}", "CarePlan/{plan}"],
        ["Task/{task}"],
        ["https://elsewhere.example/fhir/CarePlan/1"],
    ],
)
def test_b4_a_task_belongs_to_one_plan_of_this_server(world: World, based_on: list[str]) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    ids = {"plan": case.plan.split("/")[1], "task": case.task.split("/")[1]}
    references = [{"reference": text.format(**ids)} for text in based_on]

    reply = hosp.post(_task(case, hosp, home, basedOn=references))

    assert reply.status == 422
    assert any(path.startswith("Task.basedOn") for path in reply.paths)


@pytest.mark.parametrize(
    "reference",
    [
        "http://elsewhere.example/Observation/1",
        "https://elsewhere.example/fhir/Observation/1",
        "Observation/../Patient/1",
        "Observation?code=1",
        "urn:uuid:9c9c9c9c-0000-4000-8000-000000000000",
        "Observation/never-there",
    ],
)
def test_b5_a_reference_that_leads_elsewhere_is_refused_with_its_path(world: World, reference: str) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    output = [{"type": {"text": "result"}, "valueReference": {"reference": reference}}]
    for status in ("accepted", "in-progress"):
        assert home.move(case.task, status).status == 200

    reply = home.change(case.task, output=output)

    assert (reply.status, reply.paths) == (422, {"Task.output[0].valueReference.reference"})


def test_b7_a_member_that_is_no_party_may_not_touch_the_task_even_with_the_same_status(world: World) -> None:
    hosp, home, member, out = world.hospital(), world.party(), world.party(), world.party()
    case = world.case(hosp, home)
    other = hosp.post(_task(case, hosp, member, basedOn=[{"reference": case.plan}])).body
    assert member.move(f"Task/{other['id']}", "accepted").status == 200
    task = hosp.read(case.task)

    reply = member.change(case.task, note=[{"text": "mine"}], output=[{"type": {"text": "x"}, "valueString": "y"}])

    assert reply.status == 403
    assert out.put({**task, "note": [{"text": "mine"}]}).status == 404
    assert hosp.read(case.task) == task


def test_b8_the_owner_adds_output_note_and_business_status_while_the_status_stays(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    for status in ("accepted", "in-progress"):
        assert home.move(case.task, status).status == 200
    version = int(home.read(case.task)["meta"]["versionId"])

    reply = home.change(
        case.task,
        note=[{"text": "first visit done"}],
        businessStatus={"text": "2 of 4 visits"},
        output=[{"type": {"text": "progress"}, "valueString": "2/4"}],
    )

    assert reply.status == 200
    assert int(reply.body["meta"]["versionId"]) == version + 1


@pytest.mark.parametrize(
    ("reached", "status"),
    [
        ((), "rejected"),
        ((), "cancelled"),
        (("accepted", "in-progress"), "on-hold"),
        (("accepted", "in-progress"), "failed"),
    ],
)
def test_b11_a_status_that_needs_a_reason_is_refused_without_one(
    world: World, reached: tuple[str, ...], status: str
) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    for step in reached:
        assert home.move(case.task, step).status == 200

    reply = home.move(case.task, status)

    assert (reply.status, reply.rules, reply.paths) == (422, {"task-reason"}, {"Task.statusReason.text"})
    assert home.move(case.task, status, reason="the person asked for it").status == 200


def test_b13_an_id_in_the_address_that_differs_from_the_body_is_refused(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    task = hosp.read(case.task)

    reply = hosp.ask("PUT", case.task, {**task, "id": "another"})

    assert (reply.status, reply.rules) == (400, {"id-differs"})


@pytest.mark.parametrize(
    ("mover", "elements", "status", "rule"),
    [
        ("home", {"description": "something else"}, 403, "element-role"),
        ("home", {"text": {"status": "generated", "div": NARRATIVE}}, 403, "element-role"),
        ("home", {"language": "fr"}, 403, "element-role"),
        ("home", {"basedOn": None}, 422, "server-owned"),
        ("home", {"focus": None}, 422, "fixed-element"),
        ("hosp", {"output": [{"type": {"text": "x"}, "valueString": "y"}]}, 403, "element-role"),
        ("hosp", {"for": None}, 422, "subject"),
    ],
)
def test_each_party_changes_only_its_own_elements(
    world: World, mover: str, elements: dict[str, Any], status: int, rule: str
) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    before = hosp.read(case.task)

    reply = {"hosp": hosp, "home": home}[mover].change(case.task, **elements)

    assert (reply.status, reply.rules) == (status, {rule})
    assert hosp.read(case.task) == before


def test_a_task_or_order_contains_no_person_and_nothing_clinical(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    inner: Resource = {"resourceType": "Patient", "id": "p", "name": [{"family": "Hidden"}]}

    reply = hosp.post(
        _task(
            case,
            hosp,
            home,
            basedOn=[{"reference": case.plan}],
            contained=[inner],
            input=[{"type": {"text": "person"}, "valueReference": {"reference": "#p"}}],
        )
    )

    assert (reply.status, reply.rules, reply.paths) == (422, {"contained-clinical"}, {"Task.contained[0]"})


def test_a_task_is_not_asked_in_somebody_elses_name(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)

    reply = hosp.post(_task(case, home, hosp, basedOn=[{"reference": case.plan}]))

    assert (reply.status, reply.rules) == (403, {"requester-differs"})


@pytest.mark.parametrize("in_a_plan", [True, False], ids=["in a plan", "opening one"])
def test_nobody_is_asked_to_do_what_an_order_says_is_not_to_be_done(world: World, in_a_plan: bool) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    based = {"basedOn": [{"reference": case.plan}]} if in_a_plan else {}
    ordered = made(hosp, order(hosp, case.patient, doNotPerform=True, **based))

    reply = hosp.post(_task(case, hosp, home, focus={"reference": ordered}, **based))

    assert (reply.status, reply.rules, reply.paths) == (422, {"order-not-to-do"}, {"Task.focus"})
    allowed = made(hosp, order(hosp, case.patient, doNotPerform=False, **based))
    assert hosp.post(_task(case, hosp, home, focus={"reference": allowed}, **based)).status == 201


def test_an_order_does_not_become_one_not_to_do_while_somebody_is_asked_to(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    based = {"basedOn": [{"reference": case.plan}]}
    ordered = made(hosp, order(hosp, case.patient, status="draft", **based))
    sent = made(hosp, _task(case, hosp, home, focus={"reference": ordered}, **based))

    refused = hosp.change(ordered, doNotPerform=True)
    assert (refused.status, refused.rules) == (422, {"order-not-to-do"})
    assert refused.paths == {"ServiceRequest.doNotPerform"}

    assert hosp.move(sent, "cancelled", "Not needed").status == 200
    assert hosp.change(ordered, doNotPerform=True).status == 200
