"""What is late, and who must act."""

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from als_case import task

from fhir_server.care.due import due_date, is_overdue, waits_for, worklist_key
from fhir_server.care.task_states import OPEN, STATUSES, TERMINAL

BRUSSELS = ZoneInfo("Europe/Brussels")
TODAY = date(2026, 11, 21)


def due(end: str, **more: Any) -> dict[str, Any]:
    return task(restriction={"period": {"end": end}}, **more)


@pytest.mark.parametrize(
    ("end", "day"),
    [
        ("2026-11-21", date(2026, 11, 21)),
        ("2026-11", date(2026, 11, 30)),
        ("2026", date(2026, 12, 31)),
        ("2026-11-21T22:59:00Z", date(2026, 11, 21)),
        ("2026-11-21T23:00:00Z", date(2026, 11, 22)),
        ("2026-11-22T00:30:00+01:00", date(2026, 11, 22)),
        ("9999-12-31T23:59:59Z", date(9999, 12, 31)),
        ("9999-12-31T23:59:59-05:00", date(9999, 12, 31)),
        ("9999", date(9999, 12, 31)),
        ("0001-01-01T00:00:00+01:00", date(1, 1, 1)),
    ],
)
def test_the_due_date_is_the_local_day(end: str, day: date) -> None:
    assert due_date(due(end), BRUSSELS) == day


def test_when_work_was_done_does_not_say_when_it_is_due() -> None:
    done = {"start": "2026-10-01", "end": "2026-11-01"}

    assert due_date(due("2026-11-20", executionPeriod=done)) == date(2026, 11, 20)
    assert due_date(task(executionPeriod=done)) is None


@pytest.mark.parametrize("status", STATUSES)
def test_only_an_open_task_past_its_day_is_overdue(status: str) -> None:
    is_open = status in OPEN

    assert is_overdue(due("2026-11-20", status=status), TODAY) is is_open
    assert not is_overdue(due("2026-11-21", status=status), TODAY)
    assert not is_overdue(task(status=status), TODAY)


def test_overdue_turns_at_local_midnight() -> None:
    ends_at_night = due("2026-11-20T23:30:00Z")

    assert is_overdue(ends_at_night, TODAY)
    assert not is_overdue(ends_at_night, TODAY, BRUSSELS)


def test_who_must_act() -> None:
    waiting = {"coding": [{"code": "awaiting-information"}]}

    assert {waits_for(task(status=status)) for status in OPEN - {"draft"}} == {"owner"}
    assert waits_for(task(status="draft")) == "requester"
    assert waits_for(task(status="received", businessStatus=waiting)) == "requester"
    assert {waits_for(task(status=status, businessStatus=waiting)) for status in TERMINAL} == {None}


def test_late_work_comes_first_then_unanswered_then_the_rest() -> None:
    expected = [
        due("2026-11-01", id="late", status="in-progress"),
        due("2026-11-19", id="later", status="requested"),
        due("2026-11-30", id="unanswered", status="requested"),
        task("no-date", "received", priority="urgent"),
        task("no-date-no-hurry", "received"),
        due("2026-11-22", id="running", status="in-progress"),
        due("2026-11-01", id="ended", status="completed"),
    ]

    found = sorted(reversed(expected), key=lambda each: worklist_key(each, TODAY))

    assert [each["id"] for each in found] == [each["id"] for each in expected]
