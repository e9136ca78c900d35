"""Journals of an earlier setting: nobody writes here any more, what still lies here is carried on all the same."""

import logging
import threading
from pathlib import Path

from fhir_server.store.carrying import Carrier, Send
from fhir_server.store.forwarding import ORPHANS
from fhir_server.store.journal import LOCK, SEGMENT

_TICK = 0.5

log = logging.getLogger(__name__)


class Leftovers:
    """What processes left in `folder`, which may be absent; `send` as for a `Carrier`."""

    def __init__(self, folder: Path, send: Send) -> None:
        self._folder = folder
        self._carrier = Carrier(folder, send)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def carry_all(self) -> None:
        """Carry on, now, what any process has written. Raises OSError, and what `send` raises."""
        if self._are_there():
            self._carrier.carry_all()

    def begin(self) -> None:
        """Carry on in the background what dead processes left, until nothing is left of any process."""
        if self._thread is None and self._are_there():
            # Not a daemon, so that it is not cut off in the middle of a record; it ends with the main thread.
            self._thread = threading.Thread(target=self._run, name="left audit journal")
            self._thread.start()

    def end(self) -> None:
        """Leave it for the next start."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _are_there(self) -> bool:
        try:
            return any(path.suffix in {SEGMENT, LOCK} for path in self._folder.iterdir())
        except FileNotFoundError:
            return False

    def _run(self) -> None:
        told = False
        while self._lives() and self._are_there():
            try:
                self._carrier.carry_orphans()
            except Exception as error:
                if not told:
                    log.warning("an earlier audit journal waits on disk in %s (%s)", self._folder, type(error).__name__)
                told = True
            self._rest()
        if not self._are_there():
            log.info("the audit journal of an earlier setting in %s was carried on", self._folder)

    def _rest(self) -> None:
        ticks = ORPHANS / _TICK
        while self._lives() and self._are_there() and ticks > 0:
            self._ended.wait(_TICK)
            ticks -= 1

    def _lives(self) -> bool:
        return not self._ended.is_set() and threading.main_thread().is_alive()
