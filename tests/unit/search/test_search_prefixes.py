"""Prefixes mean what R4's table says of ranges: every small range is asked for, and counted out moment by moment.

https://hl7.org/fhir/R4/search.html#prefix
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import combinations, combinations_with_replacement, product

import pytest

from fhir_server.search.query import Amount, Moment
from fhir_server.search.types import date, number

MOMENTS = range(7)
"""Each stands for itself up to the next one."""

Told = Callable[[set[int], set[int]], bool]


def below(asked: set[int]) -> set[int]:
    return {each for each in MOMENTS if each < min(asked)}


def above(asked: set[int]) -> set[int]:
    return {each for each in MOMENTS if each > max(asked)}


OF_DATES: Mapping[str, Told] = {
    "eq": lambda asked, stored: stored <= asked,
    "ne": lambda asked, stored: not stored <= asked,
    "gt": lambda asked, stored: bool(above(asked) & stored),
    "lt": lambda asked, stored: bool(below(asked) & stored),
    "ge": lambda asked, stored: bool(above(asked) & stored) or stored <= asked,
    "le": lambda asked, stored: bool(below(asked) & stored) or stored <= asked,
    "sa": lambda asked, stored: not asked & stored and stored <= above(asked),
    "eb": lambda asked, stored: not asked & stored and stored <= below(asked),
    "ap": lambda asked, stored: bool(asked & stored),
}


@pytest.mark.parametrize("prefix", date.PREFIXES)
def test_a_date_meets_its_prefix_as_the_table_says(prefix: str) -> None:
    epoch, step = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
    edges = list(combinations(range(len(MOMENTS) + 1), 2))
    for (start, end), (lo, hi) in product(edges, edges):
        asked = Moment(prefix, epoch + start * step, epoch + end * step)
        told = OF_DATES[prefix](set(range(start, end)), set(range(lo, hi)))
        assert date.meets(asked, lo, hi) is told, (start, end, lo, hi)


OF_NUMBERS: Mapping[str, Callable[[Amount, set[float]], bool]] = {
    "eq": lambda asked, stored: all(asked.start <= each < asked.end for each in stored),
    "ne": lambda asked, stored: not all(asked.start <= each < asked.end for each in stored),
    "gt": lambda asked, stored: any(each > asked.value for each in stored),
    "lt": lambda asked, stored: any(each < asked.value for each in stored),
    "ge": lambda asked, stored: any(each >= asked.value for each in stored),
    "le": lambda asked, stored: any(each <= asked.value for each in stored),
    "sa": lambda asked, stored: all(each > asked.value for each in stored),
    "eb": lambda asked, stored: all(each < asked.value for each in stored),
    "ap": lambda asked, stored: any(asked.start <= each <= asked.end for each in stored),
}
"""What is asked with a comparing prefix has no width; a stored number is one, a stored range all between its ends."""


@pytest.mark.parametrize("prefix", number.PREFIXES)
def test_a_number_meets_its_prefix_as_the_table_says(prefix: str) -> None:
    grid = [quarter / 4 for quarter in range(17)]
    for lo, hi in combinations_with_replacement(grid, 2):
        stored = {each for each in grid if lo <= each <= hi}
        for value in (0.0, 1.0, 2.0, 3.0, 4.0):
            asked = Amount(prefix, value - 0.5, value + 0.5, value)
            assert number.meets(asked, lo, hi) is OF_NUMBERS[prefix](asked, stored), (value, lo, hi)
