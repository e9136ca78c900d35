"""A Task as a line of a list: for whom, what, who must act, by when."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from fhir_server.care.due import due_date, is_overdue, waits_for
from fhir_server.care.tasks import focus
from fhir_server.fhir.dates import time_range
from fhir_server.fhir.json import Resource
from fhir_server.interactions.subsets import is_part
from fhir_server.viewer.questions import Found, Questions
from fhir_server.viewer.texts import (
    age_on,
    concept_text,
    has_died,
    name_of,
    order_text,
    place_of,
    reason_of,
    text_of,
)
from fhir_server.viewer.words import PRIORITIES, TASK_STATUSES, Word, stage_of, word

INCLUDES = (("_include", "Task:patient"), ("_include", "Task:focus:ServiceRequest"))


@dataclass(frozen=True)
class Party:
    """Somebody who acts: the name as far as it may be read, and whether it is the reader's own organisation."""

    name: str
    own: bool = False


@dataclass(frozen=True)
class TaskRow:
    """A Task as a page shows it; `due` is a local date, `days` counts from today and is negative when it has passed.

    `person_hidden`: the reader may know some things of the person, such as the `place`, but not the name. `stage` is
    how far the work is within its status, in the words of its parties or ours.
    """

    id: str
    what: str
    description: str
    status: Word
    priority: Word | None
    person_id: str | None
    person_name: str
    age: int | None
    owner: Party | None
    requester: Party | None
    must_act: Party | None
    due: date | None
    days: int | None
    late: bool
    changed: datetime
    reason: str
    person_hidden: bool = False
    place: str = ""
    died: bool = False
    stage: str = ""


@dataclass(frozen=True)
class Reading:
    """How the reader reads: language, time zone, and the day it is there."""

    language: str
    zone: ZoneInfo
    today: date


def task_rows(found: Found, questions: Questions, reading: Reading, about: str | None = None) -> list[TaskRow]:
    """A row for each Task of a search that was asked with `INCLUDES`; `about` is the one person of all of them."""
    known = questions.directory(_named(found.matches), about)
    return [_row(task, known, questions.actor.parties, reading) for task in found.matches]


def party_shown(
    element: Resource | None, known: dict[str, Resource], own: Iterable[str], language: str
) -> Party | None:
    """Whoever a Reference element names: by the resource where it may be read, else as the reference displays it."""
    if not element:
        return None
    reference = str(element.get("reference", ""))
    resource = known.get(reference)
    name = (name_of(resource, language) if resource else "") or str(element.get("display", ""))
    return Party(name, reference in own)


def task_title(task: Resource, order: Resource | None, language: str) -> str:
    """What is asked: the order's code, else the Task's own words; empty when it says nothing."""
    own_code = concept_text(task.get("code"), language) if (task.get("code") or {}).get("text") else ""
    return order_text(order or {}, language) or own_code or text_of(task, "description", language)


def _row(task: Resource, known: dict[str, Resource], own: Iterable[str], reading: Reading) -> TaskRow:
    person = known.get(_reference(task, "for"))
    waiting_for = waits_for(task)
    due = due_date(task, reading.zone)
    what = task_title(task, known.get(focus(task)), reading.language)
    description = text_of(task, "description", reading.language)
    return TaskRow(
        id=task["id"],
        what=what,
        description=description if description != what else "",
        status=TASK_STATUSES[task["status"]],
        priority=word(PRIORITIES, task.get("priority")) if task.get("priority") in PRIORITIES else None,
        person_id=person["id"] if person else None,
        person_name=name_of(person) if person else "",
        age=age_on(person.get("birthDate", ""), reading.today) if person else None,
        owner=party_shown(task.get("owner"), known, own, reading.language),
        requester=party_shown(task.get("requester"), known, own, reading.language),
        must_act=party_shown(task.get(waiting_for), known, own, reading.language) if waiting_for else None,
        due=due,
        days=(due - reading.today).days if due else None,
        late=is_overdue(task, reading.today, reading.zone),
        changed=time_range(task["meta"]["lastUpdated"])[0],
        reason=reason_of(task, reading.language),
        person_hidden=bool(person and is_part(person)),
        place=place_of(person) if person and is_part(person) else "",
        died=bool(person and has_died(person)),
        stage=stage_of(task, reading.language),
    )


def _named(tasks: Iterable[Resource]) -> list[str]:
    elements = ("for", "owner", "requester", "focus")
    return [reference for task in tasks for element in elements if (reference := _reference(task, element))]


def _reference(task: Resource, element: str) -> str:
    return str(task.get(element, {}).get("reference", ""))
