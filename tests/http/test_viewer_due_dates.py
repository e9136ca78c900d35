"""The caseload asks the database for what is late; `care.due` says what late means. They must never differ."""

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.care.due import is_overdue
from fhir_server.fhir.json import Resource
from fhir_server.search.match import matches
from fhir_server.search.parse import parse
from fhir_server.viewer.due_dates import OPEN_STATUSES, UNDATED, Parameter, late, on_time

TODAY = date(2026, 3, 30)  # the day after summer time began in Europe
ZONES = [ZoneInfo(name) for name in ("Europe/Brussels", "UTC", "America/New_York", "Asia/Kolkata", "Pacific/Auckland")]
STATUSES = ("requested", "accepted", "in-progress", "on-hold", "completed", "rejected")

moments = st.integers(0, 4 * 24 * 3600).map(
    lambda second: datetime(2026, 3, 28, tzinfo=UTC) + timedelta(seconds=second)
)
hours = st.integers(-11, 13).map(lambda hour: timedelta(hours=hour))
stated = st.one_of(
    st.dates(date(2026, 3, 27), date(2026, 4, 2)).map(date.isoformat),
    st.sampled_from(["2026", "2025", "2026-02", "2026-03", "2026-04"]),
    st.builds(lambda moment, offset: moment.astimezone(timezone(offset)).isoformat(), moments, hours),
    moments.map(lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%S.250Z")),
)


def task(due: str | None, status: str) -> Resource:
    """A Task that states when it is due, or does not."""
    restriction = {"restriction": {"period": {"end": due}}} if due else {}
    return {"resourceType": "Task", "id": "a", "status": status, "intent": "order", **restriction}


def found(asked: tuple[Parameter, ...], resource: Resource) -> bool:
    """Whether a search would find the Task."""
    return matches(parse("Task", [("status", OPEN_STATUSES), *asked], base_url=""), resource)


@pytest.mark.parametrize("zone", ZONES, ids=str)
@settings(deadline=None)
@given(due=stated, status=st.sampled_from(STATUSES))
def test_the_question_for_late_tasks_finds_what_care_calls_overdue(zone: ZoneInfo, due: str, status: str) -> None:
    resource = task(due, status)

    assert found(late(TODAY, zone), resource) is is_overdue(resource, TODAY, zone)


@pytest.mark.parametrize("zone", ZONES, ids=str)
@settings(deadline=None)
@given(due=st.none() | stated, status=st.sampled_from(STATUSES))
def test_every_open_task_is_found_by_exactly_one_of_the_questions(zone: ZoneInfo, due: str | None, status: str) -> None:
    resource = task(due, status)

    groups = [found(asked, resource) for asked in (late(TODAY, zone), on_time(TODAY, zone), UNDATED)]

    assert sum(groups) == (1 if status in OPEN_STATUSES.split(",") else 0)
