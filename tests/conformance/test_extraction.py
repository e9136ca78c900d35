"""What we find in a resource is what R4's own expressions find: value by value, in every official example."""

from collections.abc import Mapping
from typing import Any

import pytest

from fhir_server.access.types import TYPES
from fhir_server.definitions.search_parameters import SearchParameter, parameters_of, unserved
from fhir_server.fhir.json import Resource
from fhir_server.search.elements import values_of
from tests.conformance.fhirpath import Evaluate, alternatives, compiled, exactly, of_type, read
from tests.conformance.official import example, examples_of, needs_examples, search_parameters_of

# Which datatypes a type of parameter searches: https://hl7.org/fhir/R4/search.html#table
AMOUNTS = {"Quantity", "Age", "Count", "Distance", "Duration", "Money", "Range"}
CODED = {"CodeableConcept", "Coding", "Identifier"}
TEXTS = {"string", "markdown", "HumanName", "Address"}
SEARCHED: Mapping[str, set[str]] = {
    "date": {"date", "dateTime", "instant", "Period", "Timing"},
    "number": {"decimal", "integer", "positiveInt", "unsignedInt", "Range"},
    "quantity": AMOUNTS,
    "reference": {"Reference", "canonical", "uri", "url"},
    "string": TEXTS,
    "token": {"boolean", "canonical", "code", "ContactPoint", "id", "string", "uri"} | CODED,
    "uri": {"uri", "url", "canonical", "oid", "uuid"},
}  # fmt: skip
DEFINED = "its expression names an extension that R4 does not define; that of R4 is searched, too"
MORE = {
    "Observation.amino-acid-change": DEFINED,
    "Observation.code-value-string": "value-string, of which it is made, also finds the text of a coded value",
    "Observation.dna-variant": DEFINED,
    "Observation.gene-amino-acid-change": DEFINED,
    "Observation.gene-dnavariant": DEFINED,
    "Patient.mothersMaidenName": DEFINED,
}


@needs_examples
@pytest.mark.parametrize("type_name", sorted(TYPES))
def test_the_values_of_every_parameter_are_those_of_its_expression(type_name: str) -> None:
    resources = [(file.stem, example(file)) for file in examples_of(type_name)]
    assert resources, f"there are no examples of {type_name}"
    asked = [each for each in search_parameters_of(type_name) if each["type"] not in {"composite", "special"}]

    differing = {}
    for official in asked:
        parameter, paths = _served(type_name, official), of_type(official["expression"], type_name)
        if parameter is None:
            continue
        assert parameter.declared_type == official["type"]
        for name, resource in resources:
            found = [read(node) for path in paths for node in path(resource)]
            theirs = [value for datatype, value in found if datatype in SEARCHED[parameter.declared_type]]
            ours = [value for _, value in values_of(resource, parameter)]
            more = f"{type_name}.{parameter.code}" in MORE
            if not (exactly(theirs) <= exactly(ours) if more else exactly(ours) == exactly(theirs)):
                differing[name, parameter.code] = (ours, theirs)
    assert differing == {}


@needs_examples
def test_the_places_and_components_of_every_composite_are_those_of_its_expression() -> None:
    compared = 0
    for type_name in sorted(TYPES):
        resources = [example(file) for file in examples_of(type_name)] if _has_composites(type_name) else []
        for official in search_parameters_of(type_name):
            parameter = _served(type_name, official)
            if official["type"] != "composite" or parameter is None:
                continue
            places = of_type(official["expression"], type_name)
            kinds = [component.type for component in parameter.parts[0].components]
            components = [[compiled(one) for one in alternatives(each["expression"])] for each in official["component"]]
            for resource in resources:
                nodes = [node for place in places for node in place(resource)]
                theirs = [
                    [_found(paths, node, kind) for paths, kind in zip(components, kinds, strict=True)] for node in nodes
                ]
                ours = _places(resource, parameter)
                if f"{type_name}.{parameter.code}" in MORE:
                    assert all(each in _whole(ours) for each in _whole(theirs))
                else:
                    assert _whole(ours) == _whole(theirs), (resource["id"], parameter.code)
                compared += len(_whole(theirs))
    assert compared > 100


@needs_examples
def test_every_parameter_of_r4_is_served_or_named_as_not_served() -> None:
    for type_name in TYPES:
        served = set(parameters_of(type_name))
        named = {each.partition(".")[2] for each in unserved() if each.startswith((type_name, "Resource", "Domain"))}
        assert {each["code"] for each in search_parameters_of(type_name)} <= served | named


def _served(type_name: str, official: dict[str, Any]) -> SearchParameter | None:
    return parameters_of(type_name).get(official["code"])


def _has_composites(type_name: str) -> bool:
    return any(parameter.type == "composite" for parameter in parameters_of(type_name).values())


def _places(resource: Resource, parameter: SearchParameter) -> list[list[set[bytes]]]:
    return [
        [exactly(value for _, value in values_of(node, component)) for component in part.components]
        for part in parameter.parts
        for node in (resource.get(part.at, []) if part.at else [resource])
    ]


def _found(paths: list[Evaluate], node: Any, kind: str) -> set[bytes]:
    found = [read(each) for path in paths for each in path(node)]
    return exactly(value for datatype, value in found if datatype in SEARCHED[kind])


def _whole(places: list[list[set[bytes]]]) -> list[list[list[bytes]]]:
    """The places where every component has a value: others can be found by nothing."""
    return sorted([sorted(each) for each in place] for place in places if all(place))
