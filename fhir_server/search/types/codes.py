"""The codes that the values of each datatype hold, and what they say in words beside them; for token searches."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fhir_server.search.query import Token

_TELEPHONE = re.compile(r"\+?[\d\s./()-]+")
_NOT_DIALLED = re.compile(r"\(0\)|[\s./()-]")


_Pairs = Iterator[tuple[str | None, Any]]


def tokens_of(datatype: str, value: Any) -> Iterator[Token]:
    """The system and code of each code that a value of the datatype holds; "" is no system."""
    for system, code in _READERS[datatype](value):  # asked of every value that is stored
        if isinstance(code, str) and code:
            yield Token(system or "", code)
        elif system:
            yield Token(system, None)


def pairs_of(datatype: str, value: Any) -> _Pairs:
    """The pairs of system and code as they stand in the value; either may be missing."""
    return _READERS[datatype](value)


def texts_of(datatype: str, value: Any) -> Iterator[Any]:
    """What a value says in words beside its codes; only those of the `WORDED` datatypes do."""
    if isinstance(value, dict):
        yield from _WORDS.get(datatype, _nothing)(value)


def dialled(text: str) -> str:
    """A telephone number as it is dialled, without the marks that people write in it; anything else as it is."""
    return _NOT_DIALLED.sub("", text) if _TELEPHONE.fullmatch(text) else text


def _bare(value: Any) -> _Pairs:
    yield None, value


def _boolean(value: Any) -> _Pairs:
    yield None, str(value).lower()


def _coding(value: Any) -> _Pairs:
    if isinstance(value, dict):
        yield value.get("system"), value.get("code")


def _codings(value: Any) -> _Pairs:
    if isinstance(value, dict):
        for coding in value.get("coding", ()):
            yield from _coding(coding)


def _identifier(value: Any) -> _Pairs:
    if isinstance(value, dict):
        yield value.get("system"), value.get("value")


def _contact_point(value: Any) -> _Pairs:
    if isinstance(value, dict) and isinstance(value.get("value"), str):
        yield None, dialled(value["value"])


def _nothing(value: dict[str, Any]) -> Iterator[Any]:
    return iter(())


def _displayed(value: dict[str, Any]) -> Iterator[Any]:
    yield value.get("display")


def _worded(value: dict[str, Any]) -> Iterator[Any]:
    yield value.get("text")
    for coding in value.get("coding", ()):
        if isinstance(coding, dict):
            yield from _displayed(coding)


def _type_worded(value: dict[str, Any]) -> Iterator[Any]:
    if isinstance(value.get("type"), dict):
        yield value["type"].get("text")


_WORDS: Mapping[str, Callable[[dict[str, Any]], Iterator[Any]]] = {
    "CodeableConcept": _worded,
    "Coding": _displayed,
    "Identifier": _type_worded,
}
WORDED = frozenset(_WORDS)

_READERS: Mapping[str, Callable[[Any], _Pairs]] = {
    "boolean": _boolean,
    "canonical": _bare,
    "code": _bare,
    "CodeableConcept": _codings,
    "Coding": _coding,
    "ContactPoint": _contact_point,
    "id": _bare,
    "Identifier": _identifier,
    "order": lambda value: iter([(None, "true")]),  # who was born as the second was not born alone
    "string": _bare,
    "uri": _bare,
}
