"""What a busy machine lets fail for a while is asked again, as whoever runs in earnest does."""

import time
from collections.abc import Callable
from typing import TypeVar

from fhir_server.fhir.errors import Unavailable

SECONDS = 60.0

Result = TypeVar("Result")


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
