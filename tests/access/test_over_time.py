"""Access as it changes: consent withdrawn, membership ended, reading time over, what was written before."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from fhir_server.app import build, web
from fhir_server.demo.referral import consent
from fhir_server.fhir import dates
from fhir_server.fhir.json import encode
from fhir_server.search.grant import Stamp
from fhir_server.store.values import Stored
from tests.access.actors import MEMBER
from tests.access.asking import constant, marked
from tests.access.circle import TO_THE_END, Matrix, asked, made, order, task, walk
from tests.access.test_searches import following, matches
from tests.databases import LentDatabases
from tests.http.scenarios.test_a_plans_and_teams import LUC
from tests.world import Case, Party, World, world_apart


@dataclass(frozen=True)
class Cast:
    """A case of its own: who asked, who accepted, and an Observation that the asker wrote before."""

    world: World
    hosp: Party
    home: Party
    case: Case
    observation: str


@pytest.fixture(scope="module")
def world(mongo_url: str, databases: LentDatabases) -> Iterator[World]:
    """A world of these tests alone: what they ask on a later day stands in its audit as the newest."""
    with world_apart(mongo_url, databases) as made_here:
        yield made_here


@pytest.fixture
def cast(world: World) -> Cast:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home, LUC)
    observation = made(hosp, _observation(case))
    assert hosp.put(marked(hosp.read(observation))).status == 200
    walk(home, case.task, "accepted")
    return Cast(world, hosp, home, case, observation)


def test_who_waits_for_consent_is_not_told_the_tasks_that_keep_its_order_open(world: World) -> None:
    hosp, home, placer = world.hospital(), world.party(), world.party()
    case = world.case(hosp, home, LUC)
    asked(hosp, placer, case, "accepted")
    plan = [{"reference": case.plan}]
    ordered = made(placer, order(placer, case.patient, basedOn=plan))
    hidden = made(hosp, task(hosp, home, case.patient, ordered, basedOn=plan))
    assert hosp.change(str(case.consent), status="inactive").status == 200
    assert (placer.get(ordered).status, placer.get(hidden).status) == (200, 404)

    reply = placer.change(ordered, status="completed")

    assert (reply.status, reply.rules) == (422, {"order-open-tasks"})
    assert hidden.partition("/")[2] not in reply.raw.decode()


def _observation(case: Case) -> dict[str, object]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "FVC"},
        "subject": {"reference": case.patient},
    }


def _later(world: World, party: Party, after: timedelta) -> Party:
    """The same party at the same doors, when that time has passed."""
    return _by_the_clock(world, party, lambda: dates.now() + after)


def _by_the_clock(world: World, party: Party, clock: Callable[[], datetime]) -> Party:
    """The same party at the same doors, where it is as late as the clock says."""
    services = replace(world.parts.services, clock=clock)
    return Party(
        web(replace(world.parts, services=services)).test_client(), world.base_path, party.reference, party.token
    )


def _everything(cast: Cast) -> list[str]:
    case = cast.case
    assert case.consent is not None
    return [case.patient, case.condition, case.consent, case.plan, case.team, case.task, case.order, cast.observation]


def _seen(party: Party, cast: Cast) -> set[str]:
    """What of the case the party reads; read, version, history, search and HEAD must agree."""
    seen = set()
    for reference in _everything(cast):
        type_name, _, id = reference.partition("/")
        statuses = {
            party.get(reference).status,
            party.get(f"{reference}/_history").status,
            party.get(f"{reference}/_history/1").status,
            party.ask("HEAD", reference).status,
            200 if party.get(f"{type_name}?_id={id}&_total=accurate").body["total"] else 404,
        }
        assert len(statuses) == 1, (reference, statuses)
        if statuses == {200}:
            seen.add(reference)
    return seen


def test_a_new_member_reads_what_was_written_before_it_came(cast: Cast) -> None:
    """All versions that lie in the plan: the plan's history is part of the plan."""
    assert _seen(cast.home, cast) == set(_everything(cast))
    assert cast.home.get(f"{cast.observation}/_history/2").status == 200
    assert len(cast.home.get(f"{cast.observation}/_history").entries) == 2


