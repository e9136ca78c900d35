"""What is asked of a new Task is asked of a draft again: who may ask, whom, of what, in whose plan."""

from typing import Any

import pytest

from fhir_server.demo.referral import Person
from fhir_server.fhir.json import Resource
from tests.access.circle import asked, made, order, task, walk
from tests.world import Case, Party, World

APPROVE = {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "approve"}]}
ABORT = {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "abort"}]}
BO = Person("Bo", "Peeters", serial="999")


def ref(reference: str) -> Resource:
    return {"reference": reference}


def keep_out(hosp: Party, case: Case, *parties: Party) -> None:
    """The person's consent denies these parties by name."""
    provision = hosp.read(case.consent)["provision"]
    actors = [{"role": {"text": "not"}, "reference": ref(party.reference)} for party in parties]
    reply = hosp.change(case.consent, provision={**provision, "provision": [{"type": "deny", "actor": actors}]})
    assert reply.status == 200, reply.body


def draft(requester: Party, owner: Party, case: Case, **elements: Any) -> str:
    """A Task of the case's order that was not sent."""
    return made(
        requester,
        task(requester, owner, case.patient, case.order, basedOn=[ref(case.plan)], **{"status": "draft", **elements}),
    )


@pytest.fixture
def hosp(world: World) -> Party:
    return world.hospital()


@pytest.fixture
def case(world: World, hosp: Party) -> Case:
    return world.case(hosp, world.party())


def test_a_member_that_the_person_keeps_out_does_not_send_its_draft(world: World, hosp: Party, case: Case) -> None:
    member, other = world.party(), world.party()
    asked(hosp, member, case, "accepted")
    saved = draft(member, world.party(), case)
    keep_out(hosp, case, member)

    reply = member.change(saved, status="requested", owner=ref(other.reference))

    assert (reply.status, reply.rules) == (403, {"not-a-member"})
    assert other.get(case.order).status == other.get(case.patient).status == 404
    assert member.move(saved, "cancelled", "kept out").status == 200


def test_who_left_does_not_send_its_draft_not_even_to_itself(world: World, hosp: Party, case: Case) -> None:
    member = world.party()
    _, sent = asked(hosp, member, case, "accepted")
    saved = draft(member, member, case)
    walk(member, sent, "in-progress", "completed")
    hosp.change(case.consent, status="inactive")

    assert member.move(saved, "requested").status == 403
    assert member.get(case.order).status == 404


def test_a_member_sends_its_draft(world: World, hosp: Party, case: Case) -> None:
    member, other = world.party(), world.party()
    asked(hosp, member, case, "accepted")
    saved = draft(member, world.party(), case)

    assert member.change(saved, status="requested", owner=ref(other.reference)).status == 200
    assert other.get(case.order).status == 200


def test_an_author_that_the_person_keeps_out_asks_nobody(world: World, hosp: Party, case: Case) -> None:
    other = world.party()
    saved = draft(hosp, other, case)
    placed = made(hosp, order(hosp, case.patient, basedOn=[ref(case.plan)], status="draft"))
    keep_out(hosp, case, hosp)

    anew = hosp.post(task(hosp, other, case.patient, case.order))
    sent = hosp.move(saved, "requested")
    activated = hosp.change(placed, status="active")
    ordered = hosp.post(order(hosp, case.patient, basedOn=[ref(case.plan)]))

    for reply in (anew, sent, activated):
        assert (reply.status, reply.rules) == (403, {"person-refused"})
    assert ordered.status in {403, 422}
    assert other.get(case.order).status == 404


@pytest.mark.parametrize("code", [APPROVE, {"text": "a question"}])
def test_a_party_that_the_person_keeps_out_is_asked_for_nothing(
    world: World, hosp: Party, case: Case, code: Resource
) -> None:
    refused = world.party()
    keep_out(hosp, case, refused)

    reply = hosp.post(task(hosp, refused, case.patient, case.order, basedOn=[ref(case.plan)], code=code))

    assert (reply.status, reply.rules) == (422, {"person-refused"})
    assert refused.get(case.order).status == 404


def test_what_a_party_was_asked_and_has_not_begun_ends_when_the_person_keeps_it_out(
    world: World, hosp: Party, case: Case
) -> None:
    other = world.party()
    sent = made(hosp, task(hosp, other, case.patient, case.order, basedOn=[ref(case.plan)], code=APPROVE))

    keep_out(hosp, case, other)

    assert hosp.read(sent)["status"] == "cancelled"


