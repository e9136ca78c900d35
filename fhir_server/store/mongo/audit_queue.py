"""AuditEvents that wait to be kept at the same moment go to the database in one command.

Nobody's reading is answered before its own AuditEvent is kept, so this changes no promise; under load it spares three
commands of four. There is no thread of its own: whoever finds nobody sending sends for all who wait.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fhir_server.fhir.errors import FhirError, Unavailable, VersionConflict
from fhir_server.store.mongo.documents import Document

Send = Callable[[Sequence[Document]], None]

_MOST_AT_ONCE = 100
_LOST = "The database does not keep the audit record now, so nothing is answered. Try again in a while."


@dataclass
class _Entry:
    """A document on its way: kept, refused for all who went together, or to be sent again by itself."""

    document: Document
    kept: bool = False
    lost: Exception | None = None
    alone: bool = False

    @property
    def waits(self) -> bool:
        return not (self.kept or self.lost or self.alone)


class AuditQueue:
    """`send` inserts documents and returns when they count as kept; it raises FhirError, for one or for all of them."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._turn = threading.Condition()
        self._waiting: list[_Entry] = []
        self._sending = False

    def keep(self, document: Document) -> None:
        """Return when the document is kept. Raises what `send` raises for it."""
        entry = _Entry(document)
        with self._turn:
            self._waiting.append(entry)
        while together := self._turn_of(entry):
            self._send_all(together)
        if entry.lost is not None:
            raise Unavailable(_LOST) from entry.lost
        if entry.alone:
            self._send_again(entry)

    def _turn_of(self, entry: _Entry) -> list[_Entry]:
        """Wait until the entry is settled, which is nothing to send, or until it is one's turn to send for all."""
        with self._turn:
            while entry.waits and self._sending:
                self._turn.wait()
            return self._take() if entry.waits else []

    def _take(self) -> list[_Entry]:
        """The oldest of those who wait."""
        self._sending = True
        together, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
        return together

    def _send_all(self, together: Sequence[_Entry]) -> None:
        failed: Exception | None = Unavailable(_LOST)
        try:
            self._send([entry.document for entry in together])
            failed = None
        except Exception as error:
            failed = error
        finally:
            with self._turn:
                for entry in together:
                    _settle(entry, failed)
                self._sending = False
                self._turn.notify_all()

    def _send_again(self, entry: _Entry) -> None:
        """One of those who went together was refused, so each goes again; a second copy of it means that it is kept."""
        try:
            self._send([entry.document])
        except VersionConflict:
            return


def _settle(entry: _Entry, failed: Exception | None) -> None:
    """A document that is refused must not refuse those that went with it; a database that is away refuses all."""
    if failed is None:
        entry.kept = True
    elif isinstance(failed, FhirError) and not isinstance(failed, Unavailable):
        entry.alone = True
    else:
        entry.lost = failed