def test_a_withdrawn_consent_closes_the_chart_in_the_same_request(cast: Cast) -> None:
    """Who accepted keeps its Task and order, who asked what it wrote; the case manager and the plan keep nothing."""
    case = cast.case
    assert case.consent is not None

    assert cast.hosp.change(case.consent, status="inactive").status == 200

    assert _seen(cast.home, cast) == {case.task, case.order}
    assert _seen(cast.world.custodian, cast) == set()
    assert _seen(cast.hosp, cast) == {
        case.patient, case.condition, case.consent, case.task, case.order, cast.observation
    }  # fmt: skip


def test_a_consent_that_begins_later_lets_in_by_itself_when_it_begins(world: World) -> None:
    hosp, home, offered = world.hospital(), world.party(), world.party()
    case = world.case(hosp, home, LUC, with_consent=False)
    walk(home, case.task, "accepted")
    asked(hosp, offered, case)
    # Noons that stand still: the day may turn while this is asked.
    noons = [dates.beginning_of_day(dates.now()) + timedelta(days=count, hours=12) for count in (9, 10, 20, 21)]
    days = [noon.date().isoformat() for noon in noons[1:3]]
    begins = {"type": "permit", "period": {"start": days[0], "end": days[1]}}

    made(hosp, {**consent(case.patient, dates.now(), hosp.reference), "provision": begins})

    for party, place in ((home, case.condition), (world.custodian, case.plan), (offered, case.patient)):
        assert party.get(place).status == 404, place
        seen = [_by_the_clock(world, party, lambda noon=noon: noon).get(place).status for noon in noons]
        assert seen == [404, 200, 200, 404], place
    listed = [p for p in hosp.read(case.team)["participant"] if p["member"]["reference"] == home.reference]
    assert [period["start"][:10] for period in (p["period"] for p in listed)] == [days[0]]


def test_a_consent_that_ends_lets_out_by_itself_when_it_ends(cast: Cast) -> None:
    until = (dates.now() + timedelta(days=10)).date().isoformat()
    reply = cast.hosp.change(str(cast.case.consent), provision={"type": "permit", "period": {"end": until}})
    assert reply.status == 200, reply.body

    for party in (cast.home, cast.world.custodian):
        assert _later(cast.world, party, timedelta(days=9)).get(cast.case.condition).status == 200
        late = _later(cast.world, party, timedelta(days=12))
        assert not _seen(late, cast) & {cast.case.patient, cast.case.condition, cast.case.plan, cast.observation}
        assert late.get(f"Observation?patient={cast.case.patient}&_total=accurate").body["total"] == 0


def test_a_former_member_reads_plan_team_and_its_task_for_the_programmes_time_and_then_nothing(cast: Cast) -> None:
    case, home = cast.case, cast.home
    own = made(home, _observation(case))
    walk(home, case.task, *TO_THE_END[1:])
    [programme] = cast.world.parts.services.programmes.values()
    day = timedelta(days=1)

    assert _seen(home, cast) == {case.plan, case.team, case.task, case.order}
    assert _seen(_later(cast.world, home, programme.read_after_end - day), cast) == {
        case.plan, case.team, case.task, case.order
    }  # fmt: skip
    late = _later(cast.world, home, programme.read_after_end + day)
    assert _seen(late, cast) == set()
    assert constant(late.get(case.task)) == constant(late.get("Task/never-there"))
    assert late.get(own).status == 200, "what it wrote stays its own"


def test_what_one_server_saw_of_a_team_shows_nothing_after_another_server_changed_it(cast: Cast) -> None:
    """Each server process remembers circles; a search goes by what they are in the database at that moment."""
    world, case, chart = cast.world, cast.case, f"Observation?patient={cast.case.patient}"
    later, parts = world.party(), build(world.parts.settings)
    home, late = (
        Party(web(parts).test_client(), world.base_path, party.reference, party.token) for party in (cast.home, later)
    )
    try:
        seen = [len(party.get(chart).entries) for party in (home, home, late, late)]
        assert seen == [1, 1, 0, 0]

        walk(cast.home, case.task, *TO_THE_END[1:])
        assert [len(home.get(chart).entries) for _ in range(3)] == [0, 0, 0]
        assert [len(home.get(f"{chart}&_sort=-date").entries) for _ in range(2)] == [0, 0]

        _, task = asked(cast.hosp, later, case)
        assert len(late.get(chart).entries) == 0
        walk(later, task, "accepted")
        assert [len(late.get(chart).entries) for _ in range(3)] == [1, 1, 1]
    finally:
        parts.store.close()
        parts.registry.close()


