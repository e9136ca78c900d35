"""FHIRPath expressions of search parameters, reduced to plain paths with the datatype that stands at their end.

https://hl7.org/fhir/R4/searchparameter.html

R4's own are reduced once, by `tools/reduce_search_parameters.py`; those that an operator defines when they are stored.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from fhir_server.definitions.structures import Element, load
from fhir_server.definitions.value_paths import RESOLVED

_DEFINED = "http://hl7.org/fhir/StructureDefinition"
_HGVS = ("text", "coding.display", "coding.code")
_MEANT: Mapping[str, tuple[str, ...]] = {
    f"{_DEFINED}/patient-extensions-Patient-mothersMaidenName": (
        f"extension('{_DEFINED}/patient-mothersMaidenName').value.as(string)",
    ),
    f"{_DEFINED}/observation-geneticsAminoAcidChangeName": tuple(
        f"extension('{_DEFINED}/observation-geneticsAminoAcidChange').extension('Name').value.as(CodeableConcept).{each}"
        for each in _HGVS
    ),
    f"{_DEFINED}/observation-geneticsDnaVariant": tuple(
        f"extension('{_DEFINED}/observation-geneticsVariant').extension('Name').value.as(CodeableConcept).{each}"
        for each in _HGVS
    ),
}
"""Extensions that R4's expressions name by a url for which it has no definition: where the texts stand of the one that
it defines for the same. They are searched beside the values of what is named."""

_MISSPELT = {"DateTime": "dateTime"}
"""Datatypes as R4's expressions spell them once, and as they are called."""

ABSTRACT = {"Resource": "Patient", "DomainResource": "Patient"}
"""The types that only exist as parts of others, and a type on which their expressions can be walked."""

_EXISTENCE = re.compile(r"(\w+(?:\.\w+)*)\.exists\(\) and \1 != false")
CAST = re.compile(r"\((?P<path>[\w.]+) as (?P<type>\w+)\)(?P<rest>(?:\.\w+)*)")
_STEP = re.compile(r"(?P<name>\w+)(?P<call>\((?P<argument>(?:[^()]|\([^()]*\))*)\))?(?:\.|$)")
_EQUALS = re.compile(r"(\w+)='([^']*)'")
_RESOLVES = re.compile(r"resolve\(\) is (\w+)")
_EXTENDED = re.compile(r"hasExtension\('([^']*)'\)|extension\('([^']*)'\)\.exists\(\)")
EXISTENCE_TYPE = "existence"
MOST_PLACES = 200
"""How many places the values of one parameter may stand at; an element of any type is fifty, one inside it 2,500."""


Extensions: TypeAlias = Mapping[str, tuple[str, ...]]
"""The extensions of R4: their urls, each with the types of its value."""


class Irreducible(ValueError):
    """The expression is no plain path; the message says why."""


@dataclass(frozen=True)
class Found:
    """A place that the walk along an expression has reached: JSON steps, element, and what was learnt on the way."""

    steps: tuple[str, ...]
    datatype: str
    single: bool = True
    required: bool = True
    value_set: str | None = None
    targets: frozenset[str] = frozenset()
    only: str | None = None


def alternatives(expression: str) -> list[str]:
    """The parts of a FHIRPath union, split at each `|` outside parentheses."""
    parts, depth = [""], 0
    for character in expression:
        depth += (character == "(") - (character == ")")
        if character == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def of_type(expression: str, type_name: str) -> list[str]:
    """The alternatives that speak of `type_name`, or of every resource."""
    roots = {type_name, "Resource", "DomainResource"}
    return [part for part in alternatives(expression) if part.lstrip("(").split(".")[0] in roots]


def reduce(part: str, type_name: str, extensions: Extensions | None) -> list[Found]:
    """Every plain path that one alternative stands for. Raises Irreducible.

    Without `extensions` any url may be named, and what follows says which part of the extension is meant.
    """
    existence = _EXISTENCE.fullmatch(part)
    if existence:
        return [replace(found, datatype=EXISTENCE_TYPE) for found in reduce(existence[1], type_name, extensions)]
    cast = CAST.fullmatch(part)
    if cast:
        part = f"{cast['path']}.as({cast['type']}){cast['rest']}"
    return walk([Found((), type_name)], part.partition(".")[2], extensions)


def walk(found: list[Found], path: str, extensions: Extensions | None) -> list[Found]:
    """Where all steps of a path lead from every place. Raises Irreducible."""
    for name, argument in _steps(path):
        found = _onward(found, name, argument, extensions)
    return found


