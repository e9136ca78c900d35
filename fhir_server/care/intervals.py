"""Half-open stretches of time, and what they have in common."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TypeAlias

BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
FOREVER = datetime(9999, 12, 31, tzinfo=UTC)

Interval: TypeAlias = tuple[datetime, datetime]
Intervals: TypeAlias = tuple[Interval, ...]

ALWAYS: Intervals = ((BEGINNING, FOREVER),)


def joined(intervals: Iterable[Interval]) -> Intervals:
    """Their union: in order, apart from each other, none of them empty."""
    apart = sorted([interval for interval in intervals if interval[0] < interval[1]])
    if len(apart) < 2:
        return tuple(apart)
    united: list[Interval] = []
    for start, end in apart:
        if united and start <= united[-1][1]:
            united[-1] = (united[-1][0], max(end, united[-1][1]))
        else:
            united.append((start, end))
    return tuple(united)


def common(one: Iterable[Interval], other: Iterable[Interval]) -> Intervals:
    """The time that lies in both."""
    others = tuple(other)
    return joined((max(a, c), min(b, d)) for a, b in one for c, d in others)


def without(one: Iterable[Interval], taken: Iterable[Interval]) -> Intervals:
    """The time of `one` that lies in none of `taken`."""
    return common(one, _gaps(joined(taken)))


def covers(intervals: Iterable[Interval], moment: datetime) -> bool:
    """Whether `moment` lies in one of them."""
    return any(start <= moment < end for start, end in intervals)


def _gaps(intervals: Intervals) -> Intervals:
    edges = [BEGINNING, *(edge for interval in intervals for edge in interval), FOREVER]
    return tuple(zip(edges[::2], edges[1::2], strict=True))
