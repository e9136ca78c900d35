"""A whole person is forgotten: nothing in the database names it, the audit stays, and everybody else's data too."""

import base64
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pymongo import MongoClient
from pymongo.database import Database

from fhir_server.auth.clients import register_client
from fhir_server.cli import main
from fhir_server.demo.identifiers import SSIN
from fhir_server.demo.receiver import subscription
from fhir_server.demo.referral import Person
from fhir_server.fhir import dates
from fhir_server.fhir.actor import IMPORT, OPERATE, Actor
from fhir_server.fhir.errors import Forbidden, NotFound, StillReferred
from fhir_server.fhir.json import Resource, decode
from fhir_server.interactions.belongings import belongings
from fhir_server.interactions.purging import Purged, Surroundings, purge
from fhir_server.interactions.words import Services
from fhir_server.store.mongo.delivery.queue import queue_in
from fhir_server.store.mongo.documents import NAMED
from tests.access.circle import asked, made, walk
from tests.faults.test_interleavings import stopped
from tests.minimal import minimal
from tests.patience import patiently
from tests.world import Case, Party, World

OPERATOR = Actor(organization="Organization/operator", scopes=frozenset({OPERATE}), client_id="client-of-the-operator")
PATIENCE = Surroundings(wait=lambda seconds: None, tell=lambda step, done: None)
UNDER_WAY = {"key": {"$exists": True}}
MASKED = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}]}


@dataclass(frozen=True)
class Life:
    """A person with a plan, a chart and traces everywhere; who wrote them; how the person is known."""

    case: Case
    hosp: Party
    home: Party
    family: str
    ssin: str
    references: tuple[str, ...]


class Lives:
    """A database of its own, so that a test may look at all of it."""

    def __init__(self, mongo_url: str, database: Database[dict[str, Any]]) -> None:
        self.world = World(mongo_url, database.name)
        self.database = database
        self.url = mongo_url
        queue_in(database).outbox.prepare()

    def lived(self) -> Life:
        """A new person, cared for, written about and read about."""
        hosp, home = self.world.hospital(), self.world.party()
        family = f"Vermeulen{uuid.uuid4().hex[:8]}"
        made(hosp, {**subscription("http://127.0.0.1:9/nobody"), "status": "requested"})
        case = self.world.case(hosp, home, Person("Lea", family, age=30 + len(family) % 40))
        walk(home, case.task, "accepted")
        order, task = asked(hosp, home, case, "accepted", "in-progress")
        person = {"reference": case.patient, "display": f"Lea {family}"}
        ssin = f"unissued-{uuid.uuid4().hex}"
        identifier = [*hosp.read(case.patient)["identifier"], {"system": SSIN, "value": ssin}]
        assert hosp.change(case.patient, identifier=identifier).status == 200
        binary = made(hosp, {"resourceType": "Binary", "contentType": "text/plain", "data": "TGVh"})
        content = [{"attachment": {"url": binary}}]
        condition = case.condition
        others = [
            made(hosp, minimal("Observation", subject=person)),
            made(hosp, minimal("DocumentReference", subject=person, content=content)),
            made(hosp, minimal("Provenance", target=[{"reference": condition}], agent=[{"who": _to(hosp)}])),
            made(hosp, minimal("List", subject=person)),
            made(hosp, minimal("RelatedPerson", patient=person, name=[{"family": family}])),
            made(home, minimal("Goal", subject=person, description={"text": family})),
        ]
        assert hosp.change(others[0], valueString=family).status == 200
        for place in (
            f"Patient?identifier={SSIN}|{ssin}", f"Patient?family={family}", f"Observation?patient={case.patient}",
            f"{case.patient}/*?_type=Condition,DocumentReference,List,Observation,Task",
            f"{case.patient}/$everything", f"{case.patient}/_history/1", f"{case.patient}/_history", case.plan,
        ):  # fmt: skip
            assert hosp.get(place).status == 200, place
        stranger = self.world.party()
        assert stranger.get(case.patient).status == 404
        assert stranger.get(f"Condition?patient={case.patient}").status == 200
        assert stranger.get(f"Patient?identifier={SSIN}|{ssin}").status == 200
        assert hosp.post(minimal("Patient"), If_None_Exist=f"identifier={SSIN}|{ssin}").status == 200
        outbox = queue_in(self.database).outbox
        patiently(lambda: outbox.sequence(lambda subscription, entry: True, dates.now()))
        walk(home, task, "completed")
        known = (case.patient, case.condition, str(case.consent), case.order, case.task, case.plan, case.team)
        return Life(case, hosp, home, family, ssin, (*known, order, task, binary, *others))

    def purge(self, person: str, services: Services | None = None, **how: Any) -> Purged:
        """Forget the person, without waiting for writers that are not there."""
        return purge(person, OPERATOR, services or self.world.parts.services, PATIENCE, **how)

    def traces(self, life: Life) -> list[str]:
        """Where the database names the person, by reference, name or number."""
        self.world.parts.store.settle_audit()
        words = [life.family, life.ssin, *(reference.partition("/")[2] for reference in life.references)]
        return [
            f"{name} {document['_id']}: {word}"
            for name in self.database.list_collection_names()
            for document in self.database[name].find()
            for word in words
            if word in _text(document)
        ]

    def told(self) -> list[Resource]:
        """Every AuditEvent."""
        self.world.parts.store.settle_audit()
        return [decode(document["body"]) for document in self.world.audit().find().sort("lu")]


