"""What can be subscribed to, and what a Subscription may ask for.

https://hl7.org/fhir/uv/subscriptions-backport/
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_server.fhir.json import Resource
from fhir_server.fhir.outcome import Issue
from fhir_server.subscriptions.channel import (
    CONTENT,
    FILTER,
    HEARTBEAT,
    MAX_COUNT,
    TIMEOUT,
    extensions,
    has_ended,
    split_header,
)
from fhir_server.subscriptions.endpoints import endpoint_faults


@dataclass(frozen=True)
class Topic:
    """A kind of event: its canonical url, and the types whose changes it tells of."""

    url: str
    title: str
    description: str
    types: frozenset[str]


PARTY_TO_INSTANCE = Topic(
    url="https://samen.example/fhir/SubscriptionTopic/party-to-instance",
    title="A party takes part in what changed",
    description="A Task, CarePlan or CareTeam was created, updated or deleted; told to each party that its circle "
    "admits before or after the change.",
    types=frozenset({"CarePlan", "CareTeam", "Task"}),
)
TOPICS: Mapping[str, Topic] = {topic.url: topic for topic in (PARTY_TO_INSTANCE,)}

CONTENTS = ("id-only", "empty")
PAYLOAD = "application/fhir+json"
SHORTEST_HEARTBEAT = 10
# `active` and `error` are the server's words: only a handshake that was answered makes a Subscription active.
_ASKED_STATUSES = ("requested", "off")
# Numbering goes on while the endpoint is asked or failing, so that nothing is missing when it is back.
_NUMBERED_STATUSES = frozenset({"requested", "active", "error"})
_FIVE = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Subscription"
# Headers that frame the message or the connection are the server's own.
_OWN_HEADERS = {"accept-encoding", "connection", "content-encoding", "content-length", "content-type", "date", "expect"}
_OWN_HEADERS |= {"host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "via"}
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}: ?[\x20-\x7e]{0,8000}")
_MOST_HEADERS = 20


def topic_of(subscription: Resource) -> Topic | None:
    """The topic that `criteria` names, with or without a version; None when there is no such topic."""
    return TOPICS.get(str(subscription.get("criteria", "")).partition("|")[0])


def subscribes(subscription: Resource, entry: Mapping[str, Any], moment: datetime) -> bool:
    """Whether an outbox entry is an event of this Subscription; its recipients are already compared."""
    topic = topic_of(subscription)
    return (
        topic is not None
        and entry["type"] in topic.types
        and subscription.get("status") in _NUMBERED_STATUSES
        and not has_ended(subscription, moment)
    )


def check_subscription(resource: Resource, *, http_endpoints: bool, imports: bool = False) -> list[Issue]:
    """What this server cannot keep of a Subscription that a client creates or updates; empty when it can be served.

    Asked after the structure is valid. Nothing is accepted and then silently left undone. `http_endpoints` is the
    development setting of `endpoints.endpoint_faults`. The operator `imports` one to another server's topic as it is;
    it is never served, so it must not say that it is.
    """
    if imports and topic_of(resource) is None:
        return list(_served_elsewhere(resource))
    return [*_status(resource), *unserved(resource, http_endpoints=http_endpoints)]


def unserved(resource: Resource, *, http_endpoints: bool) -> list[Issue]:
    """The same whatever its status: asked again before each delivery, because not every Subscription came in by a
    client, and the setting may have changed."""
    return [*_criteria(resource), *_channel(resource, http_endpoints)]


def _status(resource: Resource) -> Iterator[Issue]:
    if resource.get("status") not in _ASKED_STATUSES:
        yield _issue("Subscription.status", "Ask with status 'requested'; the server makes it 'active' once the "
                     "endpoint has answered the handshake. Stop with 'off'.", "business-rule")  # fmt: skip


def _served_elsewhere(resource: Resource) -> Iterator[Issue]:
    if "status" not in resource:
        yield _issue("Subscription.status", "State a status; an extension does not stand for it.", "required")
    elif resource["status"] == "active":
        yield _issue("Subscription.status", "This server tells nothing for these criteria, so 'active' would not "
                     "be true; load it as 'requested' or 'off'.", "business-rule")  # fmt: skip


def _criteria(resource: Resource) -> Iterator[Issue]:
    if topic_of(resource) is None:
        yield _issue("Subscription.criteria", f"Unknown topic; the criteria is the canonical of one of: "
                     f"{', '.join(sorted(TOPICS))}.")  # fmt: skip
    if any(url == FILTER for url, _ in extensions(resource.get("_criteria"))):
        yield _issue("Subscription.criteria.extension", "This topic has no filters; leave the filter criteria out.")
    if any(url.startswith(_FIVE) for url, _ in extensions(resource)):
        yield _issue("Subscription.extension", "R5's own elements are not read here; use the R4 backport's.")


def _channel(resource: Resource, http_endpoints: bool) -> Iterator[Issue]:
    channel = resource.get("channel") or {}
    if channel.get("type") != "rest-hook" or channel.get("_type"):
        yield _issue("Subscription.channel.type", "The channel is 'rest-hook', without a custom channel type.")
    if str(channel.get("payload")).lower() != PAYLOAD:
        yield _issue("Subscription.channel.payload", f"The payload is {PAYLOAD!r}.")
    yield from _content(channel)
    yield from _endpoint(channel, http_endpoints)
    yield from _headers(channel.get("header", []))
    yield from _periods(channel)


def _content(channel: Resource) -> Iterator[Issue]:
    contents = [value for url, value in extensions(channel.get("_payload")) if url == CONTENT]
    if len(contents) != 1 or contents[0] not in CONTENTS:
        yield _issue("Subscription.channel.payload.extension", f"State one {CONTENT} of {' or '.join(CONTENTS)}: "
                     "content is read over FHIR, never pushed.")  # fmt: skip


def _endpoint(channel: Resource, http_endpoints: bool) -> Iterator[Issue]:
    endpoint = channel.get("endpoint")
    if not endpoint:
        yield _issue("Subscription.channel.endpoint", "A rest-hook needs an endpoint.", "required")
        return
    for fault in endpoint_faults(endpoint, http_endpoints=http_endpoints):
        yield _issue("Subscription.channel.endpoint", fault, "security")


def _headers(lines: list[str | None]) -> Iterator[Issue]:
    """An extension may stand where a header should (null), and is none."""
    names = [split_header(line or "")[0].lower() for line in lines]
    if len(lines) > _MOST_HEADERS:
        yield _issue("Subscription.channel.header", f"At most {_MOST_HEADERS} headers.", "too-long")
    for position, (line, name) in enumerate(zip(lines, names, strict=True)):
        path = f"Subscription.channel.header[{position}]"
        if not _HEADER.fullmatch(line or ""):
            yield _issue(path, "A header is one line, 'Name: value', in printable ASCII.", "value")
        elif name in _OWN_HEADERS or name.startswith("proxy-"):
            yield _issue(path, f"The server itself sets {name!r}.", "security")
        elif name in names[:position]:
            yield _issue(path, f"The header {name!r} is stated twice.", "value")


def _periods(channel: Resource) -> Iterator[Issue]:
    for url, value in extensions(channel):
        if url not in (HEARTBEAT, TIMEOUT, MAX_COUNT):
            yield _issue("Subscription.channel.extension", f"The extension {url} is not known here.")
        elif not isinstance(value, int) or isinstance(value, bool) or value < 1:
            yield _issue("Subscription.channel.extension", f"The value of {url} is a whole number from 1.", "value")
        elif url == HEARTBEAT and value < SHORTEST_HEARTBEAT:
            yield _issue("Subscription.channel.extension", f"A heartbeat beats every {SHORTEST_HEARTBEAT} s at most "
                         "often.", "value")  # fmt: skip


def _issue(path: str, diagnostics: str, code: str = "not-supported") -> Issue:
    return Issue(code, diagnostics, path, "subscription")
