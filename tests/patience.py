"""Waiting for what comes about, and asking again: a busy machine is slow, and still right."""

import time
from collections.abc import Callable
from typing import TypeVar

from fhir_server.fhir.errors import Unavailable

SECONDS = 60.0
_PAUSE = 0.005

Result = TypeVar("Result")


def came_about(holds: Callable[[], object], seconds: float = SECONDS) -> bool:
    """Whether it holds, as soon as it does."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(_PAUSE)
    return True


def until(holds: Callable[[], object], seconds: float = SECONDS) -> None:
    """Return as soon as it holds."""
    if not came_about(holds, seconds):
        raise AssertionError("it did not come about")


def patiently(ask: Callable[[], Result]) -> Result:
    """What it gives; asked again when the database is too slow: a claim has two seconds, which a machine may sleep
    through."""
    end = time.monotonic() + SECONDS
    while True:
        try:
            return ask()
        except Unavailable:
            if time.monotonic() > end:
                raise
