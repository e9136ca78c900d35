"""history of a type and of the whole system, newest first: each version only if its reader could vread it.

https://hl7.org/fhir/R4/http.html#history
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec

from fhir_server.access.scopes import allows
from fhir_server.access.types import TYPES, stamped_with_readers
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import Forbidden, MalformedRequest
from fhir_server.interactions.bundles import history_page
from fhir_server.interactions.history import at_of, check_parameters, count_of, since_of
from fhir_server.interactions.listed import listed
from fhir_server.interactions.parameters import SUBSETTING
from fhir_server.interactions.seeing.sight import Sight
from fhir_server.interactions.subsets import part_asked, parts_of
from fhir_server.interactions.words import Answer, Interaction, Services
from fhir_server.search.grant import Grant
from fhir_server.search.lists import LIST
from fhir_server.store.signed import signed, unsigned
from fhir_server.store.values import Changed, Span, Stored

_KNOWN = frozenset({"_count", "_since", "_at", LIST, "_cursor", "_format", "_pretty", *SUBSETTING})
_ROUNDS = 5
_LONGEST = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def histories(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """A page of the versions of a type, or of every type that the token allows; the audit has no system history."""
    given = check_parameters(interaction, _KNOWN)
    types = _types(interaction, actor)
    cut = part_asked(types, interaction.parameters)
    count = count_of(given, services)
    sight = Sight.of(actor, services)
    asked = Span(types, since_of(given), at_of(given), items=listed(given, sight))
    question = _question(asked, given.get(LIST))
    span = replace(asked, before=_read_cursor(given["_cursor"], question, services) if "_cursor" in given else None)
    empty = span.items is not None and not any(each.type in types for each in span.items)
    shown, last = ([], None) if empty else _page(span, sight, services, count)
    used = [*(pair for pair in interaction.parameters if pair[0] in _KNOWN), *interaction.form]
    kept = [pair for pair in used if pair[0] != "_cursor"]
    following = [*kept, ("_cursor", _cursor(last, question, services))] if last else None
    place = f"{interaction.type}/_history" if interaction.type else "_history"
    body = history_page(services.base_url, place, parts_of(shown, cut), used, following)
    reason = "each version by the grants of the actor"
    return Answer("ok", body, None, tuple(shown), reason, query=f"{place}?{interaction.asked}")


def _types(interaction: Interaction, actor: Actor) -> tuple[str, ...]:
    if interaction.type is not None:
        return (interaction.type,)
    allowed = tuple(name for name in sorted(TYPES) if name != "AuditEvent" and allows(actor, "history-type", name))
    if not allowed:
        told = "Your token does not allow to search any type, and the history of the system needs that."
        raise Forbidden(told, rule="scope")
    return allowed


def _page(span: Span, sight: Sight, services: Services, count: int) -> tuple[list[Stored], Stored | None]:
    """The versions to show, and the last one looked at when more may follow; what is hidden costs a few rounds."""
    known: dict[str, Sequence[Grant]] = {name: sight.grants(name) for name in span.types}
    plans = [circle.plan for circle in sight.circles()] if any(map(stamped_with_readers, span.types)) else []
    shown: list[Stored] = []
    last: Stored | None = None
    for _ in range(_ROUNDS):
        found = services.reading.changes(span, known.__getitem__, plans, sight.moment, count + 1)
        for changed in found:
            if len(shown) == count:
                return shown, last
            last = changed.version
            if _permitted(sight, changed):
                shown.append(changed.version)
        if len(found) <= count or last is None:
            return shown, None
        span = replace(span, before=(last.last_updated, last.type, last.id, last.version))
    return shown, last


def _permitted(sight: Sight, changed: Changed) -> bool:
    """Exactly what a vread asks."""
    return sight.reason_to_read(changed.current) is not None and sight.shows_version(changed.current, changed.version)


def _cursor(last: Stored, question: bytes, services: Services) -> str:
    at = (last.last_updated - _EPOCH) // _MILLISECOND
    body = msgspec.json.encode([at, last.type, last.id, last.version])
    return signed(body, question, services.secret)


def _read_cursor(text: str, question: bytes, services: Services) -> tuple[datetime, str, str, int]:
    body = unsigned(text, question, services.secret, longest=_LONGEST)
    if body is None:
        raise MalformedRequest("'_cursor' is not from a next link of this history; follow the links as they are given.")
    at, type_name, id, version = msgspec.json.decode(body)
    return _EPOCH + at * _MILLISECOND, type_name, id, version


def _question(span: Span, list_id: str | None) -> bytes:
    """What a cursor belongs to: the list that is asked for, whatever is on it by now."""
    asked = (span.types, span.since, span.at)
    return b"history " + repr(asked if list_id is None else (*asked, list_id)).encode()