def test_a_cursor_shows_nothing_once_its_owner_was_removed(cast: Cast) -> None:
    for _ in range(2):
        made(cast.hosp, _observation(cast.case))
    onward = following(cast.home.get(f"Observation?patient={cast.case.patient}&_count=1"))
    assert onward is not None
    assert matches([cast.home.get(onward)])

    walk(cast.home, cast.case.task, *TO_THE_END[1:])

    assert matches([cast.home.get(onward)]) == []


def test_who_was_removed_learns_of_no_later_version(cast: Cast) -> None:
    """A former member still reads the plan, and so its later versions; of the chart, not even those it had read."""
    before = cast.home.get(cast.observation).headers["ETag"]
    walk(cast.home, cast.case.task, *TO_THE_END[1:])

    assert cast.home.get(cast.observation, If_None_Match=before).status == 404
    assert cast.home.put(marked(cast.hosp.read(cast.observation)), If_Match=before).status == 404


def test_an_offer_that_is_declined_shows_the_task_and_its_order_and_nothing_more(cast: Cast) -> None:
    other = cast.world.party()
    order, task = asked(cast.hosp, other, cast.case)
    assert other.move(task, "rejected", "no capacity").status == 200

    assert _seen(other, cast) == set()
    assert {other.get(task).status, other.get(order).status} == {200}
    [programme] = cast.world.parts.services.programmes.values()
    late = _later(cast.world, other, programme.read_after_end + timedelta(days=1))
    assert {late.get(task).status, late.get(order).status} == {404}


def test_a_draft_is_not_shown_to_whom_it_will_be_offered(cast: Cast) -> None:
    other = cast.world.party()
    _, sent = asked(cast.hosp, other, cast.case)
    draft = cast.hosp.read(sent)
    del draft["id"], draft["meta"]
    reply = cast.hosp.post({**draft, "status": "draft"})
    task = f"Task/{reply.body['id']}"

    assert other.get(task).status == 404
    assert cast.hosp.move(task, "requested").status == 200
    assert other.get(task).status == 200


def test_a_version_that_lay_in_another_plan_is_hidden_from_who_is_only_in_the_present_one(matrix: Matrix) -> None:
    """No gate moves a resource between plans today; should one come, its past stays where it was."""
    id, store = str(uuid.uuid4()), matrix.world.parts.store
    here, there = matrix.agreed.case, matrix.unagreed.case

    def in_plan(version: int, case: Case) -> Stored:
        body = encode({"resourceType": "Observation", "id": id, "status": "final", "code": {"text": str(version)}})
        stamp = Stamp(case.patient, (case.plan.partition("/")[2],))
        return Stored("Observation", id, version, dates.now(), body, stamp, method="PUT" if version > 1 else "POST")

    store.transact(lambda tx: tx.save(in_plan(1, there)))
    store.transact(lambda tx: tx.save(in_plan(2, here)))
    member = matrix.parties[MEMBER]

    assert member.get(f"Observation/{id}").status == 200
    assert member.get(f"Observation/{id}/_history/2").status == 200
    assert member.get(f"Observation/{id}/_history/1").status == 404
    for place in (f"Observation/{id}/_history", "Observation/_history?_count=500", "_history?_count=500"):
        told = [r["code"]["text"] for r in member.get(place).entries if r["id"] == id]
        assert told == ["2"], place


def test_what_was_deleted_is_gone_for_whoever_could_read_it_and_absent_for_others(cast: Cast) -> None:
    group = made(cast.home, {"resourceType": "Group", "type": "person", "actual": False})
    assert cast.home.ask("DELETE", group).status == 204

    assert cast.home.get(group).status == 410
    assert constant(cast.hosp.get(group)) == constant(cast.hosp.get("Group/never-there"))
    assert cast.home.get(f"Group?_id={group.partition('/')[2]}").entries == []
