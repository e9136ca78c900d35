"""Where a FHIRPath leads in a resource: to places that can be changed, not to copies of values.

https://hl7.org/fhirpath/N1/
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.definitions.structures import RESOURCE, Element, load
from fhir_server.fhir.errors import InvalidResource, MalformedRequest
from fhir_server.fhir.json import Resource
from fhir_server.interactions.criteria import may_be_asked

MOST_CHARACTERS = 1000
MOST_STEPS = 50

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|`[A-Za-z_][A-Za-z0-9_]*`")
_NUMBER = re.compile(r"\[\s*([0-9]{1,6})\s*\]")


@dataclass(frozen=True)
class Step:
    """One step: an element, the item of an index, or a function with its argument."""

    kind: str
    argument: str = ""


@dataclass
class Place:
    """An element of a resource: what holds it under which JSON name, at which position of a list, and its type."""

    value: Any
    type: str
    holder: Any = None
    name: str = ""
    position: int | None = None
    holder_type: str = ""

    def element(self, name: str) -> Element | None:
        """The definition of a child element."""
        return next((each for each in _elements(self.type) if each.name == name), None)

    def parent_element(self) -> Element | None:
        """The definition of this element in what holds it; None for the resource itself."""
        if self.holder is None:
            return None
        return next((each for each in _elements(self.holder_type) if self.name in each.json_names()), None)

    def children(self, name: str) -> Iterator["Place"]:
        """The places of a child element that are filled."""
        element = self.element(name)
        if element is None or not isinstance(self.value, dict):
            return
        for json_name, datatype in element.json_names().items():
            found = self.value.get(json_name)
            if isinstance(found, list):
                for position, item in enumerate(found):
                    yield Place(item, _type_of(item, datatype), self.value, json_name, position, self.type)
            elif found is not None:
                yield Place(found, _type_of(found, datatype), self.value, json_name, None, self.type)

    def put(self, name: str, value: Any) -> None:
        """Let `value` stand here, under `name` when the type of a choice changes."""
        self._forget_beside()
        if self.position is not None:
            self.holder[self.name][self.position] = value
        elif name == self.name:
            self.holder[name] = value
        else:
            del self.holder[self.name]
            self.holder[name] = value

    def cut(self) -> None:
        """Take the element away; a list that is left empty goes too."""
        if self.holder is None:
            raise InvalidResource("A whole resource is not deleted by a patch.", rule="patch-path")
        beside = self.holder.get("_" + self.name)
        if self.position is None:
            del self.holder[self.name]
            self.holder.pop("_" + self.name, None)
            return
        for name, items in ((self.name, self.holder[self.name]), ("_" + self.name, beside)):
            if isinstance(items, list) and self.position < len(items):
                items.pop(self.position)
            if isinstance(items, list) and not any(item is not None for item in items):
                del self.holder[name]

    def _forget_beside(self) -> None:
        """The id and extensions of a primitive go with its value."""
        beside = self.holder.get("_" + self.name)
        if isinstance(beside, list) and self.position is not None and self.position < len(beside):
            beside[self.position] = None
            if not any(item is not None for item in beside):
                del self.holder["_" + self.name]
        elif beside is not None and self.position is None:
            del self.holder["_" + self.name]


def root_of(resource: Resource) -> Place:
    """The place of a whole resource."""
    return Place(resource, resource["resourceType"])


def steps_of(path: str, place: str) -> tuple[Step, ...]:
    """The steps of a path. Raises MalformedRequest for what does not lead to an element."""
    if len(path) > MOST_CHARACTERS:
        raise MalformedRequest(f"A path has at most {MOST_CHARACTERS} characters.", place, "patch-path")
    steps, at = list[Step](), 0
    while at < len(path) and len(steps) <= MOST_STEPS:
        step, at = _step(path, at, place)
        steps.append(step)
        at += path.startswith(".", at) and at + 1 < len(path)
    if not steps or at != len(path):
        raise _unreadable(path, place)
    return tuple(steps)


def follow(steps: Sequence[Step], root: Place, place: str) -> list[Place]:
    """The places that the steps lead to, from the resource. Raises InvalidResource for a `where` that says nothing."""
    places = [root]
    for number, step in enumerate(steps):
        if number == 0 and step == Step("element", root.type):
            continue
        try:
            places = _FOLLOW[step.kind](places, step.argument)
        except _NotFhirPath as error:
            raise InvalidResource(f"`where({step.argument})` is not FHIRPath that can be asked.", place) from error
    return places


class _NotFhirPath(Exception):
    """The library could not ask a criterion."""


def _step(path: str, at: int, place: str) -> tuple[Step, int]:
    number = _NUMBER.match(path, at)
    if number:
        return Step("item", number[1]), number.end()
    name = _NAME.match(path, at)
    if name is None:
        raise _unreadable(path, place)
    if not path.startswith("(", name.end()):
        return Step("element", name[0].strip("`")), name.end()
    end = _closing(path, name.end())
    step = Step(name[0], path[name.end() + 1 : end - 1].strip())
    if step.kind not in {"where", "first", "last", "ofType"} or bool(step.argument) != (
        step.kind in {"where", "ofType"}
    ):
        raise _unreadable(path, place)
    return step, end


def _closing(path: str, opening: int) -> int:
    """Behind the bracket that closes the one at `opening`; texts between quotes do not count."""
    depth, quoted, at = 0, False, opening
    while at < len(path):
        sign = path[at]
        if quoted and sign == "\\":
            at += 1
        elif sign == "'":
            quoted = not quoted
        elif not quoted and sign in "()":
            depth += 1 if sign == "(" else -1
            if depth == 0:
                return at + 1
        at += 1
    return at + 1  # beyond the path, which steps_of refuses


def _unreadable(path: str, place: str) -> MalformedRequest:
    return MalformedRequest(
        f"The path {path[:200]!r} is not made of element names, [0], where(...), first(), last() and ofType(...).",
        place,
        "patch-path",
    )


def _where(places: list[Place], criterion: str) -> list[Place]:
    ask = _criterion(criterion)
    return [place for place in places if ask(place.value)]


def _criterion(text: str) -> Callable[[Any], bool]:
    if not may_be_asked(text):
        raise _NotFhirPath
    import fhirpathpy  # late: it takes a third of a second, and few requests need it
    from fhirpathpy.models import models

    def ask(value: Any) -> bool:
        try:
            found = compiled(value, None)
        except Exception as error:
            raise _NotFhirPath from error
        return bool(found == [True])

    try:
        compiled = fhirpathpy.compile(text, models["r4"])
    except Exception as error:
        raise _NotFhirPath from error
    return ask


_FOLLOW: Mapping[str, Callable[[list[Place], str], list[Place]]] = {
    "element": lambda places, name: [child for place in places for child in place.children(name)],
    "item": lambda places, number: places[int(number) : int(number) + 1],
    "first": lambda places, _: places[:1],
    "last": lambda places, _: places[-1:],
    "ofType": lambda places, name: [place for place in places if place.type == name.removeprefix("FHIR.")],
    "where": _where,
}


def _type_of(value: Any, datatype: str) -> str:
    if datatype == RESOURCE and isinstance(value, dict):
        return str(value.get("resourceType", ""))
    return datatype.removeprefix("#")


def _elements(path: str) -> tuple[Element, ...]:
    try:
        return load().elements(path)
    except KeyError:
        return ()
