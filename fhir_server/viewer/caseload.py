"""The caseload: Tasks in the groups in which a case manager works, late ones first, each asked page by page."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from fhir_server.care.due import UNANSWERED
from fhir_server.care.task_states import OPEN, STATUSES, TERMINAL
from fhir_server.fhir.dates import instant
from fhir_server.fhir.errors import NotFound
from fhir_server.viewer.due_dates import OPEN_STATUSES, UNDATED, Parameter, late, on_time
from fhir_server.viewer.questions import Found, Questions
from fhir_server.viewer.task_rows import INCLUDES, Reading, TaskRow, task_rows

OVERDUE, WAITING, IN_PROGRESS, ENDED = "overdue", "waiting", "in-progress", "ended"
GROUPS = (OVERDUE, WAITING, IN_PROGRESS, ENDED)
ENDED_SHOWN_FOR = timedelta(days=14)

_WAITING_STATUSES = UNANSWERED | {"draft", "on-hold"}
STATUSES_OF: Mapping[str, str] = {
    OVERDUE: OPEN_STATUSES,
    WAITING: ",".join(status for status in STATUSES if status in _WAITING_STATUSES),
    IN_PROGRESS: ",".join(status for status in STATUSES if status in OPEN - _WAITING_STATUSES),
    ENDED: ",".join(status for status in STATUSES if status in TERMINAL - {"entered-in-error"}),
}
_BY_DUE = ("_sort", "due")


@dataclass(frozen=True)
class Portion:
    """One page of a group; `total` is that of the whole group, where it was counted; `next` asks for the page after."""

    group: str
    rows: tuple[TaskRow, ...]
    total: int | None = None
    next: str | None = None


def portion(group: str, questions: Questions, reading: Reading, size: int, start: str | None = None) -> Portion:
    """A page of `size` Tasks of a group, the first with the group's total. Raises NotFound for an unknown group."""
    if group not in GROUPS:
        raise NotFound
    parts = _parts(group, questions, reading)
    first, cursor = _place(start, len(parts))
    rows: list[TaskRow] = []
    following = None
    for number in range(first, len(parts)):
        found = _ask(questions, parts[number], size - len(rows), cursor if number == first else None)
        rows += task_rows(found, questions, reading)
        following = f"{number}.{found.cursor}" if found.cursor else None
        if following or len(rows) >= size:
            following = following or _next_part(questions, parts, number + 1)
            break
    total = None
    if start is None:
        total = len(rows) if following is None else sum(_count(questions, part) for part in parts)
    return Portion(group, tuple(rows), total, following)


def _parts(group: str, questions: Questions, reading: Reading) -> list[tuple[Parameter, ...]]:
    """The searches that make up a group, one after the other: what is dated comes before what is not."""
    of_status = ("status", STATUSES_OF[group])
    if group == OVERDUE:
        return [(of_status, *late(reading.today, reading.zone), _BY_DUE)]
    if group == ENDED:
        since = instant(questions.moment - ENDED_SHOWN_FOR)
        return [(of_status, ("_lastUpdated", f"ge{since}"), ("_sort", "-_lastUpdated"))]
    return [
        (of_status, *on_time(reading.today, reading.zone), _BY_DUE),
        (of_status, *UNDATED, ("_sort", "authored-on")),
    ]


def _ask(questions: Questions, part: tuple[Parameter, ...], size: int, cursor: str | None) -> Found:
    paging = (("_count", str(size)), *((("_cursor", cursor),) if cursor else ()))
    return questions.search("Task", *part, *paging, *INCLUDES)


def _count(questions: Questions, part: tuple[Parameter, ...]) -> int:
    counted = questions.search("Task", *part, ("_summary", "count"))
    return counted.total or 0


def _next_part(questions: Questions, parts: list[tuple[Parameter, ...]], number: int) -> str | None:
    left = (later for later in range(number, len(parts)) if _count(questions, parts[later]))
    return next((f"{later}." for later in left), None)


def _place(start: str | None, parts: int) -> tuple[int, str | None]:
    """Which part of the group a page begins in, and where in it. Raises NotFound for what no page of ours wrote."""
    number, _, cursor = (start or "0.").partition(".")
    if not (number.isascii() and number.isdigit()) or int(number) >= parts:
        raise NotFound
    return int(number), cursor or None
