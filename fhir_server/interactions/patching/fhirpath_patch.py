"""FHIRPath Patch: its operations change a resource, each at an element that a path leads to.

https://hl7.org/fhir/R4/fhirpatch.html
"""

from collections.abc import Callable, Mapping
from copy import deepcopy

from fhir_server.definitions.structures import Element
from fhir_server.fhir.errors import InvalidResource
from fhir_server.fhir.json import Resource
from fhir_server.interactions.patching.element_paths import follow, root_of, unknown
from fhir_server.interactions.patching.element_places import (
    Pair,
    Place,
    child_type,
    elements_of,
    is_primitive,
    items_of,
    named,
    write,
    write_items,
)
from fhir_server.interactions.patching.fhirpath_operations import Operation, Value


def apply(operations: tuple[Operation, ...], resource: Resource) -> Resource:
    """A changed copy of the resource. Raises InvalidResource with the place of the operation that is not possible."""
    changed = deepcopy(resource)
    for operation in operations:
        _APPLY[operation.name](operation, root_of(changed))
    return changed


def _add(operation: Operation, root: Place) -> None:
    """One more item of a list, or an element that is not there yet."""
    holder, name = _one(operation, operation.places(root)), operation.given["name"]
    element, json_name = named(holder.type, name)
    if element is None:
        raise unknown(name, frozenset({holder.type}), operation.place)
    fields = _fields(operation, holder)
    value: Value = operation.given["value"]
    json_name = _json_name(element, json_name, value, operation)
    pair = _pair(value, holder.type, element, json_name, operation)
    if element.repeats:
        write_items(fields, json_name, [*items_of(fields, json_name), pair])
    elif any(holder.children(element.name)):
        raise _impossible(operation, f"{name} is there already; replace it")
    else:
        write(fields, json_name, pair)


def _insert(operation: Operation, root: Place) -> None:
    """One more item at a place of a list, which may be empty before."""
    places = operation.places(root)
    holder, element = _list(operation, places) if places else _new_list(operation, root)
    fields, name = _fields(operation, holder), element.name
    items, index = items_of(fields, name), operation.given["index"]
    if index > len(items):
        raise _impossible(operation, f"the list has {len(items)} items, so the index is {len(items)} at most")
    items.insert(index, _pair(operation.given["value"], holder.type, element, name, operation))
    write_items(fields, name, items)


def _delete(operation: Operation, root: Place) -> None:
    """What is not there need not be taken away."""
    places = operation.places(root)
    if places:
        _one(operation, places).cut()


def _replace(operation: Operation, root: Place) -> None:
    """The element becomes what is given: of a primitive, the id and extensions that it had go with its value."""
    place = _one(operation, operation.places(root))
    value: Value = operation.given["value"]
    element = place.parent_element()
    if element is None or place.owner is None:
        raise _impossible(operation, "a whole resource is not replaced by a patch; update it")
    name = _json_name(element, None, value, operation)
    place.put(name, _pair(value, place.owner.type, element, name, operation))


def _move(operation: Operation, root: Place) -> None:
    holder, element = _list(operation, operation.places(root))
    fields = _fields(operation, holder)
    items = items_of(fields, element.name)
    source, destination = operation.given["source"], operation.given["destination"]
    if max(source, destination) >= len(items):
        raise _impossible(operation, f"the list has {len(items)} items, counted from 0")
    items.insert(destination, items.pop(source))
    write_items(fields, element.name, items)


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


def _fields(operation: Operation, holder: Place) -> Resource:
    """The object that the children of a place stand in."""
    fields = holder.opened()
    if fields is None:
        raise _impossible(operation, f"what stands there is no {holder.type}")
    return fields


def _list(operation: Operation, places: list[Place]) -> tuple[Place, Element]:
    """What owns the list that the path leads to, and the list's element there."""
    element, owner = (places[0].parent_element(), places[0].owner) if places else (None, None)
    if element is None or owner is None or not element.repeats or len({id(place.owner) for place in places}) != 1:
        raise _impossible(operation, "it must lead to the items of one list")
    return owner, element


def _new_list(operation: Operation, root: Place) -> tuple[Place, Element]:
    """The same of the list that the last name of the path would begin, in what the rest of the path leads to."""
    *way, last = operation.steps
    holder = _one(operation, follow(way, root, operation.place)) if last.kind == "element" else None
    element = elements_of(holder.type).get(last.argument) if holder else None
    if holder is None or element is None or not element.repeats:
        raise _impossible(operation, "it must lead to the items of one list")
    return holder, element


def _json_name(element: Element, said: str | None, value: Value, operation: Operation) -> str:
    """The element's name in JSON; of a choice the one that was said, or the one that the value's type makes."""
    made = element.name + value.suffix if element.choice and value.suffix else said or element.name
    if made not in element.json_names() or said not in {None, made}:
        raise _impossible(
            operation, f"{said or element.name} has no value of the type {value.suffix or 'that is given'}"
        )
    return made


def _pair(value: Value, owner: str, element: Element, json_name: str, operation: Operation) -> Pair:
    """The value anew, for a patch may be applied again, and what is given beside it.

    What is built from parts has lists only where R4 has lists, and names of R4 alone.
    """
    datatype = child_type(owner, element.name, element.json_names()[json_name])
    if value.beside is not None and not is_primitive(datatype):
        raise _impossible(operation, f"{json_name} holds its id and extensions itself, not beside it")
    if value.parts is None:
        return deepcopy(value.json), deepcopy(value.beside)
    built: Resource = {}
    for name, each in value.parts:
        child, said = named(datatype, name)
        if child is None:
            raise unknown(name, frozenset({datatype}), operation.place)
        inner = _json_name(child, said, each, operation)
        pair = _pair(each, datatype, child, inner, operation)
        if child.repeats:
            write_items(built, inner, [*items_of(built, inner), pair])
        elif any(Place(built, datatype, built).children(child.name)):
            raise _impossible(operation, f"{name} is given twice, and {datatype} has one")
        else:
            write(built, inner, pair)
    return (None, built) if is_primitive(datatype) else (built, None)


def _impossible(operation: Operation, why: str) -> InvalidResource:
    return InvalidResource(f"`{operation.name}` at {operation.path}: {why}.", operation.place, "patch-path")
