"""Dates as FHIR writes them: instants, and partial dates as half-open ranges of time.

https://hl7.org/fhir/R4/datatypes.html#dateTime
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache

EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)

_SHORTEST = timedelta(microseconds=1)
_PARTS = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d{2})(?:-(?P<day>\d{2})"
    r"(?:T(?P<hour>\d{2}):(?P<minute>\d{2})(?::(?P<second>[0-5]\d|60)(?:\.(?P<fraction>\d+))?)?"
    r"(?P<zone>Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00))?)?)?)?",
    re.ASCII,
)


def instant(moment: datetime) -> str:
    """`moment` as a FHIR instant in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now() -> datetime:
    """This moment, cut to the milliseconds that are stored."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def beginning_of_day(moment: datetime) -> datetime:
    """The midnight, in universal time, at which the day of an aware time began."""
    return _utc(moment).replace(hour=0, minute=0, second=0, microsecond=0)


def local(moment: datetime, zone: tzinfo) -> datetime:
    """An aware time in `zone`; what is there before the year 1 or after 9999 is the calendar's first or last moment."""
    try:
        return moment.astimezone(zone)
    except OverflowError:
        edge = EARLIEST if moment.year == EARLIEST.year else LATEST
        return edge.replace(tzinfo=zone)


@lru_cache(maxsize=8192)
def time_range(text: str) -> tuple[datetime, datetime]:
    """The half-open range of time that a FHIR date, dateTime or instant stands for; no zone means UTC.

    `2024` is the whole year, `2024-03-01` the day, `2024-03-01T10:00` the minute. It is never empty: a moment that a
    zone puts before the year 1 or after 9999 is the first or the last microsecond of the calendar. Raises ValueError.
    """
    parts = _PARTS.fullmatch(text)
    if parts is None:
        raise ValueError(f"{text!r} is not a date, dateTime or instant")
    year, month, day = int(parts["year"]), int(parts["month"] or 1), int(parts["day"] or 1)
    try:
        start = datetime(
            year,
            month,
            day,
            int(parts["hour"] or 0),
            int(parts["minute"] or 0),
            min(int(parts["second"] or 0), 59),  # of a leap second, 60, the second before it
            tzinfo=_zone(parts["zone"]),
        )
        if parts["fraction"]:
            start += timedelta(microseconds=int(parts["fraction"][:6].ljust(6, "0")))
    except ValueError as error:
        raise ValueError(f"{text!r} is not a date that exists") from error
    begins = min(_utc(start), LATEST - _SHORTEST)
    return begins, max(_end(start, parts), begins + _SHORTEST)


def _end(start: datetime, parts: re.Match[str]) -> datetime:
    """Where the range ends; what would end after the year 9999 ends with it."""
    try:
        return _following(start, parts)
    except (ValueError, OverflowError):
        return LATEST


def _following(start: datetime, parts: re.Match[str]) -> datetime:
    if parts["fraction"]:
        step = timedelta(milliseconds=1) if len(parts["fraction"]) <= 3 else timedelta(microseconds=1)
        return _utc(start) + step
    if parts["second"]:
        return _utc(start + timedelta(seconds=1))
    if parts["minute"]:
        return _utc(start + timedelta(minutes=1))
    if parts["day"]:
        return _utc(start) + timedelta(days=1)
    if parts["month"]:
        following = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
        return _utc(following)
    return _utc(start.replace(year=start.year + 1))


def _zone(text: str | None) -> timezone:
    if text is None or text == "Z":
        return UTC
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text[4:6])))


def _utc(moment: datetime) -> datetime:
    return local(moment, UTC)
