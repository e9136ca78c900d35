"""Scenarios C: which status a Task may move to, and who may move it."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any

import pytest
from pymongo import MongoClient

from fhir_server.care.task_states import PRESETS, REASON_REQUIRED, STATUSES
from fhir_server.fhir.json import Resource
from tests.access.circle import asked, made, order, task, walk
from tests.world import Case, Party, Reply, World

OWNER, REQUESTER, BOTH, MEMBER, OUTSIDER = "owner", "requester", "both", "member", "outsider"
ROLES = {OWNER: {"owner"}, REQUESTER: {"requester"}, BOTH: {"owner", "requester"}}
REASON = {"text": "as the person asked"}

# How a Task comes to a status: the moves after its creation, by whom. `cancelled` while in progress is by rule alone.
WAY_TO: Mapping[str, tuple[tuple[str, str], ...]] = {
    "draft": (),
    "requested": (),
    "received": ((OWNER, "received"),),
    "accepted": ((OWNER, "accepted"),),
    "rejected": ((OWNER, "rejected"),),
    "ready": (),
    "cancelled": ((REQUESTER, "cancelled"),),
    "in-progress": ((OWNER, "accepted"), (OWNER, "in-progress")),
    "on-hold": ((OWNER, "accepted"), (OWNER, "in-progress"), (OWNER, "on-hold")),
    "failed": ((OWNER, "accepted"), (OWNER, "failed")),
    "completed": ((OWNER, "accepted"), (OWNER, "in-progress"), (OWNER, "completed")),
    "entered-in-error": ((REQUESTER, "entered-in-error"),),
}


@dataclass(frozen=True)
class Cast:
    """A plan with an owner, a requester, somebody who is both, another member and an outsider."""

    case: Case
    order: str
    parties: Mapping[str, Party]


@pytest.fixture
def cast(world: World) -> Cast:
    hosp, home, both, member = world.hospital(), world.party(), world.party(), world.party()
    case = world.case(hosp, home)
    walk(home, case.task, "accepted")
    for party in (both, member):
        asked(hosp, party, case, "accepted")
    own = made(both, order(both, case.patient, basedOn=[{"reference": case.plan}]))
    return Cast(case, own, {OWNER: home, REQUESTER: hosp, BOTH: both, MEMBER: member, OUTSIDER: world.party()})


@dataclass(frozen=True)
class Tried:
    """A Task in some status, with the parties as it names them."""

    reference: str
    owner: Party
    requester: Party

    def by(self, role: str, cast: Cast) -> Party:
        """Who acts in the role towards this Task."""
        return {OWNER: self.owner, REQUESTER: self.requester}.get(role, cast.parties[role])


def _new(cast: Cast, status: str, role: str) -> Tried:
    """A Task that stands in `status`; for the role `both`, its requester and its owner are the same."""
    owner, requester = (cast.parties[BOTH if role == BOTH else each] for each in (OWNER, REQUESTER))
    focus = cast.order if role == BOTH else cast.case.order
    elements: Resource = {"basedOn": [{"reference": cast.case.plan}]}
    if status == "ready":  # only a part starts ready, and a part is asked back
        whole = made(requester, task(requester, owner, cast.case.patient, focus, **elements))
        elements["partOf"] = [{"reference": whole}]
        owner, requester = requester, owner
    elements["status"] = status if status in {"draft", "ready"} else "requested"
    reference = made(requester, task(requester, owner, cast.case.patient, focus, **elements))
    for mover, step in WAY_TO[status]:
        reply = {OWNER: owner, REQUESTER: requester}[mover].move(reference, step, REASON["text"])
        assert reply.status == 200, (status, step, reply.body)
    return Tried(reference, owner, requester)


def _expected(role: str, before: str, after: str) -> tuple[int, str | None]:
    """Status and rule, from the programme's table alone."""
    if role == OUTSIDER:
        return 404, None
    if role == MEMBER:
        return 403, "element-party"
    if before == after or PRESETS["default"].steps.get((before, after), frozenset()) & ROLES[role]:
        return 200, None
    if (role, before) == (OWNER, "draft"):  # it is not sent yet
        return 403, "element-role"
    return 422, "task-move"


