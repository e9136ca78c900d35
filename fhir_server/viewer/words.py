"""FHIR's codes in the reader's words, each with the tone in which a page shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_pgettext

from fhir_server.care.parties import CUSTODIAN, MEMBER, OWNER, REQUESTER, SUBJECT
from fhir_server.care.programmes import Programme
from fhir_server.fhir.json import Resource
from fhir_server.viewer.texts import concept_text


@dataclass(frozen=True)
class Word:
    """A code in words, in the reader's language once shown; `tone` is a style: waiting, going, good, bad, quiet."""

    text: Any
    tone: str = "quiet"

    def __str__(self) -> str:
        return str(self.text)


TASK_STATUSES: Mapping[str, Word] = {
    "draft": Word(lazy_pgettext("status of a task", "Being prepared"), "quiet"),
    "requested": Word(lazy_pgettext("status of a task", "Requested"), "waiting"),
    "received": Word(lazy_pgettext("status of a task", "Received"), "waiting"),
    "accepted": Word(lazy_pgettext("status of a task", "Accepted"), "going"),
    "rejected": Word(lazy_pgettext("status of a task", "Declined"), "bad"),
    "ready": Word(lazy_pgettext("status of a task", "Ready to start"), "going"),
    "cancelled": Word(lazy_pgettext("status of a task", "Cancelled"), "quiet"),
    "in-progress": Word(lazy_pgettext("status of a task", "In progress"), "going"),
    "on-hold": Word(lazy_pgettext("status of a task", "Paused"), "waiting"),
    "failed": Word(lazy_pgettext("status of a task", "Not possible"), "bad"),
    "completed": Word(lazy_pgettext("status of a task", "Completed"), "good"),
    "entered-in-error": Word(lazy_pgettext("status of a task", "Entered by mistake"), "quiet"),
}
GENDERS: Mapping[str, Word] = {
    "male": Word(lazy_pgettext("gender", "male")),
    "female": Word(lazy_pgettext("gender", "female")),
    "other": Word(lazy_pgettext("gender", "other")),
    "unknown": Word(lazy_pgettext("gender", "unknown")),
}
ORDER_STATUSES: Mapping[str, Word] = {
    "draft": Word(lazy_pgettext("status of an order", "Being prepared"), "quiet"),
    "active": Word(lazy_pgettext("status of an order", "Active"), "going"),
    "on-hold": Word(lazy_pgettext("status of an order", "Paused"), "waiting"),
    "revoked": Word(lazy_pgettext("status of an order", "Withdrawn"), "quiet"),
    "completed": Word(lazy_pgettext("status of an order", "Completed"), "good"),
    "entered-in-error": Word(lazy_pgettext("status of an order", "Entered by mistake"), "quiet"),
    "unknown": Word(lazy_pgettext("status of an order", "Unknown"), "quiet"),
}
PLAN_STATUSES: Mapping[str, Word] = {
    "draft": Word(lazy_pgettext("status of a plan", "Being prepared"), "quiet"),
    "active": Word(lazy_pgettext("status of a plan", "Active"), "going"),
    "on-hold": Word(lazy_pgettext("status of a plan", "Paused"), "waiting"),
    "revoked": Word(lazy_pgettext("status of a plan", "Withdrawn"), "quiet"),
    "completed": Word(lazy_pgettext("status of a plan", "Closed"), "good"),
    "entered-in-error": Word(lazy_pgettext("status of a plan", "Entered by mistake"), "quiet"),
    "unknown": Word(lazy_pgettext("status of a plan", "Unknown"), "quiet"),
}
ACTIVITY_STATUSES: Mapping[str, Word] = {
    "not-started": Word(lazy_pgettext("status of an activity", "Not started"), "quiet"),
    "scheduled": Word(lazy_pgettext("status of an activity", "Planned"), "waiting"),
    "in-progress": Word(lazy_pgettext("status of an activity", "In progress"), "going"),
    "on-hold": Word(lazy_pgettext("status of an activity", "Paused"), "waiting"),
    "completed": Word(lazy_pgettext("status of an activity", "Completed"), "good"),
    "cancelled": Word(lazy_pgettext("status of an activity", "Cancelled"), "quiet"),
    "stopped": Word(lazy_pgettext("status of an activity", "Stopped"), "bad"),
    "unknown": Word(lazy_pgettext("status of an activity", "Unknown"), "quiet"),
    "entered-in-error": Word(lazy_pgettext("status of an activity", "Entered by mistake"), "quiet"),
}
GOAL_STATUSES: Mapping[str, Word] = {
    "proposed": Word(lazy_pgettext("status of a goal", "Proposed"), "waiting"),
    "planned": Word(lazy_pgettext("status of a goal", "Planned"), "waiting"),
    "accepted": Word(lazy_pgettext("status of a goal", "Agreed"), "going"),
    "active": Word(lazy_pgettext("status of a goal", "Being worked on"), "going"),
    "on-hold": Word(lazy_pgettext("status of a goal", "Paused"), "waiting"),
    "completed": Word(lazy_pgettext("status of a goal", "Closed"), "good"),
    "cancelled": Word(lazy_pgettext("status of a goal", "Given up"), "quiet"),
    "rejected": Word(lazy_pgettext("status of a goal", "Not agreed"), "bad"),
    "entered-in-error": Word(lazy_pgettext("status of a goal", "Entered by mistake"), "quiet"),
}
ACHIEVEMENTS: Mapping[str, Word] = {
    "in-progress": Word(lazy_pgettext("achievement of a goal", "In progress"), "going"),
    "improving": Word(lazy_pgettext("achievement of a goal", "Improving"), "good"),
    "worsening": Word(lazy_pgettext("achievement of a goal", "Getting worse"), "bad"),
    "no-change": Word(lazy_pgettext("achievement of a goal", "No change"), "waiting"),
    "achieved": Word(lazy_pgettext("achievement of a goal", "Achieved"), "good"),
    "sustaining": Word(lazy_pgettext("achievement of a goal", "Achieved, being kept up"), "good"),
    "not-achieved": Word(lazy_pgettext("achievement of a goal", "Not achieved"), "bad"),
    "no-progress": Word(lazy_pgettext("achievement of a goal", "No progress"), "waiting"),
    "not-attainable": Word(lazy_pgettext("achievement of a goal", "Not attainable"), "bad"),
}
PRIORITIES: Mapping[str, Word] = {
    "urgent": Word(lazy_pgettext("priority", "Urgent"), "bad"),
    "asap": Word(lazy_pgettext("priority", "As soon as possible"), "bad"),
    "stat": Word(lazy_pgettext("priority", "At once"), "bad"),
}
STAGES: Mapping[str, Word] = {
    "awaiting-information": Word(lazy_pgettext("stage of a task", "Waiting for information")),
}
ROLES: Mapping[str, Word] = {
    SUBJECT: Word(lazy_pgettext("role in a care team", "The person")),
    CUSTODIAN: Word(lazy_pgettext("role in a care team", "Case management")),
    REQUESTER: Word(lazy_pgettext("role in a care team", "Placed an order")),
    OWNER: Word(lazy_pgettext("role in a care team", "Carries out a task")),
    MEMBER: Word(lazy_pgettext("role in a care team", "Member")),
}


