"""Reduce R4's SearchParameters to the compact table of fhir_server/definitions/search_parameters.json.

    python tools/reduce_search_parameters.py FOLDER

FOLDER holds the unpacked npm package hl7.fhir.r4.examples 4.0.1 (its folder `package`). For each resource type that
this server stores, each parameter becomes its code, its type, its target types, and its FHIRPath expression reduced to
plain paths with the datatype that stands at their end; those of every resource stand once, under `Resource`. What
cannot be reduced, or is of a type that is not served yet, goes into the same file under `unserved` with the reason:
nothing is dropped in silence. The element types come from the table that tools/reduce_definitions.py made before.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fhir_server.definitions.composite_rows import component, places, reached
from fhir_server.definitions.expressions import ABSTRACT, Extensions, Found, Irreducible
from fhir_server.definitions.parameter_rows import SERVED, row
from fhir_server.definitions.structures import RESOURCE_TYPES

TABLE = Path(__file__).resolve().parent.parent / "fhir_server" / "definitions" / "search_parameters.json"

OWN: tuple[dict[str, Any], ...] = (
    {"code": "due", "type": "date", "base": ["Task"], "expression": "Task.restriction.period.end"},
    {
        "code": "subject-identifier",
        "type": "token",
        "base": ["CarePlan", "Task"],
        "expression": "CarePlan.subject.identifier | Task.for.identifier",
    },
    {
        "code": "do-not-perform",
        "type": "token",
        "base": ["MedicationRequest"],
        "expression": "MedicationRequest.doNotPerform",
    },
    {"code": "parent", "type": "reference", "base": ["Device"], "target": ["Device"], "expression": "Device.parent"},
)
"""Parameters of this server beside R4's."""

WITHOUT_EXPRESSION: dict[str, dict[str, Any]] = {
    "Patient.age": {"type": "age", "paths": []},
    "Patient.birthOrderBoolean": {
        "type": "token",
        "paths": ["multipleBirthBoolean:boolean", "multipleBirthInteger:order"],
        "single": True,
    },
}
"""Parameters that R4 describes in words only, with the row that says the same."""

LEFT_OUT = {
    "_content": "it asks for words, not for the values of elements",
    "_text": "it asks for words, not for the values of elements",
    "_query": "named queries are not served",
}


def composite(
    parameter: dict[str, Any], type_name: str, rows: dict[str, Any], types: Mapping[str, str], extensions: Extensions
) -> dict[str, Any]:
    """The row of a composite: for each place where its components stand together, what they are.

    At the resource itself they are other parameters of the type, by their codes; below an element they are described.
    `types` says the type of each component's definition. Raises Irreducible.
    """
    parts: dict[str, list[Any]] = {}
    for place in places(parameter["expression"], type_name, extensions):
        if any(step.partition("[")[0].count(".") for step in place.steps) or len(place.steps) > 1:
            raise Irreducible(f"its components stand too deep, at {'.'.join(place.steps)}")
        described = [
            described_at(each, place, types[each["definition"]], extensions) for each in parameter["component"]
        ]
        at = ".".join(place.steps)
        parts[at] = described if at else [of_the_resource(each, rows) for each in described]
    if not parts:
        raise Irreducible("it has no place")
    return {"type": "composite", "paths": [], "parts": parts}


def described_at(described: dict[str, Any], place: Found, kind: str, extensions: Extensions) -> dict[str, Any]:
    """One component as a parameter of the place where it stands.

    R4 gives the components of `DocumentReference.relationship` each the other's definition, so where nothing of the
    stated type stands, the type follows from what does.
    """
    found = reached(described["expression"], place, extensions)
    kind = next((each for each in (kind, *SERVED) if any(one.datatype in SERVED[each] for one in found)), kind)
    return component(described["expression"], kind, found)


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
                if parameter["code"] in LEFT_OUT:
                    raise Irreducible(LEFT_OUT[parameter["code"]])
                if f"{type_name}.{parameter['code']}" in WITHOUT_EXPRESSION:
                    rows[parameter["code"]] = WITHOUT_EXPRESSION[f"{type_name}.{parameter['code']}"]
                elif parameter["type"] == "composite":
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
