"""This process's journal and the thread that carries it on, together with what dead processes left beside it."""

import logging
import os
import threading
import time
from pathlib import Path

from fhir_server.store.carrying import Carrier, Send
from fhir_server.store.journal import Journal

GATHERING = 0.5
"""Seconds in which records come together before they go on."""
ORPHANS = 5.0
"""Seconds between two looks for what dead processes left."""
_TICK = 0.5
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0

log = logging.getLogger(__name__)


class Forwarding:
    """The journal of one process, carried on until `end`, or until the process itself ends.

    While `send` fails everything stays on disk and is tried again, with growing pauses. Raises OSError when the folder
    cannot be written.
    """

    def __init__(self, folder: Path, send: Send) -> None:
        self.pid = os.getpid()
        self._journal = Journal(folder)
        self._carrier = Carrier(folder, send)
        self._written = threading.Event()
        self._ended = threading.Event()
        # Not a daemon: it carries on what is left after the main thread ended.
        self._thread = threading.Thread(target=self._run, name="audit journal")
        self._thread.start()

    def append(self, record: bytes) -> None:
        """Return when the record is on disk. Raises OSError."""
        self._journal.append(record)
        if not self._written.is_set():
            self._written.set()

    def carry_all(self) -> None:
        """Carry on, now, what any process on the folder has written. Raises what `send` raises."""
        self._carrier.carry_all(self._journal)

    def end(self) -> None:
        """Carry on what is left, as far as `send` works, and let go of the journal."""
        self._ended.set()
        self._written.set()
        self._thread.join()

    def _run(self) -> None:
        pause, orphans = 0.0, 0.0
        while self._lives():
            if self._written.wait(_TICK):
                self._ended.wait(GATHERING)
            self._written.clear()
            looks = time.monotonic() >= orphans
            if looks:
                self._journal.rest()  # so that what was carried on does not lie here for long
            if self._carry(orphans=looks, told=bool(pause)):
                pause, orphans = 0.0, time.monotonic() + ORPHANS if looks else orphans
            else:
                pause = min(max(2 * pause, _FIRST_PAUSE), _LONGEST_PAUSE)
                self._written.set()
                self._rest(pause)
        self._journal.rest()
        self._carry(orphans=False, told=bool(pause))
        self._journal.close()

    def _carry(self, *, orphans: bool, told: bool) -> bool:
        """Whether all went well; the first failure in a row is told, and the end of the failures."""
        try:
            self._carrier.carry_own(self._journal)
            if orphans:
                self._carrier.carry_orphans(self._journal)
        except Exception as error:
            if not told:
                log.warning("the audit journal waits on disk: it could not be carried on (%s)", type(error).__name__)
            return False
        if told:
            log.info("the audit journal is carried on again")
        return True

    def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self._lives() and (left := until - time.monotonic()) > 0:
            self._ended.wait(min(left, _TICK))

    def _lives(self) -> bool:
        return not self._ended.is_set() and threading.main_thread().is_alive()
