"""Which moves of a Task are allowed, to whom; the whole matrix, against a table written out by hand."""

import itertools

import pytest

from fhir_server.care.parties import CUSTODIAN, MEMBER, OWNER, REQUESTER, SERVER
from fhir_server.care.task_states import DEFAULT, PRESETS, REASON_REQUIRED, STATUSES, check_move, moves_open_to
from fhir_server.fhir.errors import Forbidden, InvalidWorkflow

ACTORS = {
    "owner": frozenset({OWNER}),
    "requester": frozenset({REQUESTER}),
    "both": frozenset({OWNER, REQUESTER}),
    "member": frozenset({MEMBER}),
    "outsider": frozenset(),
}
# (from, to): who, as the programme designers wrote it; O owner, R requester.
DESIGNED = {
    "draft": "requested:R cancelled:R",
    "requested": "received:O accepted:O rejected:O cancelled:OR",
    "received": "accepted:O rejected:O cancelled:OR",
    "accepted": "in-progress:O failed:O cancelled:OR",
    "rejected": "",
    "ready": "in-progress:O completed:O failed:O cancelled:R",
    "cancelled": "",
    "in-progress": "on-hold:O completed:O failed:O",
    "on-hold": "in-progress:O failed:O",
    "failed": "",
    "completed": "",
    "entered-in-error": "",
}
ROLE = {"O": OWNER, "R": REQUESTER}


def designed(from_status: str, to_status: str) -> set[str]:
    """The parties that the hand-written table lets make this move."""
    row = dict(entry.split(":") for entry in DESIGNED[from_status].split())
    letters = row.get(to_status, "R" if to_status == "entered-in-error" != from_status else "")
    return {ROLE[letter] for letter in letters}


@pytest.mark.parametrize("actor", ACTORS)
@pytest.mark.parametrize(("from_status", "to_status"), list(itertools.product(STATUSES, STATUSES)))
def test_c1_every_pair_of_statuses_and_actor_as_designed(from_status: str, to_status: str, actor: str) -> None:
    roles = ACTORS[actor]
    no_part = actor in {"member", "outsider"}
    allowed = from_status == to_status or bool(designed(from_status, to_status) & roles)

    if no_part:
        with pytest.raises(Forbidden):
            check_move(DEFAULT, from_status, to_status, roles, has_reason=True)
    elif allowed:
        check_move(DEFAULT, from_status, to_status, roles, has_reason=True)
    else:
        with pytest.raises(InvalidWorkflow) as refused:
            check_move(DEFAULT, from_status, to_status, roles, has_reason=True)
        (issue,) = refused.value.issues
        assert (issue.path, issue.rule) == ("Task.status", "task-move")
        assert from_status in issue.diagnostics
        assert to_status in issue.diagnostics


@pytest.mark.parametrize("status", STATUSES)
def test_a_task_starts_as_draft_or_requested_only(status: str) -> None:
    if status in {"draft", "requested"}:
        check_move(DEFAULT, None, status, frozenset({REQUESTER}), has_reason=True)
    else:
        with pytest.raises(InvalidWorkflow, match="draft"):
            check_move(DEFAULT, None, status, frozenset({REQUESTER, OWNER}), has_reason=True)


def test_only_a_sub_task_may_start_ready() -> None:
    check_move(DEFAULT, None, "ready", frozenset({REQUESTER}), has_reason=False, sub_task=True)

    with pytest.raises(InvalidWorkflow):
        check_move(DEFAULT, None, "ready", frozenset({REQUESTER}), has_reason=False)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_status_that_needs_a_reason_is_refused_without_one(preset: str) -> None:
    table = PRESETS[preset]
    steps = [(step, movers) for step, movers in table.steps.items() if step[1] in REASON_REQUIRED]

    for (from_status, to_status), movers in steps:
        with pytest.raises(InvalidWorkflow) as refused:
            check_move(table, from_status, to_status, movers, has_reason=False)
        assert refused.value.issues[0].path == "Task.statusReason.text"
        assert refused.value.issues[0].rule == "task-reason"
    assert steps


def test_a_task_on_hold_keeps_its_reason() -> None:
    with pytest.raises(InvalidWorkflow, match="statusReason"):
        check_move(DEFAULT, "on-hold", "on-hold", frozenset({OWNER}), has_reason=False)


def test_c5_cancelling_work_in_progress_is_refused_with_the_way_to_ask_for_it() -> None:
    with pytest.raises(InvalidWorkflow, match="abort"):
        check_move(DEFAULT, "in-progress", "cancelled", frozenset({REQUESTER}), has_reason=True)

    check_move(DEFAULT, "in-progress", "cancelled", frozenset({SERVER}), has_reason=True)


def test_c8_the_sdohcc_preset_lets_the_requester_cancel_work_in_progress() -> None:
    check_move(PRESETS["sdohcc"], "in-progress", "cancelled", frozenset({REQUESTER}), has_reason=True)


def test_a_refusal_says_who_may_make_the_move() -> None:
    with pytest.raises(InvalidWorkflow, match="only the owner may"):
        check_move(DEFAULT, "requested", "accepted", frozenset({REQUESTER}), has_reason=True)


def test_the_custodian_may_only_mark_a_task_as_entered_in_error() -> None:
    offered = {status: moves_open_to(DEFAULT, status, frozenset({CUSTODIAN})) for status in STATUSES}

    assert offered.pop("entered-in-error") == ()
    assert set(offered.values()) == {("entered-in-error",)}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("roles", ACTORS.values(), ids=ACTORS)
def test_what_is_offered_is_what_is_allowed(preset: str, roles: frozenset[str]) -> None:
    table = PRESETS[preset]

    for from_status in (None, *STATUSES):
        offered = set(moves_open_to(table, from_status, roles))
        assert from_status not in offered
        for to_status in offered:
            check_move(table, from_status, to_status, roles, has_reason=True)
        for to_status in set(STATUSES) - offered - {from_status}:
            with pytest.raises((InvalidWorkflow, Forbidden)):
                check_move(table, from_status, to_status, roles, has_reason=True)
