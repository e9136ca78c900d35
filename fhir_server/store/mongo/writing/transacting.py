"""How a transaction gets through: attempts, each after what it foresees was read, until one is kept."""

import random
import time
from collections.abc import Callable
from contextlib import closing

import pymongo
from pymongo.errors import PyMongoError, ServerSelectionTimeoutError

from fhir_server.fhir.errors import FhirError, Unavailable
from fhir_server.fhir.reference import parse_reference
from fhir_server.store.contract import Result, Transaction
from fhir_server.store.mongo.connection import (
    Connection,
    MoreToCome,
    asking,
    may_start_again,
    refusal,
)
from fhir_server.store.mongo.writing.ahead import Ahead, plans_of, read_ahead
from fhir_server.store.mongo.writing.committing import SHORTEST, Committing, Unknown
from fhir_server.store.mongo.writing.lately_seen import LatelySeen
from fhir_server.store.mongo.writing.own_session import OwnSession
from fhir_server.store.mongo.writing.parts import Parts
from fhir_server.store.mongo.writing.remembered import Remembered
from fhir_server.store.mongo.writing.transaction import MongoTransaction
from fhir_server.store.mongo.writing.unit import StartAgain, Taken, Unit
from fhir_server.store.values import Foreseen

_MOST_ATTEMPTS = 1_000
# WriteConflict; NoSuchTransaction, which follows it when the first one was not heeded; LockTimeout.
_RACES = {112, 251, 24}

_BUSY = "Others are changing the same plan all the time, and this change never had its turn. Try again in a while."
# Who reads before it writes finds it the second time; who does not would try for ever.
_MOST_TAKEN = 3
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
        begun: Callable[[OwnSession, Ahead | None], MongoTransaction],
        done: Callable[[MongoTransaction], None],
        remembered: Remembered,
        committing: Committing,
        seconds: float,
        write_seconds: float,
    ) -> None:
        self._connection = connection
        self._begun = begun
        self._done = done
        self._remembered = remembered
        self._lately_seen = LatelySeen()
        self._committing = committing
        self._parts = Parts(connection, seconds)
        self._seconds = seconds
        self._write_seconds = write_seconds

    def run(self, work: Callable[[Transaction], Result], foreseen: Foreseen | None) -> Result:
        """What `work` gives when it is kept. Raises Unavailable when it never gets through, or nobody answers."""
        deadline = time.monotonic() + self._write_seconds
        lost: PyMongoError | StartAgain | None = None
        recalls, found_taken = True, 0
        with closing(OwnSession(self._connection)) as session:
            for attempt in range(_MOST_ATTEMPTS):
                try:
                    return self._attempt(session, work, deadline, foreseen, recalls=recalls)
                except _Overtaken:
                    recalls = False
                    continue
                except (PyMongoError, StartAgain) as error:
                    foreseen = None
                    found_taken += isinstance(error, Taken)
                    if not _worth_another(error) or found_taken > _MOST_TAKEN:
                        raise refusal(_met_with(error)) from error
                    lost = error.with_traceback(None)  # which leads here, and would keep all of it from going
                except Unknown:
                    raise
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
        session: OwnSession,
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
        try:
            with pymongo.timeout(max(deadline - time.monotonic(), SHORTEST)):
                transaction = self._begun(session, ahead)
                result = work(transaction)
                rest = transaction.finish(deadline)
            self._end(session, transaction, rest, deadline)
        except Unknown:
            raise
        except BaseException as error:
            session.abort()
            if ahead is not None and ahead.unread and isinstance(error, FhirError | StartAgain):
                raise _Overtaken from error
            raise
        if ahead is not None and transaction.followable:
            self._remembered.keep(ahead, transaction.taken, transaction.wrote)
        self._lately_seen.drop(transaction.wrote.changed)
        self._done(transaction)
        return result

    def _end(self, session: OwnSession, transaction: MongoTransaction, rest: Unit | None, deadline: float) -> None:
        """Keep what is left to be written: in its session when anything was asked or sent there, else with others."""
        if rest is None or not session.in_use:
            session.abort()
            if rest is not None:
                with transaction.proving():
                    self._committing.keep(rest, deadline)
            return
        with pymongo.timeout(max(deadline - time.monotonic(), SHORTEST)):
            transaction.send(rest)
        session.commit()

    def _read_ahead(self, foreseen: Foreseen, *, recalls: bool) -> Ahead | None:
        """What is foreseen; None when it is so much that the transaction had better ask for what it needs."""
        lasting = [(each.type, each.id) for each in map(parse_reference, foreseen.lasting) if each]
        seen = self._lately_seen.find(lasting) if recalls else {}
        moment = self._lately_seen.moment()
        with asking(self._seconds):
            try:
                known = self._remembered.find(plans_of(foreseen)) if recalls else None
                ahead = read_ahead(self._parts, foreseen, known, seen)
            except MoreToCome:
                return None
        self._lately_seen.keep({key: ahead.stored.get(key) for key in lasting if key not in seen}, moment)
        return ahead


def _worth_another(error: PyMongoError | StartAgain) -> bool:
    """Whether the transaction had no effect and may get through next time; nobody there is no such case."""
    if isinstance(error, StartAgain):
        return True
    return may_start_again(error) and not isinstance(error, ServerSelectionTimeoutError)


def _met_with(error: PyMongoError | StartAgain) -> Exception:
    """What an attempt met with in the database."""
    cause = error.__cause__ if isinstance(error, StartAgain) else None
    return cause if isinstance(cause, Exception) else error


def _gave_up(lost: PyMongoError | StartAgain | None) -> Exception:
    """What to tell when the attempts are over: the others were always first, or nobody answered."""
    if lost is None or isinstance(lost, StartAgain) or getattr(lost, "code", None) in _RACES:
        return Unavailable(_BUSY)
    return refusal(lost)


def _pause(attempt: int) -> float:
    """Seconds to wait before the next attempt: random, so that two who met do not meet again, and growing."""
    return random.uniform(0, min(_LONGEST_PAUSE, 0.004 * 1.6**attempt))  # noqa: S311 no secret
