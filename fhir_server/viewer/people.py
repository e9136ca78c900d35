"""The people of a caseload in alphabetical order, each with the plans in force."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fhir_server.care.programmes import Programme
from fhir_server.fhir.json import Resource
from fhir_server.search.escaping import literally
from fhir_server.viewer.plans import plan_title
from fhir_server.viewer.questions import Questions
from fhir_server.viewer.task_rows import Reading
from fhir_server.viewer.texts import age_on, has_died, sorted_name
from fhir_server.viewer.words import PLAN_STATUSES, Word, word


@dataclass(frozen=True)
class PersonRow:
    """A person as a line of the list; `plans` are titles with their status."""

    id: str
    name: str
    birth_date: str
    age: int | None
    city: str
    died: bool
    plans: tuple[tuple[str, Word | None], ...]


@dataclass(frozen=True)
class People:
    """A page of people; `next` asks for the page after it."""

    rows: tuple[PersonRow, ...]
    next: str | None = None


def people(
    questions: Questions,
    reading: Reading,
    programmes: Sequence[Programme],
    size: int,
    *,
    start: str | None = None,
    name: str = "",
) -> People:
    """A page of the people whom the reader may see, by family name; only those whose name begins with `name`."""
    asked = [("_sort", "family,given"), ("_count", str(size))]
    asked += [("name", literally(name.strip()))] if name else []
    asked += [("_cursor", start)] if start else []
    found = questions.search("Patient", *asked)
    plans = _plans_of(questions, [f"Patient/{person['id']}" for person in found.matches])
    return People(tuple(_row(person, plans, reading, programmes) for person in found.matches), found.cursor)


def _plans_of(questions: Questions, persons: list[str]) -> Mapping[str, list[Resource]]:
    """The plans that are not over, by person; a person seldom has more than one."""
    by_person: dict[str, list[Resource]] = defaultdict(list)
    if persons:
        asked = (("subject", ",".join(persons)), ("status", "active,on-hold"), ("_count", str(4 * len(persons))))
        for plan in questions.search("CarePlan", *asked).matches:
            by_person[plan["subject"]["reference"]].append(plan)
    return by_person


def _row(
    person: Resource, plans: Mapping[str, list[Resource]], reading: Reading, programmes: Sequence[Programme]
) -> PersonRow:
    return PersonRow(
        id=person["id"],
        name=sorted_name(person),
        birth_date=person.get("birthDate", ""),
        age=age_on(person.get("birthDate", ""), reading.today),
        city=next((address["city"] for address in person.get("address", []) if address.get("city")), ""),
        died=has_died(person),
        plans=tuple(
            (plan_title(plan, programmes, reading.language), word(PLAN_STATUSES, plan["status"]))
            for plan in plans.get(f"Patient/{person['id']}", [])
        ),
    )
