"""Invariants of the resources that coordinate care: CarePlan, CareTeam, ServiceRequest, Task, RequestGroup."""

from fhir_server.fhir.reference import parse_reference
from fhir_server.validation.invariants.words import Fields, Invariant, Invariants, has, in_order

_HAS_STATUS_AND_INTENT = Invariant(
    "samen-1",
    "status and intent must have values here; an extension in their place is not enough.",
    lambda resource: "status" in resource and "intent" in resource,
)


def _type_of(reference: Fields) -> str | None:
    """The type that a reference states or spells; None when only its target could tell."""
    literal = str(reference.get("reference", ""))
    parsed = parse_reference("/".join(literal.split("/")[-2:])) or parse_reference(literal)
    return reference.get("type") or (parsed.type if parsed else None)


def _represents_as_practitioner(participant: Fields) -> bool:
    """ctm-1, as far as the reference itself tells; a member in `contained` is judged at the team."""
    return not has(participant, "onBehalfOf") or _type_of(participant.get("member", {})) in (None, "Practitioner")


def _contained_members_are_practitioners(team: Fields) -> bool:
    types = {"#" + c.get("id", ""): c["resourceType"] for c in team.get("contained", ())}
    representing = [p for p in team.get("participant", ()) if has(p, "onBehalfOf")]
    return all(types.get(p.get("member", {}).get("reference"), "Practitioner") == "Practitioner" for p in representing)


_CTM_1 = "Only a member that is a Practitioner may act on behalf of an organisation."

INVARIANTS: Invariants = {
    "CarePlan": (_HAS_STATUS_AND_INTENT,),
    "CarePlan.activity": (
        Invariant(
            "cpl-3",
            "An activity must have either a detail or a reference, not both.",
            lambda activity: not ("detail" in activity and "reference" in activity),
        ),
    ),
    "CareTeam": (Invariant("ctm-1", _CTM_1, _contained_members_are_practitioners),),
    "CareTeam.participant": (Invariant("ctm-1", _CTM_1, _represents_as_practitioner),),
    "RequestGroup.action": (
        Invariant(
            "rqg-1",
            "An action must have either a resource or actions of its own.",
            lambda action: ("resource" in action) != ("action" in action),
        ),
    ),
    "ServiceRequest": (
        _HAS_STATUS_AND_INTENT,
        Invariant(
            "prr-1",
            "orderDetail needs a code beside it.",
            lambda request: "orderDetail" not in request or "code" in request,
        ),
    ),
    "Task": (
        _HAS_STATUS_AND_INTENT,
        Invariant(
            "inv-1",
            "lastModified must not be before authoredOn.",
            lambda task: in_order(task.get("authoredOn"), task.get("lastModified")),
        ),
    ),
}
