"""What a Subscription may ask for, and what is told instead of being accepted and left undone."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_server.subscriptions.channel import channel_of
from fhir_server.subscriptions.topics import PARTY_TO_INSTANCE, check_subscription, subscribes

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
ASKED: dict[str, Any] = {
    "resourceType": "Subscription",
    "id": "s1",
    "status": "requested",
    "reason": "To hear of our Tasks",
    "criteria": PARTY_TO_INSTANCE.url,
    "channel": {
        "type": "rest-hook",
        "endpoint": "https://receiver.example/notify",
        "payload": "application/fhir+json",
        "_payload": {"extension": [{"url": BACKPORT + "backport-payload-content", "valueCode": "id-only"}]},
        "header": ["Authorization: Bearer abc"],
    },
}
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def changed(path: str, value: Any) -> dict[str, Any]:
    """The accepted Subscription with one element replaced; None takes it away."""
    resource = copy.deepcopy(ASKED)
    *above, last = path.split(".")
    element = resource
    for name in above:
        element = element[name]
    if value is None:
        del element[last]
    else:
        element[last] = value
    return resource


def test_a_subscription_lasts_to_the_ends_of_the_calendar() -> None:
    entry = {"type": "Task"}

    assert subscribes({**ASKED, "end": "9999-12-31T23:59:59-05:00"}, entry, NOW)
    assert not subscribes({**ASKED, "end": "0001-01-01T00:00:00+01:00"}, entry, NOW)


def test_a_backport_subscription_is_accepted() -> None:
    assert check_subscription(ASKED, http_endpoints=False) == []


def test_empty_content_topic_version_and_known_periods_are_accepted() -> None:
    resource = changed(
        "channel._payload.extension", [{"url": BACKPORT + "backport-payload-content", "valueCode": "empty"}]
    )
    resource["criteria"] += "|1.0"
    resource["channel"]["extension"] = [
        {"url": BACKPORT + "backport-heartbeat-period", "valueUnsignedInt": 60},
        {"url": BACKPORT + "backport-timeout", "valueUnsignedInt": 5},
        {"url": BACKPORT + "backport-max-count", "valuePositiveInt": 1},
    ]
    assert check_subscription(resource, http_endpoints=False) == []
    channel = channel_of(resource)
    assert (channel.heartbeat, channel.timeout, channel.content) == (60, 5, "empty")


CONTENT = "channel._payload"


def test_the_payload_is_a_media_type_whose_case_does_not_count() -> None:
    assert check_subscription(changed("channel.payload", "Application/FHIR+JSON"), http_endpoints=False) == []


REFUSED = [
    ("criteria", "https://samen.example/fhir/SubscriptionTopic/other", "criteria", "not-supported"),
    ("criteria", "Task?status=requested", "criteria", "not-supported"),
    ("_criteria", {"extension": [{"url": BACKPORT + "backport-filter-criteria", "valueString": "Task?owner=x"}]},
     "criteria.extension", "not-supported"),
    ("extension", [{"url": "http://hl7.org/fhir/5.0/StructureDefinition/extension-Subscription.topic",
                    "valueUri": "x"}], "extension", "not-supported"),
    ("status", "active", "status", "business-rule"),
    ("status", "error", "status", "business-rule"),
    ("channel.type", "websocket", "channel.type", "not-supported"),
    ("channel.type", "email", "channel.type", "not-supported"),
    ("channel._type", {"extension": [{"url": BACKPORT + "backport-channel-type", "valueCoding": {"code": "zulip"}}]},
     "channel.type", "not-supported"),
    ("channel.payload", "application/fhir+xml", "channel.payload", "not-supported"),
    ("channel.payload", None, "channel.payload", "not-supported"),
    (CONTENT, {"extension": [{"url": BACKPORT + "backport-payload-content", "valueCode": "full-resource"}]},
     "channel.payload.extension", "not-supported"),
    (CONTENT, None, "channel.payload.extension", "not-supported"),
    ("channel.endpoint", None, "channel.endpoint", "required"),
    ("channel.endpoint", "http://receiver.example/notify", "channel.endpoint", "security"),
    ("channel.header", ["Authorization: a\r\nX-Injected: b"], "channel.header[0]", "value"),
    ("channel.header", ["no colon"], "channel.header[0]", "value"),
    ("channel.header", ["X-A: 1", "Host: elsewhere.example"], "channel.header[1]", "security"),
    ("channel.header", ["Content-Length: 3"], "channel.header[0]", "security"),
    ("channel.header", ["X-A: 1", "x-a: 2"], "channel.header[1]", "value"),
    ("channel.header", [f"X-{n}: 1" for n in range(21)], "channel.header", "too-long"),
    ("channel.extension", [{"url": BACKPORT + "backport-heartbeat-period", "valueUnsignedInt": 1}],
     "channel.extension", "value"),
    ("channel.extension", [{"url": BACKPORT + "backport-timeout", "valueUnsignedInt": 0}],
     "channel.extension", "value"),
    ("channel.extension", [{"url": "https://example.org/unknown", "valueString": "x"}],
     "channel.extension", "not-supported"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "where", "code"), REFUSED)
def test_what_cannot_be_served_is_refused_with_its_path(path: str, value: Any, where: str, code: str) -> None:
    issues = check_subscription(changed(path, value), http_endpoints=False)
    assert [(issue.path, issue.code) for issue in issues] == [(f"Subscription.{where}", code)]


def test_every_fault_is_told_at_once() -> None:
    resource = changed("criteria", "Observation?code=1")
    resource["channel"] = {"type": "sms", "endpoint": "tel:112", "payload": "text/plain"}
    paths = {issue.path for issue in check_subscription(resource, http_endpoints=False)}
    wrong = ("criteria", "channel.type", "channel.payload", "channel.payload.extension", "channel.endpoint")
    assert paths == {f"Subscription.{name}" for name in wrong}


TASK = {"type": "Task", "focus": "Task/1"}


@pytest.mark.parametrize(
    ("resource", "entry", "expected"),
    [
        (ASKED, TASK, True),
        (changed("status", "active"), TASK, True),
        (changed("status", "error"), TASK, True),
        (changed("status", "off"), TASK, False),
        (changed("criteria", "Task?status=requested"), TASK, False),
        (ASKED, {"type": "Observation", "focus": "Observation/1"}, False),
        (changed("end", "2026-03-01T11:59:59Z"), TASK, False),
        (changed("end", "2026-03-01T12:00:01Z"), TASK, True),
    ],
)
def test_events_are_numbered_for_subscriptions_that_want_them(
    resource: dict[str, Any], entry: dict[str, Any], expected: bool
) -> None:
    assert subscribes(resource, entry, NOW) is expected
