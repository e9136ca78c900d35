"""FHIRPath Patch: its operations change a resource, each at an element that a path leads to.

https://hl7.org/fhir/R4/fhirpatch.html
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from fhir_server.definitions.structures import Element, load
from fhir_server.fhir.errors import InvalidResource
from fhir_server.fhir.json import Resource
from fhir_server.interactions.element_paths import Place, follow, root_of
from fhir_server.interactions.fhirpath_operations import Operation, Value


def apply(operations: tuple[Operation, ...], resource: Resource) -> Resource:
    """A changed copy of the resource. Raises InvalidResource with the place of the operation that is not possible."""
    changed = deepcopy(resource)
    for operation in operations:
        _APPLY[operation.name](operation, root_of(changed))
    return changed


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