@contextmanager
def lives_in(mongo_url: str, database: Database[dict[str, Any]]) -> Iterator[Lives]:
    """Lives in a database that is gone at the end."""
    made_here = Lives(mongo_url, database)
    yield made_here
    made_here.world.close()
    database.client.drop_database(database.name)


@pytest.fixture(scope="module")
def lives(mongo_url: str, mongo_client: MongoClient[dict[str, Any]], database_name: str) -> Iterator[Lives]:
    """The database, gone at the end."""
    with lives_in(mongo_url, mongo_client[f"{database_name}_p"]) as made_here:
        yield made_here


def _to(party: Party) -> Resource:
    return {"reference": party.reference}


def _text(document: dict[str, Any]) -> str:
    """All that a document says, what is packed in queries too."""
    packed = ""
    if isinstance(document.get("body"), bytes) and document["body"].startswith(b'{"resourceType":"AuditEvent"'):
        entities = decode(document["body"]).get("entity", [])
        packed = " ".join(base64.b64decode(each["query"]).decode() for each in entities if "query" in each)
    return f"{document!r} {packed}"


def test_nothing_in_the_database_names_who_was_purged(lives: Lives) -> None:
    life, other = lives.lived(), lives.lived()
    before = len(lives.told())
    assert lives.traces(life)
    assert lives.database["AuditEvent"].count_documents({NAMED: life.case.condition}) > 0

    done = lives.purge(life.case.patient)

    assert lives.traces(life) == []
    assert done.removed >= len(life.references)
    assert len(lives.told()) == before + 2
    assert lives.database["purges"].count_documents(UNDER_WAY) + lives.database["purged"].count_documents({}) == 0
    for reference in other.references:
        assert other.hosp.get(reference).status == 200, reference


def test_every_address_answers_as_for_an_absent_id(lives: Lives) -> None:
    life = lives.lived()

    lives.purge(life.case.patient)

    absent = f"Patient/{uuid.uuid4()}"
    for reference in life.references:
        for party in (life.hosp, life.home, lives.world.custodian):
            for place in (reference, f"{reference}/_history", f"{reference}/_history/1"):
                there, nowhere = party.get(place), party.get(f"{absent}/_history/1")
                assert (there.status, there.raw) == (404, nowhere.raw), place
    assert life.hosp.get(f"{life.case.patient}/$everything").status == 404
    assert life.hosp.get("Patient?_summary=count").body["total"] == 0
    assert life.hosp.ask("DELETE", life.case.patient).status == 404
    refused = life.hosp.post(minimal("Observation", subject={"reference": life.case.patient}))
    assert (refused.status, refused.paths) == (422, {"Observation.subject.reference"})


