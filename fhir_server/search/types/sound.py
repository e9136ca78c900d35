"""String parameters that compare how names sound: `phonetic` of people and organisations.

https://hl7.org/fhir/R4/patient.html#search

A name gives the terms `phonetic=KEY` of its words, and of words in one, as `search/sounds.py` makes them: of a
HumanName its family and given names and its text. Whoever asks for several words means all of them, in any order; each
may be written in one with the next.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from fhir_server.definitions.search_parameters import SearchParameter
from fhir_server.fhir.errors import MalformedRequest
from fhir_server.search.escaping import unescape
from fhir_server.search.query import Sounds, Value
from fhir_server.search.sounds import groups_of, keys_of, words_of
from fhir_server.search.types import string
from fhir_server.search.types.term import term

MOST_ASKED = 6
MOST_WAYS = 100


def parse(text: str, parameter: SearchParameter) -> Sounds:
    """What was asked by its words. Raises MalformedRequest when there are none, or more than six."""
    words = words_of(unescape(text)[: string.LONGEST])
    if not 0 < len(words) <= MOST_ASKED:
        raise MalformedRequest(
            f"{parameter.code!r} takes one to {MOST_ASKED} words of letters and digits, not {text!r}."
        )
    return Sounds(tuple(groups_of(tuple(words))))


def check_ways(parameter: SearchParameter, values: Sequence[Value]) -> None:
    """Raise MalformedRequest for more names, and ways to write them, than one question takes; other values pass."""
    if sum(len(value.groups) for value in values if isinstance(value, Sounds)) > MOST_WAYS:
        raise MalformedRequest(f"{parameter.code!r} takes fewer names at once, or names of fewer words.")


def stored_terms(parameter: SearchParameter, datatype: str, value: Any) -> Iterator[str]:
    """The terms of one value of a resource."""
    for text in _texts(datatype, value):
        yield from (term(parameter.code, key) for key in keys_of(text))


def asked_terms(parameter: SearchParameter, asked: Sounds) -> list[list[str]]:
    """The terms of which a resource must have all, for each way to take the words together; the longest first."""
    return [[term(parameter.code, key) for key in sorted(set(group), key=_rarest)] for group in asked.groups]


def _rarest(key: str) -> tuple[int, str]:
    return -len(key), key


def _texts(datatype: str, value: Any) -> list[str]:
    if datatype != "HumanName":
        return string.texts_of(datatype, value)
    if not isinstance(value, dict):
        return []
    given = " ".join(each for each in value.get("given", ()) if isinstance(each, str))
    return [text[: string.LONGEST] for text in (value.get("family"), given, value.get("text")) if isinstance(text, str)]
