"""The other statements that `/metadata` makes: of terminology, and of the normative part of what this server does.

https://hl7.org/fhir/R4/http.html#capabilities
https://hl7.org/fhir/R4/terminologycapabilities.html
"""

from typing import Any

from fhir_server.fhir.dates import instant
from fhir_server.fhir.json import Resource
from fhir_server.interactions.words import Services

# The elements of a CapabilityStatement that R4 marks trial-use; the others are normative.
TRIAL_USE = frozenset(
    [
        "useContext",
        "imports",
        "implementation.custodian",
        "rest.security",
        "rest.resource.supportedProfile",
        "rest.resource.versioning",
        "rest.resource.readHistory",
        "rest.resource.updateCreate",
        "rest.resource.conditionalCreate",
        "rest.resource.conditionalRead",
        "rest.resource.conditionalUpdate",
        "rest.resource.conditionalDelete",
        "rest.resource.referencePolicy",
        "rest.resource.searchInclude",
        "rest.resource.searchRevInclude",
        "messaging",
        "document",
    ]
)


def normative(statement: Resource) -> Resource:
    """A CapabilityStatement without what R4 marks as trial use."""
    told: Resource = _without(statement, "")
    return told


def terminology(services: Services) -> Resource:
    """What this server does with code systems and value sets: no operation of a terminology service.

    A ValueSet is found by the codes that stand in it.
    """
    return {
        "resourceType": "TerminologyCapabilities",
        "status": "active",
        "date": instant(services.clock()),
        "description": "There is no $expand, $validate-code, $lookup, $translate, $subsumes or $closure. Searches by "
        ":in and :not-in read the codes that a stored ValueSet names or has in its expansion; required bindings of R4 "
        "are checked when a resource is written.",
        "kind": "instance",
        "software": {"name": "Samen", "version": services.software_version},
        "implementation": {"description": "Samen: one shared care plan", "url": services.base_url},
        "codeSearch": "explicit",
    }


def _without(value: Any, path: str) -> Any:
    if isinstance(value, list):
        return [_without(each, path) for each in value]
    if not isinstance(value, dict):
        return value
    paths = {name: f"{path}.{name}".lstrip(".") for name in value}
    return {name: _without(child, paths[name]) for name, child in value.items() if paths[name] not in TRIAL_USE}