def test_work_of_a_party_that_the_person_keeps_out_may_be_asked_to_end(world: World, hosp: Party, case: Case) -> None:
    member = world.party()
    _, sent = asked(hosp, member, case, "accepted", "in-progress")
    keep_out(hosp, case, member)

    reply = hosp.post(task(hosp, member, case.patient, sent, basedOn=[ref(case.plan)], code=ABORT))

    assert reply.status == 201, reply.body


def test_a_draft_of_a_sub_task_never_comes_to_ask_another(world: World, hosp: Party, case: Case) -> None:
    member, other = world.party(), world.party()
    _, sent = asked(hosp, member, case, "accepted")
    saved = draft(member, hosp, case, partOf=[ref(sent)], code={"text": "a question"})

    reply = member.change(saved, status="requested", owner=ref(other.reference))

    assert (reply.status, reply.rules) == (422, {"sub-task-parties"})
    assert other.get(case.order).status == 404
    assert member.move(saved, "requested").status == 200


def test_nothing_more_is_asked_about_a_task_that_ended(world: World, hosp: Party, case: Case) -> None:
    member = world.party()
    _, sent = asked(hosp, member, case, "accepted")
    part = task(member, hosp, case.patient, case.order, partOf=[ref(sent)], code={"text": "a question"})
    saved = made(member, {**part, "status": "draft"})
    walk(member, sent, "in-progress", "completed")

    assert member.move(saved, "requested").status in {403, 404, 422}
    assert member.post(part).status in {403, 422}
    assert hosp.get(saved).body["status"] == "draft"


def test_a_draft_does_not_come_to_ask_for_another_persons_order(world: World, hosp: Party, case: Case) -> None:
    elsewhere = world.case(hosp, world.party(), BO)
    saved = draft(hosp, world.party(), case)

    reply = hosp.change(saved, focus=ref(elsewhere.order))

    assert (reply.status, reply.rules) == (422, {"another-person"})
    assert elsewhere.order not in str(hosp.read(case.plan)["activity"])


def test_a_draft_does_not_come_to_ask_for_what_is_not_to_be_done(world: World, hosp: Party, case: Case) -> None:
    saved = draft(hosp, world.party(), case)
    never = made(hosp, order(hosp, case.patient, basedOn=[ref(case.plan)], doNotPerform=True))

    reply = hosp.change(saved, focus=ref(never), status="requested")

    assert (reply.status, reply.rules) == (422, {"order-not-to-do"})


@pytest.mark.parametrize(("element", "code"), [("owner", "task-owner-missing"), ("focus", "task-focus")])
def test_a_draft_is_not_sent_without_what_a_sent_task_says(
    world: World, hosp: Party, case: Case, element: str, code: str
) -> None:
    saved = draft(hosp, world.party(), case)

    reply = hosp.change(saved, status="requested", **{element: None})

    assert (reply.status, reply.rules) == (422, {code})


def test_a_draft_that_was_sent_as_no_fulfilment_makes_nobody_a_member(world: World, hosp: Party, case: Case) -> None:
    other = world.party()
    saved = draft(hosp, other, case)

    assert hosp.change(saved, status="requested", code=APPROVE).status == 200
    walk(other, saved, "accepted")

    assert other.get(case.condition).status == 404


def test_what_is_in_a_plan_does_not_come_to_lead_to_another_persons(world: World, hosp: Party, case: Case) -> None:
    elsewhere = world.case(hosp, world.party(), BO)
    observation = made(
        hosp,
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "FVC"},
            "subject": ref(case.patient),
            "basedOn": [ref(case.plan)],
        },
    )

    for based in ([ref(elsewhere.plan)], [ref(case.plan), ref(elsewhere.plan)]):
        reply = hosp.change(observation, basedOn=based)
        assert (reply.status, reply.rules) == (422, {"another-person"})


def test_what_names_no_person_does_not_lead_to_the_plans_of_two(world: World, hosp: Party, case: Case) -> None:
    elsewhere = world.case(hosp, world.party(), BO)

    reply = hosp.post(
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "FVC"},
            "basedOn": [ref(case.plan), ref(elsewhere.plan)],
        }
    )

    assert (reply.status, reply.rules) == (422, {"another-person"})
