"""How each element of R4 is spelt in XML: as an attribute, with a `value`, with children, as a resource, as XHTML."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache

from fhir_server.definitions.structures import RESOURCE, load

PRIMITIVES_OWN = "Element"
"""The path of what a primitive may hold beside its value: an id and extensions."""


class Kind(Enum):
    """How an element is spelt."""

    ATTRIBUTE = auto()
    PRIMITIVE = auto()
    OBJECT = auto()
    RESOURCE = auto()
    NARRATIVE = auto()


@dataclass(frozen=True, slots=True)
class Field:
    """One element under its name in JSON and XML (`valueQuantity`), and its `position` in the order of R4.

    `content` is the primitive's type, or the path whose elements are its children.
    """

    name: str
    kind: Kind
    content: str
    repeats: bool
    position: int


@cache
def fields_of(path: str) -> Mapping[str, Field]:
    """The fields of a resource, datatype or inner element by name. Raises KeyError for a path that R4 does not have."""
    return {
        name: Field(name, _kind(path, name, type_name), type_name.removeprefix("#"), element.repeats, position)
        for position, element in enumerate(load().elements(path))
        for name, type_name in element.json_names().items()
    }


def is_resource(name: str) -> bool:
    """Whether R4 has a resource type of this name."""
    return load().is_resource(name)


def _kind(path: str, name: str, type_name: str) -> Kind:
    structures = load()
    if structures.is_bare(path, name) and type_name != "xhtml":
        return Kind.ATTRIBUTE
    if type_name == "xhtml":
        return Kind.NARRATIVE
    if type_name == RESOURCE:
        return Kind.RESOURCE
    return Kind.PRIMITIVE if type_name in structures.primitives else Kind.OBJECT
