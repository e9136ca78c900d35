"""AuditEvents on their way into the database: as journal records, and many of them in one command."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import bson
import msgspec
from bson.raw_bson import RawBSONDocument

from fhir_server.fhir.dates import time_range
from fhir_server.fhir.errors import TooLarge, Unavailable
from fhir_server.fhir.json import Resource, decode, encode
from fhir_server.search.grant import Stamp
from fhir_server.store.mongo.audit.forms import Formed, formed
from fhir_server.store.mongo.audit.kinds import kept_kinds
from fhir_server.store.mongo.connection import DUPLICATE_KEY, DURABLE, Connection, asking
from fhir_server.store.mongo.documents import AUDIT_EVENTS, Document, current_document
from fhir_server.store.values import Stored

# Far below what MongoDB takes as one document, since what searches need comes beside it.
MOST_BYTES = 4 * 1024 * 1024

_AT_A_TIME = 16
_record = msgspec.json.Decoder(tuple[Stamp, msgspec.Raw])
_Each = TypeVar("_Each")


class _Dated(msgspec.Struct):
    """What is asked of an AuditEvent that nobody may have been purged from."""

    recorded: str


_dated = msgspec.json.Decoder(tuple[msgspec.Raw, _Dated])


def record_of(event: Resource, stamp: Stamp) -> bytes:
    """What the journal keeps of an event. Raises TooLarge."""
    return record_with(encode(event), stamp)


def record_with(body: bytes, stamp: Stamp) -> bytes:
    """What the journal keeps of an event that is JSON already. Raises TooLarge."""
    record = b"[%b,%b]" % (encode(stamp), body)
    if len(record) > MOST_BYTES:
        raise TooLarge("The audit record of this request would be too large. Ask for less at once.")
    return record


def insert(
    connection: Connection, records: Sequence[bytes], seconds: float, form: Callable[[bytes], Formed | None] = formed
) -> None:
    """Insert the events of journal records, durably; those that are there already are left. Raises Unavailable.

    `form` makes a record ready for MongoDB; what it has nothing for goes the general way.

    One plain command: an id that is its own needs no retryable write. Every few events other threads get their turn.
    """
    told = [(record, form(record)) for record in _in_turns(records)]
    with asking(seconds):
        kinds = kept_kinds(connection, {each.form.kind for _, each in told if each is not None})
    documents = [
        RawBSONDocument(each.document(kinds) if each is not None else bson.encode(event_document(record)))
        for record, each in _in_turns(told)
    ]
    command = {
        "insert": AUDIT_EVENTS,
        "documents": documents,
        "ordered": False,
        "writeConcern": DURABLE.document,
    }
    with asking(seconds):
        answer = connection.database.command(command)
    errors = {each["code"] for each in answer.get("writeErrors", ())} - {DUPLICATE_KEY}
    if errors or "writeConcernError" in answer:
        raise Unavailable(f"The database did not keep the audit: {sorted(errors) or 'no majority'}.")


def _in_turns(each: Iterable[_Each]) -> Iterator[_Each]:
    """The same, one after the other; after every few, other threads get their turn."""
    for number, one in enumerate(each, 1):
        yield one
        if number % _AT_A_TIME == 0:
            time.sleep(0)


def audit_document(event: Resource, stamp: Stamp) -> Document:
    """The document of an AuditEvent: it has one version, and the time when it was recorded."""
    return _document(event, encode(event), stamp)


def event_document(record: bytes) -> Document:
    """The document of the AuditEvent that a journal record keeps."""
    stamp, body = _record.decode(record)
    return _document(decode(body), bytes(body), stamp)


def recorded_at(record: bytes) -> datetime:
    """When the AuditEvent that a journal record keeps was recorded."""
    return _moment(_dated.decode(record)[1].recorded)


def recorded_in(record: bytes) -> tuple[Resource, Stamp]:
    """The AuditEvent and the stamp that a journal record keeps."""
    stamp, body = _record.decode(record)
    return decode(body), stamp


def _document(event: Resource, body: bytes, stamp: Stamp) -> Document:
    return current_document(Stored(AUDIT_EVENTS, event["id"], 1, _moment(event["recorded"]), body, stamp))


def _moment(recorded: str) -> datetime:
    """A moment of the audit, which is hardly ever asked for twice and so is not worth remembering."""
    try:
        moment = datetime.fromisoformat(recorded)
    except ValueError:
        return time_range(recorded)[0]
    return moment.astimezone(UTC) if moment.tzinfo else time_range(recorded)[0]
