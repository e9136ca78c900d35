"""No write skew: two sessions at one plan, in every order that could leave somebody in who is out, or out who is in.

One request is stopped inside its transaction at a named point of its first attempt; meanwhile another one runs to its
end (stopped before its turn at the guard), or tries to (stopped while it has its turn). Who read ahead takes its turn
only when it writes, so that the one that is stopped in its turn reads inside the transaction, as every second attempt.
"""

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest

from fhir_server.app import web
from fhir_server.demo.referral import Parties, referral
from fhir_server.fhir.dates import now
from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import rewrite_references
from fhir_server.store.contract import Transaction
from fhir_server.store.values import Foreseen
from tests.access.circle import asked, made, walk
from tests.world import Case, Party, Reply, World

WAIT = 30.0
BEFORE_ITS_TURN = "guard"
IN_ITS_TURN = "save"


class StoppedStore:
    """The real store; the first transaction of it stops once before it calls `point`, and `meanwhile` runs."""

    def __init__(self, store: Any, point: str, meanwhile: Callable[[], None]) -> None:
        self._store = store
        self._point = point
        self._meanwhile: Callable[[], None] | None = meanwhile
        self.attempts = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def transact(self, work: Callable[[Transaction], Any], foreseen: Foreseen | None = None) -> Any:
        def stopping(tx: Transaction) -> Any:
            self.attempts += 1
            return work(_StoppedTransaction(tx, self._point, self._stop))

        return self._store.transact(stopping, None if self._point == IN_ITS_TURN else foreseen)

    def _stop(self) -> None:
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            meanwhile()


class _StoppedTransaction:
    def __init__(self, tx: Transaction, point: str, stop: Callable[[], None]) -> None:
        self._tx = tx
        self._point = point
        self._stop = stop

    def __getattr__(self, name: str) -> Any:
        if name == self._point:
            self._stop()
        return getattr(self._tx, name)


@dataclass(frozen=True)
class Cast:
    """A case with a hospital that asked and a home nursing service that accepted."""

    world: World
    hosp: Party
    home: Party
    case: Case


@pytest.fixture
def cast(world: World) -> Cast:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    walk(home, case.task, "accepted")
    return Cast(world, hosp, home, case)


def stopped(world: World, party: Party, point: str, meanwhile: Callable[[], None]) -> tuple[Party, StoppedStore]:
    """The same party at doors whose store stops."""
    store = StoppedStore(world.parts.store, point, meanwhile)
    services = replace(world.parts.services, store=store)
    app = web(replace(world.parts, services=services))
    return Party(app.test_client(), world.base_path, party.reference, party.token), store


def interleaved(
    world: World,
    point: str,
    late: tuple[Party, Callable[[Party], Reply]],
    other: tuple[Party, Callable[[Party], Reply]],
) -> tuple[Reply, Reply]:
    """The replies to the late request, stopped at `point`, and to the other one, which ran then."""
    with ThreadPoolExecutor(1) as pool:
        running: list[Future[Reply]] = []
        tried = threading.Event()

        def meanwhile() -> None:
            if point == BEFORE_ITS_TURN:
                running.append(pool.submit(other[1], other[0]))
                running[0].result(WAIT)
            else:
                waiting, _ = stopped(world, other[0], BEFORE_ITS_TURN, tried.set)
                running.append(pool.submit(other[1], waiting))
                assert tried.wait(WAIT), "the other one never came to its turn"

        party, store = stopped(world, late[0], point, meanwhile)
        first = late[1](party)
        second = running[0].result(WAIT)
    if point == BEFORE_ITS_TURN:
        assert store.attempts > 1, "who decided on an old state must start again"
    return first, second


def goal(case: Case) -> Resource:
    return {
        "resourceType": "Goal",
        "lifecycleStatus": "active",
        "description": {"text": "eats without choking"},
        "subject": {"reference": case.patient},
    }


