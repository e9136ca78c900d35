"""How a transaction gets through: attempts, each after what it foresees was read, until one is kept."""

import random
import time
from collections.abc import Callable

import pymongo
from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError, ServerSelectionTimeoutError
from pymongo.read_concern import ReadConcern

from fhir_server.fhir.errors import FhirError, Unavailable, VersionConflict
from fhir_server.store.contract import Foreseen, Result, Transaction
from fhir_server.store.mongo.ahead import Ahead, plans_of, read_ahead
from fhir_server.store.mongo.connection import (
    DURABLE,
    UNKNOWN,
    Connection,
    MoreToCome,
    asking,
    may_start_again,
    refusal,
)
from fhir_server.store.mongo.remembered import Remembered
from fhir_server.store.mongo.transaction import MongoTransaction, StartAgain

ENDING_SECONDS = 5.0
_SHORTEST = 0.001  # the driver reads 0 as no limit
_MOST_ATTEMPTS = 1_000
# WriteConflict; NoSuchTransaction, which follows it when the first one was not heeded; LockTimeout.
_RACES = {112, 251, 24}

_BUSY = "Others are changing the same plan all the time, and this change never had its turn. Try again in a while."
_LONGEST_PAUSE = 0.25


class _Overtaken(StartAgain):
    """What was remembered may be no longer so; the transaction starts again on what it reads."""


class Transacting:
    """Transactions of one store: `begun` makes one in a session, `done` hears of each that was kept.

    `seconds` bounds what is read ahead, `write_seconds` a transaction with all its attempts.
    """

    def __init__(
        self,
        connection: Connection,
        begun: Callable[[ClientSession, Ahead | None], MongoTransaction],
        done: Callable[[MongoTransaction], None],
        remembered: Remembered,
        seconds: float,
        write_seconds: float,
    ) -> None:
        self._connection = connection
        self._begun = begun
        self._done = done
        self._remembered = remembered
        self._seconds = seconds
        self._write_seconds = write_seconds

    def run(self, work: Callable[[Transaction], Result], foreseen: Foreseen | None) -> Result:
        """What `work` gives when it is kept. Raises VersionConflict when it never gets through, Unavailable."""
        deadline = time.monotonic() + self._write_seconds
        lost: PyMongoError | StartAgain | None = None
        recalls = True
        with self._connection.client.start_session(causal_consistency=False) as session:
            for attempt in range(_MOST_ATTEMPTS):
                try:
                    return self._attempt(session, work, deadline, foreseen, recalls=recalls)
                except _Overtaken:
                    recalls = False
                    continue
                except (PyMongoError, StartAgain) as error:
                    foreseen = None
                    if not _worth_another(error):
                        raise refusal(error) from error
                    lost = error
                except Unavailable:
                    if lost is None or time.monotonic() < deadline:
                        raise
                pause = _pause(attempt)
                if time.monotonic() + pause > deadline:
                    break
                time.sleep(pause)
        raise _gave_up(lost) from lost

    def _attempt(
        self,
        session: ClientSession,
        work: Callable[[Transaction], Result],
        deadline: float,
        foreseen: Foreseen | None,
        *,
        recalls: bool,
    ) -> Result:
        """Do it once; `recalls` says whether by what is remembered. Raises the driver's error, or StartAgain, when the
        transaction had no effect.
        """
        ahead = self._read_ahead(foreseen, recalls=recalls) if foreseen else None
        session.start_transaction(ReadConcern("snapshot"), DURABLE)
        try:
            with pymongo.timeout(max(deadline - time.monotonic(), _SHORTEST)):
                transaction = self._begun(session, ahead)
                result = work(transaction)
                kept = transaction.finish()
        except BaseException as error:
            _abort(session)
            if ahead is not None and ahead.unread and isinstance(error, FhirError | StartAgain):
                raise _Overtaken from error
            raise
        if kept:
            _abort(session)
        else:
            _commit(session)
        if ahead is not None and transaction.followable:
            self._remembered.keep(ahead, transaction.taken, transaction.wrote)
        self._done(transaction)
        return result

    def _read_ahead(self, foreseen: Foreseen, *, recalls: bool) -> Ahead | None:
        """What is foreseen; None when it is so much that the transaction had better ask for what it needs."""
        with asking(self._seconds):
            try:
                known = self._remembered.find(plans_of(foreseen)) if recalls else None
                return read_ahead(self._connection, foreseen, known)
            except MoreToCome:
                return None


def _abort(session: ClientSession) -> None:
    """End the transaction without effect, with time of its own: one that is left open holds its plan until the server
    gives it up."""
    if session.in_transaction:
        with pymongo.timeout(ENDING_SECONDS):
            session.abort_transaction()


def _commit(session: ClientSession) -> None:
    """Commit; ask again while the answer is lost, which is harmless: a commit that happened is only confirmed.

    Raises the driver's error when nothing was kept, Unavailable when that stays unknown.
    """
    deadline = time.monotonic() + ENDING_SECONDS
    while True:
        try:
            with pymongo.timeout(max(deadline - time.monotonic(), _SHORTEST)):
                session.commit_transaction()
        except PyMongoError as error:
            if not error.has_error_label("UnknownTransactionCommitResult"):
                raise
            if time.monotonic() > deadline:
                raise Unavailable(UNKNOWN) from error
            time.sleep(_pause(3))
        else:
            return


def _worth_another(error: PyMongoError | StartAgain) -> bool:
    """Whether the transaction had no effect and may get through next time; nobody there is no such case."""
    if isinstance(error, StartAgain):
        return True
    return may_start_again(error) and not isinstance(error, ServerSelectionTimeoutError)


def _gave_up(lost: PyMongoError | StartAgain | None) -> Exception:
    """What to tell when the attempts are over: the others were always first, or nobody answered."""
    if lost is None or isinstance(lost, StartAgain) or getattr(lost, "code", None) in _RACES:
        return VersionConflict(_BUSY)
    return refusal(lost)


def _pause(attempt: int) -> float:
    """Seconds to wait before the next attempt: random, so that two who met do not meet again, and growing."""
    return random.uniform(0, min(_LONGEST_PAUSE, 0.004 * 1.6**attempt))  # noqa: S311 no secret
