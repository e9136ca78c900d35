"""R4's own search expressions, evaluated by fhirpathpy: what our plain paths are held against."""

import re
from collections.abc import Callable, Iterable
from typing import Any

import fhirpathpy
from fhirpathpy.engine.nodes import TypeInfo
from fhirpathpy.engine.util import get_data
from fhirpathpy.models import models

from fhir_server.fhir.json import Resource, encode

Evaluate = Callable[[Any], list[Any]]

_CAST = re.compile(r"\(([\w.]+) as (\w+)\)")
_TYPED = re.compile(r"\.ofType\((\w+)\)$")
_EXTENDED = re.compile(r"hasExtension\(('[^']*')\)")
_RESOLVES = re.compile(r"resolve\(\) is (\w+)")
_EVERY = ("Resource", "DomainResource")
_AS_FHIR = {"String": "string", "Boolean": "boolean"}


def of_type(expression: str, type_name: str) -> list[Evaluate]:
    """Each alternative of an expression that speaks of a type, or of every resource."""
    parts = [part for part in alternatives(expression) if part.lstrip("(").split(".")[0] in {type_name, *_EVERY}]
    return [compiled(re.sub(rf"^(\(?)({'|'.join(_EVERY)})\b", rf"\1{type_name}", part)) for part in parts]


def compiled(path: str) -> Evaluate:
    """Finds the nodes of one path below a resource or a node.

    A search casts each of many values, where FHIRPath's `as` takes one: so `as` is read as `ofType`. `resolve()` is
    asked for the type of a reference only, so that is read from its address or from what is contained. R4 once writes
    `DateTime` for `dateTime`, and once `hasExtension(url)`, which FHIRPath calls `extension(url).exists()`.
    """
    plain = _CAST.sub(r"\1.ofType(\2)", path).replace(".as(", ".ofType(").replace("(DateTime)", "(dateTime)")
    plain = _EXTENDED.sub(r"extension(\1).exists()", plain)
    plain = _RESOLVES.sub(r"pointsTo('\1')", plain)
    around: dict[str, Any] = {}
    table = {"pointsTo": {"fn": lambda nodes, wanted: _points(nodes, wanted, around), "arity": {1: ["String"]}}}
    ask = fhirpathpy.compile(plain, models["r4"], {"userInvocationTable": table, "returnRawData": True})
    typed = _TYPED.search(plain)

    def evaluate(node: Any) -> list[Any]:
        around["resource"] = node
        found = ask(node)
        nodes = found if isinstance(found, list) else [found]
        return [_Typed(typed[1], get_data(each)) for each in nodes] if typed else nodes

    return evaluate


def read(node: Any) -> tuple[str, Any]:
    """The datatype and value of what was found; an extension stands for its value."""
    if isinstance(node, _Typed):
        return node
    value, info = get_data(node), TypeInfo.from_value(node)
    name = str(getattr(info, "name", None))
    if name == "Extension":
        [(suffixed, value)] = [(key, each) for key, each in value.items() if key.startswith("value")]
        name = suffixed.removeprefix("value")
    return _AS_FHIR.get(name, name), value


def alternatives(expression: str) -> list[str]:
    """The parts of a union, split outside parentheses."""
    parts, depth = [""], 0
    for character in expression:
        depth += (character == "(") - (character == ")")
        parts = [*parts, ""] if character == "|" and depth == 0 else [*parts[:-1], parts[-1] + character]
    return [part.strip() for part in parts]


def exactly(values: Iterable[Any]) -> set[bytes]:
    """The values in a form that can be compared, digits included."""
    return {encode(value) for value in values}


class _Typed(tuple[str, Any]):
    """A value whose datatype the expression itself says."""

    def __new__(cls, datatype: str, value: Any) -> "_Typed":
        return super().__new__(cls, (datatype, value))


def _points(nodes: list[Any], wanted: str, around: dict[str, Any]) -> list[bool]:
    return [_points_to(get_data(node), wanted, around["resource"]) for node in nodes]


def _points_to(reference: Resource, wanted: str, resource: Resource) -> bool:
    address = reference.get("reference", "")
    if address.startswith("#"):
        return any(
            each["resourceType"] == wanted for each in resource.get("contained", []) if f"#{each['id']}" == address
        )
    stated: str | None = reference.get("type")
    return f"/{address}".partition("/_history")[0].split("/")[-2:-1] == [wanted] or (not address and stated == wanted)
