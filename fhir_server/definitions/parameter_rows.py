"""What the table of search parameters says of one parameter: its row, by what its expression leads to.

https://hl7.org/fhir/R4/searchparameter.html
"""

from typing import Any

from fhir_server.definitions.expressions import (
    ABSTRACT,
    EXISTENCE_TYPE,
    Extensions,
    Found,
    Irreducible,
    check_places,
    of_type,
    reduce,
)
from fhir_server.definitions.structures import load

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

BY_SOUND = "sound"
"""The type of a row that is searched by how its texts sound, which R4 declares as a string."""

MANY = 100


def row(parameter: dict[str, Any], type_name: str, extensions: Extensions | None) -> dict[str, Any]:
    """The table's row for one parameter of one type. Raises Irreducible."""
    kind = parameter["type"]
    if "expression" not in parameter:
        raise Irreducible("it has no expression")
    parts = of_type(parameter["expression"], type_name)
    found: list[Found] = []
    for part in parts:
        found += reduce(part, ABSTRACT.get(type_name, type_name), extensions)
        check_places(found)
    fitting = [one for one in found if one.datatype in _datatypes(kind)]
    if not fitting:
        raise Irreducible(f"no {kind} stands at {', '.join(sorted({one.datatype for one in found})) or type_name}")
    by_sound = kind == "string" and parameter.get("xpathUsage") == "phonetic"
    entry: dict[str, Any] = {"type": BY_SOUND if by_sound else kind, "paths": [spell(one) for one in fitting]}
    if all(one.single for one in fitting) and len({choice_name(one) for one in fitting}) == 1:
        entry["single"] = True
    if kind == "reference":
        entry["targets"] = targets_of(parameter.get("target", []), fitting)
    entry.update(closed_codes(fitting))
    return entry


def searched_by(kind: str) -> frozenset[str]:
    """The datatypes that a row of this type can search; none for a type that has no values of its own."""
    return SERVED.get("string" if kind == BY_SOUND else kind, frozenset())


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
