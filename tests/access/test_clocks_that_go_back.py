"""A clock is set back, or that of another server runs behind: what was closed stays closed, who is in stays in."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from fhir_server.app import web
from fhir_server.demo.referral import consent
from fhir_server.fhir import dates
from tests.access.circle import TO_THE_END, asked, made, walk
from tests.databases import LentDatabases
from tests.http.scenarios.test_a_plans_and_teams import LUC
from tests.world import Case, Party, World, world_apart

AHEAD, BACK = timedelta(minutes=10), timedelta(minutes=5)
End = Callable[[Party, Party, Case], None]


@pytest.fixture(scope="module")
def world(mongo_url: str, databases: LentDatabases) -> Iterator[World]:
    """A world of these tests alone, since they turn its clock."""
    with world_apart(mongo_url, databases) as made_here:
        yield made_here


def _when(world: World, party: Party, after: timedelta) -> Party:
    """The same party at a server whose clock is ahead by so much."""
    services = replace(world.parts.services, clock=lambda: dates.now() + after)
    doors = web(replace(world.parts, services=services)).test_client()
    return Party(doors, world.base_path, party.reference, party.token)


def _complete(hosp: Party, home: Party, case: Case) -> None:
    walk(home, case.task, *TO_THE_END[1:])


def _withdraw(hosp: Party, home: Party, case: Case) -> None:
    assert hosp.change(str(case.consent), status="inactive").status == 200


def _cancel(hosp: Party, home: Party, case: Case) -> None:
    assert hosp.move(case.task, "cancelled", "no longer needed").status == 200


def _write_in_the_plan(party: Party, case: Case) -> None:
    """Whoever writes in a plan has its team worked out anew."""
    reply = party.change(case.order, note=[{"text": "Ring twice."}])
    assert reply.status == 200, reply.body


@pytest.mark.parametrize("end", [_complete, _withdraw, _cancel])
def test_what_was_closed_stays_closed_when_the_clock_is_set_back(world: World, end: End) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home, LUC)
    walk(home, case.task, "accepted")
    end(_when(world, hosp, AHEAD), _when(world, home, AHEAD), case)
    assert home.get(case.condition).status == 404
    kept = home.get(case.plan).status

    _write_in_the_plan(_when(world, hosp, BACK), case)

    for after in (BACK, AHEAD - timedelta(minutes=1), AHEAD + timedelta(minutes=1)):
        later = _when(world, home, after)
        assert (later.get(case.condition).status, later.get(case.plan).status) == (404, kept), after


def test_a_consent_that_begins_later_opens_nothing_before_when_a_clock_was_ahead(world: World) -> None:
    hosp, home, offered = world.hospital(), world.party(), world.party()
    case = world.case(hosp, home, LUC, with_consent=False)
    walk(home, case.task, "accepted")
    asked(hosp, offered, case)
    begins, ends = ((dates.now() + timedelta(days=days)).date().isoformat() for days in (10, 20))
    period = {"type": "permit", "period": {"start": begins, "end": ends}}
    made(hosp, {**consent(case.patient, dates.now(), hosp.reference), "provision": period})

    _write_in_the_plan(_when(world, hosp, timedelta(days=12)), case)

    for party, place in ((home, case.condition), (world.custodian, case.plan), (offered, case.patient)):
        seen = [_when(world, party, timedelta(days=days)).get(place).status for days in (0, 9, 12, 22)]
        assert seen == [404, 404, 200, 404], place
    assert hosp.get(case.condition).status == 200


def test_who_joined_stays_in_when_the_clock_is_set_back(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home, LUC)
    walk(_when(world, home, AHEAD), case.task, "accepted")
    team = hosp.read(case.team)

    _write_in_the_plan(_when(world, hosp, BACK), case)

    assert _when(world, home, BACK).get(case.condition).status == 200
    assert hosp.read(case.team) == team


def test_a_plan_that_was_opened_by_a_clock_ahead_is_kept_by_its_custodian_at_once(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(_when(world, hosp, AHEAD), home, LUC)

    _write_in_the_plan(hosp, case)

    assert [party.get(case.condition).status for party in (world.custodian, hosp)] == [200, 200]


def test_who_leaves_by_a_clock_that_was_set_back_was_a_member_and_reads_on_as_one(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home, LUC)
    walk(_when(world, home, AHEAD), case.task, "accepted")

    _complete(hosp, _when(world, home, BACK), case)

    for after in (BACK, AHEAD, 2 * AHEAD):
        later = _when(world, home, after)
        assert (later.get(case.condition).status, later.get(case.plan).status) == (404, 200), after
    [period] = [p["period"] for p in hosp.read(case.team)["participant"] if p["member"]["reference"] == home.reference]
    assert period["start"] < period["end"]
