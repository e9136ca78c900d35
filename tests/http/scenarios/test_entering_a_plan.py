"""What lay in no plan and comes into one by an update is new there: the checks apply, and it counts from then."""

from dataclasses import dataclass

import pytest

from fhir_server.demo.referral import consent
from fhir_server.fhir.dates import now
from fhir_server.fhir.json import Resource
from tests.access.circle import made, order, task, walk
from tests.http.scenarios.test_e_membership import periods
from tests.world import Case, Party, World

LONG_AGO = "2020-01-01T00:00:00Z"


@dataclass(frozen=True)
class Second:
    """The second plan about a person: `home`, who recorded things between both plans, is let in; `other` waits."""

    hosp: Party
    home: Party
    other: Party
    case: Case
    of_home: str
    unplanned: str
    ordered: str


@pytest.fixture
def second(world: World) -> Second:
    hosp, home, other = world.hospital(), world.party(), world.party()
    first = world.case(hosp, home)
    walk(home, first.task, "accepted")
    made(home, order(home, first.patient, basedOn=[{"reference": first.plan}]))
    walk(home, first.task, "in-progress", "completed")
    assert hosp.change(first.order, status="completed").status == 200
    assert world.custodian.change(first.plan, status="completed").status == 200
    unplanned = made(home, {**consent(first.patient, now(), home.reference), "dateTime": LONG_AGO})
    ordered = made(home, order(home, first.patient, status="draft"))
    named = [
        {"role": {"text": "cares"}, "reference": {"reference": p.reference}} for p in (hosp, home, world.custodian)
    ]
    agreed = consent(first.patient, now(), hosp.reference)
    made(hosp, {**agreed, "provision": {"type": "permit", "actor": named}})
    sent = made(hosp, order(hosp, first.patient))
    of_home = made(hosp, task(hosp, home, first.patient, sent))
    plan = hosp.read(of_home)["basedOn"][0]["reference"]
    of_other = made(hosp, task(hosp, other, first.patient, sent, basedOn=[{"reference": plan}]))
    walk(other, of_other, "accepted")
    walk(home, of_home, "accepted")
    team = hosp.read(plan)["careTeam"][0]["reference"]
    case = Case(first.patient, first.condition, None, sent, of_other, plan, team)
    return Second(hosp, home, other, case, of_home, unplanned, ordered)


def changed(world: World, second: Second, scopes: tuple[str, ...], **elements: object) -> tuple[int, set[str]]:
    """How the recorder's own consent, which lies in no plan, is changed by a client of its organisation."""
    client = world.party("system/*.cruds", *scopes, organization=second.home.reference)
    reply = client.change(second.unplanned, **elements)
    return reply.status, reply.rules if reply.status >= 400 else set()


def test_a_former_member_brings_no_consent_into_the_plan_by_changing_its_own(world: World, second: Second) -> None:
    walk(second.home, second.of_home, "in-progress", "completed")

    answer = changed(world, second, ("samen/open-plans",), policyRule={"text": "changed"})

    assert answer == (403, {"consent-recorder"})
    assert second.other.get(second.case.plan).status == 404
    assert periods(second.hosp, second.case, second.other) == []


def test_a_former_member_may_withdraw_its_own_consent_which_never_counted(world: World, second: Second) -> None:
    walk(second.home, second.of_home, "in-progress", "completed")

    assert changed(world, second, ("samen/open-plans",), status="inactive") == (200, set())

    assert second.other.get(second.case.plan).status == 404
    assert periods(second.hosp, second.case, second.other) == []


def test_a_consent_that_a_member_brings_into_the_plan_counts_from_then(second: Second) -> None:
    reply = second.home.change(second.unplanned, policyRule={"text": "changed"})

    assert reply.status == 200
    assert periods(second.hosp, second.case, second.other) == [{"start": reply.body["meta"]["lastUpdated"]}]


def test_an_order_that_comes_into_the_plan_is_logged_there_as_new(world: World, second: Second) -> None:
    assert second.home.change(second.ordered, status="active").status == 200

    assert steps(world, second) == [(None, "active")]


def test_an_order_of_no_plan_may_end_in_the_one_that_it_comes_into(world: World, second: Second) -> None:
    assert second.home.change(second.ordered, status="revoked").status == 200

    assert steps(world, second) == [(None, "revoked")]


def steps(world: World, second: Second) -> list[tuple[str | None, str]]:
    """The moves of the order in the log of the plan."""
    moves: list[Resource] = world.parts.store.moves(second.case.plan.partition("/")[2])
    return [(move.get("from_status"), move["to_status"]) for move in moves if move["item"] == second.ordered]
