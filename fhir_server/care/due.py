"""What is late and who must act: the one definition, for worklists, rules and reports."""

from datetime import UTC, date, timedelta, tzinfo

from fhir_server.care.parties import OWNER, REQUESTER
from fhir_server.care.task_states import OPEN
from fhir_server.fhir.dates import local, time_range
from fhir_server.fhir.json import Resource

UNANSWERED = frozenset({"requested", "received"})
_PRIORITIES = ("stat", "asap", "urgent", "routine")
_NEVER = date.max
_WAITS_FOR = {
    "draft": REQUESTER,
    "requested": OWNER,
    "received": OWNER,
    "ready": OWNER,
    "accepted": OWNER,
    "in-progress": OWNER,
    "on-hold": OWNER,
}


def due_date(task: Resource, zone: tzinfo = UTC) -> date | None:
    """The last local day on which the Task is on time: `restriction.period.end`.

    The same element is the search parameter `due`. `executionPeriod` tells when work was done, never when it is due.
    A partial date means its last day; a point in time means its day in `zone`. None when the Task states none.
    """
    stated = task.get("restriction", {}).get("period", {}).get("end")
    if stated is None:
        return None
    start, end = time_range(stated)
    return local(start, zone).date() if "T" in stated else (end - timedelta(microseconds=1)).date()


def is_overdue(task: Resource, today: date, zone: tzinfo = UTC) -> bool:
    """Open, and its due date is before `today`, the local date in `zone`."""
    due = due_date(task, zone)
    return task["status"] in OPEN and due is not None and due < today


def waits_for(task: Resource) -> str | None:
    """Who must act, `owner` or `requester`; None for a Task that has ended.

    A Task whose owner asks for information (business status `awaiting-information`) waits for its requester.
    """
    awaited = {coding.get("code") for coding in task.get("businessStatus", {}).get("coding", [])}
    if task["status"] in OPEN and "awaiting-information" in awaited:
        return REQUESTER
    return _WAITS_FOR.get(task["status"])


def worklist_key(task: Resource, today: date, zone: tzinfo = UTC) -> tuple[int, date, int, str, str]:
    """Sorts a worklist: late, then unanswered, then other open, then ended Tasks; each by due date, urgency, age."""
    priority = task.get("priority", "routine")
    return (
        _urgency(task, today, zone),
        due_date(task, zone) or _NEVER,
        _PRIORITIES.index(priority) if priority in _PRIORITIES else len(_PRIORITIES),
        str(task.get("authoredOn", "")),
        str(task.get("id", "")),
    )


def _urgency(task: Resource, today: date, zone: tzinfo) -> int:
    if is_overdue(task, today, zone):
        return 0
    if task["status"] in UNANSWERED:
        return 1
    return 2 if task["status"] in OPEN else 3
