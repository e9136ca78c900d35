"""Everything that a case manager sees of one person, put together from a handful of questions."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from babel import Locale

from fhir_server.care.due import worklist_key
from fhir_server.care.programmes import Programme, is_present
from fhir_server.care.tasks import focus
from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import reference_to
from fhir_server.interactions.subsets import is_part
from fhir_server.viewer.care_teams import ConsentShown, TeamShown, consent_shown, team_shown
from fhir_server.viewer.doubles import Double, doubles
from fhir_server.viewer.due_dates import OPEN_STATUSES
from fhir_server.viewer.notes import Note, notes_shown
from fhir_server.viewer.plans import Parts, PlanShown, parts_named, plan_shown
from fhir_server.viewer.questions import Questions, Version
from fhir_server.viewer.reaching import Reach, reach_of
from fhir_server.viewer.task_moves import HISTORY_SHOWN, TaskMove, Writers, task_moves, writers
from fhir_server.viewer.task_rows import INCLUDES, Reading, TaskRow, party_shown, task_rows
from fhir_server.viewer.texts import age_on, concept_text, language_name, name_of, place_of
from fhir_server.viewer.timeline import EVENTS_SHOWN, Event, newest_days, of_records, of_task, of_team
from fhir_server.viewer.words import GENDERS, Word

OPEN_TASKS_SHOWN = 40
ENDED_TASKS_SHOWN = 15
RECORDS_SHOWN = "30"

_TASK_GROUPS = (
    ((("status", OPEN_STATUSES), ("_sort", "due")), OPEN_TASKS_SHOWN),
    ((("status:not", OPEN_STATUSES), ("_sort", "-_lastUpdated")), ENDED_TASKS_SHOWN),
)
_RESULTS = ("Observation", "Procedure")


@dataclass(frozen=True)
class Identity:
    """Who the person is; `age` only where the day of birth is known.

    `partial`: the reader is asked for care and sees what helps to decide, not who it is.
    """

    id: str
    name: str
    birth_date: str
    age: int | None
    language: str
    died: str | None
    diagnoses: tuple[str, ...]
    gender: Word | None
    place: str
    partial: bool


@dataclass(frozen=True)
class TaskShown:
    """A Task with what was noted on it, oldest first, and its history, newest first."""

    row: TaskRow
    notes: tuple[Note, ...]
    moves: tuple[TaskMove, ...]


@dataclass(frozen=True)
class PersonShown:
    """The person page; `more_tasks`, `more_events` when there are more than it shows; no `reach` where a part shows."""

    identity: Identity
    reach: Reach | None
    doubles: tuple[Double, ...]
    consent: ConsentShown
    plans: tuple[PlanShown, ...]
    tasks: tuple[TaskShown, ...]
    more_tasks: bool
    more_events: bool
    timeline: Sequence[tuple[date, Sequence[Event]]]


def person_shown(id: str, questions: Questions, reading: Reading, programmes: Sequence[Programme]) -> PersonShown:
    """The page of `Patient/id`. Raises NotFound, the same for a person who is absent and one who may not be read."""
    person = questions.read("Patient", id)
    about = f"Patient/{id}"
    found = _Chart(about, questions, reading)
    teams = {
        reference_to(team): team_shown(team, questions, programmes, reading.language, about)
        for team in found.of("CareTeam")
    }
    consents, orders = found.of("Consent"), found.of("ServiceRequest")
    records = [*orders, *consents, *(record for type_name in _RESULTS for record in found.of(type_name, "-date"))]
    written_by = writers(questions, about, [reference_to(each) for each in (*found.tasks, *records)])
    tasks = [found.task_shown(task, written_by) for task in found.tasks]
    events = [
        *(event for task in tasks for event in of_task(task.row, task.moves)),
        *of_records(records, written_by, questions, reading.language, about),
        *(event for team in teams.values() for event in of_team(team)),
    ]
    national = {each for known in programmes for each in known.national_identifiers}
    return PersonShown(
        identity=_identity(person, found.of("Condition"), reading, programmes),
        reach=None if is_part(person) else reach_of(person, questions, national, reading.language),
        doubles=doubles(person, questions, national),
        consent=consent_shown(consents, questions),
        plans=_plans(found, teams, programmes),
        tasks=tuple(tasks),
        more_tasks=found.more_tasks,
        more_events=found.more_tasks or found.more_records or len(events) > EVENTS_SHOWN,
        timeline=newest_days(events, reading.zone),
    )


class _Chart:
    """What is asked about one person."""

    def __init__(self, about: str, questions: Questions, reading: Reading) -> None:
        self.about, self.questions, self.reading = about, questions, reading
        groups = [
            questions.search("Task", ("patient", about), *asked, ("_count", str(count)), *INCLUDES)
            for asked, count in _TASK_GROUPS
        ]
        self.more_tasks = any(group.cursor for group in groups)
        self.more_records = False
        self.rows = {row.id: row for group in groups for row in task_rows(group, questions, reading, about)}
        self.tasks = sorted(
            (task for group in groups for task in group.matches),
            key=lambda task: worklist_key(task, reading.today, reading.zone),
        )

    def of(self, type_name: str, sort: str = "-_lastUpdated") -> tuple[Resource, ...]:
        """The person's newest resources of a type."""
        asked = (("patient", self.about), ("_sort", sort), ("_count", RECORDS_SHOWN))
        answer = self.questions.search(type_name, *asked)
        self.more_records = self.more_records or answer.cursor is not None
        return answer.matches

    def rows_by_order(self) -> dict[str, list[TaskRow]]:
        """The Tasks by the order that they work on."""
        by_order: dict[str, list[TaskRow]] = defaultdict(list)
        for task in self.tasks:
            by_order[focus(task)].append(self.rows[task["id"]])
        return by_order

    def task_shown(self, task: Resource, written_by: Writers) -> TaskShown:
        """A Task with its moves."""
        versions: list[Version] = self.questions.history("Task", task["id"], HISTORY_SHOWN)
        moves = task_moves(reference_to(task), versions, written_by, self.questions, self.reading.language)
        return TaskShown(self.rows[task["id"]], notes_shown(task, self.questions, self.about), tuple(moves))


