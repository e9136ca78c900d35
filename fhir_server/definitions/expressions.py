"""FHIRPath expressions of search parameters, reduced to plain paths with the datatype that stands at their end.

https://hl7.org/fhir/R4/searchparameter.html

R4's own are reduced once, by `tools/reduce_search_parameters.py`; those that an operator defines when they are stored.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from fhir_server.definitions.structures import Element, load

SERVED: dict[str, frozenset[str]] = {
    "token": frozenset(
        {
            "boolean",
            "canonical",
            "code",
            "CodeableConcept",
            "Coding",
            "ContactPoint",
            "id",
            "Identifier",
            "string",
            "uri",
        }
    ),
    "reference": frozenset({"Reference", "canonical", "uri", "url"}),
    "date": frozenset({"date", "dateTime", "instant", "Period", "Timing"}),
    "string": frozenset({"string", "markdown", "HumanName", "Address"}),
    "uri": frozenset({"uri", "url", "canonical", "oid", "uuid"}),
    "number": frozenset({"decimal", "integer", "positiveInt", "unsignedInt", "Range"}),
    "quantity": frozenset({"Quantity", "SimpleQuantity", "Age", "Count", "Distance", "Duration", "Money", "Range"}),
    "special": frozenset({"#Location.position"}),
}
"""The parameter types that are served, each with the datatypes that it can search."""

CORRECTED = {
    "http://hl7.org/fhir/StructureDefinition/patient-extensions-Patient-mothersMaidenName": (
        "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName"
    ),
}
"""R4 names an extension in an expression by a url that no extension has; the url that it has."""

MISSPELT = {"DateTime": "dateTime"}
"""Datatypes as R4's expressions spell them once, and as they are called."""

ABSTRACT = {"Resource": "Patient", "DomainResource": "Patient"}
"""The types that only exist as parts of others, and a type on which their expressions can be walked."""

EXISTENCE = re.compile(r"(\w+(?:\.\w+)*)\.exists\(\) and \1 != false")
CAST = re.compile(r"\((?P<path>[\w.]+) as (?P<type>\w+)\)(?P<rest>(?:\.\w+)*)")
STEP = re.compile(r"(?P<name>\w+)(?P<call>\((?P<argument>(?:[^()]|\([^()]*\))*)\))?(?:\.|$)")
EQUALS = re.compile(r"(\w+)='([^']*)'")
RESOLVES = re.compile(r"resolve\(\) is (\w+)")
EXISTENCE_TYPE = "existence"
MANY = 100


Extensions: TypeAlias = Mapping[str, tuple[str, ...]]
"""The extensions of R4: their urls, each with the types of its value."""


class Irreducible(ValueError):
    """The expression is no plain path; the message says why."""


@dataclass(frozen=True)
class Found:
    """A place that the walk along an expression has reached: JSON steps, element, and what was learnt on the way."""

    steps: tuple[str, ...]
    datatype: str
    single: bool = True
    required: bool = True
    value_set: str | None = None
    targets: frozenset[str] = frozenset()
    only: str | None = None


def alternatives(expression: str) -> list[str]:
    """The parts of a FHIRPath union, split at each `|` outside parentheses."""
    parts, depth = [""], 0
    for character in expression:
        depth += (character == "(") - (character == ")")
        if character == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def of_type(expression: str, type_name: str) -> list[str]:
    """The alternatives that speak of `type_name`, or of every resource."""
    roots = {type_name, "Resource", "DomainResource"}
    return [part for part in alternatives(expression) if part.lstrip("(").split(".")[0] in roots]


def reduce(part: str, type_name: str, extensions: Extensions | None) -> list[Found]:
    """Every plain path that one alternative stands for. Raises Irreducible.

    Without `extensions` any url may be named, and what follows says which part of the extension is meant.
    """
    existence = EXISTENCE.fullmatch(part)
    if existence:
        return [replace(found, datatype=EXISTENCE_TYPE) for found in reduce(existence[1], type_name, extensions)]
    cast = CAST.fullmatch(part)
    if cast:
        part = f"{cast['path']}.as({cast['type']}){cast['rest']}"
    found = [Found((), type_name)]
    for name, argument in steps(part)[1:]:
        found = onward(found, name, argument, extensions)
    return found


def onward(found: list[Found], name: str, argument: str | None, extensions: Extensions | None) -> list[Found]:
    """Where one step leads from every place, or from those types of a choice that have it. Raises Irreducible."""
    reached: list[Found] = []
    refusals: list[Irreducible] = []
    for before in found:
        try:
            reached += step(before, name, argument, extensions)
        except Irreducible as refusal:
            refusals.append(refusal)
    if refusals and (len(refusals) == len(found) or extensions is not None):
        raise refusals[0]
    return reached


def steps(part: str) -> list[tuple[str, str | None]]:
    """`a.where(x)` as [("a", None), ("where", "x")]."""
    taken: list[tuple[str, str | None]] = []
    position = 0
    while position < len(part):
        match = STEP.match(part, position)
        if match is None:
            raise Irreducible(f"{part!r} is no path")
        taken.append((match["name"], match["argument"] if match["call"] else None))
        position = match.end()
    return taken


