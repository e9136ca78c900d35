"""AuditEvents of interactions: one for each that was asked, with person, organisation, outcome and the policy's reason.

https://hl7.org/fhir/R4/auditevent.html
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fhir_server.definitions.operations import OPERATIONS
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.dates import instant
from fhir_server.fhir.json import Resource

_REST = {
    "system": "http://terminology.hl7.org/CodeSystem/audit-event-type",
    "code": "rest",
    "display": "RESTful Operation",
}
_INTERACTION = "http://hl7.org/fhir/restful-interaction"
_SOURCE = {
    "observer": {"display": "Samen"},
    "type": [{"system": "http://terminology.hl7.org/CodeSystem/security-source-type", "code": "4"}],
}

ACTIONS = {
    "create": "C",
    "read": "R",
    "vread": "R",
    "history-instance": "R",
    "history-type": "R",
    "history-system": "R",
    "search-type": "E",
    "search-system": "E",
    "update": "U",
    "patch": "U",
    "delete": "D",
    "transaction": "E",
    "batch": "E",
    "capabilities": "R",
    "sign-in": "E",
    "purge": "D",
}
# As R4 has it: the other codes of this system say what else a thing may be in an event.
_PATIENT = {"system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "1"}
_OPERATION = "https://samen.example/fhir/CodeSystem/operation"

SERVER = Actor(client_id="samen")
"""This server, where it writes by itself."""

DONE = "0"
REFUSED = "4"
FAILED = "8"


@dataclass(frozen=True)
class Occurrence:
    """What is to be told: the interaction, what it touched, what it asked, how it ended and why it was allowed.

    `patient` is the person that all of it is about, `people` are they when it is about several.
    """

    interaction: str
    entities: Sequence[str] = ()
    patient: str | None = None
    people: Sequence[str] = ()
    query: str | None = None
    outcome: str = DONE
    description: str | None = None
    reason: str | None = None


def audit_event(id: str, moment: datetime, actor: Actor | None, occurrence: Occurrence) -> Resource:
    """The AuditEvent that tells `occurrence`; an absent actor is one who could not prove who it is."""
    recorded = instant(moment)
    event: Resource = {
        "resourceType": "AuditEvent",
        "id": id,
        "meta": {"versionId": "1", "lastUpdated": recorded},
        "type": _REST,
        "subtype": _subtype(occurrence.interaction),
        "action": ACTIONS.get(occurrence.interaction, "E"),
        "recorded": recorded,
        "outcome": occurrence.outcome,
    }
    if occurrence.description:
        event["outcomeDesc"] = occurrence.description
    event["agent"] = [_agent(actor)]
    event["source"] = _SOURCE
    entities = _entities(occurrence)
    if entities:
        event["entity"] = entities
    return event


def _subtype(interaction: str) -> list[Resource]:
    """The interaction; an operation is one of its own code system, so that readers of R4's list know it too."""
    if interaction in OPERATIONS or interaction == "purge":
        return [{"system": _INTERACTION, "code": "operation"}, {"system": _OPERATION, "code": interaction}]
    return [{"system": _INTERACTION, "code": interaction}]


def _agent(actor: Actor | None) -> Resource:
    if actor == SERVER:
        return {"requestor": True, "name": "Samen"}
    if actor is None:
        return {"requestor": True, "name": "unauthenticated"}
    agent: Resource = {"who": {"reference": actor.person or actor.organization}, "requestor": True}
    if actor.person and actor.organization:
        agent["altId"] = actor.organization
    elif actor.client_id:
        agent["altId"] = actor.client_id
    if actor.roles:
        agent["role"] = [{"text": role} for role in sorted(actor.roles)]
    return agent


def _entities(occurrence: Occurrence) -> list[Resource]:
    entities: list[Resource] = [{"what": {"reference": reference}} for reference in occurrence.entities]
    people = occurrence.people or ([occurrence.patient] if occurrence.patient else ())
    entities += [
        {"what": {"reference": person}, "role": _PATIENT} for person in people if person not in occurrence.entities
    ]
    if occurrence.query:
        entities.append({"query": base64.b64encode(occurrence.query.encode()).decode()})
    if occurrence.reason:
        entities.append({"detail": [{"type": "reason", "valueString": occurrence.reason}], "name": "policy"})
    return entities