def _plans(found: _Chart, teams: dict[str, TeamShown], programmes: Sequence[Programme]) -> tuple[PlanShown, ...]:
    language = found.reading.language
    questions = found.questions
    plans = found.of("CarePlan")
    named = questions.directory((reference for plan in plans for reference in parts_named(plan)), found.about)
    orders = [each for each in named.values() if each["resourceType"] == "ServiceRequest"]
    known = questions.directory(order.get("requester", {}).get("reference", "") for order in orders)
    parts = Parts(
        goals=named,
        orders=named,
        requesters={
            reference_to(order): party_shown(order.get("requester"), known, questions.actor.parties, language)
            for order in orders
        },
        teams=teams,
        tasks=found.rows_by_order(),
        programmes=programmes,
    )
    shown = [plan_shown(plan, parts, language) for plan in plans]
    return tuple(sorted(shown, key=lambda plan: plan.over))


def _identity(
    person: Resource, conditions: Sequence[Resource], reading: Reading, programmes: Sequence[Programme]
) -> Identity:
    spoken = person.get("communication", [])
    preferred: Resource = next((each for each in spoken if each.get("preferred")), next(iter(spoken), {}))
    died = person.get("deceasedDateTime", "" if person.get("deceasedBoolean") is True else None)
    present = [each for each in conditions if is_present(each)]
    return Identity(
        id=person["id"],
        name=name_of(person),
        birth_date=person.get("birthDate", ""),
        age=None if died is not None else age_on(person.get("birthDate", ""), reading.today),
        language=language_name(preferred.get("language", {}), Locale.parse(reading.language)) if preferred else "",
        died=died,
        diagnoses=tuple(
            dict.fromkeys(filter(None, (_diagnosis(each, reading.language, programmes) for each in present)))
        ),
        gender=GENDERS.get(person.get("gender", "")),
        place=place_of(person),
        partial=is_part(person),
    )


def _diagnosis(condition: Resource, language: str, programmes: Sequence[Programme]) -> str:
    """The words that a clinician wrote; else the name that a programme gives its diagnosis, else the code's own."""
    concept: Resource = condition.get("code", {})
    known = [coding for programme in programmes for coding in programme.enrolment if coding.is_in(concept)]
    named = next((coding.names[language] for coding in known if language in coding.names), "")
    return concept_text(concept, language) if concept.get("text") else named or concept_text(concept, language)
