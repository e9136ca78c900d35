"""The age of a person is counted from the birth date to the day of the search."""

import operator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhir.errors import MalformedRequest
from fhir_server.search.match import matches
from fhir_server.search.parse import parse

TODAY = datetime(2026, 2, 28, tzinfo=UTC)
COMPARE = {
    **{"": operator.eq, "eq": operator.eq, "ne": operator.ne, "gt": operator.gt, "sa": operator.gt},
    **{"ge": operator.ge, "lt": operator.lt, "eb": operator.lt, "le": operator.le},
}


def found(asked: str, birth: str | None, today: datetime = TODAY, **elements: Any) -> bool:
    """Whether somebody who was born then is found by `age=asked`; a name with a modifier may stand before it."""
    name, _, value = asked.rpartition("=")
    patient = {"resourceType": "Patient", "id": "1", **({"birthDate": birth} if birth else {}), **elements}
    return matches(parse("Patient", [(name or "age", value)], base_url="", moment=today), patient)


def age_of(birth: date, today: date) -> int:
    """How many birthdays somebody has had."""
    return today.year - birth.year - ((today.month, today.day) < (birth.month, birth.day))


@given(
    st.dates(date(1900, 1, 1), date(2030, 1, 1)),
    st.dates(date(2000, 1, 1), date(2030, 1, 1)),
    st.integers(-3, 3),
    st.sampled_from(sorted(COMPARE)),
)
def test_each_prefix_compares_with_the_birthdays_that_were(birth: date, today: date, off: int, prefix: str) -> None:
    age = age_of(birth, today)
    moment = datetime(today.year, today.month, today.day, 10, tzinfo=UTC)

    assert found(f"{prefix}{age + off}", birth.isoformat(), moment) is COMPARE[prefix](age, age + off)


@pytest.mark.parametrize(
    ("birth", "today", "age"),
    [
        ("2000-02-29", date(2026, 2, 28), 25),
        ("2000-02-29", date(2026, 3, 1), 26),
        ("2000-02-29", date(2028, 2, 29), 28),
        ("2001-02-28", date(2028, 2, 29), 27),
        ("2001-03-01", date(2028, 2, 29), 26),
        ("2026-02-28", date(2026, 2, 28), 0),
        ("0001-01-01", date(2026, 2, 28), 2025),
    ],
)
def test_a_birthday_that_is_not_in_every_year_comes_the_day_after(birth: str, today: date, age: int) -> None:
    moment = datetime(today.year, today.month, today.day, tzinfo=UTC)
    assert found(str(age), birth, moment)
    assert not any(found(str(age + off), birth, moment) for off in (-1, 1))


@pytest.mark.parametrize(
    ("asked", "birth", "is_found"),
    [
        ("ap50", "1973-01-01", True),  # 53, within a tenth
        ("ap50", "1966-01-01", False),
        ("1e2", "1929-01-01", True),  # 97: it stands for 95 up to 105
        ("lt1e999", "1960-08-01", True),
        ("65.5", "1960-08-01", False),  # no age is between two years
        ("ne65.5", "1960-08-01", True),
        ("gt64.5", "1960-08-01", True),
        ("le65.9", "1960-08-01", True),
        ("75", "1950", False),  # 75 or 76
        ("ge75", "1950", True),
        ("ge76", "1950", False),
        ("lt77", "1950", True),
        ("76", "1950-01", True),
        ("lt0", "2026-03-01", True),
        ("ge0", "2026-03-01", False),
        ("lt1e300", "1960-08-01", True),
        ("gt-1e300", "1960-08-01", True),
        ("ge1e300", "1960-08-01", False),
        ("ne65", "no date", False),
        ("gt3,lt2", "2020-01-01", True),
        ("age:missing=false", "1960-08-01", True),
        ("age:missing=true", None, True),
        ("age=ne1", None, False),
    ],
)
def test_what_is_asked_is_compared_with_whole_years(asked: str, birth: str | None, is_found: bool) -> None:
    assert found(asked, birth) is is_found


def test_who_has_died_has_no_age() -> None:
    for died in ({"deceasedBoolean": True}, {"deceasedDateTime": "2020"}):
        assert not found("ge0", "1960-08-01", **died)
        assert found("age:missing=true", "1960-08-01", **died)
        assert not found("age:missing=false", "1960-08-01", **died)
    assert found("65", "1960-08-01", deceasedBoolean=False)


def test_days_are_those_of_universal_time() -> None:
    turned = datetime(2026, 8, 1, 0, 30, tzinfo=UTC).astimezone(tz=None)
    assert found("66", "1960-08-01", turned)
    assert found("65", "1960-08-01", turned - timedelta(hours=1))


@pytest.mark.parametrize(
    ("name", "value"),
    [("age", "old"), ("age", ""), ("age", "1960-08-01"), ("age:not", "5"), ("age", "5|a"), ("age", "ge")],
)
def test_what_is_no_age_is_refused(name: str, value: str) -> None:
    with pytest.raises(MalformedRequest):
        parse("Patient", [(name, value)], base_url="", moment=TODAY)


def test_a_filter_compares_ages_as_numbers() -> None:
    assert found("_filter=age ge 65", "1960-08-01")
    with pytest.raises(MalformedRequest, match="'age' is a number and has no 'po'"):
        found("_filter=age po 65", "1960-08-01")


def test_without_a_day_nobody_has_an_age() -> None:
    with pytest.raises(MalformedRequest, match="no day is known"):
        parse("Patient", [("age", "5")], base_url="")
