"""What kind of Task it is.

https://hl7.org/fhir/R4/task.html
"""

from fhir_server.care.parties import Directory, party_of
from fhir_server.care.task_states import OPEN
from fhir_server.fhir.change import Change
from fhir_server.fhir.errors import InvalidWorkflow
from fhir_server.fhir.json import Resource

TASK_CODES = "http://hl7.org/fhir/CodeSystem/task-code"


def fulfils(task: Resource) -> bool:
    """Whether the Task asks for the fulfilment of its focus and is no part of another Task."""
    return "partOf" not in task and has_code(task, "fulfill")


def asks_to_cancel(task: Resource) -> bool:
    """Whether the Task asks to cancel the Task that is its focus."""
    return has_code(task, "abort") and focus(task).startswith("Task/")


def has_code(task: Resource, code: str) -> bool:
    """Whether the Task carries `code` of FHIR's task codes."""
    for coding in task.get("code", {}).get("coding", ()):  # asked of every Task of a plan, again and again
        if coding.get("code") == code and coding.get("system") == TASK_CODES:
            return True
    return False


def is_drafted(change: Change) -> bool:
    """Whether a Task that was a draft is one still, or is sent: then it says anew what a new Task says."""
    was_draft = change.before is not None and change.before["status"] == "draft"
    return was_draft and change.after is not None and change.after["status"] in OPEN


def is_sent(change: Change) -> bool:
    """Whether a Task that was a draft is sent to its owner."""
    return is_drafted(change) and (change.after or {})["status"] != "draft"


def focus(task: Resource) -> str:
    """The reference to what the Task works on; empty when it names nothing."""
    return str(task.get("focus", {}).get("reference", ""))


def check_sub_task(task: Resource, parent: Resource, directory: Directory) -> None:
    """Refuse a sub-task that does not ask back: the owner of the parent asks, its requester answers.

    Raises InvalidWorkflow: `sub-task-depth` for a part of a part, `sub-task-parties` when the roles are not reversed.
    """
    if "partOf" in parent:
        raise InvalidWorkflow(
            "A sub-task has no sub-tasks of its own; make it part of the first Task.", "Task.partOf", "sub-task-depth"
        )
    asked_by, asks_of = (party_of(task, element, directory) for element in ("requester", "owner"))
    if (asked_by, asks_of) != tuple(party_of(parent, element, directory) for element in ("owner", "requester")):
        raise InvalidWorkflow(
            "A sub-task is asked by the owner of the Task that it is part of, of that Task's requester.",
            "Task.owner",
            "sub-task-parties",
        )