def word(words: Mapping[str, Word], code: str | None) -> Word | None:
    """The word for a code; an unknown code speaks for itself, none is None."""
    return words.get(code, Word(code)) if code else None


def achievement(goal: Resource, language: str) -> Word | None:
    """How far a goal is, in words."""
    concept = goal.get("achievementStatus", {})
    known = [ACHIEVEMENTS[code] for coding in concept.get("coding", []) if (code := coding.get("code")) in ACHIEVEMENTS]
    if known:
        return known[0]
    text = concept_text(concept, language)
    return Word(text) if text else None


def stage_of(task: Resource, language: str) -> str:
    """How far the work is within its status (`businessStatus`), as it is written, else in our words; or empty."""
    concept = task.get("businessStatus", {})
    known = [STAGES[code] for coding in concept.get("coding", []) if (code := coding.get("code")) in STAGES]
    return str(known[0]) if known and not concept.get("text") else concept_text(concept, language)


def roles_of(participant: Resource, programmes: Sequence[Programme], language: str) -> list[str]:
    """What a participant of a team does in it: in our words where a programme knows the role, else as it is written."""
    return [text for concept in participant.get("role", []) if (text := _role(concept, programmes, language))]


def _role(concept: Resource, programmes: Sequence[Programme], language: str) -> str:
    for programme in programmes:
        for key, codings in programme.roles.items():
            if key in ROLES and any(coding.is_in(concept) for coding in codings):
                return str(ROLES[key])
    return concept_text(concept, language)
