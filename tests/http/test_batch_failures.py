"""A batch in which the server itself fails: what is stored stands and is told, and the failure is told at its entry."""

import logging

import pytest

from fhir_server.fhir.actor import Actor
from fhir_server.fhir.json import Resource, decode
from fhir_server.interactions.perform import perform, perform_within
from fhir_server.interactions.transaction import transaction
from fhir_server.interactions.words import Answer, Interaction, Services
from tests.http.test_bundles import bundle, get, post, statuses
from tests.minimal import minimal
from tests.world import Party, World

ABSENT = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]}


def failing_at_searches(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """What the server does, but for a fault in its searches."""
    if interaction.name.startswith("search"):
        raise KeyError("Mia Claes")
    return perform(interaction, actor, services)


def test_an_entry_at_which_the_server_fails_is_told_and_the_others_stand(
    world: World, hosp: Party, caplog: pytest.LogCaptureFixture
) -> None:
    entries = bundle(post(minimal("Patient")), get("Patient?name=mia"), post(minimal("Patient")), kind="batch")
    actor = Actor(organization=hosp.reference, scopes=frozenset({"system/*.cruds"}))
    asked = Interaction("batch", resource=entries)

    with caplog.at_level(logging.ERROR):
        answer = transaction(asked, actor, world.parts.services, failing_at_searches, perform_within)

    assert answer.body is not None
    responses: list[Resource] = [entry["response"] for entry in decode(answer.body)["entry"]]
    assert [each["status"] for each in responses] == ["201 Created", "500 Internal Server Error", "201 Created"]
    for created in (responses[0], responses[2]):
        place = created["location"].removeprefix(f"{world.parts.services.base_url}/").partition("/_history")[0]
        assert hosp.get(place).status == 200
    [issue] = responses[1]["outcome"]["issue"]
    [logged] = [record.getMessage() for record in caplog.records]
    support_id = logged.partition(":")[0]
    assert (issue["code"], issue["expression"]) == ("exception", ["Bundle.entry[1]"])
    assert f"Quote {support_id} when you report it" in issue["diagnostics"]
    assert "failed with KeyError at test_batch_failures.py:" in logged
    assert "Mia" not in logged + str(issue)
    assert not answer.audited  # what the failed entry did is not known: the batch itself is recorded


@pytest.mark.parametrize(
    ("request_of", "path"),
    [
        ({"_method": ABSENT, "url": "Patient"}, "Bundle.entry[1].request.method"),
        ({"method": "GET", "_url": ABSENT}, "Bundle.entry[1].request.url"),
    ],
)
def test_an_entry_without_method_or_url_is_refused_alone(hosp: Party, request_of: Resource, path: str) -> None:
    reply = hosp.transact(bundle(post(minimal("Patient")), {"request": request_of}, kind="batch"))

    assert (reply.status, statuses(reply)) == (200, ["201", "400"])
    [issue] = reply.body["entry"][1]["response"]["outcome"]["issue"]
    assert issue["expression"] == [path]
