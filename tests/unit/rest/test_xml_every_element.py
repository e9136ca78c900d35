"""Each element that R4 defines, in each of its types, with an id and extensions wherever it may have them."""

from typing import Any

import pytest

from fhir_server.definitions.structures import Element, load
from fhir_server.fhir.json import Resource
from fhir_server.rest.xml.decode import decode
from fhir_server.rest.xml.encode import encode
from tests.minimal import PRIMITIVES

STRUCTURES = load()
DEEPEST = 3
EXTENSION = {"url": "https://samen.example/x", "valueCode": "c"}
WITHOUT_VALUE = {"id": "e", "extension": [EXTENSION]}


def fields(path: str, choice: int, depth: int) -> Resource:
    """Every element at a path, in the order of R4; of an element with several types the one at `choice`."""
    filled: Resource = {}
    for element in STRUCTURES.elements(path):
        names = list(element.json_names().items())
        name, type_name = names[choice % len(names)]
        if type_name in PRIMITIVES:
            filled |= primitive(path, element, name, PRIMITIVES[type_name])
        elif depth < DEEPEST and type_name == "Resource":
            filled[name] = many(element, {"resourceType": "Basic", "id": "inner", "language": "nl"})
        elif depth < DEEPEST and (name != "extension" or depth == 1):
            filled[name] = many(element, fields(type_name.removeprefix("#"), choice, depth + 1))
    return filled


def primitive(path: str, element: Element, name: str, value: Any) -> Resource:
    """A primitive with what may stand beside it; one that repeats has values with and without, and none."""
    if STRUCTURES.is_bare(path, name):
        return {name: value}
    if element.repeats:
        return {name: [value, None, value], f"_{name}": [None, WITHOUT_VALUE, {"id": "e"}]}
    return {name: value, f"_{name}": WITHOUT_VALUE}


def many(element: Element, value: Resource) -> Any:
    """The value as often as it may stand, at most twice."""
    return [value, value] if element.repeats else value


@pytest.mark.parametrize("choice", range(2))
@pytest.mark.parametrize("type_name", sorted(STRUCTURES.resource_types))
def test_every_element_of_a_type_comes_back(type_name: str, choice: int) -> None:
    resource = {"resourceType": type_name, **fields(type_name, choice, 1)}

    document = encode(resource)

    assert decode(document) == resource
    assert encode(decode(document)) == document


@pytest.mark.parametrize("path", ["Extension.value", "ElementDefinition.fixed", "Parameters.parameter.value"])
def test_every_type_of_an_open_choice_comes_back(path: str) -> None:
    parent, _, name = path.rpartition(".")
    (element,) = (e for e in STRUCTURES.elements(parent) if e.name == name)
    assert len(element.types) > 40

    for spelt, type_name in element.json_names().items():
        value = PRIMITIVES[type_name] if type_name in PRIMITIVES else fields(type_name, 0, 2)
        held = {spelt: value}
        resource = {
            "Extension": {"resourceType": "Basic", "extension": [{"url": "https://samen.example/x", **held}]},
            "ElementDefinition": {"resourceType": "StructureDefinition", "snapshot": {"element": [held]}},
            "Parameters.parameter": {"resourceType": "Parameters", "parameter": [held]},
        }[parent]

        assert decode(encode(resource)) == resource, spelt
