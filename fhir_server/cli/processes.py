"""The processes of a server, as Granian starts, replaces and ends them; what is no fault is not taken for one."""

import math
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from granian import _signals
from granian.server import mp

from fhir_server.cli.alarm import LONGEST, Alarm

_POLL = 0.02
_TOLD_AGAIN = 1.0


def hear_once() -> None:
    """Have Granian hear once, in this process, that it is to end.

    Its handler waits for ever when a signal comes while the one before was not taken up yet, as it does while it
    starts; and Ctrl-C in a terminal comes to each process twice, from the terminal and from the server.
    """
    _signals.set_main_signals = _listen_once


def _listen_once(interrupt: Callable[..., None], reload: Callable[..., None] | None = None) -> None:
    told: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        told.append(number)
        if len(told) == 1:
            interrupt(number, frame)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, hear)


class Process(mp.WorkerProcess):
    """One process. It is waited for by one thread: where two wait, one may be told that it lives when it has ended."""

    def _watch(self) -> None:
        self._watching = threading.Thread(target=self._watcher, name="watching a process")
        self._watching.start()

    def _watcher(self) -> None:
        self.inner.join()
        if not (self.inner.exitcode == 0 and self._server_is_told()):
            super()._watcher()  # type: ignore[no-untyped-call]

    def _server_is_told(self) -> bool:
        """Whether the server itself is to end: a terminal and systemd tell all processes, and some hear it first."""
        until = time.monotonic() + 2 * LONGEST
        while not (told := self.parent.interrupt_signal or self.interrupt_by_parent) and time.monotonic() < until:
            time.sleep(_POLL)
        return bool(told)

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended and that is known, at most `timeout` seconds; tell it again now and then."""
        until = math.inf if timeout is None else time.monotonic() + timeout
        while self._watching.is_alive() and (left := until - time.monotonic()) > 0:
            self._watching.join(min(left, _TOLD_AGAIN))
            if self._watching.is_alive() and self.interrupt_by_parent:
                self.inner.terminate()


class Processes(mp.MPServer):
    """The server, not yet started."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.main_loop_interrupt = Alarm(
            lambda: bool(self.interrupt_signal or self.interrupt_children or self.reload_signal)
        )

    def _spawn_worker(self, *args: Any, **options: Any) -> Any:
        made = super()._spawn_worker(*args, **options)
        made.__class__ = Process  # Granian lets nobody choose the class
        return made

    def _respawn_workers(self, workers: list[int], *args: Any, **options: Any) -> None:
        """Replace one after the other, until the server is to end. Who ended while it was replaced is no fault."""
        for index in workers:
            if self.interrupt_signal:
                return
            super()._respawn_workers([index], *args, **options)
        for index in list(self.interrupt_children):
            if self.wrks[index].is_alive():
                self.interrupt_children.remove(index)
