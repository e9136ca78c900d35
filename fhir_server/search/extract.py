"""What a resource can be found by, in the form in which the store keeps it beside the resource.

    t    ["status=|requested", "owner=Organization/1", ...]   terms of token, reference and uri parameters
    d    {"authored-on": [{"lo": 1772323200000000, "hi": 1772409600000000}]}   dates, as `types/date.py` says
    s    {"name": {"f": ["peeters an"], "x": ["Peeters An"]}}   strings, folded and exact; the words of tokens, folded
    n    {"value-quantity": [{"lo": 5.4, "hi": 5.4, "u": ["", "|mg"]}]}   numbers; quantities with their unit
    g    {"near": [3.72, 51.05]}   a place, longitude first
    m    {"component": [{"t": [...], "n": {...}}]}   the same below an element, for composites
    has  ["status", "owner", "authored-on"]   the parameters that have a value, for `:missing`
    k    {"status": {"lo": "requested", "hi": "requested"}}   keys to sort by, as `keys.py` says

`n`, `g` and `m` are there when they hold something, keys of extensions when these are there. `_id` and `_lastUpdated`
are not among the parameters: the store knows them anyway.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain
from typing import Any

from fhir_server.definitions.search_parameters import (
    SearchParameter,
    own_parameters_of,
    places_of,
    shipped_parameters_of,
)
from fhir_server.fhir.json import Resource
from fhir_server.search.elements import elements_at, states, values_of
from fhir_server.search.folding import fold
from fhir_server.search.keys import has_key, key_of
from fhir_server.search.terms import STORED_AS_TERMS, stored_terms
from fhir_server.search.types import codes, date, near, number, quantity, string, token
from fhir_server.search.types.term import term

OF_THE_STORE = frozenset({"_id", "_lastUpdated"})

_Values = list[tuple[str, Any]]
_Found = list[tuple[SearchParameter, _Values]]


def search_values(resource: Resource) -> dict[str, Any]:
    """The fields of a stored resource. Raises KeyError for a type that this server does not store."""
    type_name = resource["resourceType"]
    return extracted(resource, (*searched(type_name), *own_parameters_of(type_name)))


def extracted(resource: Resource, parameters: Sequence[SearchParameter]) -> dict[str, Any]:
    """The same fields for some parameters of the resource's type."""
    found = [(each, values_of(resource, each)) for each in parameters if each.paths]
    given = [(parameter, values) for parameter, values in found if values]
    always = _always(given)
    return {
        **always,
        "t": [*always["t"], *_versioned(resource)],
        **_sometimes(given),
        **_places(resource, [each for each in parameters if not each.paths]),
        "has": [parameter.code for parameter, values in given if states(values[0][1]) or _stated(values[1:])],
        "k": {
            parameter.code: key_of(parameter, values)
            for parameter, values in found
            if has_key(parameter) and (values or not parameter.is_extension)
        },
    }


@cache
def searched(type_name: str) -> tuple[SearchParameter, ...]:
    """The parameters that have values of their own; a composite has those of its components."""
    return tuple(
        parameter
        for parameter in shipped_parameters_of(type_name).values()
        if parameter.paths and parameter.code not in OF_THE_STORE
    )


def _always(given: _Found) -> dict[str, Any]:
    return {
        "t": _terms(given),
        "d": {parameter.code: _ranges(values) for parameter, values in given if parameter.type == "date"},
        "s": {parameter.code: _texts(parameter, values) for parameter, values in given if parameter.type == "string"}
        | _words(given),
    }


def _sometimes(given: _Found) -> dict[str, Any]:
    amounts = {
        parameter.code: _AMOUNTS[parameter.type](values) for parameter, values in given if parameter.type in _AMOUNTS
    }
    places = {
        parameter.code: place
        for parameter, values in given
        if parameter.type == "special" and (place := near.position(values[0][1]))
    }
    return {**({"n": amounts} if amounts else {}), **({"g": places} if places else {})}


def _places(resource: Resource, own: Sequence[SearchParameter]) -> dict[str, Any]:
    """What the components of composites have, at each place where they stand together; `own` are the operator's."""
    found = {}
    for at, components in places_of(resource["resourceType"]).items():
        nodes = [_place(node, components.values()) for node in _nodes(resource, at)]
        if nodes:
            found[at] = nodes
    for part in (part for parameter in own for part in parameter.parts):
        nodes = [each for node in elements_at(resource, part.path) if (each := _place(node, part.components))]
        if nodes:
            found[part.kept] = nodes
    return {"m": found} if found else {}


def _nodes(resource: Resource, at: str) -> list[Resource]:
    """The elements called `at`; what is no element is none."""
    found = resource.get(at)
    return [each for each in (found if isinstance(found, list) else [found]) if isinstance(each, dict)]


def _place(node: Resource, components: Iterable[SearchParameter]) -> dict[str, Any]:
    given = [(each, values) for each in components if (values := values_of(node, each))]
    fields = {**_always(given), **_sometimes(given)}
    return {name: value for name, value in fields.items() if value}


def _versioned(resource: Resource) -> list[str]:
    """The canonical url with the version that the resource says it is, for whoever asks for both."""
    url, version = resource.get("url"), resource.get("version")
    return [term("url", f"{url}|{version}")] if isinstance(url, str) and isinstance(version, str) else []


def _stated(values: _Values) -> bool:
    return any(states(value) for _, value in values)


def _terms(given: _Found) -> list[str]:
    return _unique(
        term
        for parameter, values in given
        if parameter.type in STORED_AS_TERMS
        for datatype, value in values
        for term in stored_terms(parameter, datatype, value)
    )


def _ranges(values: _Values) -> list[dict[str, int]]:
    ranges = [date.range_of(datatype, value) for datatype, value in values]
    return [{"lo": found[0], "hi": found[1]} for found in ranges if found]


def _texts(parameter: SearchParameter, values: _Values) -> dict[str, list[str]]:
    exact = _unique(text for datatype, value in values for text in string.texts_of(datatype, value))
    element = parameter.paths[0].steps[-1].name
    endings = (text for datatype, value in values for text in string.endings_of(datatype, value, element))
    return {"f": _unique(text for text in chain(map(fold, exact), endings) if text), "x": exact}


def _words(given: _Found) -> dict[str, Any]:
    """What tokens say in words, for `:text`."""
    found = {}
    for parameter, values in given:
        if parameter.type == "token" and token.has_words(parameter):
            words = (text for datatype, value in values for text in codes.texts_of(datatype, value))
            folded = _unique(fold(text[: string.LONGEST]) for text in words if isinstance(text, str))
            if any(folded):
                found[f"{parameter.code}:text"] = {"f": [text for text in folded if text]}
    return found


def _numbers(values: _Values) -> list[dict[str, Any]]:
    ranges = [number.range_of(datatype, value) for datatype, value in values]
    return [{"lo": found[0], "hi": found[1]} for found in ranges if found]


def _quantities(values: _Values) -> list[dict[str, Any]]:
    return [
        {"lo": lo, "hi": hi, "u": forms}
        for datatype, value in values
        for (lo, hi), forms in quantity.ranges_of(datatype, value)
    ]


_AMOUNTS = {"number": _numbers, "quantity": _quantities}


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
