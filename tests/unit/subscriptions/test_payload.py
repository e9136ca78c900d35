"""The notification Bundle, held against what conformance kits check."""

from datetime import UTC, datetime
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle

from fhir_server.fhir.json import encode
from fhir_server.subscriptions.payload import EVENT, HANDSHAKE, HEARTBEAT, Event, notification

BASE = "https://samen.example/fhir"
TOPIC = "https://samen.example/fhir/SubscriptionTopic/party-to-instance"
SUBSCRIPTION = {"resourceType": "Subscription", "id": "s1", "status": "active", "criteria": TOPIC}
AT = datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=UTC)
CREATED = Event(7, AT, "Task/t1", "create")
UPDATED = Event(8, AT, "CarePlan/p1", "update")
DELETED = Event(9, AT, "Task/t2", "delete")


def bundle(type_name: str = EVENT, *events: Event, content: str = "id-only", count: int = 9) -> dict[str, Any]:
    return notification(type_name, SUBSCRIPTION, base_url=BASE, content=content, count=count, moment=AT, events=events)


def parameters(resource: dict[str, Any]) -> dict[str, Any]:
    """The parameters of the first entry by name; parts as a dict too."""
    listed = resource["entry"][0]["resource"]["parameter"]
    return {p["name"]: {q["name"]: q for q in p["part"]} if "part" in p else p for p in listed}


EVERY_KIND = [
    bundle(HANDSHAKE, count=0),
    bundle(HEARTBEAT),
    bundle(EVENT, CREATED),
    bundle(EVENT, CREATED, UPDATED, DELETED),
    bundle(EVENT, CREATED.bare()),
    bundle(EVENT, CREATED, content="empty"),
]


@pytest.mark.parametrize("resource", EVERY_KIND)
def test_every_notification_is_a_valid_history_bundle(resource: dict[str, Any]) -> None:
    Bundle.model_validate_json(encode(resource))
    assert resource["type"] == "history"
    assert all("request" in entry and "response" in entry for entry in resource["entry"])
    assert len({entry["fullUrl"] for entry in resource["entry"]}) == len(resource["entry"])


@pytest.mark.parametrize("resource", EVERY_KIND)
def test_the_first_entry_is_the_status_of_the_subscription(resource: dict[str, Any]) -> None:
    first = resource["entry"][0]
    assert first["resource"]["resourceType"] == "Parameters"
    assert first["resource"]["meta"]["profile"][0].endswith("/backport-subscription-status-r4")
    assert first["request"]["method"] == "GET"
    assert first["request"]["url"].endswith("Subscription/s1/$status")
    told = parameters(resource)
    assert told["subscription"]["valueReference"] == {"reference": f"{BASE}/Subscription/s1"}
    assert told["status"]["valueCode"] == "active"
    assert told["type"]["valueCode"] in {HANDSHAKE, HEARTBEAT, EVENT}
    assert told["events-since-subscription-start"]["valueString"].isdigit()


def test_an_event_names_its_number_time_and_absolute_focus() -> None:
    told = parameters(bundle(EVENT, CREATED))
    assert told["topic"]["valueCanonical"] == TOPIC
    event = told["notification-event"]
    assert event["event-number"]["valueString"] == "7"
    assert event["timestamp"]["valueInstant"] == "2026-03-01T12:00:00.123Z"
    assert event["focus"]["valueReference"] == {"reference": f"{BASE}/Task/t1"}


def test_an_id_only_entry_has_an_address_and_no_resource() -> None:
    entries = bundle(EVENT, CREATED, UPDATED, DELETED)["entry"][1:]
    assert all("resource" not in entry for entry in entries)
    told = [(e["fullUrl"], e["request"]["method"], e["request"]["url"], e["response"]["status"]) for e in entries]
    assert told == [
        (f"{BASE}/Task/t1", "POST", "Task", "201"),
        (f"{BASE}/CarePlan/p1", "PUT", "CarePlan/p1", "200"),
        (f"{BASE}/Task/t2", "DELETE", "Task/t2", "204"),
    ]


@pytest.mark.parametrize("resource", [bundle(EVENT, CREATED.bare()), bundle(EVENT, CREATED, content="empty")])
def test_a_bare_or_empty_event_keeps_its_number_and_tells_nothing(resource: dict[str, Any]) -> None:
    assert parameters(resource)["notification-event"].keys() == {"event-number", "timestamp"}
    assert len(resource["entry"]) == 1
    assert b"Task" not in encode(resource)


def test_empty_content_leaves_out_the_topic() -> None:
    assert "topic" not in parameters(bundle(EVENT, CREATED, content="empty"))


@pytest.mark.parametrize("type_name", [HANDSHAKE, HEARTBEAT])
def test_a_handshake_or_heartbeat_counts_events_and_tells_none(type_name: str) -> None:
    told = parameters(bundle(type_name, count=0))
    assert told["events-since-subscription-start"]["valueString"] == "0"
    assert "notification-event" not in told


def test_a_repeat_is_known_by_its_id_and_another_event_is_not() -> None:
    assert bundle(EVENT, CREATED)["id"] == bundle(EVENT, CREATED, count=12)["id"]
    assert bundle(EVENT, CREATED)["id"] != bundle(EVENT, UPDATED)["id"]
