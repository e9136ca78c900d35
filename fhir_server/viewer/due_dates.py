"""`care.due.is_overdue` as questions to the database, so that a caseload of any size is never loaded to find what is
late. A test holds the questions and the definition equal."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from fhir_server.care.task_states import OPEN, STATUSES

Parameter = tuple[str, str]

OPEN_STATUSES = ",".join(status for status in STATUSES if status in OPEN)


def late(today: date, zone: ZoneInfo) -> tuple[Parameter, ...]:
    """Search parameters for Tasks due before `today` in `zone`, whatever their status.

    A due date without a time is late when its day is over by the calendar, a due time when local midnight passed it.
    """
    midnight, calendar = _edges(today, zone)
    if midnight > calendar:
        return (("due", f"eb{_second(midnight)}"),)
    return (("due", f"eb{_second(calendar)}"), ("due", f"lt{_second(midnight)}"))


def on_time(today: date, zone: ZoneInfo) -> tuple[Parameter, ...]:
    """Search parameters for all other Tasks that state when they are due."""
    midnight, calendar = _edges(today, zone)
    if midnight > calendar:
        return (("due", f"ge{_second(midnight)}"),)
    return (("due", f"ge{_second(calendar)},sa{_second(midnight - timedelta(seconds=1))}"),)


UNDATED: tuple[Parameter, ...] = (("due:missing", "true"),)


def _edges(today: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Where today begins: in the reader's zone, and for dates without a zone, which are kept as days of UTC."""
    return (
        datetime.combine(today, time(), zone).astimezone(UTC),
        datetime.combine(today, time(), UTC),
    )


def _second(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
