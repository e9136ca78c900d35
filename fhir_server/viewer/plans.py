"""A care plan as a page shows it: status, goals, and the activities with their orders and Tasks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fhir_server.care.programmes import Programme
from fhir_server.fhir.json import Resource
from fhir_server.viewer.care_teams import TeamShown
from fhir_server.viewer.task_rows import Party, TaskRow
from fhir_server.viewer.texts import concept_text, name_of, order_text, text_of, value_text
from fhir_server.viewer.words import (
    ACTIVITY_STATUSES,
    GOAL_STATUSES,
    ORDER_STATUSES,
    PLAN_STATUSES,
    Word,
    achievement,
    word,
)


@dataclass(frozen=True)
class GoalShown:
    """A goal; `target` is what is to be reached, as far as it fits on a line."""

    description: str
    status: Word | None
    achievement: Word | None
    target: str
    target_date: str


@dataclass(frozen=True)
class ActivityShown:
    """An activity of the plan: its order, who placed it, and the Tasks that ask to carry it out."""

    what: str
    status: Word | None
    requester: Party | None
    placed: str
    tasks: tuple[TaskRow, ...] = ()


@dataclass(frozen=True)
class PlanShown:
    """A plan with its team; `over` when it is closed, withdrawn or was a mistake."""

    title: str
    status: Word | None
    over: bool
    start: str
    end: str
    goals: tuple[GoalShown, ...]
    activities: tuple[ActivityShown, ...]
    team: TeamShown | None


@dataclass(frozen=True)
class Parts:
    """What plans are put together from, by reference; Tasks by the order that they work on."""

    goals: Mapping[str, Resource]
    orders: Mapping[str, Resource]
    requesters: Mapping[str, Party | None]
    teams: Mapping[str, TeamShown]
    tasks: Mapping[str, Sequence[TaskRow]]
    programmes: Sequence[Programme]


OVER = frozenset({"completed", "revoked", "entered-in-error"})


def plan_shown(plan: Resource, parts: Parts, language: str) -> PlanShown:
    """The plan with its parts; what the reader may not read is left out."""
    period = plan.get("period", {})
    goals = [parts.goals[ref] for ref in _references(plan.get("goal", [])) if ref in parts.goals]
    teams = [parts.teams[ref] for ref in _references(plan.get("careTeam", [])) if ref in parts.teams]
    return PlanShown(
        title=plan_title(plan, parts.programmes, language),
        status=word(PLAN_STATUSES, plan["status"]),
        over=plan["status"] in OVER,
        start=period.get("start", ""),
        end=period.get("end", ""),
        goals=tuple(_goal(goal, language) for goal in goals),
        activities=tuple(filter(None, (_activity(each, parts, language) for each in plan.get("activity", [])))),
        team=teams[0] if teams else None,
    )


def plan_title(plan: Resource, programmes: Sequence[Programme], language: str) -> str:
    """The title of the programme that the plan follows, in the reader's language; else the plan's own."""
    followed = {canonical.partition("|")[0] for canonical in plan.get("instantiatesCanonical", [])}
    named = (programme.title(language) for programme in programmes if programme.canonical in followed)
    return next(named, "") or name_of(plan, language)


def parts_named(plan: Resource) -> list[str]:
    """The references to the plan's goals and to the orders of its activities."""
    return _references([*plan.get("goal", []), *(each.get("reference", {}) for each in plan.get("activity", []))])


def _goal(goal: Resource, language: str) -> GoalShown:
    target: Resource = next(iter(goal.get("target", [])), {})
    return GoalShown(
        description=concept_text(goal["description"], language),
        status=word(GOAL_STATUSES, goal["lifecycleStatus"]),
        achievement=achievement(goal, language),
        target=_target(target, language),
        target_date=target.get("dueDate", ""),
    )


def _target(target: Resource, language: str) -> str:
    detail = value_text({name.replace("detail", "value"): value for name, value in target.items()}, language)
    return " – ".join(part for part in (concept_text(target.get("measure"), language), detail) if part)


def _activity(activity: Resource, parts: Parts, language: str) -> ActivityShown | None:
    if "detail" in activity:
        detail = activity["detail"]
        what = text_of(detail, "description", language) or concept_text(detail.get("code"), language)
        return ActivityShown(what, word(ACTIVITY_STATUSES, detail["status"]), None, "")
    reference = activity.get("reference", {}).get("reference", "")
    order = parts.orders.get(reference)
    if order is None:
        return None
    return ActivityShown(
        what=order_text(order, language),
        status=word(ORDER_STATUSES, order["status"]),
        requester=parts.requesters.get(reference),
        placed=order.get("authoredOn", ""),
        tasks=tuple(parts.tasks.get(reference, ())),
    )


def _references(elements: Iterable[Resource]) -> list[str]:
    return [str(element.get("reference", "")) for element in elements]
