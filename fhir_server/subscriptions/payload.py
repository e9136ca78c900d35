"""The Bundle that a subscriber receives: the R5 notification, backported to R4.

https://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition-backport-subscription-notification-r4.html
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from fhir_server.fhir.dates import instant
from fhir_server.fhir.json import Resource
from fhir_server.subscriptions.topics import topic_of

STATUS_PROFILE = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription-status-r4"
BUNDLE_PROFILE = (
    "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription-notification-r4"
)
HANDSHAKE, HEARTBEAT, EVENT = "handshake", "heartbeat", "event-notification"
QUERY_STATUS, QUERY_EVENT = "query-status", "query-event"

# What brought a resource to its state: method, whether the url names the instance, response status.
_REQUESTS = {"create": ("POST", False, "201"), "update": ("PUT", True, "200"), "delete": ("DELETE", True, "204")}


@dataclass(frozen=True)
class Event:
    """One numbered event; without a focus it is bare: that something happened, not to what."""

    number: int
    at: datetime
    focus: str | None = None
    change: str = "update"

    def bare(self) -> "Event":
        """The same event with nothing that says what it is about."""
        return Event(self.number, self.at)


def notification(
    type_name: str,
    subscription: Resource,
    *,
    base_url: str,
    content: str,
    count: int,
    moment: datetime,
    events: Sequence[Event] = (),
) -> Resource:
    """The notification Bundle of `type_name` (`handshake`, `heartbeat`, `event-notification`, `query-event`).

    `count` is the number of events since the Subscription started. `base_url` makes references absolute; it has no
    slash at its end. The content `empty` leaves out topic, focus and every entry but the first. The same events give
    the same id, so that a receiver knows a repeat.
    """
    told = [event.bare() for event in events] if content == "empty" else list(events)
    status = subscription_status(
        type_name, subscription, base_url=base_url, content=content, count=count, moment=moment, events=told
    )
    return {
        "resourceType": "Bundle",
        "id": str(uuid5(NAMESPACE_URL, f"{status['id']}/bundle")),
        "meta": {"profile": [BUNDLE_PROFILE]},
        "type": "history",
        "timestamp": instant(moment),
        "entry": [
            _status_entry(status, subscription, base_url),
            *(_focus_entry(event, base_url) for event in told if event.focus is not None),
        ],
    }


def subscription_status(
    type_name: str,
    subscription: Resource,
    *,
    base_url: str,
    content: str,
    count: int,
    moment: datetime,
    events: Sequence[Event] = (),
) -> Resource:
    """The Parameters that stand for R5's SubscriptionStatus; also the answer of `$status`."""
    url = f"{base_url}/Subscription/{subscription['id']}"
    numbers = ",".join(str(event.number) for event in events) or instant(moment)
    topic = (
        [{"name": "topic", "valueCanonical": subscription["criteria"]}]
        if content != "empty" and topic_of(subscription)
        else []
    )
    return {
        "resourceType": "Parameters",
        "id": str(uuid5(NAMESPACE_URL, f"{url}/{type_name}/{numbers}")),
        "meta": {"profile": [STATUS_PROFILE]},
        "parameter": [
            {"name": "subscription", "valueReference": {"reference": url}},
            *topic,
            {"name": "status", "valueCode": subscription["status"]},
            {"name": "type", "valueCode": type_name},
            {"name": "events-since-subscription-start", "valueString": str(count)},
            *({"name": "notification-event", "part": _event_parts(event, base_url)} for event in events),
        ],
    }


def _event_parts(event: Event, base_url: str) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [
        {"name": "event-number", "valueString": str(event.number)},
        {"name": "timestamp", "valueInstant": instant(event.at)},
    ]
    if event.focus is not None:
        parts.append({"name": "focus", "valueReference": {"reference": f"{base_url}/{event.focus}"}})
    return parts


def _status_entry(status: Resource, subscription: Resource, base_url: str) -> Resource:
    return {
        "fullUrl": f"urn:uuid:{status['id']}",
        "resource": status,
        "request": {"method": "GET", "url": f"{base_url}/Subscription/{subscription['id']}/$status"},
        "response": {"status": "200"},
    }


def _focus_entry(event: Event, base_url: str) -> Resource:
    method, instance, status = _REQUESTS[event.change]
    focus = event.focus or ""
    return {
        "fullUrl": f"{base_url}/{focus}",
        "request": {"method": method, "url": focus if instance else focus.partition("/")[0]},
        "response": {"status": status},
    }
