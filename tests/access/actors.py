"""How each kind of actor comes to be what it is, through the real gate."""

from dataclasses import replace
from typing import Any

from pymongo.database import Database

from fhir_server.app import web
from fhir_server.auth.authenticator import Authenticator
from fhir_server.demo.referral import consent
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.dates import now
from tests.access.circle import TO_THE_END, Circle, Matrix, asked, fill, made, order, task, told_of, walk
from tests.world import Case, Party, World

NOBODY = "nobody"
OUTSIDER = "outsider"
OPENER = "outsider that may open plans"
PERSON = "person of another organisation"
OPERATOR = "operator"
OFFERED = "offered owner"
MEMBER = "active member"
FORMER = "former member"
AUTHOR = "requester and author"
CUSTODIAN = "custodian"
ELSEWHERE = "member of another plan of the person"
WAITING = "member without consent"
WAITING_CUSTODIAN = "custodian without consent"

KINDS = (
    NOBODY,
    OUTSIDER,
    OPENER,
    PERSON,
    OPERATOR,
    OFFERED,
    MEMBER,
    FORMER,
    AUTHOR,
    CUSTODIAN,
    ELSEWHERE,
    WAITING,
    WAITING_CUSTODIAN,
)


class _OneActor(Authenticator):
    """Believes everybody to be one actor: for kinds that the token endpoint does not know yet."""

    def __init__(self, actor: Actor) -> None:
        self._actor_for_all = actor

    def authenticate(self, authorization_header: str | None) -> Actor:
        return self._actor_for_all


def acting(world: World, actor: Actor) -> Party:
    """A party that is `actor`, at the same doors."""
    app = web(replace(world.parts, authenticator=_OneActor(actor)))
    return Party(app.test_client(), world.base_path, actor.author, None)


def matrix(world: World, database: Database[dict[str, Any]]) -> Matrix:
    """Two circles and everybody around them.

    The person first had a plan that somebody else is still in (`ELSEWHERE`); when it was closed, the hospital opened
    the plan that is asked about.
    """
    hosp = world.hospital()
    parties = {
        NOBODY: world.nobody(),
        OUTSIDER: world.party(),
        OPENER: world.hospital(),
        PERSON: acting(world, _person(world)),
        OPERATOR: world.operator,
        OFFERED: world.party(),
        MEMBER: world.party(),
        FORMER: world.party(),
        AUTHOR: hosp,
        CUSTODIAN: world.custodian,
        ELSEWHERE: world.party(),
        WAITING: world.party(),
        WAITING_CUSTODIAN: world.custodian,
    }
    earlier = left_behind(world, hosp, parties[ELSEWHERE])
    agreed = _agreed(world, hosp, earlier, parties)
    unagreed = _unagreed(world, parties[WAITING])
    return Matrix(world, agreed, unagreed, earlier.plan, parties, database)


def _person(world: World) -> Actor:
    practitioner = world.operator.post({"resourceType": "Practitioner", "active": True})
    return Actor(
        organization=world.organization(),
        person=f"Practitioner/{practitioner.body['id']}",
        scopes=frozenset({"system/*.cruds"}),
    )


def left_behind(world: World, hosp: Party, stays: Party) -> Case:
    """A closed plan of the hospital, in which `stays` has an open order of its own and so still takes part."""
    case = world.case(hosp, stays)
    walk(stays, case.task, "accepted")
    made(stays, order(stays, case.patient, basedOn=[{"reference": case.plan}]))
    walk(stays, case.task, "in-progress", "completed")
    assert hosp.change(case.order, status="completed").status == 200
    assert world.custodian.change(case.plan, status="completed").status == 200
    return case


def _agreed(world: World, hosp: Party, earlier: Case, parties: dict[str, Party]) -> Circle:
    """The plan that is asked about, with everybody in it."""
    patient = earlier.patient
    given = made(hosp, consent(patient, now(), hosp.reference))
    first_order = made(hosp, order(hosp, patient))
    first = made(hosp, task(hosp, parties[MEMBER], patient, first_order))
    plan = hosp.read(first)["basedOn"][0]["reference"]
    assert plan != earlier.plan
    team = hosp.read(plan)["careTeam"][0]["reference"]
    case = Case(patient, earlier.condition, given, first_order, first, plan, team)
    walk(parties[MEMBER], first, "accepted")
    ended_order, ended = asked(hosp, parties[FORMER], case, *TO_THE_END)
    offered_order, offered = asked(hosp, parties[OFFERED], case)
    known = {"Task": offered, "ServiceRequest": offered_order}
    refs = fill(world, case, hosp, known)
    return Circle(
        case,
        refs,
        told_of(world, case),
        {MEMBER: first, FORMER: ended, OFFERED: offered},
        {MEMBER: first_order, FORMER: ended_order, OFFERED: offered_order},
    )


def _unagreed(world: World, waiting: Party) -> Circle:
    """A plan without the person's consent: who accepted and who keeps the plan wait."""
    hosp = world.hospital()
    case = world.case(hosp, waiting, with_consent=False)
    walk(waiting, case.task, "accepted")
    known = {"Task": case.task, "ServiceRequest": case.order}
    refs = fill(world, case, hosp, known)
    return Circle(case, refs, told_of(world, case), {WAITING: case.task}, {WAITING: case.order})
