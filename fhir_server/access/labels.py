"""Security labels: what `meta.security` says about who may see a resource, judged whenever it is asked for.

A confidentiality of R, or any code of sensitivity, restricts a resource to its author and to members who are cleared;
V leaves it to its author alone. In doubt a label of these systems restricts.
https://hl7.org/fhir/R4/security-labels.html
"""

from collections.abc import Iterable

from fhir_server.access.carrying import carried
from fhir_server.access.types import CHART, PARTY_OWNED, TYPES
from fhir_server.fhir.actor import CLEARED, Actor
from fhir_server.fhir.json import Resource
from fhir_server.fhir.outcome import Issue
from fhir_server.search.grant import RESTRICTED, VERY_RESTRICTED

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
SENSITIVITY = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
"""The system of the codes for what is sensitive: HIV, PSY, SUD, SDV and others."""

_OTHER_NAMES = {
    "http://hl7.org/fhir/v3/Confidentiality": CONFIDENTIALITY,
    "urn:oid:2.16.840.1.113883.5.25": CONFIDENTIALITY,
    "http://hl7.org/fhir/v3/ActCode": SENSITIVITY,
    "urn:oid:2.16.840.1.113883.5.4": SENSITIVITY,
}
"""What earlier versions of FHIR and HL7 v3 call the same systems; a label from there is no less one."""

JUDGED = frozenset(name for name, rule in TYPES.items() if rule.kind == CHART and name != "Patient")
"""The types whose labels are judged."""

_NORMAL = frozenset({"U", "L", "M", "N"})


def label_of(resource: Resource) -> str | None:
    """How far a resource is restricted: one of the chart by its labels, a Task or an order by what it carries.

    None when it is not. A Task or an order that carries what nobody may see before acceptance is its author's alone,
    and lies in no plan.
    """
    if carried(resource):
        return VERY_RESTRICTED
    return _strictest(resource) if resource["resourceType"] in JUDGED else None


def cleared_for(actor: Actor) -> tuple[str, ...]:
    """The restrictions that do not hold for the actor inside a plan that it is a member of."""
    return (RESTRICTED,) if CLEARED in actor.scopes else ()


def label_issues(resource: Resource) -> Iterable[Issue]:
    """A label that could not be kept: what is shared by its circle, or open to everybody, is restricted to nobody."""
    type_name = resource["resourceType"]
    its_authors_own = TYPES[type_name].kind == PARTY_OWNED
    if type_name in JUDGED or its_authors_own or _strictest(resource) is None:
        return []
    told = (
        f"A {type_name} is seen by all of its circle, or by everybody; this server cannot restrict it further. "
        "Leave the label out, and put what is restricted into the chart, such as an Observation."
    )
    return [Issue("business-rule", told, f"{type_name}.meta.security", "label-not-kept")]


def _strictest(resource: Resource) -> str | None:
    found = {_restriction(label) for label in resource.get("meta", {}).get("security", [])}
    return VERY_RESTRICTED if VERY_RESTRICTED in found else RESTRICTED if RESTRICTED in found else None


def _restriction(label: Resource) -> str | None:
    system, code = _OTHER_NAMES.get(label.get("system", ""), label.get("system")), label.get("code")
    if system == SENSITIVITY:
        return RESTRICTED
    if system not in {None, CONFIDENTIALITY} or code in _NORMAL:
        return None
    return VERY_RESTRICTED if code == "V" else RESTRICTED
