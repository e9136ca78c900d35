"""Which status a Task may move to, who may move it, and which moves need a reason.

One table per preset, as data: the gate, the viewer, the documents and the CapabilityStatement read the same rows.
https://hl7.org/fhir/R4/task.html#statemachine
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fhir_server.care.parties import CUSTODIAN, OWNER, REQUESTER, SERVER
from fhir_server.fhir.errors import Forbidden, InvalidWorkflow
from fhir_server.fhir.json import Resource

NEW = None
STATUSES = (
    "draft",
    "requested",
    "received",
    "accepted",
    "rejected",
    "ready",
    "cancelled",
    "in-progress",
    "on-hold",
    "failed",
    "completed",
    "entered-in-error",
)
TERMINAL = frozenset({"rejected", "cancelled", "failed", "completed", "entered-in-error"})
OPEN = frozenset(STATUSES) - TERMINAL
CONFERS_MEMBERSHIP = frozenset({"accepted", "in-progress", "on-hold"})
REASON_REQUIRED = frozenset({"rejected", "cancelled", "on-hold", "failed", "entered-in-error"})
SENT = OPEN - {"draft"}
PARTIES = (REQUESTER, OWNER, CUSTODIAN)

Step = tuple[str | None, str]


@dataclass(frozen=True)
class TaskTable:
    """A preset: every allowed step with the parties that may make it; `server` marks what a rule does by itself.

    `sub_task_only` are statuses in which only a Task that is part of another may be created.
    """

    name: str
    steps: Mapping[Step, frozenset[str]]
    sub_task_only: frozenset[str] = frozenset()


def _table(name: str, *rows: tuple[str, str, str], sub_task_only: Iterable[str] = ()) -> TaskTable:
    """A preset from rows of (from, to, parties), each a list of words; `new` is the status before creation."""
    steps: dict[Step, frozenset[str]] = {}
    for origins, targets, parties in rows:
        for origin in origins.split():
            for target in targets.split():
                step = (NEW if origin == "new" else origin, target)
                steps[step] = steps.get(step, frozenset()) | frozenset(parties.split())
    for origin in STATUSES:
        if origin != "entered-in-error":
            steps[origin, "entered-in-error"] = frozenset({REQUESTER, CUSTODIAN})
    return TaskTable(name, MappingProxyType(steps), frozenset(sub_task_only))


DEFAULT = _table(
    "default",
    ("new", "draft requested", REQUESTER),
    ("new", "ready", REQUESTER),
    ("draft", "requested cancelled", REQUESTER),
    ("requested", "received accepted rejected", OWNER),
    ("received", "accepted rejected", OWNER),
    ("requested received accepted", "cancelled", f"{REQUESTER} {OWNER} {SERVER}"),
    ("accepted", "in-progress failed", OWNER),
    ("in-progress", "on-hold completed failed", OWNER),
    ("on-hold", "in-progress failed", OWNER),
    ("in-progress on-hold", "cancelled", SERVER),
    ("ready", "in-progress completed failed", OWNER),
    ("ready", "cancelled", REQUESTER),
    sub_task_only=("ready",),
)
SDOHCC = _table(
    "sdohcc",
    ("new", "draft requested", REQUESTER),
    ("draft", "requested cancelled", REQUESTER),
    ("requested", "accepted rejected", OWNER),
    ("accepted", "in-progress on-hold completed failed", OWNER),
    ("in-progress", "on-hold completed failed", OWNER),
    ("on-hold", "in-progress", OWNER),
    ("requested accepted", "cancelled", f"{REQUESTER} {OWNER} {SERVER}"),
    ("in-progress on-hold", "cancelled", f"{REQUESTER} {OWNER}"),
)
PRESETS: Mapping[str, TaskTable] = MappingProxyType({table.name: table for table in (DEFAULT, SDOHCC)})


def check_move(
    table: TaskTable,
    from_status: str | None,
    to_status: str,
    roles: frozenset[str],
    has_reason: bool,
    *,
    sub_task: bool = False,
) -> None:
    """Refuse the step from one status to another (None: the Task is new) unless `table` allows it to one of `roles`.

    Staying in a status is not a step, but its reason must stand. Raises Forbidden (`task-party`) for whoever has no
    part in the Task, InvalidWorkflow for a step that is not allowed (`task-move`) or lacks `statusReason.text`
    (`task-reason`).
    """
    if not roles.intersection((*PARTIES, SERVER)):
        raise Forbidden(
            "You are neither the requester nor the owner of this Task, nor the custodian of its plan.",
            "Task.status",
            "task-party",
        )
    if from_status != to_status and not _allowed(table, from_status, to_status, sub_task) & roles:
        raise InvalidWorkflow(_refusal(table, from_status, to_status, roles, sub_task), "Task.status", "task-move")
    if to_status in REASON_REQUIRED and not has_reason:
        raise InvalidWorkflow(
            f"A Task that is {to_status} says why: give `statusReason.text`.", "Task.statusReason.text", "task-reason"
        )


def moves_open_to(
    table: TaskTable, from_status: str | None, roles: frozenset[str], *, sub_task: bool = False
) -> tuple[str, ...]:
    """The statuses to which one of `roles` may move a Task, in FHIR's order; what a page offers as buttons."""
    return tuple(status for status in STATUSES if _allowed(table, from_status, status, sub_task) & roles)


def has_reason(task: Resource) -> bool:
    """Whether the Task says why it is in its status."""
    return bool(str(task.get("statusReason", {}).get("text", "")).strip())


def _allowed(table: TaskTable, from_status: str | None, to_status: str, sub_task: bool) -> frozenset[str]:
    if from_status is NEW and to_status in table.sub_task_only and not sub_task:
        return frozenset()
    return table.steps.get((from_status, to_status), frozenset())


def _refusal(table: TaskTable, from_status: str | None, to_status: str, roles: frozenset[str], sub_task: bool) -> str:
    told = f"A Task does not move from {from_status} to {to_status}" if from_status else f"No Task starts {to_status}"
    movers = _allowed(table, from_status, to_status, sub_task)
    if from_status in {"in-progress", "on-hold"} and to_status == "cancelled":
        return f"{told} by hand: ask for it with a Task of code `abort` whose focus is this one."
    if movers:
        return f"{told} by the {_words(roles)}; only the {_words(movers)} may do so."
    onward = moves_open_to(table, from_status, frozenset(PARTIES), sub_task=sub_task)
    offered = [f"{status} (by the {_words(_allowed(table, from_status, status, sub_task))})" for status in onward]
    begin = "It may move to" if from_status else "It may start as"
    return f"{told}. {begin} {', '.join(offered)}." if offered else f"{told}; nothing follows {from_status}."


def _words(roles: frozenset[str]) -> str:
    known = [role for role in (*PARTIES, SERVER) if role in roles]
    return " or ".join(known)
