"""What the server waits for: a signal, or the end of one of its processes."""

import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

LONGEST = 0.5  # seconds; a signal that comes just as a wait begins is seen when it ends


class Alarm(threading.Event):
    """An event that a handler of signals may set. Once `ending` says so it stays set, so that no signal to end is lost.

    The handler of a signal interrupts the very thread that waits. With the event of `threading` it waits for ever when
    that thread is at the event's lock: when it begins or ends to wait, or handles the signal before.
    """

    def __init__(self, ending: Callable[[], bool]) -> None:
        super().__init__()
        self._ending = ending
        self._told: SimpleQueue[None] = SimpleQueue()  # its `put` may interrupt itself

    def is_set(self) -> bool:
        """Whether a wait would end at once."""
        return not self._told.empty()

    def set(self) -> None:
        """End all waits, those to come as well, until it is cleared."""
        self._told.put(None)

    def clear(self) -> None:
        """Begin anew, unless the server is to end."""
        with suppress(Empty):
            while True:
                self._told.get_nowait()
        if self._ending():
            self.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, at most `timeout` seconds; whether it is."""
        until = math.inf if timeout is None else time.monotonic() + timeout
        while not self._told_within(min(LONGEST, until - time.monotonic())):
            if time.monotonic() >= until:
                return False
        return True

    def _told_within(self, seconds: float) -> bool:
        try:
            self._told.get(timeout=max(0.0, seconds))
        except Empty:
            return False
        self.set()
        return True
