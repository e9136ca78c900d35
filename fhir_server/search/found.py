"""What a search parameter finds by one of its paths, in the form that `extract.py` describes."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from fhir_server.definitions.search_parameters import SearchParameter
from fhir_server.definitions.value_paths import ElementPath
from fhir_server.fhir.json import Resource
from fhir_server.search.elements import EXISTENCE, states, values_at, values_of
from fhir_server.search.folding import fold
from fhir_server.search.keys import Key, has_key, key_of
from fhir_server.search.terms import STORED_AS_TERMS, stored_terms
from fhir_server.search.types import codes, date, near, number, quantity, string, token

_Values = list[tuple[str, Any]]
_Field = tuple[str, str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """What was found: `terms`, whether any value is `stated`, the `key` if the parameter has one.

    `place` orders it among all that is found, as the parameters and their paths are ordered. `more` is what it adds to
    a field beside the terms: the field, the name in it, and the value.
    """

    place: int
    code: str
    terms: tuple[str, ...]
    stated: bool
    key: Key | None
    more: _Field | None


class Seeker:
    """A parameter at one of its paths; of one that asks whether something exists, at all of them."""

    def __init__(self, place: int, parameter: SearchParameter, path: ElementPath) -> None:
        self.element = None if path.datatype == EXISTENCE else path.steps[0].name
        self.datatype = path.datatype
        self._place = place
        self._parameter = parameter
        self._path = path
        self._keyed = has_key(parameter)

    def found_in(self, resource: Resource) -> Found | None:
        """What the resource has there; None when it has nothing."""
        parameter = self._parameter
        values = values_of(resource, parameter) if self.element is None else self._values(resource)
        if not values:
            return None
        more = _MORE.get(parameter.type)
        return Found(
            self._place,
            parameter.code,
            tuple(_terms(parameter, values)) if parameter.type in STORED_AS_TERMS else (),
            any(states(value) for _, value in values),
            key_of(parameter, values) if self._keyed else None,
            more(parameter, values) if more else None,
        )

    def _values(self, resource: Resource) -> _Values:
        return [(self.datatype, value) for value in values_at(resource, self._path)]


def seekers_of(parameters: Iterable[SearchParameter]) -> list[Seeker]:
    """One for each path of each parameter, in their order."""
    paths = [
        (parameter, path)
        for parameter in parameters
        for path in (parameter.paths[:1] if parameter.datatypes == {EXISTENCE} else parameter.paths)
    ]
    return [Seeker(place, parameter, path) for place, (parameter, path) in enumerate(paths)]


def _terms(parameter: SearchParameter, values: _Values) -> dict[str, None]:
    return dict.fromkeys(term for datatype, value in values for term in stored_terms(parameter, datatype, value))


def _ranges(parameter: SearchParameter, values: _Values) -> _Field:
    ranges = [date.range_of(datatype, value) for datatype, value in values]
    return "d", parameter.code, [{"lo": found[0], "hi": found[1]} for found in ranges if found]


def _texts(parameter: SearchParameter, values: _Values) -> _Field:
    exact = _unique(text for datatype, value in values for text in string.texts_of(datatype, value))
    element = parameter.paths[0].steps[-1].name
    endings = (text for datatype, value in values for text in string.endings_of(datatype, value, element))
    folded = _unique(text for text in chain(map(fold, exact), endings) if text)
    return "s", parameter.code, {"f": folded, "x": exact}


def _words(parameter: SearchParameter, values: _Values) -> _Field | None:
    """What tokens say in words, for `:text`."""
    if not token.has_words(parameter):
        return None
    words = (text for datatype, value in values for text in codes.texts_of(datatype, value))
    folded = _unique(fold(text[: string.LONGEST]) for text in words if isinstance(text, str))
    told = [text for text in folded if text]
    return ("s", f"{parameter.code}:text", {"f": told}) if told else None


def _numbers(parameter: SearchParameter, values: _Values) -> _Field:
    ranges = [number.range_of(datatype, value) for datatype, value in values]
    return "n", parameter.code, [{"lo": found[0], "hi": found[1]} for found in ranges if found]


def _quantities(parameter: SearchParameter, values: _Values) -> _Field:
    amounts = [found for datatype, value in values for found in quantity.ranges_of(datatype, value)]
    return "n", parameter.code, [{"lo": lo, "hi": hi, "u": forms} for (lo, hi), forms in amounts]


def _position(parameter: SearchParameter, values: _Values) -> _Field | None:
    place = near.position(values[0][1])
    return ("g", parameter.code, place) if place else None


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


_MORE: Mapping[str, Callable[[SearchParameter, _Values], _Field | None]] = {
    "date": _ranges,
    "number": _numbers,
    "quantity": _quantities,
    "special": _position,
    "string": _texts,
    "token": _words,
}
