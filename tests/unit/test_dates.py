"""Dates as FHIR writes them: which texts are dates, and which time they stand for to the ends of the calendar."""

from datetime import UTC, date, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest

from fhir_server.fhir.dates import EARLIEST, LATEST, local, time_range

BRUSSELS, NEW_YORK = ZoneInfo("Europe/Brussels"), ZoneInfo("America/New_York")
LAST = LATEST - timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("9999-12-31T23:59:59-05:00", LAST, LATEST),
        ("9999-12-31T23:59:59.9999999Z", LAST, LATEST),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), LATEST),
        ("9999-12-31", datetime(9999, 12, 31, tzinfo=UTC), LATEST),
        ("9999", datetime(9999, 1, 1, tzinfo=UTC), LATEST),
        ("0001-01-01T00:00:00+01:00", EARLIEST, EARLIEST + timedelta(microseconds=1)),
        ("0001-01-01T00:59+01:00", EARLIEST, EARLIEST + timedelta(microseconds=1)),
    ],
)
def test_a_moment_that_its_zone_puts_outside_the_calendar_is_its_edge(
    text: str, start: datetime, end: datetime
) -> None:
    assert time_range(text) == (start, end)


def test_no_date_that_may_be_stored_is_without_a_time() -> None:
    days, times = ("0001-01-01", "9999-12-31"), ("00:00:00", "23:59:60", "23:59:59.9999999")
    for day, time, zone in product(days, times, ("Z", "+14:00", "-14:00", "+01:00", "-05:30")):
        start, end = time_range(f"{day}T{time}{zone}")

        assert EARLIEST <= start < end <= LATEST


@pytest.mark.parametrize(
    "text",
    [
        "2020-01-01T10:00:75Z",
        "2020-01-01T10:00:61Z",
        "2020-01-01T10:60:00Z",
        "2020-01-01T24:00:00Z",
        "2020-01-01T10:00:00+01:99",
        "2020-01-01T10:00:00+14:01",
        "2020-01-01T10:00:00+15:30",
        "2020-01-01T10:00:00+25:00",
        "２０２０",
        "٢٠٢٠-٠١-٠١",
        "2020-01-01T10:00:00.３Z",
        "2020-02-30",
        "0000",
    ],
)
def test_what_r4_does_not_write_is_no_date(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a date(, dateTime or instant| that exists)$"):
        time_range(text)


def test_a_leap_second_and_the_farthest_zones_are_dates() -> None:
    assert time_range("2016-12-31T23:59:60Z")[1] == datetime(2017, 1, 1, tzinfo=UTC)
    assert time_range("2020-01-01T10:00:00+14:00")[0] == datetime(2019, 12, 31, 20, tzinfo=UTC)
    assert time_range("2020-01-01T10:00:00-13:59")[0] == datetime(2020, 1, 1, 23, 59, tzinfo=UTC)


def test_a_local_day_stays_within_the_calendar() -> None:
    assert local(LATEST, BRUSSELS).date() == date(9999, 12, 31)
    assert local(EARLIEST, NEW_YORK).date() == date(1, 1, 1)
    assert local(datetime(2026, 3, 1, 23, 30, tzinfo=UTC), BRUSSELS) == datetime(2026, 3, 2, 0, 30, tzinfo=BRUSSELS)
