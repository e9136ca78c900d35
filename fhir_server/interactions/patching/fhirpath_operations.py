"""The operations of a FHIRPath Patch as a Parameters resource says them, read before they meet a resource.

A path is made of element names, `[0]`, `where(...)`, `first()`, `last()` and `ofType(...)`; `criteria.py`
says what may stand in a `where`.

https://hl7.org/fhir/R4/fhirpatch.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fhir_server.fhir.errors import MalformedRequest
from fhir_server.fhir.json import Resource
from fhir_server.interactions.patching.element_paths import Step, follow, steps_of
from fhir_server.interactions.patching.element_places import Place

MOST_OPERATIONS = 1000
MOST_OF_CRITERIA = 20_000
"""Characters of all that stands in `where` together: each is read as FHIRPath, which takes its time."""

_NEEDS: Mapping[str, Mapping[str, str | None]] = {
    "add": {"path": "String", "name": "String", "value": None},
    "insert": {"path": "String", "index": "Integer", "value": None},
    "delete": {"path": "String"},
    "replace": {"path": "String", "value": None},
    "move": {"path": "String", "source": "Integer", "destination": "Integer"},
}
_PARAMETER = "Parameters.parameter"


@dataclass(frozen=True)
class Value:
    """A value as a Parameters resource holds it, and the name of its type as it ends a choice element's name.

    `beside` is the id and extensions of a primitive. `parts` are the elements of a structure, each with its name.
    """

    json: Any = None
    suffix: str = ""
    beside: Any = None
    parts: tuple[tuple[str, "Value"], ...] | None = None


@dataclass(frozen=True)
class Operation:
    """One operation: where it stands, what it does, the steps of its path, what else it says."""

    place: str
    name: str
    path: str
    steps: tuple[Step, ...]
    given: Mapping[str, Any]

    def places(self, root: Place) -> list[Place]:
        """The places in the resource that the path leads to."""
        return follow(self.steps, root, self.place)


def read(parameters: Any) -> tuple[Operation, ...]:
    """The operations of a Parameters resource. Raises MalformedRequest with the place of what cannot be understood."""
    given = parameters.get("parameter") if isinstance(parameters, dict) else None
    if not isinstance(given, list) or not given or len(given) > MOST_OPERATIONS:
        raise MalformedRequest(f"A FHIRPath Patch is Parameters with 1 to {MOST_OPERATIONS} operations.", _PARAMETER)
    operations = tuple(_read(operation, f"{_PARAMETER}[{position}]") for position, operation in enumerate(given))
    criteria = sum(len(step.argument) for each in operations for step in each.steps if step.kind == "where")
    if criteria > MOST_OF_CRITERIA:
        told = f"The criteria of a patch have {MOST_OF_CRITERIA} characters at most, these {criteria}; send several."
        raise MalformedRequest(told, _PARAMETER, "patch-path")
    return operations


def _read(given: Any, place: str) -> Operation:
    if not isinstance(given, dict) or given.get("name") != "operation" or not isinstance(given.get("part"), list):
        raise MalformedRequest("Each parameter is named `operation` and has parts.", place, "patch")
    parts: dict[str, Any] = {}
    for part in given["part"]:
        if not isinstance(part, dict) or not isinstance(part.get("name"), str) or part["name"] in parts:
            raise MalformedRequest("Each part of an operation has a name of its own.", f"{place}.part", "patch")
        parts[part["name"]] = part
    name = parts.pop("type", {}).get("valueCode")
    if name not in _NEEDS:
        raise MalformedRequest(f"The part `type` is one of {', '.join(_NEEDS)}.", f"{place}.part", "patch")
    needs = _NEEDS[name]
    if set(parts) != set(needs):
        raise MalformedRequest(f"`{name}` has the parts type, {', '.join(needs)}.", f"{place}.part", "patch")
    told = {each: _part(parts[each], datatype, f"{place}.part") for each, datatype in needs.items()}
    return Operation(place, name, told["path"], steps_of(told["path"], place), told)


def _part(part: Resource, datatype: str | None, place: str) -> Any:
    if datatype is None:
        return _value_of(part, place)
    found = part.get(f"value{datatype}")
    small = isinstance(found, int) and not isinstance(found, bool) and 0 <= found < MOST_OPERATIONS**2
    if not (isinstance(found, str) if datatype == "String" else small):
        raise MalformedRequest(f"The part `{part['name']}` has a value{datatype}.", place, "patch")
    return found


def _value_of(part: Resource, place: str) -> Value:
    """`value[x]`, a resource, or parts that are the elements of a structure without a name of its own."""
    names = sorted({name.removeprefix("_") for name in part if name not in {"name", "id", "extension"}})
    if len(names) != 1:
        raise MalformedRequest(
            f"The part `{part['name']}` has one value[x], resource or list of parts.", place, "patch"
        )
    name, held = names[0], part.get(names[0])
    if name == "part" and isinstance(held, list) and held:
        return Value(parts=tuple(_element(each, place) for each in held))
    if name == "resource" and isinstance(held, dict):
        return Value(held)
    beside = part.get("_" + name)
    if name.startswith("value") and (held is not None or isinstance(beside, dict)):
        return Value(held, name.removeprefix("value"), beside)
    raise MalformedRequest(f"The part `{part['name']}` has no {name!r}.", place, "patch")


def _element(part: Any, place: str) -> tuple[str, Value]:
    if not isinstance(part, dict) or not isinstance(part.get("name"), str):
        raise MalformedRequest("Each part of a value has the name of an element.", place, "patch")
    return part["name"], _value_of(part, place)
