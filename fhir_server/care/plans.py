"""How a plan is opened, which status it may move to, and that nothing new starts in one that is closed.

https://hl7.org/fhir/R4/careplan.html
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType

from fhir_server.care.parties import CUSTODIAN
from fhir_server.care.programmes import Programme
from fhir_server.care.task_states import OPEN as OPEN_TASK
from fhir_server.care.tasks import focus, fulfils
from fhir_server.fhir.dates import instant
from fhir_server.fhir.errors import Forbidden, InvalidResource, InvalidWorkflow
from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import reference_to

OPEN = frozenset({"draft", "active", "on-hold", "unknown"})
STEPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "draft": ("active", "revoked", "entered-in-error"),
        "active": ("on-hold", "completed", "revoked", "entered-in-error"),
        "on-hold": ("active", "completed", "revoked", "entered-in-error"),
        "completed": ("entered-in-error",),
        "revoked": ("entered-in-error",),
        "unknown": ("active", "entered-in-error"),
        "entered-in-error": (),
    }
)


def opens_plan(task: Resource) -> bool:
    """Whether a new Task can open a plan: it asks to fulfil an order and names no plan."""
    return (
        fulfils(task)
        and "basedOn" not in task
        and task.get("status") in {"draft", "requested"}
        and focus(task).startswith("ServiceRequest/")
    )


def open_plan(
    task: Resource,
    order: Resource,
    patient: Resource,
    programme: Programme,
    requester: str,
    custodian: str,
    ids: tuple[str, str],
    now: datetime,
) -> tuple[Resource, Resource, Resource]:
    """The CarePlan, the CareTeam and the Task that names the plan, for the first Task of a case.

    `requester` and `custodian` are parties, `ids` the new ids of plan and team. The team has no participants yet: they
    follow from the moves, by the rules. Raises InvalidResource when Task or order are about another person, and when
    the custodian is no organisation.
    """
    subject = reference_to(patient)
    _check_about(task, "for", subject)
    _check_about(order, "subject", subject)
    if not custodian.startswith("Organization/"):
        raise InvalidResource(
            f"{custodian} cannot keep a plan; a custodian is an Organization.", "Task.for", "custodian"
        )
    plan_id, team_id = ids
    started = instant(now)
    plan: Resource = {
        "resourceType": "CarePlan",
        "id": plan_id,
        "instantiatesCanonical": [programme.versioned],
        "status": "active",
        "intent": "plan",
        "category": [category.concept() for category in programme.categories],
        "title": programme.title(),
        "subject": {"reference": subject},
        "period": {"start": started},
        "created": started,
        "author": {"reference": requester},
        "careTeam": [{"reference": f"CareTeam/{team_id}"}],
    }
    team: Resource = {
        "resourceType": "CareTeam",
        "id": team_id,
        "status": "active",
        "category": [category.concept() for category in programme.team_categories],
        "name": programme.title(),
        "subject": {"reference": subject},
        "period": {"start": started},
        "managingOrganization": [{"reference": custodian}],
    }
    based = {**task, "basedOn": [{"reference": f"CarePlan/{plan_id}"}]}
    return with_activity(_filled(plan), reference_to(order)), _filled(team), based


def with_activity(care_plan: Resource, order: str) -> Resource:
    """The plan with an activity for the order `ServiceRequest/x`; the same plan when it has one."""
    activities = care_plan.get("activity", [])
    if any(activity.get("reference", {}).get("reference") == order for activity in activities):
        return care_plan
    return {**care_plan, "activity": [*activities, {"reference": {"reference": order}}]}


def check_open(care_plan: Resource) -> None:
    """Refuse anything new in a plan that is closed. Raises InvalidWorkflow (`plan-closed`)."""
    if care_plan["status"] not in OPEN:
        raise InvalidWorkflow(
            f"The plan is {care_plan['status']}; nothing new starts in it. A Task that names no plan opens another.",
            "Task.basedOn",
            "plan-closed",
        )


def check_same_subject(care_plan: Resource, task: Resource) -> None:
    """Refuse a Task that is about another person than its plan. Raises InvalidWorkflow (`plan-subject`)."""
    if task.get("for", {}).get("reference") != care_plan["subject"]["reference"]:
        raise InvalidWorkflow(
            "The Task is for another person than the plan that it is based on.", "Task.for", "plan-subject"
        )


def check_move(from_status: str, to_status: str, roles: frozenset[str], tasks: Iterable[Resource]) -> None:
    """Refuse a step of a plan's status that is not in the table, not by its custodian, or leaves Tasks open.

    `tasks` are the plan's, as the write would leave them. Raises Forbidden (`plan-party`), InvalidWorkflow
    (`plan-move`, `plan-open-tasks`).
    """
    if from_status == to_status:
        return
    if CUSTODIAN not in roles:
        raise Forbidden("Only the custodian of a plan changes its status.", "CarePlan.status", "plan-party")
    if to_status not in STEPS.get(from_status, ()):
        onward = " or ".join(STEPS.get(from_status, ())) or "nothing further"
        raise InvalidWorkflow(
            f"A plan does not move from {from_status} to {to_status}; possible is {onward}.",
            "CarePlan.status",
            "plan-move",
        )
    still_open = sorted(reference_to(task) for task in tasks if task["status"] in OPEN_TASK)
    if to_status not in OPEN and still_open:
        raise InvalidWorkflow(
            f"The plan cannot become {to_status} while Tasks are open: end {', '.join(still_open)} first.",
            "CarePlan.status",
            "plan-open-tasks",
        )


def _check_about(resource: Resource, element: str, subject: str) -> None:
    if resource.get(element, {}).get("reference") != subject:
        path = f"{resource['resourceType']}.{element}"
        raise InvalidResource(f"`{path}` must name the person that the plan is for.", path, "plan-subject")


def _filled(resource: Resource) -> Resource:
    """Without empty lists, which FHIR does not allow."""
    return {name: value for name, value in resource.items() if value != []}
