"""Who is in the team: stories, told as moves."""

import pytest
from als_case import (
    CMO,
    HOME,
    HOSP,
    OUT,
    PERSON,
    PHYS,
    als,
    at,
    consent,
    directory,
    history,
    journey,
    opened,
    order,
    periods,
    task,
    team_of,
)

from fhir_server.care.care_team import ADMIT, REMOVE, CustodianAction, participants
from fhir_server.care.consents import ConsentState, consent_state
from fhir_server.care.moves import Move, from_document, to_document
from fhir_server.fhir.json import Resource


def recorded(*steps: Resource, minutes: tuple[int, ...]) -> ConsentState:
    """The state of one Consent that took these states at these minutes."""
    return consent_state(steps[-1], history(*steps, minutes=minutes), directory)


def test_e1_an_accepted_task_brings_its_owner_into_the_team_from_its_acceptance() -> None:
    found = team_of(opened() + journey("requested", "accepted"))

    assert periods(found, HOME) == [("active", 11, None)]


@pytest.mark.parametrize("statuses", [("requested",), ("requested", "received"), ("requested", "rejected"), ("draft",)])
def test_e7_before_acceptance_and_without_it_nobody_becomes_a_member(statuses: tuple[str, ...]) -> None:
    assert periods(team_of(opened() + journey(*statuses)), HOME) == []


@pytest.mark.parametrize("last", ["completed", "failed"])
def test_the_end_of_the_task_ends_the_membership(last: str) -> None:
    found = team_of(opened() + journey("requested", "accepted", "in-progress", last))

    assert periods(found, HOME) == [("ended", 11, 31)]


def test_c10_on_hold_and_back_keeps_one_uninterrupted_period() -> None:
    found = team_of(opened() + journey("requested", "accepted", "in-progress", "on-hold", "in-progress"))

    assert periods(found, HOME) == [("active", 11, None)]


def test_e4_another_task_that_runs_keeps_the_member() -> None:
    first = journey("requested", "accepted", "completed", id="t1", first=1)
    second = journey("requested", "accepted", "in-progress", id="t2", first=2)

    for moves in (first + second, second + first):
        assert periods(team_of(opened() + moves), HOME) == [("active", 11, None)]


@pytest.mark.parametrize("other", [("requested",), ("requested", "received"), ("requested", "rejected")])
def test_e5_another_task_that_was_never_accepted_keeps_nobody(other: tuple[str, ...]) -> None:
    first = journey("requested", "accepted", "completed", id="t1")
    second = journey(*other, id="t2", first=3)

    assert periods(team_of(opened() + first + second), HOME) == [("ended", 11, 21)]


def test_w3_a_member_that_comes_back_gets_a_new_period() -> None:
    first = journey("requested", "accepted", "completed", id="t1", first=1)
    later = journey("requested", "accepted", id="t2", first=100)

    assert periods(team_of(opened() + first + later), HOME) == [("ended", 11, 21), ("active", 110, None)]


def test_a_task_owned_by_its_own_requester_never_makes_a_member() -> None:
    found = team_of(opened() + journey("requested", "accepted", "in-progress", owner=OUT, requester=OUT))

    assert periods(found, OUT) == []


@pytest.mark.parametrize(
    "unlike",
    [{"partOf": [{"reference": "Task/t0"}]}, {"code": {"coding": [{"code": "abort"}]}}, {"code": {"text": "x"}}],
)
def test_e8_a_sub_task_or_anything_but_a_fulfilment_never_makes_a_member(unlike: Resource) -> None:
    steps = [task(status=status, **unlike) for status in ("requested", "accepted", "completed")]

    assert periods(team_of(opened() + history(*steps, minutes=(1, 2, 3))), HOME) == []


def test_work_that_never_was_accepted_never_makes_a_member() -> None:
    assert periods(team_of(opened() + journey("ready", "in-progress", "completed")), HOME) == []


def test_a_task_entered_in_error_never_counted() -> None:
    in_error = journey("requested", "accepted", "in-progress", "entered-in-error", id="t1")
    real = journey("requested", "accepted", id="t2", first=200)

    assert periods(team_of(opened() + in_error), HOME) == []
    assert periods(team_of(opened() + in_error + real), HOME) == [("active", 210, None)]


def test_a_requester_is_in_while_an_order_of_its_own_is_open() -> None:
    assert periods(team_of(opened()), HOSP) == [("active", 0, None)]
    assert periods(team_of(opened("draft", "active", "on-hold")), HOSP) == [("active", 0, None)]
    assert periods(team_of(opened("active", "completed")), HOSP) == [("ended", 0, 10)]
    assert periods(team_of(opened("active", "revoked")), HOSP) == [("ended", 0, 10)]


def test_another_open_order_keeps_the_requester() -> None:
    more = history(order("second"), minutes=(5,))

    assert periods(team_of(opened("active", "completed") + more), HOSP) == [("active", 0, None)]


