"""Reduce R4's SearchParameters to the compact table of fhir_server/definitions/search_parameters.json.

    python tools/reduce_search_parameters.py FOLDER

FOLDER holds the unpacked npm package hl7.fhir.r4.examples 4.0.1 (its folder `package`). For each resource type that
this server stores, each parameter becomes its code, its type, its target types, and its FHIRPath expression reduced to
plain paths with the datatype that stands at their end; those of every resource stand once, under `Resource`. What
cannot be reduced, or is of a type that is not served yet, goes into the same file under `unserved` with the reason:
nothing is dropped in silence. The element types come from the table that tools/reduce_definitions.py made before.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fhir_server.definitions.structures import RESOURCE_TYPES, Element, load

TABLE = Path(__file__).resolve().parent.parent / "fhir_server" / "definitions" / "search_parameters.json"

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

OWN: tuple[dict[str, Any], ...] = (
    {"code": "due", "type": "date", "base": ["Task"], "expression": "Task.restriction.period.end"},
)
"""Parameters of this server beside R4's."""

LEFT_OUT = {
    "phonetic": "sounds-like search is not served",
    "_content": "it asks for words, not for the values of elements",
    "_text": "it asks for words, not for the values of elements",
    "_query": "named queries are not served",
}

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


def reduce(part: str, type_name: str, extensions: Extensions) -> list[Found]:
    """Every plain path that one alternative stands for. Raises Irreducible."""
    existence = EXISTENCE.fullmatch(part)
    if existence:
        return [replace(found, datatype=EXISTENCE_TYPE) for found in reduce(existence[1], type_name, extensions)]
    cast = CAST.fullmatch(part)
    if cast:
        part = f"{cast['path']}.as({cast['type']}){cast['rest']}"
    found = [Found((), type_name)]
    for name, argument in steps(part)[1:]:
        found = [after for before in found for after in step(before, name, argument, extensions)]
    return found


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


def step(before: Found, name: str, argument: str | None, extensions: Extensions) -> list[Found]:
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
    *leading, last = before.steps
    return replace(before, steps=(*leading, f"{last}[{element}={value}]"))


def extension(before: Found, url: str, extensions: Extensions) -> list[Found]:
    """The values of an extension of R4, one place for each type that its definition allows."""
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


def row(parameter: dict[str, Any], type_name: str, extensions: Extensions) -> dict[str, Any]:
    """The table's row for one parameter of one type. Raises Irreducible."""
    kind = parameter["type"]
    if parameter["code"] in LEFT_OUT:
        raise Irreducible(LEFT_OUT[parameter["code"]])
    if "expression" not in parameter:
        raise Irreducible("it has no expression")
    parts = of_type(parameter["expression"], type_name)
    found = [one for part in parts for one in reduce(part, ABSTRACT.get(type_name, type_name), extensions)]
    fitting = [one for one in found if one.datatype in SERVED[kind] or one.datatype == EXISTENCE_TYPE]
    if not fitting:
        raise Irreducible(f"no {kind} stands at {', '.join(sorted({one.datatype for one in found}))}")
    entry: dict[str, Any] = {"type": kind, "paths": [spell(one) for one in fitting]}
    if all(one.single for one in fitting) and len({choice_name(one) for one in fitting}) == 1:
        entry["single"] = True
    if kind == "reference":
        entry["targets"] = targets_of(parameter.get("target", []), fitting)
    entry.update(closed_codes(fitting))
    return entry


def composite(
    parameter: dict[str, Any], type_name: str, rows: dict[str, Any], types: Mapping[str, str], extensions: Extensions
) -> dict[str, Any]:
    """The row of a composite: for each place where its components stand together, what they are.

    At the resource itself they are other parameters of the type, by their codes; below an element they are described.
    `types` says the type of each component's definition. Raises Irreducible.
    """
    parts: dict[str, list[Any]] = {}
    for part in of_type(parameter["expression"], type_name):
        for place in reduce(part, type_name, extensions):
            if any(step.partition("[")[0].count(".") for step in place.steps) or len(place.steps) > 1:
                raise Irreducible(f"its components stand too deep, at {'.'.join(place.steps)}")
            described = [
                component(each, place, types[each["definition"]], extensions) for each in parameter["component"]
            ]
            at = ".".join(place.steps)
            parts[at] = described if at else [of_the_resource(each, rows) for each in described]
    if not parts:
        raise Irreducible("it has no place")
    return {"type": "composite", "paths": [], "parts": parts}