def _onward(found: list[Found], name: str, argument: str | None, extensions: Extensions | None) -> list[Found]:
    """Where one step leads from every place, or from those types of a choice that have it. Raises Irreducible."""
    reached: list[Found] = []
    refusals: list[Irreducible] = []
    for before in found:
        try:
            reached += _step(before, name, argument, extensions)
        except Irreducible as refusal:
            refusals.append(refusal)
        check_places(reached)
    if refusals and (len(refusals) == len(found) or extensions is not None):
        raise refusals[0]
    return reached


def check_places(found: Sequence[Found]) -> None:
    """Raise Irreducible when the places are more than a parameter may have."""
    if len(found) > MOST_PLACES:
        told = f"it leads to more than {MOST_PLACES} places; where an element has several types, say which"
        raise Irreducible(f"{told}, as in value.as(Quantity)")


def _steps(part: str) -> list[tuple[str, str | None]]:
    """`a.where(x)` as [("a", None), ("where", "x")]."""
    taken: list[tuple[str, str | None]] = []
    position = 0
    while position < len(part):
        match = _STEP.match(part, position)
        if match is None:
            raise Irreducible(f"{part!r} is no path")
        taken.append((match["name"], match["argument"] if match["call"] else None))
        position = match.end()
    return taken


def _step(before: Found, name: str, argument: str | None, extensions: Extensions | None) -> list[Found]:
    """Every place that one step of the expression leads to from `before`."""
    if argument is None:
        return _children(_through(before), name)
    if name in {"as", "ofType"}:
        return [before] if before.datatype == _MISSPELT.get(argument, argument) else []
    if name == "extension":
        return _extension(_through(before), argument.strip("'"), extensions)
    if name == "where":
        return [_where(before, argument)]
    raise Irreducible(f"the function {name}() is not reduced")


def _where(before: Found, condition: str) -> Found:
    """The same place, narrowed."""
    if resolves := _RESOLVES.fullmatch(condition):
        if before.only is not None:
            raise Irreducible(f"where({condition}) is not reduced where a type is asked already")
        return replace(before, only=resolves[1])
    if equals := _EQUALS.fullmatch(condition):
        return _filtered(before, equals[1], equals[2])
    if extended := _EXTENDED.fullmatch(condition):
        return _filtered(before, "extension.url", extended[1] or extended[2])
    raise Irreducible(f"where({condition}) is not reduced")


def _through(before: Found) -> Found:
    """The same place as one on the way: which references count is then said where they stand."""
    if before.only is None:
        return before
    return replace(_filtered(before, RESOLVED, before.only), only=None)


def _filtered(before: Found, element: str, value: str) -> Found:
    *leading, last = before.steps or ("[",)
    if "[" in last or "]" in value or "\\" in value:
        raise Irreducible("of one element, where() compares one child with a plain text")
    return replace(before, steps=(*leading, f"{last}[{element}={value}]"))


def _extension(before: Found, url: str, extensions: Extensions | None) -> list[Found]:
    """The values of an extension, one place for each type that R4's definition of it allows; else the extension.

    Of one that R4 names without a definition, the values of every type, and beside them what it means.
    """
    if extensions is None:
        return [_filtered(found, "url", url) for found in _children(before, "extension")]
    if url not in extensions:
        meant = [found for path in _MEANT.get(url, ()) for found in walk([before], path, None)]
        return [*walk([before], f"extension('{url}').value", None), *(replace(one, datatype="string") for one in meant)]
    at = f"extension[url={url}]"
    return [
        Found((*before.steps, at, f"value{name[0].upper()}{name[1:]}"), name, single=False) for name in extensions[url]
    ]


def _children(before: Found, name: str) -> list[Found]:
    path = before.datatype.removeprefix("#")
    try:
        elements = {element.name: element for element in load().elements(path)}
    except KeyError as error:
        raise Irreducible(f"{path} has no elements") from error
    if name not in elements:
        raise Irreducible(f"{path} has no element {name!r}")
    return list(_spelt(before, path, elements[name]))


def _spelt(before: Found, path: str, element: Element) -> Iterator[Found]:
    for json_name, type_name in element.json_names().items():
        yield Found(
            (*before.steps, json_name),
            type_name if type_name != "BackboneElement" else f"#{path}.{element.name}",
            before.single and not element.repeats,
            before.required and element.required and not element.choice,
            element.value_set,
            element.targets,
        )
