"""Where a FHIRPath leads in a resource: to places that can be changed, not to copies of values.

https://hl7.org/fhirpath/N1/
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.definitions.structures import RESOURCE, load
from fhir_server.fhir.errors import InvalidResource, MalformedRequest
from fhir_server.fhir.json import Resource
from fhir_server.interactions.patching.criteria import may_be_asked
from fhir_server.interactions.patching.element_places import Place, child_type, elements_of

MOST_CHARACTERS = 1000
MOST_STEPS = 50

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|`[A-Za-z_][A-Za-z0-9_]*`")
_BESIDE = re.compile(r"\b(?:extension|id)\b")
_NUMBER = re.compile(r"\[\s*([0-9]{1,6})\s*\]")


@dataclass(frozen=True)
class Step:
    """One step: an element, the item of an index, or a function with its argument."""

    kind: str
    argument: str = ""


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
    """The places that the steps lead to, from the resource: none when nothing is there.

    Raises InvalidResource for a name that R4 does not have there, and for a `where` that says nothing.
    """
    places, types = [root], frozenset({root.type})
    for number, step in enumerate(steps):
        if number == 0 and step == Step("element", root.type):
            continue
        types = _types_behind(step, types, places, place)
        try:
            places = _FOLLOW[step.kind](places, step.argument)
        except _NotFhirPath as error:
            raise InvalidResource(f"`where({step.argument})` is not FHIRPath that can be asked.", place) from error
    return places


def unknown(name: str, types: frozenset[str], place: str) -> InvalidResource:
    """The refusal of a name that no element has in these types, with those that there are."""
    there = ", ".join(dict.fromkeys(each for type_name in sorted(types) for each in elements_of(type_name)))
    what = next(iter(types)) if len(types) == 1 else "This element"
    told = f"it has {there}" if there else "it has a value alone"
    return InvalidResource(f"{what or 'This element'} has no element {name[:100]!r}; {told}.", place, "patch-path")


def _types_behind(step: Step, types: frozenset[str], places: list[Place], place: str) -> frozenset[str]:
    """The types that elements behind a step may have by their definition, whether or not there are any now.

    What a resource inside of another is, its value tells; where there is none, any name may be said.
    """
    if step.kind not in {"element", "ofType"}:
        return types
    whole = RESOURCE in types
    if whole:
        types = frozenset(each.type for each in places)
    if step.kind == "ofType":
        named = step.argument.removeprefix("FHIR.")
        if not (load().is_resource(named) if whole else named in types):
            told = f"No {step.argument[:100]!r} may stand there; {', '.join(sorted(types)) or 'a resource'} may."
            raise InvalidResource(told, place, "patch-path")
        return frozenset({named})
    if not types:
        return frozenset({RESOURCE})
    found = frozenset(
        child_type(each, step.argument, datatype)
        for each in types
        if step.argument in elements_of(each)
        for datatype in elements_of(each)[step.argument].json_names().values()
    )
    if not found:
        raise unknown(step.argument, types, place)
    return found


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
    if not _BESIDE.search(criterion):
        return [place for place in places if ask(place.value)]
    # What stands beside a primitive is seen by FHIRPath only from the object that holds both.
    ask_beside = _criterion(criterion, "value.where({}).exists()")
    return [
        place
        for place in places
        if (ask(place.value) if place.beside is None else ask_beside({"value": place.value, "_value": place.beside}))
    ]


def _criterion(text: str, within: str = "{}") -> Callable[[Any], bool]:
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
        compiled = fhirpathpy.compile(within.format(text), models["r4"])
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
