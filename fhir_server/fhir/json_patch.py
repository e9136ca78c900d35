"""JSON Patch: operations on a JSON document, all of them or none.

Numbers keep their digits, because nothing here computes with them.

https://www.rfc-editor.org/rfc/rfc6902
"""

import re
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from fhir_server.fhir.errors import InvalidResource, MalformedRequest

MOST_OPERATIONS = 1000
MOST_COPIED = 100_000

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_TILDE = re.compile(r"~(?![01])")
_NOT_THERE = object()


@dataclass(frozen=True)
class Operation:
    """One operation as it was read: where it stands, its pointers as steps, its value."""

    place: str
    name: str
    path: tuple[str, ...]
    source: tuple[str, ...] = ()
    value: Any = None


def read(patch: Any) -> tuple[Operation, ...]:
    """The operations of a patch document. Raises MalformedRequest with the place of what cannot be understood."""
    if not isinstance(patch, list) or len(patch) > MOST_OPERATIONS:
        raise MalformedRequest(f"A JSON Patch is a list of at most {MOST_OPERATIONS} operations.", "patch", "patch")
    return tuple(_read(operation, f"patch[{position}]") for position, operation in enumerate(patch))


def tests(operations: Sequence[Operation], *path: str) -> bool:
    """Whether the patch begins with a test of what stands at `path`, and so is based on it.

    Behind an operation that changes, a test may find what the patch itself has put there.
    """
    leading = takewhile(lambda operation: operation.name == "test", operations)
    return any(operation.path == path for operation in leading)


def asks(operations: Sequence[Operation]) -> bool:
    """Whether what becomes of the patch tells values of the document: they are tested, or taken to another place,
    where they may be refused with a word about them."""
    return any(operation.name in {"test", "copy", "move"} for operation in operations)


def apply(operations: Sequence[Operation], document: Any) -> Any:
    """A changed copy of `document`. Raises InvalidResource with the place of the operation that is not possible."""
    changed, copied = deepcopy(document), 0
    for operation in operations:
        try:
            if operation.name == "copy":
                copied += _size(_value(changed, operation.source))
            if copied > MOST_COPIED:
                raise _Impossible("The patch copies too much.")
            changed = _APPLY[operation.name](operation, changed)
        except _Impossible as error:
            raise InvalidResource(str(error), operation.place, error.rule) from error
    return changed


class _Impossible(Exception):
    def __init__(self, told: str, rule: str = "patch-path") -> None:
        super().__init__(told)
        self.rule = rule


def _read(given: Any, place: str) -> Operation:
    if not isinstance(given, dict) or not isinstance(given.get("op"), str) or given["op"] not in _APPLY:
        raise MalformedRequest(f"`op` is one of {', '.join(_APPLY)}.", f"{place}.op", "patch")
    name = given["op"]
    if name in {"add", "replace", "test"} and "value" not in given:
        raise MalformedRequest(f"`{name}` needs a value.", f"{place}.value", "patch")
    source = _steps(given.get("from"), f"{place}.from") if name in {"move", "copy"} else ()
    path = _steps(given.get("path"), f"{place}.path")
    if name == "move" and path[: len(source)] == source and path != source:
        raise MalformedRequest("Nothing is moved into itself.", f"{place}.path", "patch")
    return Operation(place, name, path, source, given.get("value"))


def _steps(pointer: Any, place: str) -> tuple[str, ...]:
    """The reference tokens of a JSON Pointer (RFC 6901)."""
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")) or _TILDE.search(pointer):
        raise MalformedRequest("A JSON Pointer is empty or begins with a slash: /name/0/family.", place, "patch")
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])


def _add(operation: Operation, document: Any) -> Any:
    return _put(document, operation.path, deepcopy(operation.value))


def _remove(operation: Operation, document: Any) -> Any:
    return _cut(document, operation.path)[1]


def _replace(operation: Operation, document: Any) -> Any:
    if not operation.path:
        return deepcopy(operation.value)
    holder, key = _place(document, operation.path)
    holder[key] = deepcopy(operation.value)
    return document


def _move(operation: Operation, document: Any) -> Any:
    value, rest = _cut(document, operation.source)
    return _put(rest, operation.path, value)


def _copy(operation: Operation, document: Any) -> Any:
    return _put(document, operation.path, deepcopy(_value(document, operation.source)))


def _test(operation: Operation, document: Any) -> Any:
    if not equal(_value(document, operation.path), operation.value):
        raise _Impossible(f"{_pointer(operation.path)} has another value than the one that is tested.", "patch-test")
    return document


_APPLY: Mapping[str, Callable[[Operation, Any], Any]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}


def equal(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same: numbers by value, objects whatever their order, true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


def _put(document: Any, path: Sequence[str], value: Any) -> Any:
    """Add a value: a new member, or an item before the index; `-` is behind the last."""
    if not path:
        return value
    holder = _value(document, path[:-1])
    if isinstance(holder, list):
        key = len(holder) if path[-1] == "-" else _index(path, len(holder) + 1)
        holder.insert(key, value)
    elif isinstance(holder, dict):
        holder[path[-1]] = value
    else:
        raise _Impossible(f"{_pointer(path[:-1])} is neither an object nor an array.")
    return document


def _cut(document: Any, path: Sequence[str]) -> tuple[Any, Any]:
    """Take a value out; it, and what is left."""
    if not path:
        return document, None
    holder, key = _place(document, path)
    return holder.pop(key), document


def _place(document: Any, path: Sequence[str]) -> tuple[Any, Any]:
    """The object or array that holds what stands at `path`, which must be there, and its key in it."""
    holder = _value(document, path[:-1])
    if isinstance(holder, list):
        return holder, _index(path, len(holder))
    if not isinstance(holder, dict) or path[-1] not in holder:
        raise _Impossible(f"There is nothing at {_pointer(path)}.")
    return holder, path[-1]


def _value(document: Any, path: Sequence[str]) -> Any:
    value = document
    for depth, step in enumerate(path):
        found = _NOT_THERE
        if isinstance(value, list):
            found = value[_index(path[: depth + 1], len(value))]
        elif isinstance(value, dict):
            found = value.get(step, _NOT_THERE)
        if found is _NOT_THERE:
            raise _Impossible(f"There is nothing at {_pointer(path[: depth + 1])}.")
        value = found
    return value


def _size(value: Any) -> int:
    """How many values a value holds, itself included."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(_size, inner))


def _index(path: Sequence[str], length: int) -> int:
    if not _INDEX.fullmatch(path[-1]):
        raise _Impossible(f"{_pointer(path)} must end in the number of an item, counted from 0.")
    if int(path[-1]) >= length:
        raise _Impossible(f"There is nothing at {_pointer(path)}; the array is shorter.")
    return int(path[-1])


def _pointer(path: Sequence[str]) -> str:
    text = "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in path)[:200]
    return text or "the whole resource"
