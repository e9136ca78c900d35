"""The words in which invariants are written."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

from fhir_server.fhir.dates import time_range

Fields: TypeAlias = dict[str, Any]

UCUM = "http://unitsofmeasure.org"


@dataclass(frozen=True, slots=True)
class Invariant:
    """A rule of R4 about one element: its key, what would be right, and whether an element keeps it."""

    key: str
    text: str
    holds: Callable[[Fields], bool]


Invariants: TypeAlias = Mapping[str, tuple[Invariant, ...]]


def has(element: Fields, name: str) -> bool:
    """True when the element is given, if only by extensions (`_name`)."""
    return name in element or "_" + name in element


def has_any(element: Fields, *names: str) -> bool:
    """True when at least one of the elements is given."""
    return any(has(element, name) for name in names)


def choice(element: Fields, name: str) -> str | None:
    """The JSON name under which a choice element such as `value[x]` is given, or None."""
    for given in element:
        bare = given.removeprefix("_")
        if bare.startswith(name) and bare[len(name) : len(name) + 1].isupper():
            return bare
    return None


def all_of(element: Fields, name: str) -> list[Any]:
    """The values of an element that may repeat, nulls left out."""
    return [item for item in element.get(name, ()) if item is not None]


def is_coded(concept: Fields | None, system: str, *codes: str) -> bool:
    """True when a CodeableConcept has one of `codes` of `system`."""
    codings = (concept or {}).get("coding", ())
    return any(c.get("system") == system and c.get("code") in codes for c in codings)


def distinct(values: Iterable[Any]) -> bool:
    """True when no value comes twice; absent values do not count."""
    given = [value for value in values if value is not None]
    return len(given) == len(set(given))


def in_order(first: str | None, second: str | None) -> bool:
    """False when `first` is certainly after `second`; dates of different precision are compared as far as both go.

    Moments beyond the ends of the calendar, which UTC cannot express, count as its first or its last.
    """
    if first is None or second is None:
        return True
    if len(first) == len(second) and first[19:] == second[19:]:
        return first <= second
    if "T" in first and "T" in second:
        with suppress(ValueError):
            return time_range(first)[0] <= time_range(second)[0]
    common = min(len(first), len(second), len("YYYY-MM-DD"))
    return first[:common] <= second[:common]