def test_what_was_deleted_before_is_forgotten_with_its_past(lives: Lives) -> None:
    life = lives.lived()
    deleted = made(life.hosp, minimal("List", subject={"reference": life.case.patient}, title=life.family))
    assert life.hosp.change(deleted, note=[{"text": life.family}]).status == 200
    assert life.hosp.ask("DELETE", deleted).status == 204
    known = replace(life, references=(*life.references, deleted))
    assert any(deleted.partition("/")[2] in trace for trace in lives.traces(known))

    lives.purge(life.case.patient)

    assert lives.traces(known) == []
    assert {life.hosp.get(f"{deleted}{version}").status for version in ("", "/_history", "/_history/1")} == {404}


def test_the_audit_keeps_who_did_what_to_a_pseudonym(lives: Lives) -> None:
    life = lives.lived()
    about = [event for event in lives.told() if life.case.condition in str(event)]
    assert about

    done = lives.purge(life.case.patient)

    now = {event["id"]: event for event in lives.told()}
    for before in about:
        after = now[before["id"]]
        assert {**after, "entity": 0} == {**before, "entity": 0}
        assert len(after["entity"]) == len(before["entity"])
    named = [str(event) for event in now.values()]
    assert any(f"{done.pseudonym}/_history/1" in text for text in named)
    assert lives.database["AuditEvent"].count_documents({"t": f"entity={done.pseudonym}"}) > 5
    assert lives.database["AuditEvent"].count_documents({"t": f"entity={life.case.patient}"}) == 0
    first, last = (event for event in now.values() if event["action"] == "D" and done.pseudonym in str(event))
    assert (first["outcomeDesc"], last["outcomeDesc"][:6]) == ("begun", "ended:")
    assert last["agent"][0]["who"] == {"reference": "Organization/operator"}


def test_numbered_events_stay_without_what_they_told_of(lives: Lives) -> None:
    life = lives.lived()
    [subscribed] = life.hosp.get("Subscription").entries
    before = life.hosp.get(f"Subscription/{subscribed['id']}/$events").raw.count(b"event-number")
    assert before

    lives.purge(life.case.patient)

    after = life.hosp.get(f"Subscription/{subscribed['id']}/$events")
    assert (after.status, after.raw.count(b"event-number"), after.raw.count(b'"focus"')) == (200, before, 0)


def outside(lives: Lives, life: Life) -> tuple[str, str, str]:
    """A Group of several, a List that was changed since, and another person's Observation by this one."""
    person = {"reference": life.case.patient, "display": f"Lea {life.family}"}
    group = made(life.hosp, minimal("Group", member=[{"entity": person}]))
    entries = [{"item": {"reference": life.case.condition}}]
    listed = made(life.hosp, minimal("List", entry=entries))
    assert life.hosp.change(listed, title="changed").status == 200
    other = made(life.hosp, minimal("Patient"))
    seen = made(life.hosp, minimal("Observation", subject={"reference": other}, performer=[person]))
    return group, listed, seen


def test_who_refers_from_outside_is_named_and_nothing_is_done(lives: Lives) -> None:
    life = lives.lived()
    named = outside(lives, life)

    with pytest.raises(StillReferred) as refused:
        lives.purge(life.case.patient)

    assert all(reference in str(refused.value) for reference in named)
    told = [event for event in lives.told() if event["action"] == "D" and life.case.patient in str(event["entity"])]
    assert [(event["outcome"], event["outcomeDesc"]) for event in told] == [("4", "refused: still-referred")]
    assert life.hosp.get(life.case.patient).status == 200
    assert lives.database["purges"].count_documents(UNDER_WAY) == 0


def test_cut_leaves_what_is_outside_without_the_reference(lives: Lives) -> None:
    life = lives.lived()
    group, listed, seen = outside(lives, life)

    done = lives.purge(life.case.patient, cut_outside=True)

    assert lives.traces(life) == []
    assert set(done.cut) == {group, listed, seen}
    assert life.hosp.read(group)["member"] == [{"entity": MASKED}]
    assert life.hosp.read(group)["meta"]["versionId"] == "2"
    assert life.hosp.get(f"{group}/_history/1").body["member"] == [{"entity": MASKED}]
    assert life.hosp.get(f"{listed}/_history/1").body["entry"] == [{"item": MASKED}]
    assert life.hosp.read(seen)["performer"] == [MASKED]
    assert life.hosp.get(f"Observation?performer={life.case.patient}").entries == []