def moves(task: str, status: str) -> Callable[[Party], Reply]:
    return lambda party: party.move(task, status)


def withdraws(case: Case) -> Callable[[Party], Reply]:
    assert case.consent is not None
    consent = case.consent
    return lambda party: party.change(consent, status="inactive")


POINTS = pytest.mark.parametrize("point", [BEFORE_ITS_TURN, IN_ITS_TURN])


@POINTS
def test_a_create_does_not_keep_the_reader_that_was_removed_meanwhile(cast: Cast, point: str) -> None:
    case = cast.case
    walk(cast.home, case.task, "in-progress")

    created, ended = interleaved(
        cast.world,
        point,
        (cast.hosp, lambda party: party.post(goal(case))),
        (cast.home, moves(case.task, "completed")),
    )

    assert (created.status, ended.status) == (201, 200)
    reference = f"Goal/{created.body['id']}"
    assert cast.hosp.get(reference).status == 200
    assert cast.home.get(reference).status == 404
    readers = cast.world.parts.store.read("Goal", created.body["id"])
    assert readers is not None
    assert cast.home.reference not in {reader.party for reader in readers.stamp.readers}


def test_who_was_removed_meanwhile_adds_nothing(cast: Cast) -> None:
    """The create was authorised while its sender was a member; it is authorised again."""
    case = cast.case
    walk(cast.home, case.task, "in-progress")

    created, ended = interleaved(
        cast.world,
        BEFORE_ITS_TURN,
        (cast.home, lambda party: party.post(goal(case))),
        (cast.home, moves(case.task, "completed")),
    )

    assert ended.status == 200
    assert created.status == 422
    assert created.paths == {"Goal.subject.reference"}
    assert cast.hosp.get(f"Goal?patient={case.patient}").entries == []


@POINTS
def test_a_create_while_the_consent_is_withdrawn_lets_nobody_in(cast: Cast, point: str) -> None:
    case = cast.case

    created, withdrawn = interleaved(
        cast.world, point, (cast.hosp, lambda party: party.post(goal(case))), (cast.hosp, withdraws(case))
    )

    assert withdrawn.status == 200
    if point == IN_ITS_TURN:
        assert created.status == 201
        for party in (cast.home, cast.world.custodian):
            assert party.get(f"Goal/{created.body['id']}").status == 404
    else:
        assert created.status in {201, 403, 422}
    assert cast.home.get(f"Goal?patient={case.patient}&_total=accurate").body["total"] == 0


@POINTS
def test_two_tasks_of_one_owner_that_end_together_end_its_membership(cast: Cast, point: str) -> None:
    case = cast.case
    _, second = asked(cast.hosp, cast.home, case, "accepted", "in-progress")
    walk(cast.home, case.task, "in-progress")

    replies = interleaved(
        cast.world, point, (cast.home, moves(case.task, "completed")), (cast.home, moves(second, "completed"))
    )

    assert [reply.status for reply in replies] == [200, 200]
    assert cast.home.get(case.patient).status == 404
    assert cast.home.get(case.condition).status == 404
    periods = [p["period"] for p in cast.hosp.read(case.team)["participant"] if _is(p, cast.home)]
    assert periods
    assert all("end" in period for period in periods)


@POINTS
def test_c13_two_owners_who_accept_at_the_same_instant_are_both_in(cast: Cast, point: str) -> None:
    case, one, two = cast.case, cast.world.party(), cast.world.party()
    (_, first), (_, second) = asked(cast.hosp, one, case), asked(cast.hosp, two, case)

    replies = interleaved(cast.world, point, (one, moves(first, "accepted")), (two, moves(second, "accepted")))

    assert [reply.status for reply in replies] == [200, 200]
    for party, task in ((one, first), (two, second)):
        assert party.read(task)["status"] == "accepted"
        assert party.get(case.condition).status == 200
    team = cast.hosp.read(case.team)
    assert [len([p for p in team["participant"] if _is(p, party)]) for party in (one, two)] == [1, 1]


