"""Who asks, and what a new Task or order must say.

https://hl7.org/fhir/R4/task.html
"""

from collections.abc import Collection

from fhir_server.care.parties import Directory, party_of
from fhir_server.care.tasks import focus, fulfils
from fhir_server.fhir.errors import Forbidden, InvalidWorkflow
from fhir_server.fhir.json import Resource
from fhir_server.fhir.outcome import Issue
from fhir_server.fhir.reference import parse_reference


def check_requester(resource: Resource, acting: Collection[str], directory: Directory) -> None:
    """Refuse a Task or order that is asked in somebody else's name.

    Raises Forbidden (`requester-differs`) unless the requester is one of the party keys `acting`, or a role or service
    of one of them; InvalidResource when it is nobody who can act.
    """
    type_name = resource["resourceType"]
    if party_of(resource, "requester", directory) not in acting:
        raise Forbidden(
            f"The requester of a {type_name} is whoever sends it: name yourself, or a role of your organisation.",
            f"{type_name}.requester",
            "requester-differs",
        )


def check_new_task(task: Resource) -> None:
    """Refuse a new Task that does not say for whom, on what, or in which one plan. Raises InvalidWorkflow."""
    issues = [issue for issue in (_person(task), _plan(task), _focus(task), _owner(task)) if issue]
    if issues:
        raise InvalidWorkflow(issues=issues)


def _person(task: Resource) -> Issue | None:
    if str(task.get("for", {}).get("reference", "")).startswith("Patient/"):
        return None
    return Issue("required", "A Task says for whom it is: `for` refers to a Patient.", "Task.for", "task-for")


def _plan(task: Resource) -> Issue | None:
    plans = [parse_reference(based.get("reference", "")) for based in task.get("basedOn", [])]
    if not plans or (len(plans) == 1 and plans[0] is not None and plans[0].type == "CarePlan"):
        return None
    told = "A Task belongs to one plan: `basedOn` refers to exactly one CarePlan of this server, or is left out."
    return Issue("business-rule", told, "Task.basedOn", "task-based-on")


def _focus(task: Resource) -> Issue | None:
    if not fulfils(task) or focus(task).startswith("ServiceRequest/"):
        return None
    told = "A Task that asks to fulfil something names it: `focus` refers to a ServiceRequest."
    return Issue("required", told, "Task.focus", "task-focus")


def _owner(task: Resource) -> Issue | None:
    if "owner" in task or task.get("status") == "draft":
        return None
    return Issue("required", "A Task that is sent says to whom: give `owner`.", "Task.owner", "task-owner-missing")
