"""A Subscription to another server's topic: the operator may load it, and it is kept as it came."""

from uuid import uuid4

import pytest

from fhir_server.fhir.json import Resource
from tests.world import World

FOREIGN: Resource = {
    "resourceType": "Subscription",
    "status": "requested",
    "reason": "Monitor new neonatal function",
    "criteria": "Observation?code=http://loinc.org|1975-2",
    "channel": {"type": "email", "endpoint": "mailto:ward@hospital.example"},
}


@pytest.mark.parametrize("status", ["requested", "error", "off"])
def test_the_import_keeps_it_as_it_came(world: World, status: str) -> None:
    made = world.operator.post({**FOREIGN, "status": status})

    assert made.status == 201, made.body
    read = world.operator.read(f"Subscription/{made.body['id']}")
    assert {name: value for name, value in read.items() if name not in {"id", "meta"}} == {**FOREIGN, "status": status}


def test_one_that_says_active_is_refused_with_what_would_be_true(world: World) -> None:
    reply = world.operator.post({**FOREIGN, "status": "active"})

    assert (reply.status, reply.paths) == (422, {"Subscription.status"})
    assert "'requested' or 'off'" in reply.issues[0]["diagnostics"]
    made = world.operator.post(FOREIGN)
    patch = [{"op": "replace", "path": "/status", "value": "active"}]
    sent = world.operator.ask(
        "PATCH", f"Subscription/{made.body['id']}", patch, Content_Type="application/json-patch+json"
    )
    assert (sent.status, sent.paths) == (422, {"Subscription.status"})


def test_nobody_else_brings_one(world: World) -> None:
    reply = world.hospital().post(FOREIGN)

    assert (reply.status, "Subscription.criteria" in reply.paths) == (422, True)


def test_its_own_topic_is_judged_as_ever(world: World) -> None:
    reply = world.operator.post(
        {**FOREIGN, "criteria": "https://samen.example/fhir/SubscriptionTopic/party-to-instance"}
    )

    assert (reply.status, "Subscription.channel.type" in reply.paths) == (422, True)


def test_status_and_events_of_it_say_that_nothing_was_told(world: World) -> None:
    id = f"s-{uuid4().hex[:12]}"
    assert world.operator.put({**FOREIGN, "id": id, "channel": {"type": "message"}}).status == 201

    status = world.operator.get(f"Subscription/{id}/$status")
    events = world.operator.get(f"Subscription/{id}/$events")

    assert (status.status, events.status) == (200, 200), events.body
    told = {each["name"]: each for each in status.entries[0]["parameter"]}
    assert told["status"]["valueCode"] == "requested"
    assert told["events-since-subscription-start"]["valueString"] == "0"
    assert "topic" not in told
    assert len(events.body["entry"]) == 1
