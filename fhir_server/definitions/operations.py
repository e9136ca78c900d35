"""The operations of this server: what each is called in an address, and the OperationDefinition that defines it.

An operation's name, as addresses and audit know it, is the id of its definition.

https://hl7.org/fhir/R4/operationslist.html
"""

from collections.abc import Mapping
from dataclasses import dataclass

_R4 = "http://hl7.org/fhir/OperationDefinition/"
_BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/"
_OWN = "https://samen.example/fhir/OperationDefinition/"


@dataclass(frozen=True)
class OperationDefinition:
    """The code behind the `$` of an address, the canonical url of the definition, whether it changes a resource."""

    code: str
    canonical: str
    changes: bool = False


OPERATIONS: Mapping[str, OperationDefinition] = {
    "Patient-everything": OperationDefinition("everything", f"{_R4}Patient-everything"),
    "CarePlan-everything": OperationDefinition("everything", f"{_OWN}CarePlan-everything"),
    "Resource-validate": OperationDefinition("validate", f"{_R4}Resource-validate"),
    "Resource-meta": OperationDefinition("meta", f"{_R4}Resource-meta"),
    "Resource-meta-add": OperationDefinition("meta-add", f"{_R4}Resource-meta-add", changes=True),
    "Resource-meta-delete": OperationDefinition("meta-delete", f"{_R4}Resource-meta-delete", changes=True),
    "CapabilityStatement-versions": OperationDefinition("versions", f"{_R4}CapabilityStatement-versions"),
    "Subscription-status": OperationDefinition("status", f"{_BACKPORT}backport-subscription-status"),
    "Subscription-events": OperationDefinition("events", f"{_BACKPORT}backport-subscription-events"),
    "explain": OperationDefinition("explain", f"{_OWN}explain"),
}
"""By name."""