def test_what_is_cut_is_later_than_what_it_was_cut_from_whatever_the_clock_says(lives: Lives) -> None:
    life = lives.lived()
    group, *_ = outside(lives, life)
    before = life.hosp.read(group)["meta"]["lastUpdated"]
    services = replace(lives.world.parts.services, clock=lambda: dates.now() - timedelta(hours=1))

    lives.purge(life.case.patient, services, cut_outside=True)

    assert life.hosp.read(group)["meta"]["lastUpdated"] > before


class Interrupted(BaseException):
    """As if the process ended here."""


class DyingPurges:
    """The real steps, of which the process dies before the one numbered `last`."""

    def __init__(self, steps: Any, last: int) -> None:
        self._steps = steps
        self._left = last

    def __getattr__(self, name: str) -> Any:
        step = getattr(self._steps, name)
        if not callable(step):
            return step

        def dying(*given: Any) -> Any:
            self._left -= 1
            if self._left < 0:
                raise Interrupted(name)
            return step(*given)

        return dying


class DyingStore:
    """The real store with such steps."""

    def __init__(self, store: Any, last: int) -> None:
        self._store = store
        self.purges = DyingPurges(store.purges, last)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def test_a_purge_that_dies_again_and_again_is_ended_by_starting_it_again(lives: Lives) -> None:
    life = lives.lived()
    outside(lives, life)
    services = lives.world.parts.services
    store = services.store
    deaths = []

    for last in range(0, 3_000, 31):
        dying = replace(services, store=DyingStore(store, last))  # type: ignore[arg-type]
        try:
            lives.purge(life.case.patient, dying, cut_outside=True)
        except Interrupted as died:
            deaths.append(str(died))
        else:
            break

    assert len(deaths) > 3
    assert lives.traces(life) == []
    assert store.purges.unfinished() == []
    with pytest.raises(NotFound):
        lives.purge(life.case.patient)


@pytest.mark.parametrize("name", ["begin", "note", "close", "remove", "forget_events", "audit_events", "end"])
def test_a_purge_that_dies_at_a_step_is_ended_by_starting_it_again(lives: Lives, name: str) -> None:
    life = lives.lived()
    services = lives.world.parts.services

    class Dying(DyingStore):
        def __init__(self) -> None:
            super().__init__(services.store, 10**9)

            def die(*_: Any) -> None:
                raise Interrupted(name)

            setattr(self.purges, name, die)

    with pytest.raises(Interrupted):
        lives.purge(life.case.patient, replace(services, store=Dying()))  # type: ignore[arg-type]
    lives.purge(life.case.patient)

    assert lives.traces(life) == []
    assert services.store.purges.unfinished() == []


@pytest.mark.parametrize("turned", [timedelta(days=-1), timedelta(days=1)])
def test_a_purge_waits_for_writers_and_no_longer_whatever_becomes_of_the_clock(
    mongo_url: str, database: Database[dict[str, Any]], turned: timedelta
) -> None:
    with lives_in(mongo_url, database.client[f"{database.name}_turned"]) as lives:
        assert 0 < waited_by_a_purge(lives, turned) <= lives.world.parts.services.store.purges.longest_write


def waited_by_a_purge(lives: Lives, turned: timedelta) -> float:
    """The seconds, when the clock is turned while the purge is under way."""
    life, services = lives.lived(), lives.world.parts.services
    waited: list[float] = []

    def clock() -> datetime:
        known = services.store.purges.find(life.case.patient)
        return dates.now() + (turned if known is not None and known.closed else timedelta())

    around = Surroundings(wait=waited.append, tell=lambda step, done: None)
    purge(life.case.patient, OPERATOR, replace(services, clock=clock), around)

    [seconds] = waited
    return seconds


