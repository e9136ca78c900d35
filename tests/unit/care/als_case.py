"""An invented ALS case to tell stories with: parties, resources and a clock of minutes."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings

from fhir_server.care.care_team import Team, team
from fhir_server.care.chart import Situation
from fhir_server.care.move_log import moves_of
from fhir_server.care.moves import Move
from fhir_server.care.programme_documents import programme_from
from fhir_server.care.programmes import Programme
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.change import Change
from fhir_server.shipped import programme_packs

HOSP, HOME, CMO, PHYS, OUT = (f"Organization/{name}" for name in ("hosp", "home", "cmo", "phys", "out"))
PERSON = "Patient/p1"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TASK_CODES = "http://hl7.org/fhir/CodeSystem/task-code"
Resource = dict[str, Any]
# A property is about the rule; a busy machine is no counter-example.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

DIRECTORY: dict[str, Resource] = {
    "PractitionerRole/home-nurse": {"resourceType": "PractitionerRole", "organization": {"reference": HOME}},
    "PractitionerRole/phys-nurse": {"resourceType": "PractitionerRole", "organization": {"reference": PHYS}},
    "PractitionerRole/nobody": {"resourceType": "PractitionerRole"},
    "HealthcareService/home-nursing": {"resourceType": "HealthcareService", "providedBy": {"reference": HOME}},
}


def directory(reference: str) -> Resource | None:
    return DIRECTORY.get(reference)


def als() -> Programme:
    (pack,) = (pack for pack in programme_packs() if pack.name == "als-be")
    return programme_from(json.loads((pack / "programme.json").read_text("utf-8")))


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def task(id: str = "t1", status: str = "requested", owner: str = HOME, requester: str = HOSP, **more: Any) -> Resource:
    return {
        "resourceType": "Task",
        "id": id,
        "status": status,
        "intent": "order",
        "code": {"coding": [{"system": TASK_CODES, "code": "fulfill"}]},
        "basedOn": [{"reference": "CarePlan/plan"}],
        "focus": {"reference": "ServiceRequest/order"},
        "for": {"reference": PERSON},
        "requester": {"reference": requester},
        "owner": {"reference": owner},
        **more,
    }


def order(id: str = "order", status: str = "active", requester: str = HOSP, **more: Any) -> Resource:
    return {
        "resourceType": "ServiceRequest",
        "id": id,
        "status": status,
        "intent": "order",
        "subject": {"reference": PERSON},
        "requester": {"reference": requester},
        **more,
    }


def consent(id: str = "consent", status: str = "active", **provision: Any) -> Resource:
    privacy = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
    return {
        "resourceType": "Consent",
        "id": id,
        "status": status,
        "scope": {"coding": [privacy]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": PERSON},
        **({"provision": provision} if provision else {}),
    }


def plan(**more: Any) -> Resource:
    return {
        "resourceType": "CarePlan",
        "id": "plan",
        "status": "active",
        "intent": "plan",
        "subject": {"reference": PERSON},
        "author": {"reference": HOSP},
        "careTeam": [{"reference": "CareTeam/team"}],
        **more,
    }


def care_team(**more: Any) -> Resource:
    return {
        "resourceType": "CareTeam",
        "id": "team",
        "status": "active",
        "subject": {"reference": PERSON},
        "managingOrganization": [{"reference": CMO}],
        **more,
    }


def history(*steps: Resource, minutes: tuple[int, ...]) -> list[Move]:
    """The moves of one resource that took these states at these minutes."""
    states: list[Resource | None] = [None, *steps]
    versioned = [s and {**s, "meta": {"versionId": str(n)}} for n, s in enumerate(states)]
    changes = [Change(before, after) for before, after in itertools.pairwise(versioned)]
    return [
        move
        for change, minute in zip(changes, minutes, strict=True)
        for move in moves_of([change], Actor(HOSP), at(minute), directory)
    ]


def journey(*statuses: str, id: str = "t1", owner: str = HOME, requester: str = HOSP, first: int = 1) -> list[Move]:
    """The moves of a Task through these statuses, ten minutes apart from minute `first`."""
    steps = [task(id, status, owner, requester) for status in statuses]
    return history(*steps, minutes=tuple(first + 10 * n for n in range(len(steps))))


def opened(*statuses: str, requester: str = HOSP) -> list[Move]:
    """The moves of the first order, ten minutes apart from minute 0."""
    steps = [order(status=status, requester=requester) for status in statuses or ("active",)]
    return history(*steps, minutes=tuple(10 * n for n in range(len(steps))))


def team_of(moves: list[Move], *consents: Any, now: int = 500, required: bool = False, actions: Any = ()) -> Team:
    return team(moves, consents, actions, HOSP, PERSON, CMO, consent_required=required, started=START, now=at(now))


def periods(found: Team, party: str) -> list[tuple[str, int, int | None]]:
    """(state, start, end) in minutes of each period of a party."""
    return [
        (m.state, minute(m.start), None if m.end is None else minute(m.end)) for m in found.members if m.party == party
    ]


def minute(moment: datetime) -> int:
    return round((moment - START).total_seconds() / 60)


def situation(moves: list[Move], **parts: Any) -> Situation:
    known = {"plan": plan(), "team": care_team(), **parts}
    return Situation(
        programme=als(),
        author=HOSP,
        custodian=CMO,
        subject=PERSON,
        started=START,
        directory=directory,
        moves=tuple(moves),
        **known,
    )
