"""Who acts behind a reference, and in which roles an actor stands towards a resource.

A party is a reference to an Organization, Patient, Practitioner or RelatedPerson. A HealthcareService acts through the
organisation that provides it, a PractitionerRole through its organisation; a Device acts for nobody.
"""

from collections.abc import Callable, Collection
from typing import TypeAlias

from fhir_server.fhir.errors import InvalidResource
from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import parse_reference

Directory: TypeAlias = Callable[[str], Resource | None]

REQUESTER = "requester"
OWNER = "owner"
CUSTODIAN = "custodian"
SERVER = "server"
SUBJECT = "subject"
MEMBER = "member"
AUTHOR = "author"

_THEMSELVES = frozenset({"Organization", "Patient", "Practitioner", "RelatedPerson"})
_THROUGH = {"PractitionerRole": "organization", "HealthcareService": "providedBy"}


def party(reference: str, directory: Directory, path: str | None = None) -> str:
    """The party that acts behind `reference` (`Type/id`); `path` is the element that an error names.

    Raises InvalidResource for anything that cannot act, and for a role or service that leads to no organisation.
    """
    target = parse_reference(reference)
    if target is None:
        raise InvalidResource(
            f"{reference!r} is not a reference to a resource on this server, such as Organization/7.", path, "party"
        )
    if target.type in _THEMSELVES:
        return str(target)
    if target.type not in _THROUGH:
        raise InvalidResource(
            f"A {target.type} cannot act here; name an Organization, Practitioner, PractitionerRole, "
            "HealthcareService, Patient or RelatedPerson.",
            path,
            "party",
        )
    return _organization_of(str(target), _THROUGH[target.type], directory, path)


def party_of(resource: Resource, element: str, directory: Directory) -> str | None:
    """The party behind a single-reference element such as `Task.owner`; None when the element is absent.

    Raises InvalidResource, naming the element, as `party` does.
    """
    if element not in resource:
        return None
    path = f"{resource['resourceType']}.{element}"
    return party(resource[element].get("reference", ""), directory, path)


def roles_towards(
    resource: Resource,
    acting: Collection[str],
    directory: Directory,
    *,
    custodian: str | None = None,
    members: Collection[str] = (),
    author: str | None = None,
) -> frozenset[str]:
    """The roles in which the party keys `acting` stand towards `resource`.

    `custodian`, the active `members` and `author` are those of the plan that the resource lies in (for a Consent:
    `author` is who recorded it). A reference that leads to no party gives no role.
    """
    held = {
        REQUESTER: _named(resource, "requester", directory) in acting,
        OWNER: resource["resourceType"] == "Task" and _named(resource, "owner", directory) in acting,
        SUBJECT: any(_named(resource, element, directory) in acting for element in ("subject", "patient", "for")),
        CUSTODIAN: custodian in acting,
        MEMBER: any(key in members for key in acting),
        AUTHOR: author in acting,
    }
    return frozenset(role for role, holds in held.items() if holds)


def _named(resource: Resource, element: str, directory: Directory) -> str | None:
    try:
        return party_of(resource, element, directory)
    except InvalidResource:
        return None


def _organization_of(reference: str, element: str, directory: Directory, path: str | None) -> str:
    found = directory(reference)
    target = parse_reference(found.get(element, {}).get("reference", "")) if found else None
    if target is None or target.type != "Organization":
        raise InvalidResource(
            f"{reference} leads to no organisation; its `{element}` must name an Organization on this server.",
            path,
            "party",
        )
    return str(target)
