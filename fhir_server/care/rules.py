"""What follows from a write: rules that only add to a set of changes, until nothing more follows.

A rule looks at the situation as the changes would leave it and answers with the resources as they should then be. It is
idempotent: applied to its own result it adds nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache

from fhir_server.care.care_team import Team, participants, team
from fhir_server.care.chart import Situation
from fhir_server.care.consents import consent_state, refused
from fhir_server.care.moves import Move, in_turn
from fhir_server.care.parties import SERVER, party_of
from fhir_server.care.plans import with_activity
from fhir_server.care.task_states import CONFERS_MEMBERSHIP
from fhir_server.care.tasks import asks_to_cancel, focus, fulfils
from fhir_server.fhir.change import Change
from fhir_server.fhir.dates import instant
from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import reference_to

ROUNDS = 10
GRANTED = frozenset({"accepted", "in-progress", "completed"})
NOT_BEGUN = frozenset({"requested", "received", "accepted"})
_CANCELLED = "The owner agreed to a request to cancel"
_REFUSED = "The person does not agree that the owner takes part"

State = Mapping[str, Resource]
Rule = Callable[[State, Situation, datetime], list[Resource]]
"""Given the state as it would be, and the situation whose log has the moves that rules made so far."""


class Unsettled(RuntimeError):
    """The rules kept changing the same resources: a mistake in a rule, never in a request."""


def consequences(
    changes: Sequence[Change], situation: Situation, now: datetime, rules: Sequence[Rule] | None = None
) -> list[Change]:
    """`changes` and everything that follows from them, as one net set: each resource once, with its first `before`.

    Raises Unsettled when the rules do not come to rest.
    """
    net = {change.reference: change for change in changes}
    for _ in range(ROUNDS):
        following = _following(list(net.values()), situation, now, RULES if rules is None else rules)
        if not following:
            return list(net.values())
        for resource in following:
            reference = reference_to(resource)
            before = net[reference].before if reference in net else situation.listed(reference)
            net[reference] = Change(before, resource)
    raise Unsettled(f"no rest after {ROUNDS} rounds; last touched: {', '.join(sorted(map(reference_to, following)))}")


def current_team(changes: Iterable[Change], situation: Situation, now: datetime) -> Team:
    """The team as `changes` would leave it: whom the plan's circle admits, and who waits for consent."""
    state = situation.after(changes)
    return _team(state, situation.moved(_moves_by_rule(state, situation, now)).happened(now), now)


def hold_order(state: State, situation: Situation, now: datetime) -> list[Resource]:
    """A plan has an activity for each order that a Task of the plan asks to fulfil."""
    plan = state[reference_to(situation.plan)]
    held = plan
    for order in sorted(_fulfilled_orders(state, reference_to(plan))):
        held = with_activity(held, order)
    return [held]


def cancel_as_agreed(state: State, situation: Situation, now: datetime) -> list[Resource]:
    """An accepted cancellation request, between the very parties of a Task, cancels that Task."""
    granted = [task for task in _tasks(state) if asks_to_cancel(task) and task["status"] in GRANTED]
    parties = {item: {move.requester, move.owner} for item, move in situation.last_moves.items()} if granted else {}
    return [
        {
            **asked,
            "status": "cancelled",
            "statusReason": {"text": f"{_CANCELLED}: {reference_to(request)}"},
            "lastModified": instant(now),
        }
        for request in granted
        if (asked := state.get(focus(request))) and asked["status"] in CONFERS_MEMBERSHIP
        if len(both := parties.get(reference_to(request), set())) == 2 and both == parties.get(focus(request))
    ]


def cancel_as_refused(state: State, situation: Situation, now: datetime) -> list[Resource]:
    """A Task that has not begun is cancelled when the person refuses that its owner takes part.

    Work under way is ended by whoever does it.
    """
    if not situation.programme.consent_required:
        return []
    consents = _consents(state, situation.subject)
    asked = [task for task in _tasks(state) if task["status"] in NOT_BEGUN and not asks_to_cancel(task)]
    owners = {reference_to(task): party_of(task, "owner", situation.directory) for task in asked} if consents else {}
    moves = situation.happened(now).moves if consents else ()
    refusing = {
        who: refused(consents, moves, who, situation.directory, now)
        for who in {*owners.values()} - {None, situation.subject}
        if who
    }
    return [
        {**task, "status": "cancelled", "statusReason": {"text": _REFUSED}, "lastModified": instant(now)}
        for task in asked
        if refusing.get(owners.get(reference_to(task)) or "")
    ]


def keep_team(state: State, situation: Situation, now: datetime) -> list[Resource]:
    """The CareTeam lists whoever takes part, with the periods in which they did."""
    found = participants(_team(state, situation, now), situation.programme)
    return [{**state[reference_to(situation.team)], "participant": found}]


RULES: tuple[Rule, ...] = (cancel_as_agreed, cancel_as_refused, hold_order, keep_team)


def _following(changes: list[Change], situation: Situation, now: datetime, rules: Sequence[Rule]) -> list[Resource]:
    """What the first rule that has something to add wants changed."""
    state = situation.after(changes)
    moved = situation.moved(_moves_by_rule(state, situation, now))
    for rule in rules:
        wanted = [resource for resource in rule(state, moved, now) if resource != state.get(reference_to(resource))]
        if wanted:
            return wanted
    return []


def _team(state: State, situation: Situation, now: datetime) -> Team:
    consents = _consents(state, situation.subject)
    return _team_of(
        situation.moves,
        tuple(consent_state(consent, situation.moves, situation.directory) for consent in consents),
        tuple(situation.custodian_actions),
        situation.author,
        situation.subject,
        situation.custodian,
        consent_required=situation.programme.consent_required,
        started=situation.started,
        now=now,
    )


# The rules and whoever asks whom the circle admits want the same team of the same write.
_team_of = lru_cache(maxsize=32)(team)


def _moves_by_rule(state: State, situation: Situation, now: datetime) -> list[Move]:
    """The moves that rules made and the log does not know yet, continued from each item's last move."""
    last = situation.last_moves
    made = [
        replace(
            known,
            from_status=known.to_status,
            to_status=task["status"],
            at=now,
            version=known.version + 1,
            actor=SERVER,
        )
        for task in _tasks(state)
        if (known := last.get(reference_to(task))) and known.to_status != task["status"]
    ]
    return in_turn(made, situation.moves)


def _tasks(state: State) -> list[Resource]:
    return [resource for resource in state.values() if resource["resourceType"] == "Task"]


def _consents(state: State, subject: str) -> list[Resource]:
    """The person's own consents."""
    consents = [resource for resource in state.values() if resource["resourceType"] == "Consent"]
    return [consent for consent in consents if consent.get("patient", {}).get("reference") == subject]


def _fulfilled_orders(state: State, plan: str) -> set[str]:
    return {
        focus(task)
        for task in _tasks(state)
        if fulfils(task)
        and task["status"] != "entered-in-error"
        and any(based.get("reference") == plan for based in task.get("basedOn", []))
        and focus(task).startswith("ServiceRequest/")
    }
