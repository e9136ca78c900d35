"""What follows from a write, and that it comes to rest."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from als_case import (
    CMO,
    HOME,
    HOSP,
    OUT,
    PERSON,
    als,
    at,
    care_team,
    consent,
    directory,
    history,
    journey,
    opened,
    order,
    plan,
    situation,
    task,
    unhurried,
)
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.care.chart import Situation
from fhir_server.care.move_log import moves_of
from fhir_server.care.rules import Unsettled, consequences, current_team
from fhir_server.care.task_states import STATUSES
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.change import Change
from fhir_server.fhir.json import Resource

NOW = at(300)
GIVEN = [consent(id="given")]


def states(changes: Sequence[Change]) -> dict[str, Any]:
    return {change.reference: change.after for change in changes}


def members(team: Resource) -> list[str]:
    return [p["member"]["reference"] for p in team.get("participant", []) if "end" not in p["period"]]


def written(change: Change, known: Situation) -> tuple[list[Change], Situation]:
    """What follows from one change, with its moves in the log as the gate puts them."""
    logged = replace(known, moves=(*known.moves, *moves_of([change], Actor(HOME), NOW, directory)))
    return consequences([change], logged, NOW), logged


def consented(*tasks: Resource, moves: list[Any], **parts: Any) -> Situation:
    granted = history(*GIVEN, minutes=(0,))
    return situation([*opened(), *granted, *moves], tasks=tasks, orders=(order(),), consents=tuple(GIVEN), **parts)


def test_an_accepted_task_changes_the_team_in_the_same_write() -> None:
    requested = task(meta={"versionId": "1"})
    known = consented(requested, moves=history(task(), minutes=(1,)))

    net, _ = written(Change(requested, {**requested, "status": "accepted"}), known)

    assert members(states(net)["CareTeam/team"]) == [PERSON, CMO, HOSP, HOME]
    assert states(net)["Task/t1"]["status"] == "accepted"


def test_a_plan_holds_the_order_of_each_task_once() -> None:
    known = consented(task(), moves=history(task(), minutes=(1,)))

    net, _ = written(Change(None, task()), known)

    assert states(net)["CarePlan/plan"]["activity"] == [{"reference": {"reference": "ServiceRequest/order"}}]


@pytest.mark.parametrize(
    "unlike",
    [
        {"partOf": [{"reference": "Task/t0"}]},
        {"basedOn": [{"reference": "CarePlan/other"}]},
        {"code": {"text": "call"}},
        {"status": "entered-in-error", "statusReason": {"text": "mistake"}},
    ],
)
def test_a_plan_holds_no_other_tasks_focus(unlike: Resource) -> None:
    odd = {**task(), **unlike}
    known = consented(odd, moves=[])

    assert "activity" not in states(consequences([], known, NOW)).get("CarePlan/plan", {})


def test_a_new_plan_and_team_are_completed_with_the_first_task() -> None:
    asked = [Change(None, plan()), Change(None, care_team()), Change(None, order()), Change(None, task())]
    logged = moves_of(asked, Actor(HOSP), NOW, directory)
    known = replace(situation(logged, tasks=(task(),), orders=(order(),)), started=NOW)

    net = consequences(asked, known, NOW)

    assert [change.reference for change in net] == [change.reference for change in asked]
    assert all(change.creates for change in net)
    assert members(states(net)["CareTeam/team"]) == [PERSON, HOSP]
    assert current_team(net, known, NOW).parties("pending") == (CMO,)


def test_recording_the_consent_lets_those_in_who_waited() -> None:
    moves = history(task(), task(status="accepted"), minutes=(1, 11))
    known = situation([*opened(), *moves], tasks=(task(status="accepted"),), orders=(order(),), consents=(consent(),))

    net, _ = written(Change(None, consent()), known)

    assert members(states(net)["CareTeam/team"]) == [PERSON, HOSP, CMO, HOME]


@pytest.mark.parametrize("status", ["requested", "received", "accepted"])
def test_a_refusal_cancels_what_has_not_begun(status: str) -> None:
    moves = history(task(), task(status="accepted"), minutes=(1, 11)) if status == "accepted" else journey("requested")
    asked = task(status=status)
    known = situation([*opened(), *moves], tasks=(asked,), orders=(order(),), consents=(consent(type="deny"),))

    net, _ = written(Change(None, consent(type="deny")), known)

    cancelled = states(net)["Task/t1"]
    assert (cancelled["status"], cancelled["statusReason"]["text"]) == (
        "cancelled",
        "The person does not agree that the owner takes part",
    )


@pytest.mark.parametrize("status", ["draft", "in-progress", "on-hold", "completed", "rejected"])
def test_a_refusal_leaves_what_is_under_way_or_over(status: str) -> None:
    known = situation(
        [*opened(), *journey("requested", "accepted", status)],
        tasks=(task(status=status),), orders=(order(),), consents=(consent(type="deny"),),
    )  # fmt: skip

    assert "Task/t1" not in states(consequences([Change(None, consent(type="deny"))], known, NOW))


def test_where_no_consent_is_required_a_refusal_cancels_nothing() -> None:
    free = replace(als(), consent_required=False)
    known = situation(journey("requested"), tasks=(task(),), orders=(order(),), consents=(consent(type="deny"),))

    assert "Task/t1" not in states(consequences([], replace(known, programme=free), NOW))


def test_what_is_not_listed_in_the_plan_never_counts() -> None:
    moves = history(task(), task(status="accepted"), minutes=(1, 11))
    known = situation([*opened(), *moves], tasks=(task(status="accepted"),), orders=(order(),))

    net = consequences([Change(None, consent())], known, NOW)

    assert members(states(net)["CareTeam/team"]) == [PERSON, HOSP]


def test_another_persons_consent_never_counts() -> None:
    foreign = {**consent(), "patient": {"reference": "Patient/p2"}}
    moves = history(task(), task(status="accepted"), minutes=(1, 11))
    known = situation([*opened(), *moves], tasks=(task(status="accepted"),), consents=(foreign,))

    net, _ = written(Change(None, foreign), known)

    assert HOME not in members(states(net)["CareTeam/team"])


def abort(status: str = "accepted", requester: str = HOSP, owner: str = HOME) -> Resource:
    code = {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "abort"}]}
    return task("abort", status, owner, requester, code=code, focus={"reference": "Task/t1"})


def asked_to_cancel(request: Resource, of_task: str = "in-progress") -> dict[str, Any]:
    running = [task(status=status) for status in ("requested", "accepted", "in-progress", "on-hold")]
    running = running[: [t["status"] for t in running].index(of_task) + 1]
    requested = {**request, "status": "requested", "meta": {"versionId": "1"}}
    moves = [
        *history(*running, minutes=tuple(range(1, len(running) + 1))),
        *history({**request, "status": "requested"}, minutes=(20,)),
    ]
    known = consented(running[-1], request, moves=moves)
    return states(written(Change(requested, request), known)[0])


def test_an_accepted_cancellation_request_cancels_the_work_and_ends_the_membership() -> None:
    after = asked_to_cancel(abort())

    assert after["Task/t1"]["status"] == "cancelled"
    assert "Task/abort" in after["Task/t1"]["statusReason"]["text"]
    assert members(after["CareTeam/team"]) == [PERSON, CMO, HOSP]


def test_c7_a_cancellation_request_that_is_rejected_changes_nothing() -> None:
    assert "Task/t1" not in asked_to_cancel(abort("rejected"))
    assert "Task/t1" not in asked_to_cancel(abort("received"))


def test_the_performer_may_ask_the_placer_to_cancel() -> None:
    assert asked_to_cancel(abort(requester=HOME, owner=HOSP), "on-hold")["Task/t1"]["status"] == "cancelled"


@pytest.mark.parametrize(("requester", "owner"), [(OUT, OUT), (OUT, HOME), (HOSP, OUT), (HOME, HOME)])
def test_a_cancellation_request_between_others_cancels_nothing(requester: str, owner: str) -> None:
    assert "Task/t1" not in asked_to_cancel(abort(requester=requester, owner=owner))


@unhurried
@given(st.lists(st.sampled_from(STATUSES), min_size=1, max_size=3), st.booleans(), st.booleans())
def test_consequences_of_consequences_add_nothing(statuses: list[str], with_consent: bool, cancels: bool) -> None:
    tasks = [task(f"t{n}", status) for n, status in enumerate(statuses, 1)] + ([abort()] if cancels else [])
    accepted = [task(t["id"], "accepted") for t in tasks]
    moves = [move for a, t in zip(accepted, tasks, strict=True) for move in history(a, t, minutes=(5, 9))]
    consents = tuple(GIVEN) if with_consent else ()
    known = situation(
        [*opened(), *moves, *(history(*GIVEN, minutes=(0,)) if with_consent else [])],
        tasks=tuple(tasks), orders=(order(),), consents=consents,
    )  # fmt: skip

    net = consequences([Change(None, tasks[0])], known, NOW)
    again = consequences(net, known, NOW)
    later = consequences([], settled(known, net), at(900))

    assert states(again) == states(net)
    assert later == []


def settled(known: Situation, net: Sequence[Change]) -> Situation:
    """The situation as it is stored after the write: its resources, and the moves that the rules made."""
    after = known.after(net)
    moved = moves_of([c for c in net if c.before is not None], Actor(HOSP), NOW, directory)
    return replace(
        known,
        plan=after["CarePlan/plan"],
        team=after["CareTeam/team"],
        tasks=tuple(after[f"Task/{t['id']}"] for t in known.tasks),
        moves=(*known.moves, *(move for move in moved if move.kind == "task")),
    )


def test_rules_that_never_rest_are_found_out() -> None:
    def restless(state: Any, known: Situation, now: Any) -> list[Resource]:
        title = state["CarePlan/plan"].get("title", "")
        return [{**state["CarePlan/plan"], "title": title + "!"}]

    with pytest.raises(Unsettled, match="CarePlan/plan"):
        consequences([], situation([]), NOW, rules=(restless,))
