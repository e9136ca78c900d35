"""Which moves of an order are allowed, and that no order ends while work on it is open."""

import itertools

import pytest
from als_case import order, task

from fhir_server.care.order_states import STATUSES, check_closing, check_move, check_to_be_done
from fhir_server.care.task_states import OPEN, TERMINAL
from fhir_server.fhir.errors import Forbidden, InvalidWorkflow

PLACER = frozenset({"requester"})
DESIGNED = {
    "draft": {"active", "revoked"},
    "active": {"on-hold", "completed", "revoked"},
    "on-hold": {"active", "revoked"},
    "revoked": set(),
    "completed": set(),
    "unknown": set(),
    "entered-in-error": set(),
}


@pytest.mark.parametrize(("from_status", "to_status"), list(itertools.product(STATUSES, STATUSES)))
def test_the_placer_moves_an_order_as_designed(from_status: str, to_status: str) -> None:
    to_error = to_status == "entered-in-error"

    if from_status == to_status or to_status in DESIGNED[from_status] or to_error:
        check_move(from_status, to_status, PLACER)
    else:
        with pytest.raises(InvalidWorkflow, match=f"from {from_status} to {to_status}") as refused:
            check_move(from_status, to_status, PLACER)
        assert refused.value.issues[0].path == "ServiceRequest.status"


@pytest.mark.parametrize("roles", [{"owner"}, {"custodian"}, {"member"}, set()])
def test_nobody_but_the_placer_completes_an_order(roles: set[str]) -> None:
    with pytest.raises(Forbidden, match="requester"):
        check_move("active", "completed", frozenset(roles))


@pytest.mark.parametrize("status", ["completed", "revoked", "entered-in-error"])
@pytest.mark.parametrize("of_task", sorted(OPEN))
def test_an_order_does_not_end_while_a_task_on_it_is_open(status: str, of_task: str) -> None:
    tasks = [task("done", "completed"), task("running", of_task)]

    with pytest.raises(InvalidWorkflow, match=r"1 Task on it .* Task\?focus=ServiceRequest/order ") as refused:
        check_closing("ServiceRequest/order", status, tasks)
    with pytest.raises(InvalidWorkflow, match="2 Tasks on it"):
        check_closing("ServiceRequest/order", status, [*tasks, task("more", of_task)])

    assert "Task/" not in str(refused.value)


def test_an_order_ends_when_all_its_tasks_have_ended() -> None:
    ended = [task(status, status) for status in sorted(TERMINAL)]
    elsewhere = task("other", "in-progress", focus={"reference": "ServiceRequest/another"})

    check_closing("ServiceRequest/order", "completed", [*ended, elsewhere])


def test_an_order_may_be_put_on_hold_while_work_is_open() -> None:
    check_closing("ServiceRequest/" + order()["id"], "on-hold", [task(status="in-progress")])


@pytest.mark.parametrize("status", sorted(OPEN))
def test_nobody_is_asked_to_do_what_is_not_to_be_done(status: str) -> None:
    forbidden = {**order("order"), "doNotPerform": True}

    with pytest.raises(InvalidWorkflow, match="doNotPerform") as refused:
        check_to_be_done(forbidden, [task("asked", status)], "Task.focus")

    assert (refused.value.issues[0].path, refused.value.issues[0].rule) == ("Task.focus", "order-not-to-do")


@pytest.mark.parametrize(
    ("says", "asked"),
    [
        ({}, task("asked", "requested")),
        ({"doNotPerform": False}, task("asked", "requested")),
        ({"doNotPerform": True}, task("ended", "cancelled")),
        ({"doNotPerform": True}, task("elsewhere", "requested", focus={"reference": "ServiceRequest/another"})),
        ({"doNotPerform": True}, task("other", "requested", code={"text": "Read this"})),
    ],
    ids=["silent", "to be done", "ended", "elsewhere", "not to fulfil"],
)
def test_what_else_is_asked_about_an_order_may_be(says: dict[str, bool], asked: dict[str, object]) -> None:
    check_to_be_done({**order("order"), **says}, [asked], "Task.focus")
