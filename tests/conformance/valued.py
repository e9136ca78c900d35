"""A small resource that has a value for a search parameter, where no official example has one."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from fhir_server.definitions.search_parameters import SearchParameter
from fhir_server.definitions.structures import Element, load
from fhir_server.definitions.value_paths import ElementPath, Step
from fhir_server.fhir.json import Resource
from tests.conformance.questions import questions
from tests.http.resources import imported
from tests.minimal import PRIMITIVES, fields_of, value_of

_SYSTEM, _CODE = "https://samen.example/fhir/codes", "a-code"
_CODING = {"system": _SYSTEM, "code": _CODE, "display": "Some words"}
_AMOUNT = {"value": Decimal("5.40"), "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
_YEARS = {"value": Decimal(54), "unit": "years", "system": "http://unitsofmeasure.org", "code": "a"}
_HOURS = {**_YEARS, "unit": "hours", "code": "h"}
_DATATYPES: dict[str, Any] = {
    "Address": {"line": ["Veldstraat 1"], "city": "Gent", "postalCode": "9000"},
    "Age": _YEARS,
    "Coding": _CODING,
    "CodeableConcept": {"coding": [_CODING], "text": "Some words"},
    "ContactPoint": {"system": "phone", "value": "+32 9 123 45 67"},
    "Duration": _HOURS,
    "Identifier": {"system": _SYSTEM, "value": "77", "type": {"coding": [_CODING], "text": "Some words"}},
    "Period": {"start": "2026-03-01", "end": "2026-03-31"},
    "Quantity": _AMOUNT,
    "SimpleQuantity": _AMOUNT,
    "Timing": {"event": ["2026-03-01", "2026-03-08"]},
    "Range": {"low": {"value": Decimal(2)}, "high": {"value": Decimal(8)}},
}
_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_RESOLVED = {"clinicalStatus": {"coding": [{"system": _CLINICAL, "code": "resolved"}]}}
_ROOT = {"id": "Task", "path": "Task", "min": 0, "max": "*", "definition": "A Task"}
_FIRST = {**_ROOT, "base": {"path": "Task", "min": 0, "max": "*"}}
_OTHER_MAP = {"mode": "other-map", "url": "https://samen.example/fhir/ConceptMap/other"}
_SAME = {"code": _CODE, "target": [{"code": _CODE, "equivalence": "equal"}]}
_BOUND = {
    **{**_ROOT, "id": "Task.code", "path": "Task.code", "type": [{"code": "CodeableConcept"}]},
    "base": {"path": "Task.code", "min": 0, "max": "1"},
    "binding": {"strength": "required", "valueSet": "https://samen.example/fhir/ValueSet/some"},
}
_ALSO: dict[str, Resource] = {
    "Appointment.date": {"end": "2026-03-01T10:00:00.000+01:00"},
    "CapabilityStatement.software": {"kind": "capability"},
    "ConceptMap.other": {"group": [{"element": [_SAME], "unmapped": _OTHER_MAP}]},
    "Condition.abatement-age": _RESOLVED,
    "Condition.abatement-date": _RESOLVED,
    "Condition.abatement-string": _RESOLVED,
    "RequestGroup.participant": {
        "action": [{"participant": [{"reference": "Patient/some"}], "resource": {"reference": "Task/some"}}]
    },
    "StructureDefinition.base-path": {"snapshot": {"element": [_FIRST, _BOUND]}},
    "StructureDefinition.valueset": {"snapshot": {"element": [_FIRST, _BOUND]}},
    "ValueSet.code": {"expansion": {"timestamp": "2026-03-01", "contains": [_CODING]}},
}
"""What invariants ask for beside the value."""


def valued(type_name: str, parameter: SearchParameter) -> Resource:
    """A resource of the type that the operator may import, with a value for the parameter."""
    base = imported(type_name) | ({"birthDate": _born()} if parameter.type == "age" else {})
    if parameter.type != "composite":
        if questions(parameter, base):
            return base
        path, also = parameter.paths[0], _ALSO.get(f"{type_name}.{parameter.code}", {})
        found = _beside(type_name, path.steps[0], base) | _below(type_name, path, base) | also
        return {name: value for name, value in found.items() if name != "contained" or parameter.code != "coverage"}
    part = parameter.parts[0]
    if not part.at:
        for component in part.components:
            path = component.paths[0]
            base = _beside(type_name, path.steps[0], base) | _below(type_name, path, base)
        return base
    element, datatype = _element(type_name, part.at)
    at = datatype.removeprefix("#")
    inside = fields_of(load(), at, {})
    for component in part.components:
        inside = _beside(at, component.paths[0].steps[0], inside) | _below(at, component.paths[0], inside)
    return base | {part.at: [inside] if element.repeats else inside}


def _born() -> str:
    """A day of birth whose birthday is not tomorrow: on its eve nobody can be asked for an age."""
    return "1960-10-05" if datetime.now(UTC).month == 4 else "1960-04-05"


def _below(at: str, path: ElementPath, held: Resource, step: int = 0) -> Resource:
    """The element that a path names at a place, with a value at the end of the path."""
    here = path.steps[step]
    element, datatype = _element(at, here.name)
    if step + 1 == len(path.steps):
        value = _value(element, datatype, path)
    else:
        plain, following = datatype.removeprefix("#"), path.steps[step + 1]
        inside = held.get(here.name, {})
        least = _value(element, datatype, path) if datatype == "Reference" else fields_of(load(), plain, {})
        inside = least | (inside[0] if isinstance(inside, list) else inside)
        value = _beside(plain, following, inside) | _below(plain, path, inside, step + 1)
    if here.element == "extension.url":
        value = {**value, "extension": [{"url": here.value, "valueBoolean": True}]}
    elif here.element is not None:
        value = {**value, here.element: here.value}
    return {here.name: [value] if element.repeats else value}


def _beside(at: str, step: Step, held: Resource) -> Resource:
    """What is held, without the other forms of a choice."""
    names = _element(at, step.name)[0].json_names()
    return {name: value for name, value in held.items() if name not in names}


def _element(at: str, name: str) -> tuple[Element, str]:
    for element in load().elements(at):
        names = element.json_names()
        if name in names:
            return element, names[name]
    raise KeyError(f"{at}.{name}")


def _value(element: Element, datatype: str, path: ElementPath) -> Any:
    if datatype == "Reference":
        target = path.only or next(iter(sorted(element.targets)), "Patient")
        return {"reference": f"{target}/some", "identifier": {"system": _SYSTEM, "value": "77"}}
    if datatype in _DATATYPES and element.value_set is None:
        return _DATATYPES[datatype]
    if datatype in PRIMITIVES and element.value_set is None:
        return PRIMITIVES[datatype]
    return value_of(load(), element, datatype, {})
