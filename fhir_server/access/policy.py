"""May this actor write this: the general rule of each class, before `care/` speaks of the workflow.

A resource that the actor cannot read is answered as absent before any of this is asked.
"""

from collections.abc import Sequence

from fhir_server.access.types import AUTHOR, CHART, CLIENTS, COORDINATION, NOBODY, OPERATOR, PARTIES, TYPES
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import Forbidden
from fhir_server.fhir.json import Resource

_NOT_BY_CLIENTS = {
    "CarePlan": "A plan is opened by a Task that asks for an ordered service, never posted by a client.",
    "CareTeam": "The team follows from the Tasks and the person's consents; it is never posted by a client.",
    "AuditEvent": "Only the server writes the audit.",
}


def check_create(actor: Actor, resource: Resource, plans: Sequence[str], member_of: Sequence[str]) -> str:
    """The reason for which `actor` may create `resource` in `plans`. Raises Forbidden."""
    type_name = resource["resourceType"]
    rule = TYPES[type_name]
    if rule.creates == NOBODY:
        raise Forbidden(_NOT_BY_CLIENTS[type_name], type_name, "type-access")
    if actor.imports:
        return "import scope of the operator"
    if rule.creates == OPERATOR:
        raise Forbidden(
            _NOT_BY_CLIENTS.get(type_name, f"Only the operator creates resources of the type {type_name}."),
            type_name,
            "type-access",
        )
    check_membership(type_name, plans, member_of)
    _check_represented(actor, resource)
    return f"active member of CarePlan/{plans[0]}" if plans else "author"


def check_membership(type_name: str, plans: Sequence[str], member_of: Sequence[str]) -> None:
    """Raise Forbidden unless the actor may add to each of `plans`; it names none, for they may be hidden."""
    if not set(plans) <= set(member_of):
        raise Forbidden(
            "You are not an active member of the care team of each plan that this would belong to; only members add "
            "to a plan.",
            type_name,
            "not-a-member",
        )


def check_update(actor: Actor, resource: Resource, author: str | None) -> str:
    """The reason for which `actor` may change what it can read. Raises Forbidden; `care/` judges elements and moves."""
    type_name = resource["resourceType"]
    rule = TYPES[type_name]
    if rule.updates != NOBODY and actor.imports:
        return "import scope of the operator"
    if rule.updates == PARTIES:
        return "party to the workflow"
    if rule.updates == AUTHOR and author in actor.parties:
        _check_represented(actor, resource)
        return "its author"
    who = "its author" if rule.updates == AUTHOR else "the operator" if rule.updates == OPERATOR else "the server"
    raise Forbidden(f"Only {who} may change this {type_name}.", type_name, "not-the-author")


def check_delete(actor: Actor, type_name: str, author: str | None) -> str:
    """The reason for which `actor` may delete what it can read. Raises Forbidden."""
    rule = TYPES[type_name]
    if rule.deletes != NOBODY and actor.imports:
        return "import scope of the operator"
    if rule.deletes == AUTHOR and author in actor.parties:
        return "its author"
    hint = " Mark it entered-in-error instead." if rule.kind in {COORDINATION, CHART} else ""
    raise Forbidden(f"A {type_name} is not deleted by clients.{hint}", type_name, "not-deletable")


def client_may(type_name: str, interaction: str) -> bool:
    """Whether some client that is not the operator may create, update, patch or delete resources of the type."""
    rule = TYPES[type_name]
    allowed = {"create": rule.creates, "update": rule.updates, "patch": rule.updates, "delete": rule.deletes}[
        interaction
    ]
    return allowed in {CLIENTS, AUTHOR, PARTIES}


def _check_represented(actor: Actor, resource: Resource) -> None:
    """A role in the directory is stated only by the organisation that it belongs to."""
    if resource["resourceType"] != "PractitionerRole":
        return
    organization = resource.get("organization", {}).get("reference")
    if organization != actor.organization:
        raise Forbidden(
            "A PractitionerRole is stated by the organisation that it belongs to.",
            "PractitionerRole.organization",
            "not-represented",
        )
