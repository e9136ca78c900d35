"""What a Task or an order carries inside is its author's alone: the import takes it, no plan does."""

from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

import pytest

from fhir_server.demo.referral import ALS, consent
from fhir_server.fhir.actor import IMPORT
from fhir_server.fhir.dates import now
from fhir_server.fhir.json import Resource
from tests.access.circle import made, order, task, walk
from tests.world import EVERYTHING, Party, World


@dataclass
class Practice:
    """A hospital that imported its files, with a word inside that occurs nowhere else, and then asks for care."""

    world: World
    word: str = field(default_factory=lambda: f"secret{uuid4().hex[:12]}")

    def __post_init__(self) -> None:
        self.hosp, self.home = self.world.hospital(), self.world.party()
        self.importing = self.world.party(EVERYTHING, IMPORT, organization=self.hosp.reference)
        person: Resource = {"resourceType": "Patient", "name": [{"family": "Claes"}]}
        lives = {"address": [{"postalCode": "9000"}]}
        speaks = {"communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "nl"}]}}]}
        self.patient = made(self.importing, {**person, **lives, **speaks})
        condition = {"resourceType": "Condition", "code": {"coding": [ALS]}, "subject": {"reference": self.patient}}
        active = "http://terminology.hl7.org/CodeSystem/condition-clinical"
        made(self.hosp, {**condition, "clinicalStatus": {"coding": [{"system": active, "code": "active"}]}})
        made(self.hosp, consent(self.patient, now(), self.hosp.reference))

    def inside(self) -> Resource:
        """Elements that carry something clinical inside."""
        inner = {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": self.word}}
        return {"contained": [inner], "reasonReference": [{"reference": "#o"}]}

    def order(self) -> str:
        """An imported order that carries the word."""
        return made(self.importing, order(self.hosp, self.patient, **self.inside()))

    def task(self, focus: str, owner: Party) -> str:
        """An imported Task, asked of `owner`, that carries the word."""
        inner = self.inside()
        sent = task(self.hosp, owner, self.patient, focus, contained=inner["contained"])
        return made(self.importing, {**sent, "reasonReference": inner["reasonReference"][0]})

    def ask(self) -> str:
        """The home is asked to fulfil a plain order, which opens a plan; the Task."""
        plain = made(self.hosp, order(self.hosp, self.patient))
        return made(self.hosp, task(self.hosp, self.home, self.patient, plain))


@pytest.fixture
def practice(world: World) -> Practice:
    """A practice of its own for each test."""
    return Practice(world)


def asked_of(practice: Practice, reference: str) -> dict[str, Callable[[], object]]:
    """Every way to a resource of which a party asks what is there; by address, what of the word or the id it shows."""
    type_name, _, id = reference.partition("/")
    patient = practice.patient.partition("/")[2]
    places = [
        reference,
        f"{reference}/_history",
        f"{reference}/_history/1",
        f"{type_name}/_history",
        "_history?_count=500",
        f"{reference}/$meta",
        f"{type_name}?_id={id}",
        f"{type_name}?patient={patient}",
        f"{type_name}?_contained=both&patient={patient}",
        "Observation?_contained=true&status=final&_count=500",
        "Observation?_contained=both&_containedType=contained&status=final&_count=500",
        f"Patient?_id={patient}&_revinclude={type_name}:patient",
        "Task?_include=Task:focus&_count=500",
        f"Patient/{patient}/{type_name}",
        f"Patient/{patient}/$everything",
        f"?_type=Task,ServiceRequest&_id={id}",
    ]
    return {place: lambda place=place: practice.home.get(place) for place in places}


def shown(practice: Practice, reference: str) -> list[str]:
    """The ways by which the home comes to see the word, or that the resource is there."""
    found = []
    for place, ask in asked_of(practice, reference).items():
        raw = ask().raw  # type: ignore[attr-defined]
        if practice.word.encode() in raw or (f'"id":"{reference.partition("/")[2]}"'.encode() in raw):
            found.append(place)
    return found


@pytest.mark.parametrize("type_name", ["ServiceRequest", "Task"])
def test_the_import_takes_it_and_its_author_reads_it_whole(practice: Practice, type_name: str) -> None:
    ordered = practice.order()
    reference = ordered if type_name == "ServiceRequest" else practice.task(ordered, practice.home)

    for reader in (practice.importing, practice.hosp):
        assert practice.word.encode() in reader.get(reference).raw
    found = practice.hosp.get(f"Observation?_contained=true&code:text={practice.word}")
    assert reference.partition("/")[2] in {each["id"] for each in found.entries}


def test_a_plan_that_opens_leaves_it_with_its_author(practice: Practice) -> None:
    ordered = practice.order()
    sent = practice.task(ordered, practice.home)
    before = [practice.hosp.read(each) for each in (ordered, sent)]

    accepted = practice.ask()
    offered = {each: shown(practice, each) for each in (ordered, sent)}
    walk(practice.home, accepted, "accepted")
    member = {each: shown(practice, each) for each in (ordered, sent)}

    assert practice.home.get(f"Condition?patient={practice.patient.partition('/')[2]}").entries
    assert (offered, member) == ({ordered: [], sent: []}, {ordered: [], sent: []})
    assert [practice.hosp.read(each) for each in (ordered, sent)] == before


def test_nobody_is_asked_for_an_order_that_carries_it(practice: Practice) -> None:
    ordered = practice.order()

    opening = practice.hosp.post(task(practice.hosp, practice.home, practice.patient, ordered))
    plan = practice.hosp.read(practice.ask())["basedOn"]
    within = practice.hosp.post(task(practice.hosp, practice.home, practice.patient, ordered, basedOn=plan))

    for reply in (opening, within):
        assert (reply.status, reply.rules, reply.paths) == (422, {"contained-clinical"}, {"Task.focus"})
    assert shown(practice, ordered) == []


def test_without_what_it_carried_a_plan_takes_it_up_and_the_versions_before_stay_hidden(practice: Practice) -> None:
    ordered = practice.order()
    whole = practice.hosp.read(ordered)

    as_it_is = practice.hosp.put({**whole, "note": [{"text": "a word more"}]})
    plain = {name: value for name, value in whole.items() if name not in {"contained", "reasonReference"}}
    without = practice.importing.put(plain)
    plan = practice.hosp.read(practice.ask())["basedOn"]
    made(practice.hosp, task(practice.hosp, practice.home, practice.patient, ordered, basedOn=plan))

    assert (as_it_is.status, as_it_is.rules, without.status) == (422, {"contained-clinical"}, 200)
    assert practice.home.read(ordered)["meta"]["versionId"] == "2"
    assert practice.home.get(f"{ordered}/_history/1").status == 404
    versions = practice.home.get(f"{ordered}/_history").body["entry"]
    assert [each["resource"]["meta"]["versionId"] for each in versions] == ["2"]
    for place in (f"{ordered}/_history", "ServiceRequest/_history?_count=500", "_history?_count=500"):
        assert practice.word.encode() not in practice.home.get(place).raw, place
        assert practice.word.encode() in practice.hosp.get(place).raw, place


def test_the_import_puts_nothing_inside_what_lies_in_a_plan(practice: Practice) -> None:
    sent = practice.ask()
    ordered = practice.hosp.read(sent)["focus"]["reference"]

    reply = practice.importing.put({**practice.importing.read(ordered), **practice.inside()})

    assert (reply.status, reply.rules) == (403, {"governed"})
    assert practice.word.encode() not in practice.home.get(ordered).raw


def test_no_notification_tells_of_it(practice: Practice) -> None:
    database = practice.world.parts.store._connection.database
    ordered = practice.order()
    sent = practice.task(ordered, practice.home)

    practice.ask()

    assert database["ledger"].count_documents({"focus": {"$in": [ordered, sent]}}) == 0
