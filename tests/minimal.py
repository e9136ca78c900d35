"""The smallest valid resource of any supported type, built from the tables of R4."""

from collections.abc import Mapping
from typing import Any

from fhir_server.definitions.structures import Element, Structures, load
from fhir_server.fhir.json import Resource

PRIMITIVES: dict[str, Any] = {
    "base64Binary": "SGVsbG8=",
    "boolean": True,
    "canonical": "https://samen.example/fhir/Questionnaire/intake",
    "code": "en",
    "date": "2026-03-01",
    "dateTime": "2026-03-01T09:00:00+01:00",
    "decimal": 1,
    "id": "a1",
    "instant": "2026-03-01T09:00:00.000+01:00",
    "integer": 1,
    "markdown": "Some text",
    "oid": "urn:oid:1.2.3",
    "positiveInt": 1,
    "string": "Some text",
    "time": "09:00:00",
    "unsignedInt": 0,
    "uri": "https://samen.example/fhir/something",
    "url": "https://samen.example/fhir/something",
    "uuid": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
    "xhtml": '<div xmlns="http://www.w3.org/1999/xhtml">Some text</div>',
}
# Of the codes that an element requires, the first of these that it has; else the first in the alphabet.
PREFERRED_CODES = ("active", "requested", "final", "order", "proposed", "in-progress", "requirements")
PREFERRED_TARGETS = ("Patient", "Practitioner", "Organization", "Device")
# What invariants ask for beyond the required elements.
ALSO: dict[str, Resource] = {
    "AllergyIntolerance": {
        "clinicalStatus": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}
            ]
        }
    },
    "Appointment.participant": {"type": [{"text": "Some text"}]},
    "CapabilityStatement": {"description": "Some text", "rest": [{"mode": "server"}]},
    "Consent": {"policyRule": {"text": "Some text"}},
    "OperationDefinition.parameter": {"type": "string"},
    "SearchParameter": {"status": "draft"},
    "Organization": {"name": "Some text"},
    "StructureDefinition": {
        "kind": "resource",
        "abstract": False,
        "type": "Task",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Task",
        "differential": {"element": [{"id": "Task", "path": "Task"}]},
    },
}


def minimal(type_name: str, *, references: Mapping[str, str] | None = None, **overrides: Any) -> Resource:
    """A valid resource of `type_name` with its required elements only, without id.

    `references` names the resource to point to for each type (`{"Patient": "Patient/7"}`); a required Reference takes
    the first that its element allows, else an invented one. `overrides` are elements to set; None leaves one out.
    """
    resource = {"resourceType": type_name} | fields_of(load(), type_name, references or {}) | overrides
    return {name: value for name, value in resource.items() if value is not None}


def fields_of(structures: Structures, path: str, references: Mapping[str, str]) -> Resource:
    fields: Resource = {}
    for element in structures.elements(path):
        if element.required:
            name, type_name = next(iter(element.json_names().items()))
            value = value_of(structures, element, type_name, references)
            fields[name] = [value] if element.repeats else value
    return fields | ALSO.get(path, {})


def value_of(structures: Structures, element: Element, type_name: str, references: Mapping[str, str]) -> Any:
    if type_name == "Reference":
        return {"reference": _target(element, references)}
    if type_name in PRIMITIVES:
        return _code(structures, element)[1] if _is_bound(structures, element) else PRIMITIVES[type_name]
    if type_name == "CodeableConcept" and _is_bound(structures, element):
        system, code = _code(structures, element)
        return {"coding": [{"system": system, "code": code}]}
    if type_name == "Resource":
        return minimal("Patient")
    return fields_of(structures, type_name.removeprefix("#"), references) or _some(structures, type_name)


def _some(structures: Structures, type_name: str) -> Resource:
    """A datatype of which R4 requires no element: its first primitive says something."""
    texts = [e for e in structures.elements(type_name.removeprefix("#")) if e.types == ("string",) and e.name != "id"]
    return (
        {texts[0].name: "Some text"} if texts else {"extension": [{"url": "https://samen.example/x", "valueCode": "x"}]}
    )


def _is_bound(structures: Structures, element: Element) -> bool:
    return element.value_set is not None and structures.codes(element.value_set) is not None


def _code(structures: Structures, element: Element) -> tuple[str, str]:
    codes = structures.codes(str(element.value_set)) or {}
    pairs = sorted((code, system) for system, listed in codes.items() for code in listed)
    preferred = [pair for wanted in PREFERRED_CODES for pair in pairs if pair[0] == wanted]
    code, system = (preferred or pairs)[0]
    return system, code


def _target(element: Element, references: Mapping[str, str]) -> str:
    given = [to for type_name, to in references.items() if not element.targets or type_name in element.targets]
    preferred = [type_name for type_name in PREFERRED_TARGETS if not element.targets or type_name in element.targets]
    return (given or [f"{type_name}/example" for type_name in (*preferred, *sorted(element.targets))])[0]
