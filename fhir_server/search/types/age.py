"""The age of a Patient: not stored, but counted from the birth date to the day of the search.

https://hl7.org/fhir/R4/patient.html#search

Ages are whole years, as birthdays count them (UTC); who has died has none. A date of birth of which only the year or
month is known is of an age when all its days are.
"""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta

from fhir_server.definitions.search_parameters import SearchParameter
from fhir_server.fhir.errors import MalformedRequest
from fhir_server.search.query import AllOf, Amount, Clause, Condition, Moment, Not, Token
from fhir_server.search.types import number

AGE = "age"
BORN, DIED = "birthdate", "deceased"

_BEYOND_ALL = 20_000.0


def parse(text: str, parameter: SearchParameter, *, moment: datetime | None) -> Moment:
    """When somebody of the asked age was born, at `moment`. Raises MalformedRequest."""
    if moment is None:
        raise MalformedRequest(f"{parameter.code!r} cannot be asked here, where no day is known to count to.")
    asked, today = number.parse(text, parameter), moment.astimezone(UTC).date()
    oldest, youngest = _YEARS[asked.prefix](asked)
    born_after, born_before = _end_of(today, oldest), _end_of(today, youngest)
    return Moment(_PREFIX.get(asked.prefix, asked.prefix), born_after, born_before, text)


def meaning(asked: Clause) -> Condition:
    """What a clause about the age says of the birth date, and of death."""
    alive = Clause(DIED, "token", (Token(None, "false"),))
    known = AllOf((Clause(BORN, "date", (), missing=False), alive))
    if asked.missing is not None:
        return Not(known) if asked.missing else known
    return AllOf((Clause(BORN, "date", asked.values), alive))


def _end_of(today: date, years: int) -> datetime:
    """The end of the last day on which somebody was born who has had so many birthdays by today."""
    year = today.year - years
    if not date.min.year <= year < date.max.year:
        return datetime.max.replace(tzinfo=UTC) if years < 0 else datetime.min.replace(tzinfo=UTC)
    leaps = (today.month, today.day) == (2, 29) and not _is_leap(year)
    born = date(year, 2, 28) if leaps else today.replace(year=year)
    return datetime(born.year, born.month, born.day, tzinfo=UTC) + timedelta(days=1)


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _from(age: float) -> int:
    """The first whole age that is not less."""
    return math.ceil(min(max(age, -_BEYOND_ALL), _BEYOND_ALL))


def _after(age: float) -> int:
    """The first whole age that is more."""
    return math.floor(min(max(age, -_BEYOND_ALL), _BEYOND_ALL)) + 1


def _bound(first: int) -> tuple[int, int]:
    return first, first


_YEARS: Mapping[str, Callable[[Amount], tuple[int, int]]] = {
    "eq": lambda asked: (_from(asked.end), _from(asked.start)),
    "ne": lambda asked: (_from(asked.end), _from(asked.start)),
    "ap": lambda asked: (_after(asked.end), _from(asked.start)),
    "gt": lambda asked: _bound(_after(asked.value)),
    "sa": lambda asked: _bound(_after(asked.value)),
    "ge": lambda asked: _bound(_from(asked.value)),
    "lt": lambda asked: _bound(_from(asked.value)),
    "eb": lambda asked: _bound(_from(asked.value)),
    "le": lambda asked: _bound(_after(asked.value)),
}
"""The first age that is too old, and the first that is not too young; of a bound both are the bound itself."""

_PREFIX = {"gt": "eb", "sa": "eb", "ge": "eb", "lt": "sa", "le": "sa", "eb": "sa", "ap": "eq"}
"""Who is older was born before."""
