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

A resource is gone through once, element by element. Codes and references come again and again (the status and the
category of an Observation, its person and its performer), so what such an element is found by is kept for the next.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any

from fhir_server.definitions.search_parameters import (
    SearchParameter,
    own_parameters_of,
    places_of,
    shipped_parameters_of,
)
from fhir_server.fhir.json import Resource, decode, encode
from fhir_server.search.elements import elements_at
from fhir_server.search.found import Found, Seeker, seekers_of
from fhir_server.search.keys import Key, has_key, missing_key
from fhir_server.search.types.term import term

OF_THE_STORE = frozenset({"_id", "_lastUpdated"})

_COMING_AGAIN = frozenset({"boolean", "canonical", "code", "CodeableConcept", "Coding", "Reference", "uri"})
_LONGEST_KEPT = 512
_MOST_KEPT = 1024
_BY_PLACE = attrgetter("place")


def search_values(resource: Resource) -> dict[str, Any]:
    """The fields of a stored resource. Raises KeyError for a type that this server does not store."""
    type_name = resource["resourceType"]
    return _extraction(type_name, own_parameters_of(type_name)).values_of(resource)


@cache
def searched(type_name: str) -> tuple[SearchParameter, ...]:
    """The parameters that have values of their own; a composite has those of its components."""
    return tuple(
        parameter
        for parameter in shipped_parameters_of(type_name).values()
        if parameter.paths and parameter.code not in OF_THE_STORE
    )


@lru_cache(maxsize=512)
def _extraction(type_name: str, own: tuple[SearchParameter, ...]) -> "Extraction":
    return Extraction(type_name, (*searched(type_name), *own))


class Extraction:
    """How resources of a type are gone through for some of its parameters; made once for many of them."""

    def __init__(self, type_name: str, parameters: Iterable[SearchParameter]) -> None:
        parameters = tuple(parameters)
        self._elements = _Elements(parameters)
        self._missing = {
            each.code: missing_key(each)
            for each in parameters
            if each.paths and has_key(each) and not each.is_extension
        }
        self._below = {at: _Elements(parts.values()) for at, parts in places_of(type_name).items()}
        own = (part for each in parameters if not each.paths for part in each.parts)
        self._own = [(part.kept, part.path, _Elements(part.components)) for part in own]

    def values_of(self, resource: Resource) -> dict[str, Any]:
        """The fields of a resource of the type; parts of them are kept, so nobody changes them."""
        found = self._elements.found_in(resource)
        fields = {**_fields(found), **self._places(resource)}
        fields["t"] += _versioned(resource)
        fields["has"] = list(dict.fromkeys([each.code for each in found if each.stated]))
        fields["k"] = {**self._missing, **_keys(found)}
        return fields

    def _places(self, resource: Resource) -> dict[str, Any]:
        """What the components of composites have, at each place where they stand together."""
        places = {
            at: [_stated(elements, node) for node in _nodes(resource, at)]
            for at, elements in self._below.items()
            if at in resource
        }
        for kept, path, elements in self._own:
            places[kept] = [each for node in elements_at(resource, path) if (each := _stated(elements, node))]
        places = {at: nodes for at, nodes in places.items() if nodes}
        return {"m": places} if places else {}


class _Elements:
    """The elements of a resource, or of a part of one, in which parameters find their values."""

    def __init__(self, parameters: Iterable[SearchParameter]) -> None:
        self._at: defaultdict[str, list[Seeker]] = defaultdict(list)
        self._anywhere: list[Seeker] = []
        for seeker in seekers_of(parameters):
            (self._anywhere if seeker.element is None else self._at[seeker.element]).append(seeker)
        self._coming_again = frozenset(
            name for name, seekers in self._at.items() if {each.datatype for each in seekers} <= _COMING_AGAIN
        )

    def found_in(self, resource: Resource) -> list[Found]:
        """What they find, in the order of the parameters."""
        found = [each for seeker in self._anywhere if (each := seeker.found_in(resource))]
        kept = self._coming_again if "contained" not in resource else ()  # of which a reference may speak
        for name, value in resource.items():
            if name in self._at:
                raw = encode(value) if name in kept else b""
                found += _kept(self, name, raw) if 0 < len(raw) <= _LONGEST_KEPT else self.found_at(name, resource)
        return sorted(found, key=_BY_PLACE)

    def found_at(self, name: str, resource: Resource) -> list[Found]:
        """What they find in one element."""
        return [found for seeker in self._at[name] if (found := seeker.found_in(resource))]


@lru_cache(maxsize=_MOST_KEPT)
def _kept(elements: _Elements, name: str, raw: bytes) -> list[Found]:
    return elements.found_at(name, {name: decode(raw)})


def _fields(found: Sequence[Found]) -> dict[str, Any]:
    """The terms, dates and texts, and what else was found."""
    fields: dict[str, Any] = {
        "t": list(dict.fromkeys([term for each in found for term in each.terms])),
        "d": {},
        "s": {},
    }
    for each in found:
        if each.more is not None:
            field, name, value = each.more
            held = fields.setdefault(field, {})
            held[name] = _together(held[name], value) if name in held else value
    return fields


def _together(one: Any, other: Any) -> Any:
    """What one parameter found by two paths."""
    if isinstance(one, dict):
        return {name: list(dict.fromkeys([*texts, *other.get(name, ())])) for name, texts in one.items()}
    return [*one, *other]


def _keys(found: Iterable[Found]) -> dict[str, Key]:
    """The keys of what was found; that of a value which is none widens no other."""
    keys: dict[str, Key] = {}
    for each in found:
        if each.key is not None:
            held = keys.get(each.code)
            keys[each.code] = _wider(held, each.key) if held else each.key
    return keys


def _wider(one: Key, other: Key) -> Key:
    return {"lo": min(one["lo"], other["lo"]), "hi": max(one["hi"], other["hi"])}


def _nodes(resource: Resource, at: str) -> Iterator[Resource]:
    """The elements called `at`; what is no element is none."""
    found = resource.get(at)
    return (each for each in (found if isinstance(found, list) else [found]) if isinstance(each, dict))


def _stated(elements: _Elements, node: Resource) -> dict[str, Any]:
    """Those of the fields that hold something."""
    return {name: value for name, value in _fields(elements.found_in(node)).items() if value}


def _versioned(resource: Resource) -> list[str]:
    """The canonical url with the version that the resource says it is, for whoever asks for both."""
    url, version = resource.get("url"), resource.get("version")
    return [term("url", f"{url}|{version}")] if isinstance(url, str) and isinstance(version, str) else []
