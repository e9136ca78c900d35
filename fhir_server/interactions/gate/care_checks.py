"""The workflow's own checks of one change, by type: `care/` decides, this table says which decision is asked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from fhir_server.care import order_states, plans, task_states
from fhir_server.care.asking import check_requester
from fhir_server.care.chart import Situation
from fhir_server.care.consents import check_recorder, check_widening, refused
from fhir_server.care.elements import check_elements
from fhir_server.care.parties import party_of, roles_towards
from fhir_server.care.tasks import asks_to_cancel, check_sub_task, focus, is_drafted, is_sent
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.change import Change
from fhir_server.fhir.errors import Forbidden, InvalidWorkflow
from fhir_server.fhir.json import Resource
from fhir_server.search.grant import Reader
from fhir_server.store.values import Circle


@dataclass(frozen=True)
class Facts:
    """What the checks know: the situation before the write, the circle before it, Tasks and consents as they will be.

    `author` is who recorded a Consent that is changed; None for anything else, where the plan's author counts.
    """

    situation: Situation
    circle: Circle
    actor: Actor
    author: str | None
    tasks: tuple[Resource, ...]
    consents: tuple[Resource, ...]
    present: tuple[Reader, ...]
    moment: datetime

    def roles(self, resource: Resource) -> frozenset[str]:
        """The roles in which the actor stands towards a resource; a custodian that waits for consent has none."""
        members = [reader.party for reader in self.present]
        author = self.circle.author if self.author is None else self.author
        return roles_towards(
            resource,
            self.actor.parties,
            self.situation.directory,
            custodian=self.circle.custodian if self.circle.custodian in members else None,
            members=members,
            author=author,
        )


Check = Callable[[Change, Facts], None]


def check_change(change: Change, facts: Facts) -> None:
    """Raise Forbidden or InvalidWorkflow unless the workflow allows `change`."""
    before = change.before
    if before is not None and change.after is not None:
        check_elements(change, facts.roles(before), facts.situation.directory)
    check = _CHECKS.get(change.type)
    if check is not None and change.after is not None:
        check(change, facts)


def _task(change: Change, facts: Facts) -> None:
    task = change.after or {}
    table = task_states.PRESETS[facts.situation.programme.task_table]
    if change.before is None:
        plans.check_same_subject(facts.situation.plan, task)
        check_requester(task, facts.actor.parties, facts.situation.directory)
    begins = change.before is None or is_sent(change)
    if begins:
        plans.check_open(facts.situation.plan)
    if begins or is_drafted(change):
        _check_part(task, facts.situation, begins=begins)
    if begins and task["status"] in task_states.SENT:
        _check_not_refused(task, facts)
    earlier = change.before or task
    task_states.check_move(
        table,
        change.before["status"] if change.before else None,
        task["status"],
        facts.roles(earlier),
        task_states.has_reason(task),
        sub_task="partOf" in task,
    )


def _check_not_refused(task: Resource, facts: Facts) -> None:
    """Nobody is asked whom the person keeps out, so that it does not even hear of the person; nor does it ask others.

    Between the very parties of a Task one may still ask the other to cancel it: both know of it.
    """
    if asks_to_cancel(task) and _parties(task, facts) == _parties(facts.situation.listed(focus(task)), facts):
        return
    if _is_refused(party_of(task, "owner", facts.situation.directory), facts):
        told = "The person does not agree that this party takes part; ask another one, or ask the person anew."
        raise InvalidWorkflow(told, "Task.owner", "person-refused")
    _check_asks(task, facts)


def _check_asks(resource: Resource, facts: Facts) -> None:
    """Whoever the person keeps out asks for nothing more in the person's plan."""
    if _is_refused(party_of(resource, "requester", facts.situation.directory), facts):
        told = "The person does not agree that you take part; ask the person anew before you ask for anything."
        raise Forbidden(told, f"{resource['resourceType']}.requester", "person-refused")


def _is_refused(who: str | None, facts: Facts) -> bool:
    situation = facts.situation
    if who in {None, situation.subject} or not situation.programme.consent_required:
        return False
    moves = situation.happened(facts.moment).moves
    return refused(facts.consents, moves, who or "", situation.directory, facts.moment)


def _parties(task: Resource | None, facts: Facts) -> frozenset[str | None] | None:
    """The two parties of a Task, whichever asks; None where there is no Task."""
    if task is None:
        return None
    return frozenset(party_of(task, element, facts.situation.directory) for element in ("requester", "owner"))


def _check_part(task: Resource, situation: Situation, *, begins: bool) -> None:
    """A part of a Task asks back to the requester of the one Task that it is part of, and begins while that is open."""
    if "partOf" not in task:
        return
    parents = [situation.listed(part.get("reference", "")) for part in task["partOf"]]
    if len(parents) != 1 or parents[0] is None or parents[0]["resourceType"] != "Task":
        raise InvalidWorkflow("A Task is part of one Task of the same plan.", "Task.partOf", "sub-task-parent")
    if begins and parents[0]["status"] not in task_states.OPEN:
        told = f"The Task that this is part of is {parents[0]['status']}; nothing more is asked about it."
        raise InvalidWorkflow(told, "Task.partOf", "sub-task-parent")
    check_sub_task(task, parents[0], situation.directory)


def _order(change: Change, facts: Facts) -> None:
    order = change.after or {}
    earlier = change.before or order
    status = change.before["status"] if change.before else None
    if change.before is None:
        plans.check_open(facts.situation.plan)
        check_requester(order, facts.actor.parties, facts.situation.directory)
    if order["status"] == "active" and status in {None, "draft"}:
        _check_asks(order, facts)
    order_states.check_move(status, order["status"], facts.roles(earlier))
    if status is not None and status != order["status"]:
        order_states.check_closing(change.reference, order["status"], facts.tasks)
    if change.before is not None and change.before.get("doNotPerform") is not True:
        order_states.check_to_be_done(order, facts.tasks, "ServiceRequest.doNotPerform")


def _plan(change: Change, facts: Facts) -> None:
    if change.before is not None and change.after is not None:
        plans.check_move(change.before["status"], change.after["status"], facts.roles(change.before), facts.tasks)


def _consent(change: Change, facts: Facts) -> None:
    after = change.after or {}
    if change.before is None:
        check_recorder(facts.roles(after))
    else:
        check_widening(change.before, after, facts.roles(change.before), facts.situation.directory)


_CHECKS: Mapping[str, Check] = {"Task": _task, "ServiceRequest": _order, "CarePlan": _plan, "Consent": _consent}
