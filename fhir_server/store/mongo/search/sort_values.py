"""Sort values that no document has, worked out by the database from the search values that it has anyway.

A composite is sorted by its first component, then by the next: of the places where its components stand together, by
the least, or descending by the greatest. What lacks one of them at every place has no value. `near` is sorted by the
distance in metres from the nearest of the places that are asked.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from fhir_server.definitions.search_parameters import Part, SearchParameter
from fhir_server.search.keys import LONGEST, has_key, missing_key
from fhir_server.search.query import Near, Sort
from fhir_server.search.types import near, number, token
from fhir_server.search.types.age import BORN, DIED
from fhir_server.search.types.term import term

Expression: TypeAlias = dict[str, Any]

_NO_SYSTEM = r"(?:[^|\\]|\\.)"
_DOCUMENT, _PLACE = "$", "$$place."
_NUMBER: Expression = {"$cond": [{"$gt": ["$$this.lo", -number.MOST]}, "$$this.lo", "$$this.hi"]}
"""As `number.sorted_by`."""


def made_value(parameter: SearchParameter, sort: Sort, places: Sequence[Near]) -> Expression:
    """What is sorted by: a value, of a composite those of its components, of `near` the distance from the `places`."""
    if parameter.parts:
        return composite_value(parameter, sort)
    return distance(parameter, places) if parameter.type == "special" else sort_value(parameter, sort)


def sort_value(parameter: SearchParameter, sort: Sort) -> Expression:
    """The sort value of a parameter; what has none comes last both ways."""
    end = "hi" if sort.descending else "lo"
    found: Any = f"$k.{parameter.code}.{end}" if has_key(parameter) else _worked_out(parameter, sort, _DOCUMENT)
    return {"$ifNull": [found, missing_key(parameter)[end]]}


def composite_value(parameter: SearchParameter, sort: Sort) -> Expression:
    """The sort values of a composite's components, by their names in `component_names`."""
    end = "hi" if sort.descending else "lo"
    missing = [missing_key(each)[end] for each in parameter.parts[0].components]
    together = {"$concatArrays": [_together(part, sort, missing) for part in parameter.parts]}
    best = {"$ifNull": [{"$max" if sort.descending else "$min": together}, missing]}
    names = component_names(parameter)
    values = {name: {"$arrayElemAt": ["$$best", position]} for position, name in enumerate(names)}
    return {"$let": {"vars": {"best": best}, "in": values}}


def component_names(parameter: SearchParameter) -> list[str]:
    """What the components' sort values are called, the first one first; none of any but a composite."""
    return [f"p{position}" for position, _ in enumerate(parameter.parts[0].components)] if parameter.parts else []


def distance(parameter: SearchParameter, places: Sequence[Near]) -> Expression:
    """How many metres a document's place is away from the nearest of these."""
    nearest = {"$min": [_metres(parameter, place) for place in places]}
    return {"$ifNull": [nearest, number.MOST]}


def _together(part: Part, sort: Sort, missing: Sequence[Any]) -> Expression:
    """The values of the components, at each place of the part that has them all."""
    if part.kept:
        values: Any = [_at_a_place(each, sort) for each in part.components]
        places: Any = {"$map": {"input": {"$ifNull": [f"$m.{part.kept}", []]}, "as": "place", "in": values}}
    else:
        places = [[sort_value(each, sort) for each in part.components]]
    having = [{"$ne": [{"$arrayElemAt": ["$$values", at]}, absent]} for at, absent in enumerate(missing)]
    return {"$filter": {"input": places, "as": "values", "cond": {"$and": having}}}


def _at_a_place(component: SearchParameter, sort: Sort) -> Expression:
    missing = missing_key(component)["hi" if sort.descending else "lo"]
    return {"$ifNull": [_worked_out(component, sort, _PLACE), missing]}


def _worked_out(parameter: SearchParameter, sort: Sort, at: str) -> Expression:
    return {"$max" if sort.descending else "$min": _FOUND_BY[parameter.type](parameter, at)}