def test_asking_for_care_without_an_order_of_its_own_makes_no_member() -> None:
    assert periods(team_of(opened() + journey("requested", requester=PHYS)), PHYS) == []


def test_e14_person_and_custodian_are_always_in() -> None:
    actions = [CustodianAction(party, REMOVE, at(5)) for party in (PERSON, CMO)]
    found = team_of(opened("active", "completed"), actions=actions)

    assert periods(found, PERSON) == [("active", 0, None)]
    assert periods(found, CMO) == [("active", 0, None)]


def test_e2_without_consent_owner_and_custodian_wait_and_are_no_participants() -> None:
    found = team_of(opened() + journey("requested", "accepted"), required=True)

    assert found.parties("pending") == (CMO, HOME)
    assert found.parties("active") == (PERSON, HOSP)
    assert [p["member"]["reference"] for p in participants(found, als())] == [PERSON, HOSP]


def test_e2_recorded_consent_lets_them_in_from_then_on() -> None:
    agreed = recorded(consent(dateTime="2026-03-01"), minutes=(40,))
    found = team_of(opened() + journey("requested", "accepted"), agreed, required=True)

    assert periods(found, HOME) == [("active", 40, None)]
    assert periods(found, CMO) == [("active", 40, None)]


def test_consent_before_acceptance_lets_the_owner_in_at_acceptance() -> None:
    agreed = recorded(consent(), minutes=(0,))

    assert periods(team_of(opened() + journey("requested", "accepted"), agreed, required=True), HOME) == [
        ("active", 11, None)
    ]


def test_withdrawn_consent_puts_everybody_but_the_person_out() -> None:
    withdrawn = recorded(consent(), consent(status="inactive"), minutes=(0, 60))
    found = team_of(opened() + journey("requested", "accepted"), withdrawn, required=True)

    assert periods(found, HOME) == [("ended", 11, 60), ("pending", 60, None)]
    assert periods(found, CMO) == [("ended", 0, 60), ("pending", 60, None)]
    assert periods(found, HOSP) == [("ended", 0, 60), ("pending", 60, None)]
    assert found.parties("active") == (PERSON,)


def test_consent_given_again_opens_a_new_period_and_keeps_the_gap() -> None:
    states = [
        recorded(consent("c1"), consent("c1", "inactive"), minutes=(0, 60)),
        recorded(consent("c2"), minutes=(90,)),
    ]
    found = team_of(opened() + journey("requested", "accepted"), *states, required=True)

    assert periods(found, HOME) == [("ended", 11, 60), ("active", 90, None)]


def test_refusal_outweighs_every_permit() -> None:
    states = [recorded(consent("c1"), minutes=(0,)), recorded(consent("c2", type="deny"), minutes=(60,))]
    found = team_of(opened() + journey("requested", "accepted"), *states, required=True)

    assert found.parties("active") == (PERSON,)
    assert periods(found, HOME)[0] == ("ended", 11, 60)


def test_whom_the_person_excludes_is_not_admitted_and_the_others_are() -> None:
    without_home = consent(
        type="permit",
        provision=[{"type": "deny", "actor": [{"reference": {"reference": "PractitionerRole/home-nurse"}}]}],
    )
    found = team_of(opened() + journey("requested", "accepted"), recorded(without_home, minutes=(0,)), required=True)

    assert found.parties("pending") == (HOME,)
    assert CMO in found.parties("active")


def test_whom_the_person_excludes_later_leaves_then() -> None:
    excluded = {"type": "deny", "actor": [{"reference": {"reference": HOME}}]}
    state = recorded(consent(type="permit"), consent(type="permit", provision=[excluded]), minutes=(0, 60))
    found = team_of(opened() + journey("requested", "accepted"), state, required=True)

    assert periods(found, HOME) == [("ended", 11, 60), ("pending", 60, None)]
    assert periods(found, CMO) == [("active", 0, None)]


def test_consent_to_named_parties_lets_in_only_them() -> None:
    only_home = consent(type="permit", actor=[{"reference": {"reference": HOME}}])
    found = team_of(opened() + journey("requested", "accepted"), recorded(only_home, minutes=(0,)), required=True)

    assert HOME in found.parties("active")
    assert found.parties("pending") == (CMO,)


def test_consent_with_an_end_ends_the_membership_by_itself() -> None:
    limited = recorded(consent(period={"end": "2026-03-02T10:59:59.999Z"}), minutes=(0,))
    moves = opened() + journey("requested", "accepted")

    before, after = (team_of(moves, limited, required=True, now=minute) for minute in (119, 120))

    assert periods(before, HOME) == [("active", 11, 120)]
    assert periods(after, HOME) == [("ended", 11, 120), ("pending", 120, None)]