def component(described: dict[str, Any], place: Found, kind: str, extensions: Extensions) -> dict[str, Any]:
    """One component as a parameter of the place where it stands, called by the element that it speaks of.

    R4 gives the components of `DocumentReference.relationship` each the other's definition, so where nothing of the
    stated type stands, the type follows from what does.
    """
    start = replace(place, steps=(), single=True, required=True)
    found = []
    for part in alternatives(described["expression"]):
        reached = [start]
        for name, argument in steps(part):
            reached = [after for before in reached for after in step(before, name, argument, extensions)]
        found += reached
    kind = next((each for each in (kind, *SERVED) if any(one.datatype in SERVED[each] for one in found)), kind)
    found = [one for one in found if one.datatype in SERVED[kind]]
    if not found:
        raise Irreducible(f"no {kind} stands at {described['expression']}")
    row: dict[str, Any] = {"code": ".".join(found[0].steps), "type": kind, "paths": [spell(one) for one in found]}
    if kind == "reference":
        row["targets"] = targets_of(sorted(RESOURCE_TYPES), found)
    return row


def of_the_resource(described: dict[str, Any], rows: dict[str, Any]) -> str:
    """The parameter of the resource that finds these values, and as little else as there is. Raises Irreducible."""
    finding = [
        (len(row["paths"]), code)
        for code, row in rows.items()
        if row["type"] == described["type"] and set(described["paths"]) <= set(row["paths"])
    ]
    if finding:
        return min(finding)[1]
    raise Irreducible(f"no parameter finds {', '.join(described['paths'])}")


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


def table_of(parameters: list[dict[str, Any]], extensions: Extensions) -> dict[str, Any]:
    """The whole table: `parameters` by type and code, and `unserved` with its reasons."""
    served: dict[str, dict[str, Any]] = {type_name: {} for type_name in sorted({"Resource", *RESOURCE_TYPES})}
    unserved: dict[str, str] = {}
    types = {parameter["url"]: parameter["type"] for parameter in parameters if "url" in parameter}
    in_order = sorted(parameters, key=lambda each: (each["type"] == "composite", str(each["code"])))
    for parameter in in_order:
        for type_name in sorted((RESOURCE_TYPES | ABSTRACT.keys()) & set(parameter["base"])):
            rows = served.get(type_name, {})
            try:
                if parameter["type"] == "composite":
                    rows[parameter["code"]] = composite(parameter, type_name, rows, types, extensions)
                else:
                    rows[parameter["code"]] = row(parameter, type_name, extensions)
            except Irreducible as reason:
                unserved[f"{type_name}.{parameter['code']}"] = str(reason)
    return {"parameters": served, "unserved": dict(sorted(unserved.items()))}


def official(folder: Path) -> list[dict[str, Any]]:
    """R4's own SearchParameters in the package: those of version 4.0.1 that say what they search."""
    resources = [json.loads(file.read_bytes()) for file in sorted(folder.glob("SearchParameter-*.json"))]
    return [resource for resource in resources if resource.get("version") == "4.0.1" and "base" in resource]


def extensions_in(folder: Path) -> dict[str, tuple[str, ...]]:
    """Each extension that the package defines, with the types of its value."""
    found = {}
    for file in folder.glob("StructureDefinition-*.json"):
        definition = json.loads(file.read_bytes())
        if definition.get("type") == "Extension" and "snapshot" in definition:
            elements = {element["path"]: element for element in definition["snapshot"]["element"]}
            types = elements.get("Extension.value[x]", {}).get("type", [])
            found[definition["url"]] = tuple(each["code"] for each in types)
    return found


def written(table: dict[str, Any]) -> str:
    """The table as JSON with a line for each parameter, so that a change of it can be read."""
    types = ",\n".join(f"{json.dumps(name)}: {{\n{lines(rows)}\n}}" for name, rows in table["parameters"].items())
    return f'{{"parameters": {{\n{types}\n}},\n"unserved": {{\n{lines(table["unserved"])}\n}}}}\n'


def lines(rows: dict[str, Any]) -> str:
    return ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in rows.items())


def main(folder: Path) -> None:
    table = table_of([*official(folder), *OWN], extensions_in(folder))
    TABLE.write_text(written(table), encoding="utf-8")
    print(f"{sum(map(len, table['parameters'].values()))} parameters of {len(table['parameters']) - 1} types")
    for name, reason in table["unserved"].items():
        print(f"not served: {name}: {reason}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
