"""How the AuditEvent of a read or refusal is kept before the answer: in MongoDB, or in a journal on this machine.

The journal goes on to MongoDB soon after, once and for all: an AuditEvent's id is its own.
"""

import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pymongo.write_concern import WriteConcern

from fhir_server.fhir.errors import Unavailable
from fhir_server.fhir.json import Resource, encode
from fhir_server.search.grant import Stamp
from fhir_server.store.carrying import Send
from fhir_server.store.forwarding import Forwarding
from fhir_server.store.leftovers import Leftovers
from fhir_server.store.mongo.audit.events import audit_document, record_with
from fhir_server.store.mongo.audit.told_pages import ToldPages
from fhir_server.store.mongo.connection import ACKNOWLEDGED, DURABLE, Connection, asking
from fhir_server.store.mongo.documents import AUDIT_EVENTS

_UNREADABLE = "The audit of the last moments cannot be read now. Try again in a while."

log = logging.getLogger(__name__)


class ReadingAudit(Protocol):
    """A way to keep the AuditEvents of readings."""

    def record(self, event: Resource, stamp: Stamp, page: Sequence[str] = ()) -> None:
        """Return when the event is kept; `page` is that of the store's contract. Raises Unavailable."""

    def settle(self) -> None:
        """Return when a question finds every event that was kept on this machine before. Raises Unavailable."""

    def begin(self) -> None:
        """Look after what processes left that are no more, from now on."""

    def close(self) -> None:
        """Let go of what this process holds."""


def kept_reading(
    connection: Connection, when: str, folder: Path | None, send: Send, seconds: float, told: ToldPages
) -> ReadingAudit:
    """The way that the setting `when` names: `local`, `journaled` or `acknowledged`.

    `local` is a journal in the folder, and `told` gets its pages, too; the others also carry on, by `send`, what an
    earlier setting left there. Without a folder there is no journal.
    """
    if when == "local" and folder is not None:
        return InJournal(folder, send, told)
    concern = ACKNOWLEDGED if when == "acknowledged" else DURABLE
    return InDatabase(connection, concern, seconds, Leftovers(folder, send) if folder is not None else None)


class InDatabase:
    """Each event is inserted by itself, and is kept when the write concern is met; `left` is what was in a journal."""

    def __init__(self, connection: Connection, concern: WriteConcern, seconds: float, left: Leftovers | None) -> None:
        self._connection = connection
        self._concern = concern
        self._seconds = seconds
        self._left = left

    def record(self, event: Resource, stamp: Stamp, page: Sequence[str] = ()) -> None:
        """Insert. Raises Unavailable."""
        with asking(self._seconds):
            self._connection.collection(AUDIT_EVENTS, self._concern).insert_one(audit_document(event, stamp))

    def settle(self) -> None:
        """Carry on what an earlier setting left on this machine. Raises Unavailable."""
        try:
            if self._left is not None:
                self._left.carry_all()
        except OSError as error:
            log.error("the audit journal of an earlier setting cannot be read: %s", error)
            raise Unavailable(_UNREADABLE) from error

    def begin(self) -> None:
        """Carry on, in the background, what an earlier setting left; what cannot be read does not keep from serving."""
        try:
            if self._left is not None:
                self._left.begin()
        except OSError as error:
            log.error("the audit journal of an earlier setting cannot be read: %s", error)

    def close(self) -> None:
        """End the thread; what is left stays for the next start."""
        if self._left is not None:
            self._left.end()


class InJournal:
    """Each event is kept when it is on this machine's disk, and goes on to the database soon after.

    Each process has a journal of its own in the folder, from its first need of one on.
    """

    def __init__(self, folder: Path, send: Send, told: ToldPages) -> None:
        self._folder = folder
        self._told = told
        self._send = send
        self._opening = threading.Lock()
        self._opened: Forwarding | None = None

    def record(self, event: Resource, stamp: Stamp, page: Sequence[str] = ()) -> None:
        """Append and sync. Raises Unavailable, TooLarge."""
        body = encode(event)
        record = record_with(body, stamp)
        self._told.keep(record, event, body, stamp, page)
        try:
            self._open().append(record)
        except OSError as error:
            log.error("the audit journal in %s cannot be written: %s", self._folder, error)
            told = "What is asked cannot be recorded now, so it is not answered. Try again in a while."
            raise Unavailable(told) from error

    def settle(self) -> None:
        """Carry on what the processes of this machine recorded. Raises Unavailable."""
        if not self._folder.exists():
            return
        try:
            self._open().carry_all()
        except OSError as error:
            log.error("the audit journal in %s cannot be read: %s", self._folder, error)
            raise Unavailable(_UNREADABLE) from error

    def begin(self) -> None:
        """Open this process's journal, with the thread that carries on. Raises OSError without access to the folder."""
        self._open()

    def close(self) -> None:
        """Carry on what is left, as far as the database answers, and end the thread."""
        opened, self._opened = self._opened, None
        if opened is not None and opened.pid == os.getpid():
            opened.end()

    def _open(self) -> Forwarding:
        opened = self._opened
        if opened is not None and opened.pid == os.getpid():
            return opened
        with self._opening:
            if self._opened is None or self._opened.pid != os.getpid():
                self._opened = Forwarding(self._folder, self._send)
            return self._opened
