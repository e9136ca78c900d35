"""Scalar keys by which a database can sort and range over what repeats: the least and the greatest of the values.

A key is `{lo, hi}`: `lo` sorts ascending, `hi` descending. What has no value has MISSING keys, which come last both
ways. Dates are sorted by their start, quantities by their amount in the base unit where that is known. References
have a key only as `patient`, for the index of a person's chart.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fhir_server.definitions.search_parameters import SearchParameter, parameters_of
from fhir_server.search.query import Clause, Near
from fhir_server.search.types import codes, date, number, quantity, reference, string, token

LAST_TEXT = "\U0010ffff"
FIRST_TEXT = ""
LAST_MOMENT = 2 * 10**18
FIRST_MOMENT = -2 * 10**18
LONGEST = 100

Key = dict[str, Any]

_MISSING_TEXT: Key = {"lo": LAST_TEXT, "hi": FIRST_TEXT}
_MISSING_MOMENT: Key = {"lo": LAST_MOMENT, "hi": FIRST_MOMENT}
_MISSING_NUMBER: Key = {"lo": number.MOST, "hi": -number.MOST}
_MISSING: Mapping[str, Key] = {
    "age": _MISSING_NUMBER,
    "date": _MISSING_MOMENT,
    "number": _MISSING_NUMBER,
    "quantity": _MISSING_NUMBER,
}


def has_key(parameter: SearchParameter) -> bool:
    """Whether resources are stored with a key for the parameter."""
    if parameter.type == "token":
        return token.is_scalar(parameter)
    if parameter.type == "reference":
        return parameter.code == "patient" and parameter.single
    if parameter.type == "quantity":
        return parameter.single
    return parameter.type in {"date", "string", "number"} or parameter.code == "url"


def sortable(type_name: str) -> list[str]:
    """The codes of the parameters by which resources of a type can be sorted: all; by places those asked near one."""
    return list(parameters_of(type_name))


def places_asked(clauses: Sequence[Clause]) -> list[Near]:
    """The places of the first clause that asks for what is near some: whatever matches is near one of them."""
    clauses = [each for each in clauses if each.type == "special" and each.missing is None]
    return [place for each in clauses[:1] for place in each.values if isinstance(place, Near)]


def compare_alike(one: SearchParameter, other: SearchParameter) -> bool:
    """Whether the sort values of two parameters, perhaps of different types of resource, compare with each other."""
    return one.type == other.type and _component_types(one) == _component_types(other)


def _component_types(parameter: SearchParameter) -> list[str]:
    return [component.type for part in parameter.parts[:1] for component in part.components]


def missing_key(parameter: SearchParameter) -> Key:
    """The key of a parameter that has no value, which comes last both ways."""
    return dict(_MISSING.get(parameter.type, _MISSING_TEXT))


def key_of(parameter: SearchParameter, values: Sequence[tuple[str, Any]]) -> Key:
    """The key of a parameter for the values that a resource has, each with its datatype."""
    keys = [key for datatype, value in values if (key := _READERS[parameter.type](datatype, value)) not in {None, ""}]
    if not keys:
        return missing_key(parameter)
    return {"lo": min(keys), "hi": max(keys)}


def _moment(datatype: str, value: Any) -> int | None:
    found = date.range_of(datatype, value)
    return found[0] if found else None


def _text(datatype: str, value: Any) -> str | None:
    return string.sorted_by(datatype, value)[:LONGEST]


def _code(datatype: str, value: Any) -> str | None:
    return next((found.code for found in codes.tokens_of(datatype, value)), None)


def _address(datatype: str, value: Any) -> str | None:
    return reference.plain(value.get("reference")) if isinstance(value, dict) else None


def _uri(datatype: str, value: Any) -> str | None:
    return value[:LONGEST] if isinstance(value, str) else None


def _number(datatype: str, value: Any) -> float | None:
    found = number.range_of(datatype, value)
    return number.sorted_by(*found) if found else None


def _quantity(datatype: str, value: Any) -> float | None:
    ranges = [found for found, _ in quantity.ranges_of(datatype, value)]
    return number.sorted_by(*ranges[-1]) if ranges else None


_READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "date": _moment,
    "string": _text,
    "token": _code,
    "reference": _address,
    "uri": _uri,
    "number": _number,
    "quantity": _quantity,
}