def step(before: Found, name: str, argument: str | None, extensions: Extensions | None) -> list[Found]:
    """Every place that one step of the expression leads to from `before`."""
    if argument is None:
        return children(before, name)
    if name in {"as", "ofType"}:
        return [before] if before.datatype == MISSPELT.get(argument, argument) else []
    if name == "extension":
        return extension(before, argument.strip("'"), extensions)
    if name == "where":
        return [where(before, argument)]
    raise Irreducible(f"the function {name}() is not reduced")


def where(before: Found, condition: str) -> Found:
    """The same place, narrowed."""
    if resolves := RESOLVES.fullmatch(condition):
        return replace(before, only=resolves[1])
    if equals := EQUALS.fullmatch(condition):
        return filtered(before, equals[1], equals[2])
    raise Irreducible(f"where({condition}) is not reduced")


def filtered(before: Found, element: str, value: str) -> Found:
    *leading, last = before.steps or ("[",)
    if "[" in last or "]" in value or "\\" in value:
        raise Irreducible("of one element, where() compares one child with a plain text")
    return replace(before, steps=(*leading, f"{last}[{element}={value}]"))


def extension(before: Found, url: str, extensions: Extensions | None) -> list[Found]:
    """The values of an extension of R4, one place for each type that its definition allows; else the extension."""
    if extensions is None:
        return [filtered(found, "url", url) for found in children(before, "extension")]
    url = CORRECTED.get(url, url)
    if url not in extensions:
        raise Irreducible(f"R4 defines no extension {url}")
    at = f"extension[url={url}]"
    return [
        Found((*before.steps, at, f"value{name[0].upper()}{name[1:]}"), name, single=False) for name in extensions[url]
    ]


def children(before: Found, name: str) -> list[Found]:
    path = before.datatype.removeprefix("#")
    try:
        elements = {element.name: element for element in load().elements(path)}
    except KeyError as error:
        raise Irreducible(f"{path} has no elements") from error
    if name not in elements:
        raise Irreducible(f"{path} has no element {name!r}")
    return list(spelt(before, path, elements[name]))


def spelt(before: Found, path: str, element: Element) -> Iterator[Found]:
    for json_name, type_name in element.json_names().items():
        yield Found(
            (*before.steps, json_name),
            type_name if type_name != "BackboneElement" else f"#{path}.{element.name}",
            before.single and not element.repeats,
            before.required and element.required and not element.choice,
            element.value_set,
            element.targets,
        )


def row(parameter: dict[str, Any], type_name: str, extensions: Extensions | None) -> dict[str, Any]:
    """The table's row for one parameter of one type. Raises Irreducible."""
    kind = parameter["type"]
    if "expression" not in parameter:
        raise Irreducible("it has no expression")
    parts = of_type(parameter["expression"], type_name)
    found = [one for part in parts for one in reduce(part, ABSTRACT.get(type_name, type_name), extensions)]
    fitting = [one for one in found if one.datatype in _datatypes(kind)]
    if not fitting:
        raise Irreducible(f"no {kind} stands at {', '.join(sorted({one.datatype for one in found})) or type_name}")
    entry: dict[str, Any] = {"type": kind, "paths": [spell(one) for one in fitting]}
    if all(one.single for one in fitting) and len({choice_name(one) for one in fitting}) == 1:
        entry["single"] = True
    if kind == "reference":
        entry["targets"] = targets_of(parameter.get("target", []), fitting)
    entry.update(closed_codes(fitting))
    return entry


def _datatypes(kind: str) -> frozenset[str]:
    """What a parameter of this type can search; whether something is there is a token."""
    return SERVED[kind] | {EXISTENCE_TYPE} if kind == "token" else SERVED[kind]


def targets_of(official: list[str], found: list[Found]) -> list[str]:
    """What R4 says that the parameter points to, as far as one of its elements may; a shared parameter says more."""
    allowed: set[str] = set()
    for one in found:
        allowed |= {one.only} if one.only else one.targets or set(official)
    targets = sorted(allowed & set(official))
    return targets if 0 < len(targets) <= MANY else ["*"]


def choice_name(found: Found) -> tuple[str, ...]:
    """The steps without the type of a choice: `effectivePeriod` and `effectiveDateTime` are one element."""
    *leading, last = found.steps
    suffix = found.datatype[0].upper() + found.datatype[1:]
    return (*leading, last.removesuffix(suffix))


def spell(found: Found) -> str:
    """`telecom[system=phone]:ContactPoint`, or `for:Reference(Patient)` when only those references count."""
    only = f"({found.only})" if found.only else ""
    return f"{'.'.join(found.steps)}:{found.datatype}{only}"


def closed_codes(found: list[Found]) -> dict[str, Any]:
    """The system of a code bound to one; all codes when each resource must have exactly one of them."""
    one = found[0]
    by_system = load().codes(one.value_set) if one.value_set else None
    if len(found) != 1 or one.datatype != "code" or not by_system or len(by_system) != 1:
        return {}
    ((system, codes),) = by_system.items()
    return {"system": system, "codes": sorted(codes)} if one.single and one.required else {"system": system}
