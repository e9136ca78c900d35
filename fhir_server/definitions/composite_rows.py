"""What the table of search parameters says of composites: their components, as parameters of the place they stand at.

https://hl7.org/fhir/R4/search.html#composite
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fhir_server.definitions.expressions import (
    CAST,
    Extensions,
    Found,
    Irreducible,
    alternatives,
    check_places,
    of_type,
    reduce,
    walk,
)
from fhir_server.definitions.parameter_rows import closed_codes, searched_by, spell, targets_of
from fhir_server.definitions.structures import RESOURCE_TYPES


def places(expression: str, type_name: str, extensions: Extensions | None) -> list[Found]:
    """The places of a type where the components of a composite stand together. Raises Irreducible."""
    found: list[Found] = []
    for part in of_type(expression, type_name):
        found += reduce(part, type_name, extensions)
        check_places(found)
    return found


def reached(expression: str, place: Found, extensions: Extensions | None) -> list[Found]:
    """Where the expression of a component leads from its place, by steps that begin there. Raises Irreducible."""
    start = replace(place, steps=(), single=True, required=True, only=None)
    found: list[Found] = []
    for part in alternatives(expression):
        found += walk([start], _without_cast(part), extensions)
        check_places(found)
    if not all(one.steps for one in found):
        raise Irreducible(f"{expression!r} names no element of its place")
    return found


def component(expression: str, kind: str, found: Sequence[Found]) -> dict[str, Any]:
    """The row of a component, called by the element that it speaks of; `found` is where it may stand.

    Raises Irreducible when nothing there can be searched as its type.
    """
    fitting = [one for one in found if one.datatype in searched_by(kind)]
    if not fitting:
        raise Irreducible(f"no {kind} stands at {expression}")
    row: dict[str, Any] = {"code": ".".join(fitting[0].steps), "type": kind, "paths": [spell(one) for one in fitting]}
    if kind == "reference":
        row["targets"] = targets_of(sorted(RESOURCE_TYPES), fitting)
    return row


def composite_row(parameter: Mapping[str, Any], type_name: str, kinds: Sequence[str]) -> dict[str, Any]:
    """The row for one type of a composite that an operator defines, whose components are of these types.

    Its components have values of their own at each place, also at the resource itself. Raises Irreducible.
    """
    found = places(parameter["expression"], type_name, None)
    if not found:
        raise Irreducible("it names no place of the type")
    values: list[Found] = []
    return {
        "type": "composite",
        "paths": [],
        "places": [
            {
                "at": spell(place) if place.steps else "",
                "components": [
                    _own_component(position, described["expression"], kind, place, values)
                    for position, (described, kind) in enumerate(zip(parameter["component"], kinds, strict=True), 1)
                ],
            }
            for place in found
        ],
    }


def _own_component(position: int, expression: str, kind: str, place: Found, values: list[Found]) -> dict[str, Any]:
    """Called by its last element and its place among the others, so that no two are called alike.

    `values` are those of all components so far, to which its own are added.
    """
    found = [one for one in reached(expression, place, None) if one.datatype in searched_by(kind)]
    row = component(expression, kind, found)
    values += found
    check_places(values)
    return {**row, **closed_codes(found), "code": f"{found[0].steps[-1].partition('[')[0]}-{position}"}


def _without_cast(part: str) -> str:
    cast = CAST.fullmatch(part)
    return f"{cast['path']}.as({cast['type']}){cast['rest']}" if cast else part
