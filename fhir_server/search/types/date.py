"""Date parameters: ranges of time compared with ranges of time.

https://hl7.org/fhir/R4/search.html#date

A moment is stored as whole microseconds since 1970 UTC, so that nothing is lost and a period may be open: a start
that is not given is OPEN_START, an end OPEN_END, both beyond every date that FHIR can write.
"""

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias

from fhir_server.definitions.search_parameters import SearchParameter
from fhir_server.fhir.dates import EARLIEST, LATEST, time_range
from fhir_server.fhir.errors import MalformedRequest
from fhir_server.search.query import Moment

OPEN_START = -(10**18)
OPEN_END = 10**18

Range: TypeAlias = tuple[int, int]
Comparison: TypeAlias = tuple[Literal["lo", "hi"], str, Literal["start", "end"]]

COMPARES: Mapping[str, Callable[[int, int], bool]] = {
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}

PREFIXES: Mapping[str, tuple[tuple[Comparison, ...], ...]] = {
    "eq": ((("lo", "ge", "start"), ("hi", "le", "end")),),
    "ne": ((("lo", "lt", "start"),), (("hi", "gt", "end"),)),
    "gt": ((("hi", "gt", "end"),),),
    "lt": ((("lo", "lt", "start"),),),
    "ge": ((("hi", "gt", "end"),), (("lo", "ge", "start"),)),
    "le": ((("lo", "lt", "start"),), (("hi", "le", "end"),)),
    "sa": ((("lo", "ge", "end"),),),
    "eb": ((("hi", "le", "start"),),),
    "ap": ((("lo", "lt", "end"), ("hi", "gt", "start")),),
}
"""When a stored range lo..hi meets an asked range start..end: alternatives, each of comparisons that hold together."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MILLISECOND = timedelta(milliseconds=1)
_ASKED = re.compile(rf"(?P<prefix>{'|'.join(PREFIXES)})?(?P<date>\d.*)", re.ASCII)


def parse(text: str, parameter: SearchParameter, *, moment: datetime | None = None) -> Moment:
    """A date with its prefix. Raises MalformedRequest.

    `ap` accepts what lies within a tenth of the time between the date and `moment`, when that is given.
    """
    asked = _ASKED.fullmatch(text.replace(" ", "+"))
    try:
        if asked is None:
            raise ValueError(f"{text!r} is no date")
        prefix, (start, end) = asked["prefix"] or "eq", time_range(asked["date"])
    except ValueError as error:
        raise MalformedRequest(
            f"{parameter.code!r}: {error}; write a date such as 2026-03-01, with one of the prefixes "
            f"{', '.join(PREFIXES)} before it if you wish."
        ) from error
    counted = None
    if prefix == "ap" and moment is not None:
        (start, end), counted = _widened(start, end, moment), text
    if parameter.code == "_lastUpdated":
        start, end = _milliseconds(start, end)
    return Moment(prefix, start, end, counted)


def range_of(datatype: str, value: Any) -> Range | None:
    """The range of time that a stored value stands for; None when it states none, or one that ends before it starts."""
    try:
        found = _READERS[datatype](value)
    except (ValueError, TypeError):
        return None
    return found if found and found[0] < found[1] else None


def meets(asked: Moment, lo: int, hi: int) -> bool:
    """Whether the stored range meets what was asked."""
    stored = {"lo": lo, "hi": hi}
    edges = {"start": microseconds(asked.start), "end": microseconds(asked.end)}
    return any(
        all(COMPARES[compare](stored[bound], edges[edge]) for bound, compare, edge in together)
        for together in PREFIXES[asked.prefix]
    )


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def last_updated(text: str) -> Range:
    """The millisecond of `meta.lastUpdated`, as the store keeps it."""
    start, end = _milliseconds(*time_range(text))
    return microseconds(start), microseconds(min(end, _after(start, _MILLISECOND)))


def _widened(start: datetime, end: datetime, moment: datetime) -> tuple[datetime, datetime]:
    margin = abs(moment - start) / 10
    return (
        start - margin if start - EARLIEST > margin else EARLIEST,
        _after(end, margin),
    )


def _milliseconds(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """The range on whole milliseconds, at least one long: what the store can tell apart."""
    start = start.replace(microsecond=start.microsecond // 1000 * 1000)
    return start, max(end.replace(microsecond=end.microsecond // 1000 * 1000), _after(start, _MILLISECOND))


def _after(moment: datetime, step: timedelta) -> datetime:
    """The moment a step later, at most the last of the calendar."""
    return moment + step if LATEST - moment > step else LATEST


def _point(value: Any) -> Range:
    start, end = time_range(value)
    return microseconds(start), microseconds(end)


def _period(value: Any) -> Range | None:
    start, end = value.get("start"), value.get("end")
    if start is None and end is None:
        return None
    return _point(start)[0] if start else OPEN_START, _point(end)[1] if end else OPEN_END


def _timing(value: Any) -> Range | None:
    """The outer limits of a schedule; its details do not count."""
    bounds = value.get("repeat", {}).get("boundsPeriod")
    ranges = [*(_point(event) for event in value.get("event", ()) if event), *_given(_period(bounds or {}))]
    return (min(lo for lo, _ in ranges), max(hi for _, hi in ranges)) if ranges else None


def _given(found: Range | None) -> Iterator[Range]:
    if found is not None:
        yield found


_READERS: Mapping[str, Callable[[Any], Range | None]] = {
    "date": _point,
    "dateTime": _point,
    "instant": _point,
    "Period": _period,
    "Timing": _timing,
}