def test_what_is_written_while_the_purge_waits_goes_as_well(lives: Lives) -> None:
    life = lives.lived()
    late: list[str] = []
    services = lives.world.parts.services

    def meanwhile(_: float) -> None:
        """Two writes that had begun before: one in the chart, one outside of it."""
        observation = minimal("Observation", subject={"reference": life.case.patient}, valueString=life.family)
        listed = minimal("List", entry=[{"item": {"reference": life.case.condition, "display": life.family}}])
        for resource in (observation, listed):
            late.append(made(lives.world.operator, resource))

    purge(life.case.patient, OPERATOR, services, Surroundings(meanwhile, PATIENCE.tell))

    observation, listed = late
    assert lives.traces(life) == []
    assert lives.world.operator.get(observation).status == 404
    assert lives.world.operator.read(listed)["entry"] == [{"item": MASKED}]


@pytest.mark.parametrize("point", ["guard", "save"])
def test_a_writer_at_the_same_plan_takes_turns_with_the_purge(lives: Lives, point: str) -> None:
    """A Task is being moved while the workflow is closed: the move is whole and goes as well, or finds nothing."""
    life = lives.lived()
    services = lives.world.parts.services

    with ThreadPoolExecutor(1) as pool:
        purging: list[Future[Purged]] = []

        def meanwhile() -> None:
            purging.append(pool.submit(lives.purge, life.case.patient))
            until = time.monotonic() + 2
            while time.monotonic() < until and life.hosp.get(life.case.task).status == 200:
                time.sleep(0.05)

        late, _ = stopped(lives.world, life.home, point, meanwhile)
        moved = late.move(life.case.task, "in-progress")
        purging[0].result(60)

    assert moved.status in {200, 404}
    assert [each for each in lives.traces(life) if not each.startswith("AuditEvent ")] == []
    assert services.store.read("Task", life.case.task.partition("/")[2]) is None
    assert services.store.circles_about(life.case.patient) == []


def test_only_the_operator_purges(lives: Lives) -> None:
    life = lives.lived()
    actor = replace(OPERATOR, scopes=frozenset({IMPORT, "system/*.cruds"}))

    with pytest.raises(Forbidden):
        purge(life.case.patient, actor, lives.world.parts.services, PATIENCE)

    told = [event for event in lives.told() if event["action"] == "D" and life.case.patient in str(event["entity"])]
    assert [event["outcomeDesc"] for event in told] == ["refused: scope"]
    assert life.hosp.get(life.case.patient).status == 200


def test_a_binary_that_others_link_to_stays(lives: Lives) -> None:
    life = lives.lived()
    [binary] = [reference for reference in life.references if reference.startswith("Binary/")]
    other = made(life.hosp, minimal("Patient"))
    content = [{"attachment": {"url": binary}}]
    made(life.hosp, minimal("DocumentReference", subject={"reference": other}, content=content))

    found = belongings(life.case.patient, lives.world.parts.services)

    assert binary not in found.references
    assert set(life.references) - {binary} <= found.references


def test_a_binary_that_something_else_than_a_document_links_to_stays(lives: Lives) -> None:
    life = lives.lived()
    [binary] = [reference for reference in life.references if reference.startswith("Binary/")]
    other = made(life.hosp, minimal("Patient"))
    payload = [{"contentAttachment": {"url": binary}}]
    made(life.hosp, minimal("Communication", subject={"reference": other}, payload=payload))

    lives.purge(life.case.patient)

    assert life.hosp.get(binary).status == 200


def test_nobody_takes_away_or_keeps_the_binary_of_another_by_naming_it(lives: Lives) -> None:
    life = lives.lived()
    [binary] = [reference for reference in life.references if reference.startswith("Binary/")]
    stranger = lives.world.party()
    strangers = made(stranger, {"resourceType": "Binary", "contentType": "text/plain", "data": "TGVh"})
    named = [{"attachment": {"url": strangers}}, {"attachment": {"url": binary}}]
    made(life.home, minimal("DocumentReference", subject={"reference": life.case.patient}, content=named))
    other = made(stranger, minimal("Patient"))
    made(stranger, minimal("DocumentReference", subject={"reference": other}, content=named))

    lives.purge(life.case.patient, cut_outside=True)

    assert stranger.get(strangers).status == 200
    assert life.hosp.get(binary).status == 404


