"""Reduce HL7's definitions of FHIR R4 4.0.1 to the one table that validation is compiled from.

    python tools/reduce_definitions.py EXAMPLES_PACKAGE EXPANSIONS_PACKAGE

The two folders are the unpacked npm packages hl7.fhir.r4.examples@4.0.1 and hl7.fhir.r4.expansions@4.0.1 (CC0-1.0).
Writes `fhir_server/definitions/structures.json.gz`, the same bytes on every run. The shape of the table is told in
`fhir_server/definitions/structures.py`, its only reader.
"""

import argparse
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

VERSION = "4.0.1"
TABLE = Path(__file__).parent.parent / "fhir_server" / "definitions" / "structures.json.gz"
CORE = "http://hl7.org/fhir/StructureDefinition/"
FHIR_TYPE = CORE + "structuredefinition-fhir-type"
REGEX = CORE + "regex"
SIMPLE_QUANTITY = "SimpleQuantity"
ELEMENT = "Element"
# Logical models that stand for "some request", "some event": a reference to them may point anywhere.
ANYTHING = {"Resource", "Request", "Event", "Definition"}
# Invariants of every element and every extension: the structure check itself holds them.
EVERYWHERE = {"ele-1", "ext-1"}

Definition = dict[str, Any]


def main() -> None:
    """Read the packages that the command line names, write the table, say how big it became."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("examples", type=Path, help="the unpacked hl7.fhir.r4.examples package")
    parser.add_argument("expansions", type=Path, help="the unpacked hl7.fhir.r4.expansions package")
    folders = parser.parse_args()
    table = reduce(folders.examples, folders.expansions)
    content = json.dumps(table, separators=(",", ":"), sort_keys=False, ensure_ascii=False).encode()
    TABLE.write_bytes(gzip.compress(content, compresslevel=9, mtime=0))
    print(f"{len(table['types'])} types, {len(table['valueSets'])} value sets: {TABLE.stat().st_size:,} bytes")


def reduce(examples: Path, expansions: Path) -> Definition:
    """The table: primitives, types with their elements, and the codes of the value sets that are required somewhere."""
    definitions = {d["name"]: d for d in structure_definitions(examples)}
    primitives = {n: primitive(d) for n, d in definitions.items() if d["kind"] == "primitive-type"}
    types = {n: type_table(d) for n, d in definitions.items() if d["kind"] != "primitive-type"}
    needed = sorted({row[4] for t in types.values() for p in t["paths"].values() for row in p[0] if len(row) > 4})
    return {
        "fhirVersion": VERSION,
        "primitives": primitives,
        "types": types,
        "valueSets": {url: codes_of(url, expansions) for url in needed},
    }


def structure_definitions(package: Path) -> Iterator[Definition]:
    """Resources, datatypes and primitives of R4 itself, by name; profiles and abstract types are left out.

    SimpleQuantity stays, because elements are typed by it; Element, because primitives carry one (`_birthDate`).
    """
    for file in sorted(package.glob("StructureDefinition-*.json")):
        definition = json.loads(file.read_bytes())
        if definition.get("version") != VERSION or definition["kind"] == "logical":
            continue
        concrete = definition.get("derivation") == "specialization" and not definition["abstract"]
        if concrete or definition["name"] in (SIMPLE_QUANTITY, ELEMENT):
            yield definition


def primitive(definition: Definition) -> str:
    """The regular expression of a primitive's value; empty when R4 states none."""
    value = next(e for e in definition["snapshot"]["element"] if e["path"].endswith(".value"))
    extensions = value["type"][0].get("extension", [])
    return next((e["valueString"] for e in extensions if e["url"] == REGEX), "")


def type_table(definition: Definition) -> Definition:
    """The kind of a type and, for its root and each element with children of its own, rows and invariant keys.

    Invariants that R4 states on an element without children stand with its parent.
    """
    name, root = definition["name"], definition["type"]
    elements = definition["snapshot"]["element"]
    parents = {e["path"].rpartition(".")[0] for e in elements}
    paths: dict[str, list[Any]] = {}
    for element in elements:
        path = name + element["path"][len(root) :]
        parent, _, child = path.rpartition(".")
        if parent and element["max"] != "0":
            paths[parent][0].append(row(element, child, path, element["path"] in parents, definition["kind"]))
        if element["path"] in parents:
            paths[path] = [[], invariants_of(element)]
        else:
            paths[parent][1].extend(key for key in invariants_of(element) if key not in EVERYWHERE)
    return {"kind": definition["kind"], "paths": paths}


def row(element: Definition, name: str, path: str, has_children: bool, kind: str) -> list[str]:
    """`[name, "min..max", types, reference targets, required value set]`; empty cells at the end are left off.

    Types are joined by `|`; one that starts with `#` is the path of an element whose children it shares.
    """
    if "contentReference" in element:
        types = element["contentReference"]
    elif has_children:
        types = "#" + path
    elif kind == "resource" and path.count(".") == 1 and name == "id":
        types = "id"
    else:
        types = "|".join(dict.fromkeys(type_name(t) for t in element["type"]))
    binding = element.get("binding", {})
    required = binding.get("valueSet", "").partition("|")[0] if binding.get("strength") == "required" else ""
    cells = [name, f"{element['min']}..{element['max']}", types, "|".join(targets_of(element)), required]
    while not cells[-1]:
        cells.pop()
    return cells


def type_name(stated: Definition) -> str:
    """The FHIR name of an element's type; a Quantity that is profiled as SimpleQuantity is a type of its own here."""
    if stated.get("profile") == [CORE + SIMPLE_QUANTITY]:
        return SIMPLE_QUANTITY
    if stated["code"].startswith("http://hl7.org/fhirpath/"):
        fhir_type = [e["valueUrl"] for e in stated.get("extension", []) if e["url"] == FHIR_TYPE]
        return fhir_type[0] if fhir_type else "string"
    return str(stated["code"])


def targets_of(element: Definition) -> list[str]:
    """The resource types that a reference in this element may point to; none means any."""
    targets = [
        profile.rpartition("/")[2]
        for stated in element.get("type", [])
        if stated["code"] == "Reference"
        for profile in stated.get("targetProfile", [])
    ]
    return [] if ANYTHING & set(targets) else sorted(set(targets))


def invariants_of(element: Definition) -> list[str]:
    """The keys of the invariants of this element that are errors."""
    return sorted({c["key"] for c in element.get("constraint", []) if c["severity"] == "error"})


def codes_of(url: str, expansions: Path) -> dict[str, list[str]] | None:
    """The codes of a value set by system; None when it cannot be enumerated (MIME types, LOINC answer lists)."""
    file = expansions / f"ValueSet-{url.rpartition('/')[2]}.json"
    if not file.exists():
        return None
    value_set = json.loads(file.read_bytes())
    if value_set["url"] != url:
        raise SystemExit(f"{file.name} expands {value_set['url']}, not {url}")
    codes: dict[str, list[str]] = {}
    for concept in concepts(value_set["expansion"].get("contains", [])):
        codes.setdefault(concept["system"], []).append(concept["code"])
    return {system: sorted(set(listed)) for system, listed in sorted(codes.items())} or None


def concepts(contains: list[Definition]) -> Iterator[Definition]:
    """Each concept of an expansion that may be chosen, nested ones included."""
    for concept in contains:
        if "code" in concept and not concept.get("abstract"):
            yield concept
        yield from concepts(concept.get("contains", []))


if __name__ == "__main__":
    main()