@pytest.mark.parametrize("before", STATUSES)
def test_c1_every_move_of_every_party_is_answered_as_the_table_says(world: World, cast: Cast, before: str) -> None:
    """12 x 12 statuses by five parties; a Task is used until an allowed move takes it away."""
    for role in (OWNER, REQUESTER, BOTH, MEMBER, OUTSIDER):
        tried = _new(cast, before, role)
        current = tried.requester.read(tried.reference)
        for after in STATUSES:
            status, rule = _expected(role, before, after)
            told = {"statusReason": REASON} if after in REASON_REQUIRED else {}

            reply = tried.by(role, cast).put({**current, "status": after, **told})

            assert reply.status == status, (before, after, role, reply.body)
            assert rule is None or reply.rules == {rule}, (before, after, role, reply.body)
            if status == 200 and after != before:
                following = int(current["meta"]["versionId"]) + 1
                assert (reply.body["status"], reply.body["meta"]["versionId"]) == (after, str(following))
                tried = _new(cast, before, role)
                current = tried.requester.read(tried.reference)
        assert tried.requester.read(tried.reference) == current, "what was refused changed something"


def test_c2_the_owner_walks_a_task_to_its_end_in_a_version_and_an_audit_event_each(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)

    replies = [home.move(case.task, status) for status in ("received", "accepted", "in-progress", "completed")]

    assert [reply.status for reply in replies] == [200] * 4
    assert [reply.body["meta"]["versionId"] for reply in replies] == ["2", "3", "4", "5"]
    for reply in replies:
        version = f"{case.task}/_history/{reply.body['meta']['versionId']}"
        told = [event for event in audit_events(world, case.plan) if version in str(event["entity"])]
        assert [event["subtype"][0]["code"] for event in told] == ["update"], version


@pytest.mark.parametrize("reached", ["requested", "received", "accepted"])
def test_c4_the_requester_cancels_before_the_work_began_and_the_owner_is_told(
    world: World, mongo_client: MongoClient[dict[str, Any]], reached: str
) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    walk(home, case.task, *(step for step in (reached,) if step != "requested"))

    reply = hosp.move(case.task, "cancelled", "the person moved away")

    assert (reply.status, reply.body["status"]) == (200, "cancelled")
    outbox = mongo_client[world.parts.settings.database]["ledger"]
    [told] = outbox.find({"focus": case.task, "version": int(reply.body["meta"]["versionId"])})
    assert home.reference in told["recipients"]


def test_c5_work_in_progress_is_cancelled_by_asking_for_it(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    walk(home, case.task, "accepted", "in-progress")

    reply = hosp.move(case.task, "cancelled", "the person moved away")

    assert (reply.status, reply.rules) == (422, {"task-move"})
    assert "abort" in reply.issues[0]["diagnostics"]


def test_c11_what_was_accepted_is_cancelled_or_fails_but_is_not_rejected(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    walk(home, case.task, "accepted")

    assert (home.move(case.task, "rejected", "no capacity").status) == 422
    assert home.read(case.task)["status"] == "accepted"
    assert home.move(case.task, "cancelled", "no capacity").status == 200


def test_c13_two_owners_of_two_tasks_accept_at_the_same_instant(world: World) -> None:
    """Unforced, by many at once; the forced interleavings are in tests/faults/test_interleavings.py."""
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    owners = [world.party() for _ in range(4)]
    tasks = [asked(hosp, owner, case)[1] for owner in owners]
    together = Barrier(len(owners))

    def accept(owner: Party, reference: str) -> Reply:
        resource = owner.read(reference)
        together.wait(60)
        return owner.put({**resource, "status": "accepted"})

    with ThreadPoolExecutor(len(owners)) as pool:
        replies = list(pool.map(accept, owners, tasks))

    assert [reply.status for reply in replies] == [200] * len(owners)
    members = [participant["member"]["reference"] for participant in hosp.read(case.team)["participant"]]
    assert sorted(set(members)) == sorted(members)
    assert {owner.reference for owner in owners} <= set(members)
    assert [owner.get(case.condition).status for owner in owners] == [200] * len(owners)


def test_c14_a_change_of_a_version_that_is_no_longer_current_says_which_one_is(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    second = home.move(case.task, "received").body
    walk(home, case.task, "accepted")

    for headers in ({"If_Match": 'W/"2"'}, {}):
        reply = home.put({**second, "status": "rejected", "statusReason": REASON}, **headers)

        assert (reply.status, reply.rules) == (412, {"version-stale"})
        assert "current version is 3" in reply.issues[0]["diagnostics"]
    assert home.read(case.task)["status"] == "accepted"


def test_a_change_of_coordination_says_which_version_it_is_based_on(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    current = home.read(case.task)

    reply = home.put({**{name: value for name, value in current.items() if name != "meta"}, "status": "accepted"})

    assert (reply.status, reply.rules) == (412, {"version-required"})


def audit_events(world: World, plan: str) -> list[Resource]:
    """What the audit tells of a plan."""
    return [event.resource() for event in world.parts.store.in_plan(plan.partition("/")[2], "AuditEvent")]
