"""Invariants of StructureDefinition. https://hl7.org/fhir/R4/structuredefinition.html"""

import re
from collections.abc import Callable

from fhir_server.validation.invariants.words import Fields, Invariant, Invariants, choice, distinct, has, has_any

_DIFFERENTIAL_TYPE = re.compile(r"[a-zA-Z0-9]+|http://hl7\.org/fhirpath/System\.[A-Z][A-Za-z]+")
_SNAPSHOT_TYPE = re.compile(r"[a-zA-Z0-9.]+|http://hl7\.org/fhirpath/System\.[A-Z][A-Za-z]+")
_HL7 = "http://hl7.org/fhir/StructureDefinition"


def _snapshot(definition: Fields) -> list[Fields]:
    elements: list[Fields] = definition.get("snapshot", {}).get("element", [])
    return elements


def _differential(definition: Fields) -> list[Fields]:
    elements: list[Fields] = definition.get("differential", {}).get("element", [])
    return elements


def _roots(definition: Fields) -> list[Fields]:
    return [e for e in (*_snapshot(definition), *_differential(definition)) if "." not in e.get("path", ".")]


def _ids_are_distinct(elements: list[Fields]) -> bool:
    return all("id" in e for e in elements) and distinct(e["id"] for e in elements)


def _types_are_names(elements: list[Fields], pattern: re.Pattern[str]) -> bool:
    return all(pattern.fullmatch(t["code"]) for e in elements for t in e.get("type", ()) if "code" in t)


def _paths_start_with(elements: list[Fields], start: str) -> bool:
    return all(e.get("path", "").startswith(start + ".") for e in elements[1:])


def _snapshot_is_of_its_type(definition: Fields) -> bool:
    elements = _snapshot(definition)
    if not elements:
        return True
    first = elements[0].get("path", "")
    return (definition.get("kind") == "logical" or first == definition.get("type")) and _paths_start_with(
        elements, first
    )


def _differential_is_of_its_type(definition: Fields) -> bool:
    elements = _differential(definition)
    if not elements:
        return True
    first = elements[0].get("path", "")
    fits = definition.get("kind") == "logical" or first.startswith(definition.get("type", ""))
    return fits and _paths_start_with(elements, first.partition(".")[0])


def _first_type_is_absent(elements: list[Fields]) -> bool:
    return not elements or "type" not in elements[0]


def _is_hl7(definition: Fields) -> bool:
    return str(definition.get("url", "")).startswith(_HL7)


def _all_elements(holds: Callable[[Fields], bool]) -> Callable[[Fields], bool]:
    return lambda definition: all(holds(element) for element in _snapshot(definition))


INVARIANTS: Invariants = {
    "StructureDefinition": (
        Invariant(
            "sdf-1",
            "Unless it is a constraint, each path must come once.",
            lambda d: d.get("derivation") == "constraint" or distinct(e.get("path") for e in _snapshot(d)),
        ),
        Invariant(
            "sdf-4",
            "A concrete type needs a baseDefinition.",
            lambda d: d.get("abstract") is True or has(d, "baseDefinition"),
        ),
        Invariant(
            "sdf-5",
            "An extension must say where it may be used.",
            lambda d: d.get("type") != "Extension" or d.get("derivation") == "specialization" or "context" in d,
        ),
        Invariant(
            "sdf-6", "A snapshot or a differential must be given.", lambda d: has_any(d, "snapshot", "differential")
        ),
        Invariant(
            "sdf-9",
            "The root element has no label, code or requirements.",
            lambda d: not any(has_any(e, "label", "code", "requirements") for e in _roots(d)),
        ),
        Invariant(
            "sdf-11",
            "The first element of the snapshot must be the type.",
            lambda d: d.get("kind") == "logical" or not _snapshot(d) or _snapshot(d)[0].get("path") == d.get("type"),
        ),
        Invariant(
            "sdf-14",
            "Each element must have an id.",
            lambda d: all("id" in e for e in (*_snapshot(d), *_differential(d))),
        ),
        Invariant(
            "sdf-15",
            "The first element of the snapshot has no type.",
            lambda d: d.get("kind") == "logical" or _first_type_is_absent(_snapshot(d)),
        ),
        Invariant(
            "sdf-15a",
            "The root element of the differential has no type.",
            lambda d: (
                d.get("kind") == "logical"
                or "." in (_differential(d) or [{}])[0].get("path", ".")
                or _first_type_is_absent(_differential(d))
            ),
        ),
        Invariant("sdf-16", "Ids of the snapshot must be unique.", lambda d: _ids_are_distinct(_snapshot(d))),
        Invariant("sdf-17", "Ids of the differential must be unique.", lambda d: _ids_are_distinct(_differential(d))),
        Invariant(
            "sdf-18",
            "Only an extension has a contextInvariant.",
            lambda d: not has(d, "contextInvariant") or d.get("type") == "Extension",
        ),
        Invariant(
            "sdf-19",
            "A definition of HL7 uses the types of FHIR only.",
            lambda d: (
                not _is_hl7(d)
                or (
                    _types_are_names(_differential(d), _DIFFERENTIAL_TYPE)
                    and _types_are_names(_snapshot(d), _SNAPSHOT_TYPE)
                )
            ),
        ),
        Invariant(
            "sdf-21",
            "Only a specialization states default values.",
            lambda d: (
                d.get("derivation") == "specialization" or not any(choice(e, "defaultValue") for e in _differential(d))
            ),
        ),
        Invariant(
            "sdf-22",
            "A definition of HL7 states no default values.",
            lambda d: not _is_hl7(d) or not any(choice(e, "defaultValue") for e in (*_snapshot(d), *_differential(d))),
        ),
        Invariant(
            "sdf-23",
            "The root element is not a slice.",
            lambda d: not any(has(e, "sliceName") for e in _roots(d)),
        ),
        Invariant(
            "sdf-3",
            "Each element of the snapshot must have a definition, min and max.",
            _all_elements(lambda e: all(has(e, name) for name in ("definition", "min", "max"))),
        ),
        Invariant("sdf-8", "The snapshot must start with the type, then its elements.", _snapshot_is_of_its_type),
        Invariant(
            "sdf-8a", "The differential must start with the type, then its elements.", _differential_is_of_its_type
        ),
        Invariant("sdf-8b", "Each element of the snapshot must have a base.", _all_elements(lambda e: "base" in e)),
        Invariant(
            "sdf-10",
            "A binding must have a value set or a description.",
            _all_elements(lambda e: "binding" not in e or has_any(e["binding"], "valueSet", "description")),
        ),
        Invariant(
            "sdf-20",
            "The root element of the differential has no slicing.",
            lambda d: not any("slicing" in e for e in _differential(d) if "." not in e.get("path", ".")),
        ),
    ),
    "StructureDefinition.mapping": (
        Invariant("sdf-2", "A mapping must have a name or a uri.", lambda m: has_any(m, "name", "uri")),
    ),
}
