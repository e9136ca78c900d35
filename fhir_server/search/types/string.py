"""String parameters: the beginning of a text, without regard to case, accents and punctuation.

https://hl7.org/fhir/R4/search.html#string

A HumanName matches by each of its parts, by each word of its family name, by its text, and by given name and family
name in either order; an Address by each of its parts. Of a text longer than 1,000 characters the beginning is searched.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from itertools import repeat
from typing import Any

from fhir_server.definitions.search_parameters import SearchParameter
from fhir_server.fhir.errors import MalformedRequest
from fhir_server.search.escaping import unescape
from fhir_server.search.folding import fold
from fhir_server.search.query import Text

LONGEST = 1000
MOST_PARTS = 8

_NAME_PARTS = ("text", "family", "given", "prefix", "suffix")
_ADDRESS_PARTS = ("text", "line", "city", "district", "state", "postalCode", "country")


def parse(text: str, parameter: SearchParameter) -> Text:
    """The text as asked and folded. Raises MalformedRequest when nothing is left to compare."""
    asked = unescape(text)[:LONGEST]
    folded = fold(asked)
    if not folded:
        raise MalformedRequest(f"{text!r} has no letter or digit that {parameter.code!r} could be searched by.")
    return Text(asked, folded)


def parse_exact(text: str) -> Text:
    """The text by every character."""
    asked = unescape(text)[:LONGEST]
    return Text(asked, fold(asked))


def texts_of(datatype: str, value: Any) -> list[str]:
    """Every text by which a value can be found, cut to 1,000 characters."""
    return [text[:LONGEST] for text in _READERS[datatype](value) if isinstance(text, str) and text]


def endings_of(datatype: str, value: Any, element: str) -> Iterator[str]:
    """How a family name ends, from its second word and each further one.

    So whoever is called Van den Berghe is found by Berghe, too.
    """
    family = value.get("family") if datatype == "HumanName" and isinstance(value, dict) else value
    if isinstance(family, str) and (datatype == "HumanName" or element == "family"):
        words = fold(family[:LONGEST]).split()[:MOST_PARTS]
        yield from (" ".join(words[at:]) for at in range(1, len(words)))


def sorted_by(datatype: str, value: Any) -> str:
    """The folded text by which a value is sorted: a name by family name first."""
    texts = [fold(text) for text in texts_of(datatype, value)]
    return next((text for text in texts if text), "")


def meets(modifier: str | None, asked: Text, folded: list[str], exact: list[str]) -> bool:
    """Whether one of the stored texts meets what was asked."""
    if modifier == "exact":
        return asked.asked in exact
    if modifier == "equal":
        return asked.folded in folded
    return any(map(_MEETS.get(modifier or "", str.startswith), folded, repeat(asked.folded)))


_MEETS: Mapping[str, Callable[[str, str], bool]] = {
    "contains": operator.contains,
    "ends": str.endswith,
    "gt": operator.gt,
    "lt": operator.lt,
    "ge": operator.ge,
    "le": operator.le,
}
"""How a stored text meets an asked one, both folded; they are ordered by code points, as MongoDB does."""


def _plain(value: Any) -> Iterator[Any]:
    yield value


def _human_name(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        family, given = value.get("family"), " ".join(filter(None, value.get("given", ())))
        if family and given:
            yield f"{family} {given}"
            yield f"{given} {family}"
        yield from _parts(value, _NAME_PARTS)


def _address(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from _parts(value, _ADDRESS_PARTS)


def _parts(value: dict[str, Any], names: tuple[str, ...]) -> Iterator[Any]:
    for name in names:
        part = value.get(name)
        yield from part if isinstance(part, list) else (part,)


_READERS: Mapping[str, Callable[[Any], Iterator[Any]]] = {
    "Address": _address,
    "HumanName": _human_name,
    "markdown": _plain,
    "string": _plain,
}
