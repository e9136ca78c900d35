"""Where and how a Subscription wants to be told, read from its R4 backport shape.

https://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition-backport-subscription.html
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_server.fhir.dates import time_range
from fhir_server.fhir.json import Resource

_BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
CONTENT = _BACKPORT + "backport-payload-content"
FILTER = _BACKPORT + "backport-filter-criteria"
HEARTBEAT = _BACKPORT + "backport-heartbeat-period"
TIMEOUT = _BACKPORT + "backport-timeout"
MAX_COUNT = _BACKPORT + "backport-max-count"


@dataclass(frozen=True)
class Channel:
    """A rest-hook as it is served: `heartbeat` and `timeout` in seconds, None when the Subscription states none."""

    endpoint: str
    headers: tuple[tuple[str, str], ...]
    content: str
    heartbeat: int | None
    timeout: int | None


def channel_of(subscription: Resource) -> Channel:
    """The channel of a Subscription that `topics.check_subscription` accepted."""
    channel = subscription["channel"]
    periods = dict(extensions(channel))
    return Channel(
        endpoint=channel["endpoint"],
        headers=tuple(split_header(line) for line in channel.get("header", ())),
        content=content_of(subscription),
        heartbeat=periods.get(HEARTBEAT),
        timeout=periods.get(TIMEOUT),
    )


def content_of(subscription: Resource) -> str:
    """How much a notification says; the least when the Subscription does not say it."""
    contents: dict[str, str] = dict(extensions(subscription["channel"].get("_payload")))
    return contents.get(CONTENT, "empty")


def extensions(element: Any) -> Iterator[tuple[str, Any]]:
    """The url and the value of each extension of an element, also of a primitive's `_` companion."""
    listed = element.get("extension", []) if isinstance(element, dict) else []
    for extension in listed:
        value = next((extension[name] for name in extension if name.startswith("value")), None)
        yield extension.get("url", ""), value


def split_header(line: str) -> tuple[str, str]:
    """`Name: value` as its two halves."""
    name, _, value = line.partition(":")
    return name.strip(), value.strip()


def has_ended(subscription: Resource, moment: datetime) -> bool:
    """Whether `Subscription.end` is past."""
    end = subscription.get("end")
    return end is not None and time_range(end)[1] <= moment
