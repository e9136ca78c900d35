"""`python -m fhir_server` is `fhir-server`."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager


def main() -> None:
    """Run the command that was asked for; told to end before it is known which, end without a word."""
    with _ending_at_once():
        from fhir_server.cli import main as commands
    commands()


@contextmanager
def _ending_at_once() -> Iterator[None]:
    """A second passes until all is read. The first process of a container would not hear of SIGTERM meanwhile."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    heard = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, _end)
    yield
    for number in heard:
        signal.signal(number, before[number])


def _end(number: int, _: object) -> None:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)  # the first process of a container outlives that


if __name__ == "__main__":
    main()
