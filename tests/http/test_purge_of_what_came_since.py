"""What somebody writes between the beginning of a purge and the moment that closes it goes, and what anybody asked."""

import base64
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from pymongo import MongoClient

from fhir_server.demo.referral import MIA, Parties, referral
from fhir_server.fhir import dates
from fhir_server.fhir.json import Resource, decode, encode
from fhir_server.interactions.words import Services
from tests.access.circle import made
from tests.http.test_purge import DyingStore, Life, Lives, lives_in
from tests.minimal import minimal
from tests.world import Party

CODE = "urn:codes:person"


@pytest.fixture(scope="module")
def lives(mongo_url: str, mongo_client: MongoClient[dict[str, Any]], database_name: str) -> Iterator[Lives]:
    """A database of its own, gone at the end."""
    with lives_in(mongo_url, mongo_client[f"{database_name}_pc"]) as made_here:
        yield made_here


def when_begun(services: Services, then: Callable[[], None]) -> Services:
    """The same services, with something that happens when a purge has begun."""

    class Interrupting(DyingStore):
        def __init__(self) -> None:
            super().__init__(services.store, 10**9)
            begin = services.store.purges.begin

            def begun(*given: Any) -> Any:
                kept = begin(*given)
                then()
                return kept

            self.purges.begin = begun  # type: ignore[attr-defined]

    return replace(services, store=Interrupting())  # type: ignore[arg-type]


def opened(hosp: Party, home: Party, person: str) -> list[str]:
    """A referral of a person who is known already: what it made, with the plan."""
    bundle = referral(dates.now(), MIA, Parties(hosp.reference, home.reference))
    [patient] = [each for each in bundle["entry"] if each["resource"]["resourceType"] == "Patient"]
    others = {**bundle, "entry": [each for each in bundle["entry"] if each is not patient]}
    reply = hosp.transact(decode(encode(others).replace(patient["fullUrl"].encode(), person.encode())))
    assert reply.status == 200, reply.body
    places = [entry["response"]["location"].split("/") for entry in reply.body["entry"]]
    references = [f"{place[-4]}/{place[-3]}" for place in places]
    [task] = [each for each in references if each.startswith("Task/")]
    return [*references, hosp.read(task)["basedOn"][0]["reference"]]


def asked_in(lives: Lives) -> list[str]:
    """The questions that the audit keeps."""
    entities = [each for event in lives.told() for each in event.get("entity", []) if "query" in each]
    return [base64.b64decode(each["query"]).decode() for each in entities]


def identified(life: Life, value: str) -> None:
    """The person has one more identifier."""
    known: list[Resource] = life.hosp.read(life.case.patient)["identifier"]
    assert life.hosp.change(life.case.patient, identifier=[*known, {"system": CODE, "value": value}]).status == 200


def test_a_plan_that_was_opened_since_leaves_nothing(lives: Lives) -> None:
    hosp, home = lives.world.hospital(), lives.world.party()
    person = made(hosp, minimal("Patient"))
    since: list[str] = []
    services = when_begun(lives.world.parts.services, lambda: since.extend(opened(hosp, home, person)))

    lives.purge(person, services)

    ids = [each.partition("/")[2] for each in (person, *since)]
    assert len(since) > 4
    assert [name for name in lives.database.list_collection_names() if _says(lives, name, ids)] == []


def _says(lives: Lives, name: str, words: list[str]) -> bool:
    lives.world.parts.store.settle_audit()
    return any(word in repr(document) for document in lives.database[name].find() for word in words)


def test_an_identifier_that_was_stated_since_is_left_out_of_what_was_asked(lives: Lives) -> None:
    life, stranger = lives.lived(), lives.world.party()
    value = f"since-{uuid.uuid4().hex}"

    def since() -> None:
        identified(life, value)
        assert stranger.get(f"Patient?identifier={value}").status == 200

    lives.purge(life.case.patient, when_begun(lives.world.parts.services, since))

    assert [asked for asked in asked_in(lives) if value in asked] == []
    assert lives.traces(life) == []


ASKED = (
    'Patient?_filter=identifier eq "{}"',
    "Patient?_filter=(identifier eq {})",
    "Patient?identifier={}",
    'DocumentReference?_content="number {}"',
    "Task?patient.identifier={}&_count=3",
    f"Task?patient:identifier={CODE}|{{}}",
)


@pytest.mark.parametrize("value", ["Num-{}-a", "a,b|{}$c"])
def test_an_identifier_is_left_out_however_it_was_asked_for(lives: Lives, value: str) -> None:
    life, stranger = lives.lived(), lives.world.party()
    unique = uuid.uuid4().hex.upper()
    identified(life, value.format(unique))
    for asked in ASKED:
        escape = "\\\\" if '"' in asked else "\\"  # the text in quotes is JSON
        written = re.sub(r"[,|$]", lambda mark, before=escape: before + mark[0], value.format(unique.lower()))
        place = quote(asked.format(written), safe="/?=&")
        assert stranger.get(place).status == 200, place
    assert sum(unique in each.upper() for each in asked_in(lives)) == len(ASKED)

    lives.purge(life.case.patient)

    assert [each for each in asked_in(lives) if unique in each.upper()] == []
