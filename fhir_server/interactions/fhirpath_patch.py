"""FHIRPath Patch: operations in a Parameters resource, each at an element that a path leads to.

A path is made of element names, `[0]`, `where(...)`, `first()`, `last()` and `ofType(...)`; what stands in a `where`
may be any FHIRPath.

https://hl7.org/fhir/R4/fhirpatch.html
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from fhir_server.definitions.structures import Element, load
from fhir_server.fhir.errors import InvalidResource, MalformedRequest
from fhir_server.fhir.json import Resource
from fhir_server.interactions.element_paths import Place, Step, follow, root_of, steps_of

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
    """A value as a Parameters resource holds it, and the name of its type as it ends a choice element's name."""

    json: Any
    suffix: str = ""


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


def apply(operations: tuple[Operation, ...], resource: Resource) -> Resource:
    """A changed copy of the resource. Raises InvalidResource with the place of the operation that is not possible."""
    changed = deepcopy(resource)
    for operation in operations:
        _APPLY[operation.name](operation, root_of(changed))
    return changed


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
    names = [name for name in part if name not in {"name", "id", "extension"}]
    if len(names) != 1:
        raise MalformedRequest(
            f"The part `{part['name']}` has one value[x], resource or list of parts.", place, "patch"
        )
    if names[0] == "part" and isinstance(part["part"], list):
        return Value(_structure(part["part"], place))
    if names[0] == "resource":
        return Value(part["resource"])
    if names[0].startswith("value"):
        return Value(part[names[0]], names[0].removeprefix("value"))
    raise MalformedRequest(f"The part `{part['name']}` has no {names[0]!r}.", place, "patch")


def _structure(parts: list[Any], place: str) -> Resource:
    built: Resource = {}
    for part in parts:
        if not isinstance(part, dict) or not isinstance(part.get("name"), str):
            raise MalformedRequest("Each part of a value has the name of an element.", place, "patch")
        value = _value_of(part, place).json
        built.setdefault(part["name"], []).append(value)
    return built


def _add(operation: Operation, root: Place) -> None:
    """One more item of a list, or an element that has no value yet."""
    holder = _one(operation, operation.places(root))
    element = holder.element(operation.given["name"])
    if element is None or not isinstance(holder.value, dict):
        raise _impossible(operation, f"{holder.type} has no element {operation.given['name']!r}")
    value: Value = operation.given["value"]
    name = _json_name(element, value, operation)
    built = _typed(value.json, element.json_names()[name])
    if element.repeats:
        items, beside = _items(holder.value, name)
        items.append(built)
        if beside is not None:
            beside.append(None)
    elif any(each in holder.value for each in element.json_names()):
        raise _impossible(operation, f"{operation.given['name']} has a value; replace it")
    else:
        holder.value[name] = built


def _insert(operation: Operation, root: Place) -> None:
    """One more item at a place of a list, which may be empty before."""
    places = operation.places(root)
    items, beside, datatype = _list(operation, places) if places else _new_list(operation, root)
    index = operation.given["index"]
    if index > len(items):
        raise _impossible(operation, f"the list has {len(items)} items, so the index is {len(items)} at most")
    items.insert(index, _typed(operation.given["value"].json, datatype))
    if beside is not None:
        beside.insert(index, None)


def _delete(operation: Operation, root: Place) -> None:
    """What is not there need not be taken away."""
    places = operation.places(root)
    if places:
        _one(operation, places).cut()


def _replace(operation: Operation, root: Place) -> None:
    place = _one(operation, operation.places(root))
    value: Value = operation.given["value"]
    element = place.parent_element()
    if element is None:
        raise _impossible(operation, "a whole resource is not replaced by a patch; update it")
    name = _json_name(element, value, operation)
    place.put(name, _typed(value.json, element.json_names()[name]))


def _move(operation: Operation, root: Place) -> None:
    items, beside, _ = _list(operation, operation.places(root))
    source, destination = operation.given["source"], operation.given["destination"]
    if max(source, destination) >= len(items):
        raise _impossible(operation, f"the list has {len(items)} items, counted from 0")
    for each in (items, beside):
        if each is not None:
            each.insert(destination, each.pop(source))


_APPLY: Mapping[str, Callable[[Operation, Place], None]] = {
    "add": _add,
    "insert": _insert,
    "delete": _delete,
    "replace": _replace,
    "move": _move,
}


def _one(operation: Operation, places: list[Place]) -> Place:
    if len(places) != 1:
        raise _impossible(operation, f"it leads to {len(places)} elements, and must lead to one")
    return places[0]


def _list(operation: Operation, places: list[Place]) -> tuple[list[Any], list[Any] | None, str]:
    """The list that the path leads to, what stands beside its primitives, and the type of its items."""
    element = places[0].parent_element() if places else None
    if not places or element is None or not element.repeats or len({id(place.holder) for place in places}) != 1:
        raise _impossible(operation, "it must lead to the items of one list")
    holder, name = places[0].holder, places[0].name
    return *_items(holder, name), element.json_names()[name]


def _new_list(operation: Operation, root: Place) -> tuple[list[Any], list[Any] | None, str]:
    """The list that the last name of the path would begin, in what the rest of the path leads to."""
    *way, last = operation.steps
    holder = _one(operation, follow(way, root, operation.place)) if last.kind == "element" else None
    element = holder.element(last.argument) if holder else None
    if holder is None or element is None or not element.repeats or not isinstance(holder.value, dict):
        raise _impossible(operation, "it must lead to the items of one list")
    return *_items(holder.value, element.name), element.json_names()[element.name]


def _items(holder: Resource, name: str) -> tuple[list[Any], list[Any] | None]:
    """The items of a list, made when there is none, and what stands beside each when that is a primitive."""
    beside = holder.get("_" + name)
    items = holder.setdefault(name, [None] * len(beside) if isinstance(beside, list) else [])
    if isinstance(beside, list):
        beside.extend([None] * (len(items) - len(beside)))
    return items, beside if isinstance(beside, list) else None


def _json_name(element: Element, value: Value, operation: Operation) -> str:
    """The element's name in JSON; the value's type decides when there is a choice."""
    name = element.name + value.suffix if element.choice else element.name
    if name not in element.json_names():
        raise _impossible(operation, f"{element.name} has no value of the type {value.suffix or 'that is given'}")
    return name


def _typed(value: Any, datatype: str) -> Any:
    """The value anew, for a patch may be applied again; what is built from parts has lists only where R4 has lists."""
    path = datatype.removeprefix("#")
    if not isinstance(value, dict) or not any(isinstance(item, list) for item in value.values()):
        return deepcopy(value)
    elements = {name: element for element in _elements(path) for name in element.json_names()}
    built = {}
    for name, items in value.items():
        element = elements.get(name)
        if element is None or not isinstance(items, list):
            built[name] = deepcopy(items)
            continue
        typed = [_typed(item, element.json_names()[name]) for item in items]
        built[name] = typed if element.repeats or len(typed) != 1 else typed[0]
    return built


def _elements(path: str) -> tuple[Element, ...]:
    try:
        return load().elements(path)
    except KeyError:
        return ()


def _impossible(operation: Operation, why: str) -> InvalidResource:
    return InvalidResource(f"`{operation.name}` at {operation.path}: {why}.", operation.place, "patch-path")
