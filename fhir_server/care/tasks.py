"""What kind of Task it is.

https://hl7.org/fhir/R4/task.html
"""

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
    codings = task.get("code", {}).get("coding", [])
    return any(coding.get("code") == code and coding.get("system") == TASK_CODES for coding in codings)


def focus(task: Resource) -> str:
    """The reference to what the Task works on; empty when it names nothing."""
    return str(task.get("focus", {}).get("reference", ""))