def test_consent_that_starts_later_lets_in_later() -> None:
    coming = recorded(consent(period={"start": "2026-03-02T11:00:00Z"}), minutes=(0,))
    moves = opened() + journey("requested", "accepted")

    waiting = team_of(moves, coming, required=True, now=30)
    assert periods(waiting, HOME) == [("pending", 11, None), ("coming", 120, None)]
    [listed] = [p for p in participants(waiting, als()) if p["member"]["reference"] == HOME]
    assert listed["period"] == {"start": "2026-03-02T11:00:00.000Z"}
    assert periods(team_of(moves, coming, required=True, now=120), HOME) == [("active", 120, None)]


@pytest.mark.parametrize(
    "unfit",
    [
        consent(status="proposed"),
        consent(status="rejected"),
        consent(status="entered-in-error"),
        {**consent(), "scope": {"coding": [{"code": "research"}]}},
        {**consent(), "scope": {"coding": [{"system": "http://other", "code": "patient-privacy"}]}},
        {**consent(), "provision": {"class": [{"code": "Observation"}]}},
        consent(type="permit", provision=[{"type": "deny"}]),
        consent(type="permit", provision=[{"type": "deny", "actor": [{"reference": {"reference": "Device/x"}}]}]),
        consent(type="permit", actor=[{"reference": {"reference": "Device/x"}}]),
    ],
)
def test_what_is_not_a_plain_agreement_in_force_lets_nobody_in(unfit: Resource) -> None:
    found = team_of(opened() + journey("requested", "accepted"), recorded(unfit, minutes=(0,)), required=True)

    assert set(found.parties("pending")) >= {CMO, HOME}


def test_a_consent_from_before_the_plan_counts_as_it_stands() -> None:
    earlier = consent_state({**consent(), "dateTime": "2026-01-01"}, [], directory)

    assert HOME in team_of(opened() + journey("requested", "accepted"), earlier, required=True).parties("active")


def test_an_earlier_consent_withdrawn_in_the_plan_keeps_its_history() -> None:
    before, after = {**consent(), "dateTime": "2026-01-01"}, {**consent(status="inactive"), "dateTime": "2026-01-01"}
    withdrawal = [move for move in history(before, after, minutes=(0, 60)) if move.version == 2]
    found = team_of(
        opened() + journey("requested", "accepted"), consent_state(after, withdrawal, directory), required=True
    )

    assert periods(found, HOME) == [("ended", 11, 60), ("pending", 60, None)]


def test_e11_the_custodian_removes_a_member_until_it_admits_it_again() -> None:
    moves = opened() + journey("requested", "accepted") + journey("requested", "accepted", id="t2", first=70)
    removed = CustodianAction(HOME, REMOVE, at(50))
    again = CustodianAction(HOME, ADMIT, at(100))

    assert periods(team_of(moves, actions=[removed]), HOME) == [("ended", 11, 50)]
    assert periods(team_of(moves, actions=[again, removed]), HOME) == [("ended", 11, 50), ("active", 100, None)]


def test_the_custodian_admits_a_party_without_a_task_but_not_without_consent() -> None:
    admitted = [CustodianAction(PHYS, ADMIT, at(50))]

    assert periods(team_of(opened(), actions=admitted), PHYS) == [("active", 50, None)]
    assert periods(team_of(opened(), actions=admitted, required=True), PHYS) == [("pending", 50, None)]


def test_a_custodian_that_opens_the_plan_itself_waits_for_consent_too() -> None:
    own = opened(requester=CMO)
    found = team_of(own, required=True)

    assert found.parties("pending") == (CMO,)
    assert team_of(own).members[1].roles == ("custodian", "requester")


def test_clocks_that_disagree_do_not_change_the_order_of_steps() -> None:
    steps = [task(status=status) for status in ("requested", "accepted", "in-progress", "completed")]

    assert periods(team_of(opened() + history(*steps, minutes=(1, 11, 9, 21))), HOME) == [("ended", 11, 21)]


def test_participants_list_the_person_first_with_role_and_period() -> None:
    found = participants(team_of(opened() + journey("requested", "accepted", "completed")), als())

    assert [p["member"]["reference"] for p in found] == [PERSON, CMO, HOSP, HOME]
    assert found[3]["period"] == {"start": "2026-03-02T09:11:00.000Z", "end": "2026-03-02T09:21:00.000Z"}
    assert found[3]["role"] == [als().role("owner")]
    assert "end" not in found[0]["period"]


def test_moves_are_kept_as_documents() -> None:
    for move in opened() + journey("requested", "accepted") + history(consent(), minutes=(3,)):
        document = to_document(move)
        assert from_document({**document, "plan": "plan", "_id": 1}) == move
        assert isinstance(move, Move)
        assert set(map(type, document.values())) <= {str, int, bool, type(None)}
