"""The world of the leak matrix: a circle with a resource of each type, one without consent, and every kind of actor."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pymongo.database import Database

from fhir_server.access.types import TYPES
from fhir_server.definitions.structures import load
from fhir_server.demo.referral import NURSING, consent
from fhir_server.fhir.dates import instant, now
from fhir_server.fhir.json import Resource
from fhir_server.subscriptions.topics import TOPICS
from tests.minimal import minimal
from tests.world import Case, Party, World

TO_THE_END = ("accepted", "in-progress", "completed")
FULFIL = {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]}


@dataclass(frozen=True)
class Circle:
    """One plan with one resource of each type in it, `refs` by type, and AuditEvents that tell of it.

    `tasks` and `orders` are by the kind of the owner whom they ask.
    """

    case: Case
    refs: Mapping[str, str]
    events: tuple[str, ...]
    tasks: Mapping[str, str] = field(default_factory=dict)
    orders: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Matrix:
    """Everything that the matrix asks about: actors by kind, and the circle that each kind is asked about."""

    world: World
    agreed: Circle
    unagreed: Circle
    elsewhere: str
    parties: Mapping[str, Party]
    database: Database[dict[str, Any]]

    def circle(self, kind: str) -> Circle:
        """The circle that an actor of this kind is asked about."""
        return self.unagreed if kind.endswith("without consent") else self.agreed


def order(requester: Party, patient: str, **elements: Any) -> Resource:
    """An active order of `requester`."""
    return {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "code": {"coding": [NURSING]},
        "subject": {"reference": patient},
        "requester": {"reference": requester.reference},
        **elements,
    }


def task(requester: Party, owner: Party, patient: str, focus: str, **elements: Any) -> Resource:
    """A Task that asks `owner` to fulfil an order."""
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": FULFIL,
        "focus": {"reference": focus},
        "for": {"reference": patient},
        "requester": {"reference": requester.reference},
        "owner": {"reference": owner.reference},
        "authoredOn": instant(now()),
        **elements,
    }


def made(party: Party, resource: Resource) -> str:
    """The reference to `resource`, which `party` must be able to create."""
    reply = party.post(resource)
    assert reply.status == 201, (resource["resourceType"], reply.status, reply.body)
    return f"{resource['resourceType']}/{reply.body['id']}"


def asked(requester: Party, owner: Party, case: Case, *steps: str) -> tuple[str, str]:
    """A further order and Task in the plan, moved by its owner through `steps`; their references."""
    plan = [{"reference": case.plan}]
    ordered = made(requester, order(requester, case.patient, basedOn=plan))
    sent = made(requester, task(requester, owner, case.patient, ordered, basedOn=plan))
    walk(owner, sent, *steps)
    return ordered, sent


def walk(owner: Party, reference: str, *steps: str) -> None:
    """Move a Task."""
    for step in steps:
        reply = owner.move(reference, step)
        assert reply.status == 200, (step, reply.body)


def second_custodian(world: World) -> Party:
    """Another case manager, for who speaks German in Wallonia."""
    other = world.party()
    [known] = [s for s in world.operator.get("HealthcareService?_count=500").entries if s["id"].endswith("be-wal")]
    language = {"coding": [{"system": "urn:ietf:bcp:47", "code": "de"}]}
    service = {**known, "id": "m-case-management-de", "providedBy": {"reference": other.reference}}
    assert world.operator.put({**service, "communication": [language]}).status in {200, 201}
    return other


def resource_of(type_name: str, author: Party, refs: Mapping[str, str], plan: str | None = None) -> Resource:
    """A valid resource of any type that clients create, about the person in `refs` and by `author`."""
    references = {"Organization": author.reference, **refs}
    special = _SPECIAL.get(type_name)
    resource = minimal(type_name, references=references, **(special(author, refs) if special else {}))
    for element in ("subject", "patient", "for"):
        if _may_name_patient(type_name, element) and TYPES[type_name].kind in {"chart", "coordination"}:
            resource[element] = {"reference": refs["Patient"]}
    if plan and _may_name_plan(type_name):
        resource["basedOn"] = [{"reference": plan}]
    return resource


def _may_name_patient(type_name: str, name: str) -> bool:
    return any(
        e.name == name and e.types == ("Reference",) and not e.repeats and (not e.targets or "Patient" in e.targets)
        for e in load().elements(type_name)
    )


def _may_name_plan(type_name: str) -> bool:
    return any(e.name == "basedOn" and (not e.targets or "CarePlan" in e.targets) for e in load().elements(type_name))


def _subscription(author: Party, refs: Mapping[str, str]) -> Resource:
    content = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-payload-content"
    return {
        "status": "requested",
        "reason": "to be told",
        "criteria": next(iter(TOPICS)),
        "channel": {
            "type": "rest-hook",
            "endpoint": "http://127.0.0.1:9/never-called",
            "payload": "application/fhir+json",
            "_payload": {"extension": [{"url": content, "valueCode": "id-only"}]},
        },
    }


def _insured(author: Party, refs: Mapping[str, str]) -> Resource:
    return {"insurance": [{"sequence": 1, "focal": True, "coverage": {"display": "Mutualiteit"}}]}


def _covered(author: Party, refs: Mapping[str, str]) -> Resource:
    return {"insurance": [{"focal": True, "coverage": {"display": "Mutualiteit"}}]}


_SPECIAL: Mapping[str, Callable[[Party, Mapping[str, str]], Resource]] = {
    "Appointment": lambda author, refs: {
        "participant": [{"actor": {"reference": refs["Patient"]}, "status": "accepted"}]
    },
    "Provenance": lambda author, refs: {"target": [{"reference": refs.get("Observation", refs["Patient"])}]},
    "Consent": lambda author, refs: consent(refs["Patient"], now(), author.reference),
    "ServiceRequest": lambda author, refs: order(author, refs["Patient"]),
    "Task": lambda author, refs: task(author, author, refs["Patient"], refs["ServiceRequest"]),
    "Subscription": _subscription,
    "DeviceRequest": lambda author, refs: {"codeReference": None, "codeCodeableConcept": {"text": "wheelchair"}},
    "DeviceUseStatement": lambda author, refs: {"device": {"display": "wheelchair"}},
    "Claim": _insured,
    "ExplanationOfBenefit": _covered,
    "PractitionerRole": lambda author, refs: {"organization": {"reference": author.reference}},
    "List": lambda author, refs: {"subject": {"reference": refs["Patient"]}},
}


def fill(world: World, case: Case, author: Party, known: Mapping[str, str]) -> dict[str, str]:
    """A resource of each type in the plan of `case`, made by whoever is its right author; references by type."""
    operator = world.operator
    refs = {
        "Patient": case.patient,
        "CarePlan": case.plan,
        "CareTeam": case.team,
        **known,
    }
    refs["Consent"] = case.consent or made(author, {**resource_of("Consent", author, refs), "status": "proposed"})
    later = ("Provenance",)
    for type_name in [*(name for name in sorted(TYPES) if name not in later), *later]:
        if type_name in refs or type_name == "AuditEvent":
            continue
        if TYPES[type_name].creates == "operator":
            resource = {**resource_of(type_name, operator, refs), "id": f"m-{uuid.uuid4().hex[:12]}"}
            reply = operator.put(resource)
            assert reply.status == 201, (type_name, reply.body)
            refs[type_name] = f"{type_name}/{resource['id']}"
        else:
            refs[type_name] = made(author, resource_of(type_name, author, refs))
    return {**refs, "AuditEvent": told_of(world, case)[0]}


def told_of(world: World, case: Case) -> tuple[str, ...]:
    """Some AuditEvents that tell of the plan."""
    found = world.parts.store.in_plan(case.plan.partition("/")[2], "AuditEvent")
    return tuple(event.reference for event in found[:20])
