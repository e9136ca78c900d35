"""What a resource can be found by, in the form in which the store keeps it beside the resource.

    t    ["status=|requested", "owner=Organization/1", ...]   terms of token, reference and uri parameters
    d    {"authored-on": [{"lo": 1772323200000000, "hi": 1772409600000000}]}   dates, as `types/date.py` says
    s    {"name": {"f": ["peeters an"], "x": ["Peeters An"]}}   strings, folded and exact
    has  ["status", "owner", "authored-on"]   the parameters that have a value, for `:missing`
    k    {"status": {"lo": "requested", "hi": "requested"}}   keys to sort by, as `keys.py` says

`_id` and `_lastUpdated` are not among them: the store knows them anyway.
"""

from collections.abc import Iterable
from typing import Any

from fhir_server.definitions.search_parameters import SearchParameter, parameters_of
from fhir_server.fhir.json import Resource
from fhir_server.search.elements import values_of
from fhir_server.search.folding import fold
from fhir_server.search.keys import has_key, key_of
from fhir_server.search.terms import TERM_TYPES, stored_terms
from fhir_server.search.types import date, string

OF_THE_STORE = frozenset({"_id", "_lastUpdated"})

_Found = list[tuple[SearchParameter, list[tuple[str, Any]]]]


def search_values(resource: Resource) -> dict[str, Any]:
    """The fields `t d s has k` of a stored resource. Raises KeyError for a type that this server does not store."""
    parameters = parameters_of(resource["resourceType"]).values()
    found = [(each, values_of(resource, each)) for each in parameters if each.code not in OF_THE_STORE]
    given = [(parameter, values) for parameter, values in found if values]
    return {
        "t": _terms(given),
        "d": {parameter.code: _ranges(values) for parameter, values in given if parameter.type == "date"},
        "s": {parameter.code: _texts(values) for parameter, values in given if parameter.type == "string"},
        "has": [parameter.code for parameter, _ in given],
        "k": {parameter.code: key_of(parameter, values) for parameter, values in found if has_key(parameter)},
    }


def _terms(given: _Found) -> list[str]:
    return _unique(
        term
        for parameter, values in given
        if parameter.type in TERM_TYPES
        for datatype, value in values
        for term in stored_terms(parameter, datatype, value)
    )


def _ranges(values: list[tuple[str, Any]]) -> list[dict[str, int]]:
    ranges = [date.range_of(datatype, value) for datatype, value in values]
    return [{"lo": found[0], "hi": found[1]} for found in ranges if found]


def _texts(values: list[tuple[str, Any]]) -> dict[str, list[str]]:
    exact = _unique(text for datatype, value in values for text in string.texts_of(datatype, value))
    return {"f": _unique(folded for text in exact if (folded := fold(text))), "x": exact}


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
