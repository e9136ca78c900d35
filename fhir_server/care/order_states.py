"""Which status an order (ServiceRequest) may move to: by its placer alone; the performer asks by Task.

https://hl7.org/fhir/R4/request.html#statemachine
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from fhir_server.care.parties import REQUESTER
from fhir_server.care.task_states import OPEN as OPEN_TASK
from fhir_server.care.tasks import focus, fulfils
from fhir_server.fhir.errors import Forbidden, InvalidWorkflow
from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import reference_to

STATUSES = ("draft", "active", "on-hold", "revoked", "completed", "entered-in-error", "unknown")
OPEN = frozenset({"draft", "active", "on-hold"})

STEPS: Mapping[str | None, tuple[str, ...]] = MappingProxyType(
    {
        None: ("draft", "active"),
        "draft": ("active", "revoked", "entered-in-error"),
        "active": ("on-hold", "completed", "revoked", "entered-in-error"),
        "on-hold": ("active", "revoked", "entered-in-error"),
        "revoked": ("entered-in-error",),
        "completed": ("entered-in-error",),
        "entered-in-error": (),
        "unknown": ("entered-in-error",),
    }
)


def check_move(from_status: str | None, to_status: str, roles: frozenset[str]) -> None:
    """Refuse a step of an order's status (None: it is new) that is not in the table, or not by its placer.

    Raises Forbidden (`order-party`) for anybody else than the requester, InvalidWorkflow (`order-move`) for the step.
    """
    if REQUESTER not in roles:
        raise Forbidden(
            "Only the requester of an order changes its status; whoever performs it moves the Task.",
            "ServiceRequest.status",
            "order-party",
        )
    if from_status != to_status and to_status not in STEPS.get(from_status, ()):
        onward = " or ".join(STEPS.get(from_status, ())) or "nothing further"
        begin = f"An order does not move from {from_status} to" if from_status else "No order starts"
        raise InvalidWorkflow(f"{begin} {to_status}; possible is {onward}.", "ServiceRequest.status", "order-move")


def check_closing(order: str, to_status: str, tasks: Iterable[Resource]) -> None:
    """Refuse to end the order `ServiceRequest/x` while a fulfilment of it is open.

    `tasks` are the Tasks as the write would leave them. Raises InvalidWorkflow (`order-open-tasks`). It says how many
    they are and names none: who placed the order may not read each of them.
    """
    if to_status in OPEN:
        return
    still_open = sum(task["status"] in OPEN_TASK and focus(task) == order for task in tasks)
    if still_open:
        which = "1 Task" if still_open == 1 else f"{still_open} Tasks"
        raise InvalidWorkflow(
            f"The order cannot become {to_status} while work on it is open: {which} on it must be ended first. "
            f"Task?focus={order} finds those that you may read.",
            "ServiceRequest.status",
            "order-open-tasks",
        )


def check_to_be_done(order: Resource, tasks: Iterable[Resource], path: str) -> None:
    """Refuse that somebody is asked to do what the order says is not to be done; `path` is where that is told.

    `tasks` are Tasks as the write would leave them. Raises InvalidWorkflow (`order-not-to-do`).
    """
    asked = [task for task in tasks if fulfils(task) and task["status"] in OPEN_TASK]
    if order.get("doNotPerform") is True and any(focus(task) == reference_to(order) for task in asked):
        told = "The order says `doNotPerform`: nobody is asked to fulfil it. End the Task, or place another order."
        raise InvalidWorkflow(told, path, "order-not-to-do")
