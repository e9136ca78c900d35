"""How long a search may take: MongoDB is told with every question, and what it gives up is refused with a hint."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from fhir_server.app import web
from fhir_server.fhir.actor import OPERATE
from fhir_server.settings import Settings
from fhir_server.store.mongo.store import MongoStore
from tests.minimal import minimal
from tests.world import EVERYTHING, Party, World

SECONDS = 12  # more than without the setting, and enough for a busy machine
TOGETHER = 500  # what threads ask together ends soon; tests/store/test_seen_circles.py follows it on
# What changes nothing of a search's own: transactions end, and audits are written.
SEARCHES = [
    "Observation?patient={patient}&_sort=-date",
    "Observation?patient={patient}&_sort=code&_total=accurate",
    "Observation?patient={patient}&_total=estimate&_count=1",
    "Observation?patient={patient}&_summary=count",
    "Observation?patient={patient}&_include=Observation:subject&_revinclude=Provenance:target",
    "Observation?patient.active=true",
    "Patient?_has:Observation:patient:status=final",
    "{patient}/Observation?status=final",
    "{patient}/*?_sort=-_lastUpdated&_total=accurate",
    "?_type=Observation,Flag&patient={patient}",
    "$explain?_type=Observation&patient={patient}",
]


@pytest.fixture(scope="module")
def limited(mongo_url: str, mongo_client: MongoClient[dict[str, Any]]) -> Iterator[World]:
    """A server with a limit of its own, on a database of its own."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    made = World(mongo_url, name, search_seconds=SECONDS)
    yield made
    made.close()
    mongo_client.drop_database(name)


@pytest.fixture(scope="module")
def database(limited: World, mongo_client: MongoClient[dict[str, Any]]) -> Database[dict[str, Any]]:
    """Its database."""
    return mongo_client[limited.parts.settings.database]


@pytest.fixture(scope="module")
def operator(limited: World) -> Party:
    """A hospital that may also explain."""
    return limited.party(EVERYTHING, OPERATE)


@pytest.fixture(scope="module")
def patient(operator: Party) -> str:
    """A person with an Observation."""
    patient = f"Patient/{operator.post(minimal('Patient', active=True)).body['id']}"
    observation = minimal("Observation", references={"Patient": patient}, subject={"reference": patient})
    assert operator.post(observation).status == 201
    return patient


@pytest.mark.parametrize("search", SEARCHES)
def test_every_question_of_a_search_carries_its_limit(
    limited: World, operator: Party, patient: str, database: Database[dict[str, Any]], search: str
) -> None:
    database.command("profile", 2)
    try:
        reply = operator.get(search.format(patient=patient))
    finally:
        database.command("profile", 0)
    asked = [each["command"] for each in database["system.profile"].find({"op": {"$in": ["query", "command"]}})]
    database["system.profile"].drop()

    assert reply.status == 200, reply.body
    questions = [
        each
        for each in asked
        if "explain" in each or each.get("find", each.get("aggregate")) in {"Observation", "Patient", "Flag"}
    ]
    assert questions
    for each in questions:
        assert 0 < each.get("maxTimeMS", 0) <= 1000 * SECONDS, each
    limits = {each["maxTimeMS"] for each in questions}
    assert limits == {TOGETHER} or max(limits) > 1000 * Settings.search_seconds, "what was set is kept to"


def test_what_takes_too_long_is_refused_with_a_hint_and_not_waited_for(
    limited: World, operator: Party, patient: str, database: Database[dict[str, Any]]
) -> None:
    """A limit of two milliseconds, on a search that must look at everything."""
    author = operator.reference
    filler = {"del": False, "author": author, "plans": [], "audience": "circle", "t": [], "s": {}, "has": []}
    database["Flag"].insert_many([{"_id": f"filler-{number:06}", **filler} for number in range(60_000)])
    settings = limited.parts.settings
    with MongoStore(settings.mongodb_url, settings.database, secret=b"for a test", search_seconds=0.002) as hurried:
        services = replace(limited.parts.services, store=hurried)
        app = web(replace(limited.parts, services=services))
        party = Party(app.test_client(), limited.base_path, author, operator.token)
        for search in ("Flag?date:missing=true&_total=accurate", "?_type=Flag,List&_sort=date", "Flag?_sort=author"):
            refused = party.get(search)

            assert (refused.status, refused.issues[0]["code"]) == (403, "too-costly"), search
            assert "arrow" in refused.issues[0]["diagnostics"]