def test_what_names_the_charts_of_two_is_outside(lives: Lives) -> None:
    hosp = lives.world.hospital()
    person, other = made(hosp, minimal("Patient")), made(hosp, minimal("Patient"))
    here, there = (made(hosp, minimal("Condition", subject={"reference": each})) for each in (person, other))
    to_here, to_there = {"reference": here}, {"reference": there}
    agent = [{"who": _to(hosp)}]
    both = made(hosp, minimal("Provenance", target=[to_here, to_there], agent=agent))
    source = [{"role": "source", "what": to_here}]
    theirs = made(hosp, minimal("Provenance", target=[to_there], entity=source, agent=agent))
    ours = made(hosp, minimal("Provenance", target=[to_here, {"reference": hosp.reference}], agent=agent))

    with pytest.raises(StillReferred) as refused:
        lives.purge(person)
    done = lives.purge(person, cut_outside=True)

    assert all(each in str(refused.value) for each in (both, theirs))
    assert set(done.cut) == {both, theirs}
    assert hosp.read(both)["target"] == [MASKED, to_there]
    assert hosp.read(theirs)["target"] == [to_there]
    assert hosp.get(ours).status == 404


@pytest.fixture
def command(lives: Lives) -> Callable[..., Result]:
    """`fhir-server purge`, typed by an operator who answers `typed` when asked."""
    environment = {
        "SAMEN_MONGODB_URL": lives.url,
        "SAMEN_DATABASE": lives.database.name,
        "SAMEN_SECURE_COOKIES": "false",
    }

    def run(*words: str, scope: str = OPERATE, typed: str = "") -> Result:
        client, _ = register_client(
            lives.world.parts.registry, organization="Organization/operator", scopes=(scope,), now=dates.now()
        )
        given = ["purge", *words, "--client", client.id]
        return CliRunner(env=environment).invoke(main, given, input=typed)

    return run


def test_the_command_asks_for_the_name_once_more(lives: Lives, command: Callable[..., Result]) -> None:
    life = lives.lived()

    result = command(life.case.patient, typed="Patient/other\n")

    assert result.exit_code == 1
    assert "     1 Patient\n" in result.output
    assert "nothing was done" in result.output
    assert life.hosp.get(life.case.patient).status == 200


def test_the_command_refuses_what_is_referred_to_from_outside(lives: Lives, command: Callable[..., Result]) -> None:
    life = lives.lived()
    group, _, _ = outside(lives, life)

    result = command(life.case.patient, typed=f"{life.case.patient}\n")

    assert result.exit_code == 1
    assert f"outside of the chart, refers to it: {group}" in result.output
    assert life.hosp.get(life.case.patient).status == 200


def test_a_version_of_a_person_is_not_purged(lives: Lives, command: Callable[..., Result]) -> None:
    life = lives.lived()
    version = f"{life.case.patient}/_history/1"

    result = command(version, "--yes")

    assert (result.exit_code, "nothing was done" in result.output) == (1, True), result.output
    with pytest.raises(NotFound):
        belongings(version, lives.world.parts.services)
    assert life.hosp.get(life.case.patient).status == 200


@pytest.mark.parametrize(
    ("person", "scope", "told"),
    [
        ("Patient/no-such", OPERATE, "There is no such resource"),
        ("Observation/1", OPERATE, "'Observation/1' is not the reference of a person, such as Patient/7"),
        ("1", OPERATE, "is not the reference of a person"),
        ("https://care.example.org/fhir/Patient/1", OPERATE, "is not the reference of a person"),
        ("Patient/1", IMPORT, "is not registered with the scope samen/operate"),
    ],
)
def test_the_command_says_what_is_wrong(command: Callable[..., Result], person: str, scope: str, told: str) -> None:
    result = command(person, "--yes", scope=scope)

    assert (result.exit_code, told in result.output) == (1, True), result.output
