"""Every search that people wait for, explained by the server itself: no scan, no sort in memory, few keys."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo import MongoClient

from fhir_server.fhir.actor import OPERATE
from fhir_server.fhir.dates import instant
from fhir_server.fhir.json import Resource, encode
from fhir_server.search.grant import Reader, Stamp
from fhir_server.store.mongo.circles.documents import circle_document
from fhir_server.store.mongo.documents import current_document
from fhir_server.store.values import Circle, Stored
from tests.databases import LentDatabases
from tests.world import EVERYTHING, Party, World, world_apart

NOW = datetime.now(UTC).replace(microsecond=0)
PAGE = 50
PEOPLE, TASKS, OF_A_TYPE, OBSERVATIONS, PLANS = 1500, 8000, 1500, 6000, 60
COLLECTIVE = ("CarePlan", "CareTeam", "ServiceRequest", "Consent", "Goal")
STATES = {
    "CarePlan": ("status", ["active", "active", "on-hold", "completed"]),
    "CareTeam": ("status", ["active", "inactive"]),
    "ServiceRequest": ("status", ["active", "completed", "revoked"]),
    "Consent": ("status", ["active", "inactive"]),
    "Goal": ("lifecycleStatus", ["active", "completed"]),
}
ABOUT = {"Consent": "patient"}
STATUSES = ["requested", "received", "accepted", "in-progress", "on-hold", "completed", "rejected"]
OPEN = "requested,received,accepted,in-progress,on-hold"
# Worklists, the people, the plans: one range for each party, at most three keys for an entry.
WORKLISTS = [
    "Task?_sort=due",
    "Task?_sort=-_lastUpdated",
    "Task?_lastUpdated=ge{since}&_sort=_lastUpdated",
    "Task?status=accepted&_sort=-_lastUpdated",
    f"Task?status={OPEN}&_sort=-_lastUpdated",
    "Task?status=requested&_sort=due",
    f"Task?status={OPEN}&_sort=due",
    f"Task?status={OPEN}&due=lt{{today}}&_sort=due",
    f"Task?status={OPEN}&due=sa{{today}}&_sort=due",
    f"Task?status={OPEN}&due:missing=true&_sort=due",
    "Task?status:not=completed&_sort=due",
    f"Task?owner={{party}}&status={OPEN}&_sort=due",
    "Patient?",
    "Patient?_sort=name",
    "Patient?_sort=family,given",
    "Patient?_sort=-_lastUpdated",
    "CarePlan?",
    "CarePlan?status=active",
    "CarePlan?status=active,on-hold&_sort=_lastUpdated",
    "CarePlan?_sort=-_lastUpdated",
    "CareTeam?status=active",
    "ServiceRequest?status=active&_sort=-_lastUpdated",
    "Consent?status=active&_sort=-_lastUpdated",
    "Goal?lifecycle-status=active&_sort=-_lastUpdated",
    "Organization?_sort=name",
    "Practitioner?_sort=-_lastUpdated",
    "Questionnaire?",
]
# A person's chart, newest first.
CHARTS = [
    "Observation?patient={chart}",
    "Observation?patient={chart}&_sort=-date",
    "Observation?patient={chart}&_sort=-date&date=ge2020-01-01",
    "Observation?patient={chart}&status=final&_sort=-date",
    "Encounter?patient={chart}&_sort=-date",
]
# What few resources answer: as many keys as there are of them, and these are sorted when that is asked.
SELECTIVE = {
    "Task?patient={person}": 50,
    "Task?patient={person}&_sort=due": 50,
    f"Task?patient={{person}}&status={OPEN}&_sort=due": 50,
    # Sorted in memory, but only what is open and has no date.
    f"Task?status={OPEN}&due:missing=true&_sort=authored-on": 800,
    # What is open and overdue since a year stands before it.
    f"Task?status={OPEN}&due=ge{{today}}&_sort=due": 2300,
    f"Task?status={OPEN}&due={{today}}&_sort=due": 30,
    "Task?identifier=urn:tasks|8": 5,
    "CarePlan?patient={person}": 20,
    "CarePlan?subject={person},{other}&status=active,on-hold": 30,
    "CareTeam?patient={person}&_sort=-_lastUpdated": 20,
    "ServiceRequest?patient={person}&_sort=-_lastUpdated": 20,
    "Consent?patient={person}": 20,
    "Goal?patient={person}": 20,
    "Patient?identifier=urn:people|8": 5,
    "Patient?_id={id}": 5,
    "Patient?family=familie-7": 400,
    "Observation?patient={chart}&code=urn:codes|3": 1000,
    "Observation?subject={chart}&_sort=-_lastUpdated": 1000,
    "AuditEvent?patient={person}&_sort=-date": 50,
}
# The range that bounds a search of what has no order in an index: a chart, or what has one of the asked values.
BOUNDED = {
    "Task?patient={person}": ("Task", {"t": "patient=Patient/p8"}),
    "Task?patient={person}&_sort=due": ("Task", {"t": "patient=Patient/p8"}),
    "Task?patient={person}&_sort=-authored-on": ("Task", {"t": "patient=Patient/p8"}),
    "Task?identifier=urn:tasks|8": ("Task", {"t": "identifier=urn:tasks|8"}),
    "CarePlan?patient={person}&_sort=-_lastUpdated": ("CarePlan", {"t": "patient=Patient/p8"}),
    "Patient?identifier=urn:people|8": ("Patient", {"t": "identifier=urn:people|8"}),
    "Observation?patient={chart}&code=urn:codes|3": ("Observation", {"k.patient.lo": "Patient/p8"}),
    "Observation?patient={chart}&_sort=status": ("Observation", {"k.patient.lo": "Patient/p8"}),
    "Observation?patient={chart}&_sort=-code-value-quantity": ("Observation", {"k.patient.lo": "Patient/p8"}),
    "Observation?patient={chart}&_sort=-_lastUpdated": ("Observation", {"k.patient.lo": "Patient/p8"}),
    "Observation?code=urn:codes|3&_sort=-date": ("Observation", {"t": "code=urn:codes|3"}),
    "Encounter?patient={chart}&status=finished&_sort=status": ("Encounter", {"k.patient.lo": "Patient/p8"}),
}


@pytest.fixture(scope="module")
def crowded(mongo_url: str, databases: LentDatabases) -> Iterator[World]:
    """A server whose database holds the caseload of one organisation and of others."""
    with world_apart(mongo_url, databases) as made:
        yield made


@pytest.fixture(scope="module")
def party(crowded: World, mongo_client: MongoClient[dict[str, Any]]) -> Party:
    """The organisation whose caseload it is; it may explain."""
    mine = crowded.party(EVERYTHING, OPERATE)
    corpus = Corpus(mine.reference)
    database = mongo_client[crowded.parts.settings.database]
    database["circles"].insert_many(corpus.circles())
    for type_name, resources in corpus.resources():
        database[type_name].insert_many(
            [current_document(corpus.stored(type_name, number, *each)) for number, each in enumerate(resources)]
        )
    return mine


class Corpus:
    """Resources as the server would have stored them, the same in every run."""

    def __init__(self, party: str) -> None:
        self._party = party
        self._chance = random.Random(7)
        self._stamped = 0

    def circles(self) -> list[dict[str, Any]]:
        return [
            circle_document(
                Circle(f"plan-{number}", f"Patient/p{number}", "als-be", "Organization/x", "Organization/y", "", member)
            )
            for number in range(PLANS)
            for member in [(Reader(self._party),)]
        ]

    def resources(self) -> Iterator[tuple[str, list[tuple[Resource, Stamp]]]]:
        yield "Patient", [(self._person(number), self._mine()) for number in range(PEOPLE)]
        yield "Task", [(self._task(number), self._mine()) for number in range(TASKS)]
        for type_name in COLLECTIVE:
            yield type_name, [(self._of(type_name, number), self._mine()) for number in range(OF_A_TYPE)]
        for type_name in ("Observation", "Encounter"):
            yield type_name, [self._charted(type_name, number) for number in range(OBSERVATIONS)]
        for type_name in ("Organization", "Practitioner", "Questionnaire"):
            everyone = Stamp(author="Organization/operator", audience="everyone")
            yield type_name, [({"name": f"Name {number}"}, everyone) for number in range(OF_A_TYPE)]

    def stored(self, type_name: str, number: int, resource: Resource, stamp: Stamp) -> Stored:
        updated = NOW - timedelta(seconds=number * 7919 % 1_000_000)
        id = f"p{number}" if type_name == "Patient" else f"{number * 7919 % 1_000_003:07}"
        if type_name == "Practitioner":
            resource = {}
        whole = {"resourceType": type_name, "id": id, "meta": {"lastUpdated": instant(updated)}, **resource}
        return Stored(type_name, id, 1, updated, encode(whole), stamp)

    def _mine(self) -> Stamp:
        """Every second one admits the party; others are there too."""
        self._stamped += 1
        parties = [self._party] if self._stamped % 2 else []
        return Stamp(readers=tuple(Reader(each) for each in [*parties, "Organization/1", "Organization/2"]))

    def _person(self, number: int) -> Resource:
        return {
            "identifier": [{"system": "urn:people", "value": str(number)}],
            "name": [{"family": f"Familie-{number % 97}", "given": [f"Given {number % 31}"]}],
        }

    def _task(self, number: int) -> Resource:
        due = NOW + timedelta(days=self._chance.randint(-200, 200))
        dated = {"restriction": {"period": {"end": instant(due)}}} if self._chance.random() < 0.8 else {}
        return {
            "identifier": [{"system": "urn:tasks", "value": str(number)}],
            "status": self._chance.choice(STATUSES),
            "owner": {"reference": self._chance.choice([self._party, self._party, "Organization/1"])},
            "for": {"reference": f"Patient/p{number % PEOPLE}"},
            "authoredOn": instant(NOW - timedelta(days=number % 90)),
            **dated,
        }

    def _of(self, type_name: str, number: int) -> Resource:
        element, states = STATES[type_name]
        about = {ABOUT.get(type_name, "subject"): {"reference": f"Patient/p{number % PEOPLE}"}}
        return {element: self._chance.choice(states), **about}

    def _charted(self, type_name: str, number: int) -> tuple[Resource, Stamp]:
        plan, at = number % PLANS, instant(NOW - timedelta(hours=number * 13 % 20_000))
        subject = {"reference": f"Patient/p{plan}"}
        resource: Resource = {"status": "final", "subject": subject, "effectiveDateTime": at}
        resource["code"] = {"coding": [{"system": "urn:codes", "code": str(number % 7)}]}
        if type_name == "Encounter":
            resource = {"status": "finished", "subject": subject, "period": {"start": at}}
        return resource, Stamp(patient=f"Patient/p{plan}", plans=(f"plan-{plan}",), author="Organization/x")


def explained(party: Party, search: str) -> dict[str, Any]:
    named = {
        "party": party.reference,
        "person": "Patient/p8",
        "other": "Patient/p10",
        "chart": "Patient/p8",
        "id": "p8",
        "today": f"{NOW:%Y-%m-%d}",
        "since": f"{NOW - timedelta(days=3):%Y-%m-%d}",
    }
    type_name, _, asked = search.format(**named).partition("?")
    reply = party.get(f"$explain?_type={type_name}&_count={PAGE}" + (f"&{asked}" if asked else ""))
    assert reply.status == 200, reply.body
    return {each["name"]: each.get("valueInteger", each.get("valueString")) for each in reply.body["parameter"]}


def stages(plan: Any) -> set[str]:
    """The names of all stages in a plan, those of a pipeline too."""
    if isinstance(plan, list):
        return {stage for each in plan for stage in stages(each)}
    if not isinstance(plan, dict):
        return set()
    own = ({plan["stage"]} if "stage" in plan else set()) | {name for name in plan if name.startswith("$")}
    return own.union(*(stages(child) for child in plan.values()))


@pytest.mark.parametrize("search", WORKLISTS)
def test_a_worklist_is_a_range_of_an_index(party: Party, search: str) -> None:
    told = explained(party, search)

    assert told["returned"] > PAGE, "there is another page"
    assert not stages(json.loads(told["plan"])) & {"COLLSCAN", "SORT", "$sort"}
    assert told["keysExamined"] <= 3 * (PAGE + 1)


@pytest.mark.parametrize("search", CHARTS)
def test_a_chart_is_a_range_of_an_index(party: Party, search: str) -> None:
    told = explained(party, search)

    assert told["returned"] > PAGE
    assert not stages(json.loads(told["plan"])) & {"COLLSCAN", "SORT", "$sort"}
    assert told["keysExamined"] <= 3 * (PAGE + 1)


@pytest.mark.parametrize(("search", "keys"), SELECTIVE.items())
def test_what_few_resources_answer_examines_those_few(party: Party, search: str, keys: int) -> None:
    told = explained(party, search)

    assert "COLLSCAN" not in stages(json.loads(told["plan"]))
    assert told["keysExamined"] <= keys
    if not search.startswith("AuditEvent"):
        assert told["returned"] > 0


@pytest.mark.parametrize(("search", "bound"), BOUNDED.items())
def test_what_stands_in_no_order_examines_its_range_at_most(
    crowded: World,
    mongo_client: MongoClient[dict[str, Any]],
    party: Party,
    search: str,
    bound: tuple[str, dict[str, str]],
) -> None:
    type_name, range_asked = bound
    there = mongo_client[crowded.parts.settings.database][type_name].count_documents(range_asked)

    told = explained(party, search)

    assert told["returned"] > 0
    assert told["keysExamined"] <= there + 1  # the key behind the range
