"""How a transaction ends; and threads of a process that end one at the same moment commit together.

A commit waits for the journal, and each of its commands costs more than what it writes. So what several threads have to
write, once all that it rests on is known, goes as one transaction: kept together when each proof holds, and otherwise
not at all; then each tries by itself, as if it had never met the others. So nobody is refused for somebody else's sake.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pymongo
from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from fhir_server.fhir.errors import Unavailable
from fhir_server.store.mongo.connection import DURABLE, UNKNOWN, Connection, asking
from fhir_server.store.mongo.writing.unit import Unit, joined, write
from fhir_server.store.together import Together

ENDING_SECONDS = 5.0
SHORTEST = 0.001
"""Seconds; the driver reads 0 as no limit."""
_ENOUGH = 1.0
"""Seconds; whoever has less left does not share them."""
_MOST = 20
_PAUSE = 0.016
_TOO_LATE = "The database was busy with others until there was no time left; nothing was done. Try again in a while."


class Unknown(Unavailable):
    """Nobody knows whether it was kept: it must not be done again."""


@dataclass(frozen=True, eq=False)
class _Ending:
    """What somebody has to write, and until when, by the monotonic clock."""

    unit: Unit
    deadline: float


@dataclass(frozen=True)
class _Outcome:
    """Kept; or `error`; or nothing was done, and the thread is to do it `alone`."""

    error: BaseException | None = None
    alone: bool = False


_KEPT = _Outcome()
_ALONE = _Outcome(alone=True)


class Committing:
    """Commits of one process: what is small goes together, one transaction at a time.

    `seconds` bounds what is written, ENDING_SECONDS the commit. Types in `full_text` keep their words.
    """

    def __init__(self, connection: Connection, seconds: float, full_text: frozenset[str]) -> None:
        self._connection = connection
        self._seconds = seconds
        self._full_text = full_text
        self._together = Together(self._send, most=_MOST)

    def keep(self, unit: Unit, deadline: float) -> None:
        """Write the unit and commit it, by itself or with others, before `deadline` of the monotonic clock.

        Raises StartAgain, VersionConflict, Unavailable or the driver's error when nothing was kept, Unknown when nobody
        knows.
        """
        if unit.is_empty:
            return
        ending = _Ending(unit, deadline)
        outcome = self._together.ask(ending) if unit.is_small else _ALONE
        if outcome.alone:
            self._keep([ending])
        if outcome.error is not None:
            raise outcome.error

    def _send(self, endings: Sequence[_Ending]) -> list[_Outcome]:
        """What becomes of each; the first is that of the thread that does it for the others."""
        along = _apart(endings) if len(endings) > 1 else list(endings)
        if not along:
            return [_ALONE for _ in endings]
        try:
            self._keep(along)
            outcome = _KEPT
        except Unknown as error:
            outcome = _Outcome(error)
        except Exception as error:
            outcome = _ALONE if len(endings) > 1 else _Outcome(error)
        except BaseException as error:  # this thread is to end, the others are not
            unknown = _Outcome(Unknown(UNKNOWN))
            return [_Outcome(error), *(unknown if each in along else _ALONE for each in endings[1:])]
        return [outcome if each in along else _ALONE for each in endings]

    def _keep(self, endings: Sequence[_Ending]) -> None:
        """Write all of them in one transaction; nothing of any is kept when that cannot be."""
        left = min(ending.deadline for ending in endings) - time.monotonic()
        if left <= 0:
            raise Unavailable(_TOO_LATE)
        unit = joined([ending.unit for ending in endings])
        with self._connection.client.start_session(causal_consistency=False) as session:
            session.start_transaction(ReadConcern("snapshot"), DURABLE)
            try:
                with asking(min(self._seconds, left)):
                    write(self._connection.database, unit, session, self._full_text)
            except BaseException:
                abort(session)
                raise
            commit(session)


def _apart(endings: Sequence[_Ending]) -> list[_Ending]:
    """Those that have nothing in common with one before them, and time to share."""
    touched: set[str | tuple[str, str]] = set()
    found: list[_Ending] = []
    soonest = time.monotonic() + _ENOUGH
    for ending in endings:
        touches = ending.unit.touches
        if touched.isdisjoint(touches) and ending.deadline > soonest:
            found.append(ending)
            touched |= touches
    return found


def abort(session: ClientSession) -> None:
    """End the transaction without effect, with time of its own: one that is left open holds its plan until the server
    gives it up."""
    if session.in_transaction:
        with pymongo.timeout(ENDING_SECONDS):
            session.abort_transaction()


def commit(session: ClientSession) -> None:
    """Commit; ask again while the answer is lost, which is harmless: a commit that happened is only confirmed.

    Raises the driver's error when nothing was kept, Unavailable when that stays unknown.
    """
    deadline = time.monotonic() + ENDING_SECONDS
    while True:
        try:
            with pymongo.timeout(max(deadline - time.monotonic(), SHORTEST)):
                session.commit_transaction()
        except PyMongoError as error:
            if not error.has_error_label("UnknownTransactionCommitResult"):
                raise
            if time.monotonic() > deadline:
                raise Unknown(UNKNOWN) from error
            time.sleep(random.uniform(0, _PAUSE))  # noqa: S311 no secret
        else:
            return
