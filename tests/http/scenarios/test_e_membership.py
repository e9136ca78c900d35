"""Scenarios E: who is in the team, from when, until when."""

import pytest

from fhir_server.demo.referral import consent
from fhir_server.fhir.dates import now
from fhir_server.fhir.json import Resource
from tests.access.circle import TO_THE_END, asked, made, walk
from tests.http.scenarios.test_c_transitions import REASON
from tests.world import Case, Party, World


def periods(witness: Party, case: Case, party: Party) -> list[Resource]:
    """The periods that the team lists for a party."""
    listed = witness.read(case.team)["participant"]
    return [dict(p["period"]) for p in listed if p["member"]["reference"] == party.reference]


def roles(witness: Party, case: Case, party: Party) -> set[str]:
    """The codes of the roles that the team lists for a party."""
    listed = [p for p in witness.read(case.team)["participant"] if p["member"]["reference"] == party.reference]
    return {coding["code"] for p in listed for role in p["role"] for coding in role["coding"]}


def test_e1_acceptance_lets_the_owner_in_from_that_moment_and_all_members_are_told(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    assert periods(hosp, case, home) == []

    accepted = home.move(case.task, "accepted").body

    assert periods(hosp, case, home) == [{"start": accepted["meta"]["lastUpdated"]}]
    assert roles(hosp, case, home) == {"performer"}
    team = world.parts.store.in_plan(case.plan.partition("/")[2], "CareTeam")[0]
    recipients = {reader.party for reader in team.stamp.readers}
    assert {hosp.reference, home.reference, world.custodian.reference} <= recipients


def test_e2_without_consent_who_accepted_waits_and_sees_no_chart(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home, with_consent=False)

    assert home.move(case.task, "accepted").status == 200

    circle = world.parts.store.circle(case.plan.partition("/")[2])
    assert circle is not None
    assert set(circle.pending) == {home.reference, world.custodian.reference}
    assert periods(hosp, case, home) == []
    for party in (home, world.custodian):
        assert {party.get(ref).status for ref in (case.patient, case.condition, case.plan, case.team)} == {404}
    assert home.get(case.task).status == 200


def test_e2_the_recorded_consent_lets_in_whoever_waited(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home, with_consent=False)
    walk(home, case.task, "accepted")

    given = made(hosp, consent(case.patient, now(), hosp.reference))

    for party in (home, world.custodian):
        assert {party.get(ref).status for ref in (case.patient, case.condition, case.plan, given)} == {200}
    assert len(periods(hosp, case, home)) == 1
    assert "end" not in periods(hosp, case, home)[0]


def test_e2_a_refusal_lets_nobody_in(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home, with_consent=False)
    walk(home, case.task, "accepted")

    made(hosp, {**consent(case.patient, now(), hosp.reference), "provision": {"type": "deny"}})

    assert {home.get(ref).status for ref in (case.patient, case.condition, case.plan)} == {404}


REFUSALS: dict[str, Resource] = {
    "a denial": {"provision": {"type": "deny"}},
    "a rejected consent": {"status": "rejected"},
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_e2_when_the_person_refuses_the_accepted_task_is_cancelled_by_rule(world: World, refusal: str) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home, with_consent=False)
    walk(home, case.task, "accepted")

    made(hosp, {**consent(case.patient, now(), hosp.reference), **REFUSALS[refusal]})

    cancelled = home.read(case.task)
    assert (cancelled["status"], cancelled["meta"]["versionId"]) == ("cancelled", "3")
    assert cancelled["statusReason"] == {"text": "The person does not agree that the owner takes part"}
    circle = world.parts.store.circle(case.plan.partition("/")[2])
    assert circle is not None
    assert home.reference not in circle.pending
    assert {home.get(ref).status for ref in (case.patient, case.condition, case.plan)} == {404}
    moved = home.move(case.task, "in-progress")
    assert (moved.status, hosp.read(case.order)["status"]) == (422, "active")


def test_e2_a_refusal_of_one_party_cancels_its_tasks_alone_and_it_is_not_asked_again(world: World) -> None:
    hosp, home, other = world.hospital(), world.party(), world.party()
    case = world.case(hosp, home)
    walk(home, case.task, "accepted", "in-progress")
    order, task = asked(hosp, other, case)
    _, begun = asked(hosp, other, case, "accepted", "in-progress")
    role = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}
    denied = {"type": "deny", "actor": [{"role": role, "reference": {"reference": other.reference}}]}

    reply = hosp.change(str(case.consent), provision={"type": "permit", "provision": [denied]})

    assert reply.status == 200, reply.body
    states = {hosp.read(each)["status"] for each in (case.task, begun)}
    assert (hosp.read(task)["status"], states) == ("cancelled", {"in-progress"})
    again = hosp.post({**{k: v for k, v in hosp.read(begun).items() if k not in {"id", "meta"}}, "status": "requested"})
    assert (again.status, again.rules, again.paths) == (422, {"person-refused"}, {"Task.owner"})
    assert hosp.change(order, status="completed").status == 200


