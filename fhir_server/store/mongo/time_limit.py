"""The time that all questions of one search share, and what becomes of a search that it is over for.

MongoDB is told with each question how much is left, and gives up by itself.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pymongo
from pymongo.client_session import ClientSession
from pymongo.errors import DocumentTooLarge, OperationFailure

from fhir_server.fhir.errors import TooCostly

MAX_TIME_MS = 5_000

TIME_IS_UP, _SORTS_TOO_MUCH, _OBJECT_TOO_LARGE = 50, 292, 10334


class Within:
    """The session of a search and its time, which begins now."""

    def __init__(self, session: ClientSession | None, max_time_ms: int, searched: str) -> None:
        self.session = session
        self._searched = searched
        self._deadline = time.monotonic() + max_time_ms / 1000

    def left(self) -> int:
        """The milliseconds that are left. Raises TooCostly when none are."""
        left = int((self._deadline - time.monotonic()) * 1000)
        if left <= 0:
            raise too_costly(self._searched)
        return left

    def options(self) -> dict[str, Any]:
        """What the next question is asked with."""
        return {"session": self.session, "max_time_ms": self.left()}


def too_costly(searched: str) -> TooCostly:
    """The refusal of a search, with the ways to make it a smaller one."""
    return TooCostly(
        f"This search of {searched} examines too much. Narrow it by a patient, an identifier, a code or a date, "
        "or sort it by _id or _lastUpdated."
    )


def _asks_too_much() -> TooCostly:
    return TooCostly(
        "This search names more than the database takes in one question. Name fewer values, and references by Type/id: "
        "an id without a type is asked of every type."
    )


def costly(searched: str) -> AbstractContextManager[None]:
    """What the database gives up becomes the refusal of a search; `searched` says of what."""
    return given_up(too_costly(searched))


@contextmanager
def given_up(refusal: TooCostly) -> Iterator[None]:
    """What the database gives up becomes `refusal`; a question that is larger than it takes is told to be that.

    The driver's own limit is taken off inside: it ends at the same instant as the server's, so that the client would
    often hang up before it hears why. The client's socket timeout stays.
    """
    try:
        with pymongo.timeout(None):
            yield
    except DocumentTooLarge as error:
        raise _asks_too_much() from error
    except OperationFailure as error:
        if error.code == _OBJECT_TOO_LARGE:
            raise _asks_too_much() from error
        if error.code not in {TIME_IS_UP, _SORTS_TOO_MUCH}:
            raise
        raise refusal from error