@pytest.mark.parametrize("point", [BEFORE_ITS_TURN, "take_up"])
def test_two_bundles_that_open_a_plan_for_one_person_at_once_open_one(world: World, point: str) -> None:
    hosp, home, other = world.hospital(), world.party(), world.party()
    patient = made(hosp, _patient_of(hosp, home))

    replies = interleaved(
        world,
        point,
        (hosp, lambda party: party.transact(_referral_of(patient, hosp, home))),
        (hosp, lambda party: party.transact(_referral_of(patient, hosp, other))),
    )

    assert [reply.status for reply in replies] == [200, 200], [reply.body for reply in replies]
    [plan] = hosp.get(f"CarePlan?patient={patient}").entries
    assert len(hosp.get(f"CareTeam?patient={patient}").entries) == 1
    tasks = hosp.get(f"Task?patient={patient}").entries
    assert [task["basedOn"] for task in tasks] == [[{"reference": f"CarePlan/{plan['id']}"}]] * 2
    assert len(plan["activity"]) == 2


@POINTS
@pytest.mark.parametrize("late", ["acceptance", "withdrawal"])
def test_an_acceptance_against_the_withdrawal_of_the_consent_lets_nobody_in(
    world: World, point: str, late: str
) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    both = [(home, moves(case.task, "accepted")), (hosp, withdraws(case))]
    if late == "withdrawal":
        both.reverse()

    replies = interleaved(world, point, both[0], both[1])

    assert [reply.status for reply in replies] == [200, 200]
    assert home.read(case.task)["status"] == "accepted"
    for party in (home, world.custodian):
        assert {party.get(reference).status for reference in (case.patient, case.condition, case.plan)} == {404}


def test_fifty_conditional_creates_at_once_leave_one_resource(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # Whoever comes first waits for all the others before its turn: a busy machine is slow at fifty requests at once.
    monkeypatch.setattr(world.parts.store._transacting, "_write_seconds", 6 * WAIT)
    hosp = world.hospital()
    value = uuid.uuid4().hex
    patient = {"resourceType": "Patient", "identifier": [{"system": "urn:test:f", "value": value}]}
    together = threading.Barrier(50)

    def all_are_here() -> None:
        together.wait(5 * WAIT)

    def create(party: Party) -> Reply:
        return party.post(patient, If_None_Exist=f"identifier=urn:test:f|{value}")

    # Made one after the other: Python 3.11 may fail to compile the addresses of two applications at the same time.
    parties = [stopped(world, hosp, BEFORE_ITS_TURN, all_are_here)[0] for _ in range(50)]
    with ThreadPoolExecutor(50) as pool:
        replies = list(pool.map(create, parties))

    assert sorted(reply.status for reply in replies) == [200] * 49 + [201]
    assert len({reply.body["id"] for reply in replies}) == 1
    assert len(hosp.get(f"Patient?identifier=urn:test:f|{value}").entries) == 1


def _is(participant: Resource, party: Party) -> bool:
    return bool(participant["member"]["reference"] == party.reference)


def _patient_of(hosp: Party, home: Party) -> Resource:
    entries = referral(now(), parties=Parties(hosp.reference, home.reference))["entry"]
    [patient] = [e["resource"] for e in entries if e["resource"]["resourceType"] == "Patient"]
    return dict(patient)


def _referral_of(patient: str, hosp: Party, home: Party) -> Resource:
    """The referral's Bundle about a person who is stored already."""
    bundle = referral(now(), parties=Parties(hosp.reference, home.reference))
    [urn] = [e["fullUrl"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Patient"]
    kept = [e for e in bundle["entry"] if e["fullUrl"] != urn]
    rewritten: Resource = rewrite_references({**bundle, "entry": kept}, lambda to: patient if to == urn else to)
    return rewritten