def test_e2_a_withdrawal_cancels_nothing(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    walk(home, case.task, "accepted")

    assert hosp.change(str(case.consent), status="inactive").status == 200

    assert home.read(case.task)["status"] == "accepted"


@pytest.mark.parametrize("first", [0, 1])
def test_e4_who_completes_one_of_two_tasks_stays_in(world: World, first: int) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    walk(home, case.task, "accepted", "in-progress")
    _, second = asked(hosp, home, case, "accepted", "in-progress")

    walk(home, (case.task, second)[first], "completed")

    assert [set(period) for period in periods(hosp, case, home)] == [{"start"}]
    assert home.get(case.condition).status == 200


@pytest.mark.parametrize("other", [(), TO_THE_END])
def test_e5_a_task_that_is_only_requested_or_already_completed_keeps_nobody_in(
    world: World, other: tuple[str, ...]
) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    walk(home, case.task, "accepted", "in-progress")
    asked(hosp, home, case, *other)

    completed = home.move(case.task, "completed").body

    assert [period["end"] for period in periods(hosp, case, home)] == [completed["meta"]["lastUpdated"]]
    assert home.get(case.condition).status == 404


@pytest.mark.parametrize(("mover", "status"), [("home", "rejected"), ("home", "cancelled"), ("hosp", "cancelled")])
def test_e7_who_never_accepted_was_never_in(world: World, mover: str, status: str) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)

    assert {"home": home, "hosp": hosp}[mover].move(case.task, status, REASON["text"]).status == 200

    assert periods(hosp, case, home) == []
    assert home.get(case.condition).status == 404


def test_e10_the_team_is_the_same_whatever_else_is_written_and_however_often(world: World) -> None:
    """The order of events is property-tested in tests/unit/care; here, that no write moves what did not change."""
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    walk(home, case.task, "accepted")
    before = hosp.read(case.team)

    for text in ("first", "second", "third"):
        assert hosp.change(case.task, note=[*hosp.read(case.task).get("note", []), {"text": text}]).status == 200
        made(home, {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": text},
                    "subject": {"reference": case.patient}})  # fmt: skip

    assert hosp.read(case.team) == before


def test_e13_nobody_writes_the_participants(world: World) -> None:
    hosp, home, out = world.hospital(), world.party(), world.party()
    case = world.case(hosp, home)
    entry = {"member": {"reference": out.reference}}
    participants = [*hosp.read(case.team)["participant"], entry]

    assert hosp.change(case.team, participant=participants).status == 403
    reply = world.custodian.change(case.team, participant=participants)

    assert (reply.status, reply.rules, reply.paths) == (422, {"server-owned"}, {"CareTeam.participant"})
    assert out.get(case.plan).status == 404


def test_e14_the_person_and_the_custodian_are_in_from_first_to_last(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)

    def always() -> list[list[Resource]]:
        team = hosp.read(case.team)["participant"]
        custodian = world.custodian.reference
        return [
            [dict(p["period"]) for p in team if p["member"]["reference"] == who] for who in (case.patient, custodian)
        ]

    before = always()
    assert [[set(period) for period in found] for found in before] == [[{"start"}], [{"start"}]]
    for step in TO_THE_END:
        walk(home, case.task, step)
        assert always() == before
    assert hosp.change(case.order, status="completed").status == 200
    assert always() == before
    assert world.custodian.get(case.condition).status == 200
