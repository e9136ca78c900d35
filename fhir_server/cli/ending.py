"""How a process ends that is told to: through its `finally` clauses, wherever it is at that moment."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

_SECONDS_TO_LEAVE = 0.01  # what is finalized, or called from C, at that moment
_TOLD_BY = {SystemExit: signal.SIGTERM, KeyboardInterrupt: signal.SIGINT}


@contextmanager
def ending_on_sigterm(*, and_hangup: bool = False) -> Iterator[None]:
    """SIGTERM ends the process through its `finally` clauses, so that an embedded MongoDB is shut down cleanly.

    With `and_hangup` the end of its terminal does so, too, unless that is ignored, as under `nohup`.
    """
    before, told_before = signal.getsignal(signal.SIGTERM), sys.unraisablehook
    end_on_sigterm()
    hangup = and_hangup and hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    if hangup:
        signal.signal(signal.SIGHUP, _end)
    try:
        yield
    finally:
        if hangup:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, before)
        sys.unraisablehook = told_before


def end_on_sigterm() -> None:
    """Have SIGTERM end this process through its `finally` clauses, until another handler takes the signal over.

    A handler of signals interrupts whatever runs. Where that is a finalizer, as the driver's sessions have one, Python
    drops what is raised, and the process would go on until it is killed; so the signal is sent once more. Ctrl-C too.
    """
    signal.signal(signal.SIGTERM, _end)
    sys.unraisablehook = _tell_again
    _let_go()


def keep_for_children() -> None:
    """Have a SIGTERM that reaches a process at its birth wait until that process calls `end_on_sigterm`.

    A process that is forked has its parent's handlers at first, and Python forgets what came before it was ready.
    """
    os.register_at_fork(before=_hold, after_in_parent=_let_go)


def _hold() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])


def _let_go() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])


def _end(*_: object) -> NoReturn:
    raise SystemExit(0)


def _tell_again(dropped: "sys.UnraisableHookArgs") -> None:
    number = _TOLD_BY.get(dropped.exc_type)
    if number is None:
        sys.__unraisablehook__(dropped)
        return
    again = threading.Timer(_SECONDS_TO_LEAVE, os.kill, (os.getpid(), number))
    again.daemon = True
    again.start()