def _terms(parameter: SearchParameter, at: str) -> Expression:
    """What the terms say beside the systems of codes, folded as they are stored."""
    if parameter.type != "token":
        before, form = f"{parameter.code}=", ""
    elif token.is_systemless(parameter):
        before, form = f"{parameter.code}=|", ""
    else:
        before, form = f"{parameter.code}=", f"{_NO_SYSTEM}*$"
    terms = {"$regexMatch": {"input": "$$this", "regex": f"^{re.escape(before)}{form}", "options": "s"}}
    chosen = {"$filter": {"input": f"{at}t", "as": "this", "cond": terms}}
    return {"$map": {"input": chosen, "as": "this", "in": {"$substrCP": ["$$this", len(before), LONGEST]}}}


def _amounts(parameter: SearchParameter, at: str) -> Expression:
    """The least of each amount, in the base unit where that is known of one of them."""
    amounts = {"$ifNull": [f"{at}n.{parameter.code}", []]}
    base = {"$eq": [{"$substrCP": [{"$first": "$$this.u"}, 0, 1]}, "="]}
    in_base = {"$filter": {"input": amounts, "as": "this", "cond": base}}
    chosen = {"$cond": [{"$gt": [{"$size": in_base}, 0]}, in_base, amounts]}
    return {"$map": {"input": chosen, "as": "this", "in": _NUMBER}}


def _numbers(parameter: SearchParameter, at: str) -> Expression:
    return {"$map": {"input": {"$ifNull": [f"{at}n.{parameter.code}", []]}, "as": "this", "in": _NUMBER}}


def _beginnings(parameter: SearchParameter, at: str) -> Expression:
    """Where each range of time begins."""
    return {"$map": {"input": {"$ifNull": [f"{at}d.{parameter.code}", []]}, "as": "this", "in": "$$this.lo"}}


def _texts(parameter: SearchParameter, at: str) -> Expression:
    texts = {"$ifNull": [f"{at}s.{parameter.code}.f", []]}
    return {"$map": {"input": texts, "as": "this", "in": {"$substrCP": ["$$this", 0, LONGEST]}}}


def _age(parameter: SearchParameter, at: str) -> Expression:
    """Who was born earlier is older; who has died, or whose birth date is unknown, has no age."""
    born = {"$arrayElemAt": [{"$ifNull": [f"{at}d.{BORN}.lo", []]}, 0]}
    died = {"$in": [term(DIED, "|true"), {"$ifNull": [f"{at}t", []]}]}
    return {"$cond": [died, None, {"$multiply": [-1, born]}]}


_FOUND_BY: Mapping[str, Callable[[SearchParameter, str], Expression]] = {
    "token": _terms,
    "reference": _terms,
    "sound": _terms,
    "uri": _terms,
    "quantity": _amounts,
    "number": _numbers,
    "date": _beginnings,
    "age": _age,
    "string": _texts,
}


def _metres(parameter: SearchParameter, asked: Near) -> Expression:
    """On the sphere that `search/types/near.py` measures on; whole metres, so that each page says the same."""
    east, north = ({"$arrayElemAt": [f"$g.{parameter.code}", at]} for at in (0, 1))
    across = _squared({"$sin": _half_angle(east, asked.longitude)})
    along = _squared({"$sin": _half_angle(north, asked.latitude)})
    widths = {"$multiply": [{"$cos": _radians(north)}, {"$cos": _radians(asked.latitude)}, across]}
    angle = {"$asin": {"$sqrt": {"$min": [1.0, {"$add": [along, widths]}]}}}
    place = {"$isArray": f"$g.{parameter.code}"}
    return {"$cond": [place, {"$trunc": {"$multiply": [2 * near.EARTH_KM * 1000, angle]}}, None]}


def _radians(degrees: Any) -> Expression:
    return {"$degreesToRadians": degrees}


def _half_angle(degrees: Any, asked: float) -> Expression:
    return {"$divide": [_radians({"$subtract": [degrees, asked]}), 2]}


def _squared(value: Expression) -> Expression:
    return {"$pow": [value, 2]}
