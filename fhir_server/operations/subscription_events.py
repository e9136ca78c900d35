"""Subscription/[id]/$events: the events that a receiver missed, by their numbers.

https://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition-backport-subscription-events.html
"""

from collections.abc import Sequence

from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import MalformedRequest, TooCostly
from fhir_server.fhir.json import encode
from fhir_server.fhir.reference import parse_reference
from fhir_server.interactions.seeing.sight import Sight
from fhir_server.interactions.words import Answer, Interaction, Services
from fhir_server.operations.inputs import one, texts, whole_number
from fhir_server.operations.subscription_status import own_subscription
from fhir_server.store.values import NumberedEvent, Stored
from fhir_server.subscriptions.channel import content_of
from fhir_server.subscriptions.payload import QUERY_EVENT, Event, notification
from fhir_server.subscriptions.topics import CONTENTS

_SINCE, _UNTIL = "eventsSinceNumber", "eventsUntilNumber"


def events(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """The notification Bundle of exactly the events from the one number to the other, both included.

    An event whose focus the actor may not read any more is bare: its number is there, so that nothing is missing.
    """
    given = texts(interaction, services, (_SINCE, _UNTIL, "content"))
    first, last = whole_number(given, _SINCE) or 1, whole_number(given, _UNTIL)
    content = one(given, "content")
    if content is not None and content not in CONTENTS:
        wrong = f"content is {' or '.join(CONTENTS)}: what changed is read over FHIR; it was {content!r}."
        raise MalformedRequest(wrong, rule="parameter-value")
    if last is not None and last < first:
        raise MalformedRequest(f"{_UNTIL} is not below {_SINCE}.", rule="parameter-value")
    stored, reason = own_subscription(interaction, actor, services)
    told, shown = _told(_found(stored, first, last, services), actor, services)
    resource = stored.resource()
    body = notification(
        QUERY_EVENT,
        resource,
        base_url=services.base_url,
        content=content or content_of(resource),
        count=services.reading.last_event(stored.id),
        moment=services.clock(),
        events=told,
    )
    query = "&".join(f"{name}={value}" for name, values in given.items() for value in values)
    return Answer("ok", encode(body), None, (stored, *shown), reason, query=query)


def _found(stored: Stored, first: int, last: int | None, services: Services) -> Sequence[NumberedEvent]:
    most = services.max_count
    found = services.reading.events(stored.id, first, last, most + 1)
    if len(found) > most:
        raise TooCostly(f"These are more than {most} events; ask for fewer at once with {_UNTIL}.", rule="events")
    return found


def _told(found: Sequence[NumberedEvent], actor: Actor, services: Services) -> tuple[list[Event], list[Stored]]:
    """The events, bare where the focus may not be read, and what is disclosed by them."""
    sight = Sight.of(actor, services)
    readable = {}
    for focus in dict.fromkeys(event.focus for event in found):
        parsed = parse_reference(focus)
        current = services.reading.read(parsed.type, parsed.id) if parsed else None
        if current is not None and sight.reason_to_read(current) is not None:
            readable[focus] = current
    whole = [Event(event.number, event.at, event.focus, event.change) for event in found]
    return [event if event.focus in readable else event.bare() for event in whole], list(readable.values())
