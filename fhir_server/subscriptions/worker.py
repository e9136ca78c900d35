"""The process that turns the outbox into notifications. Any number of them may run; each may be killed at any time."""

import logging
import signal
import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime
from time import monotonic

from fhir_server.fhir.dates import now
from fhir_server.store.contract import Store
from fhir_server.store.mongo.deliveries import Deliveries, Waiting
from fhir_server.store.mongo.outbox import BATCH, Outbox
from fhir_server.subscriptions.delivery import Delivery, MayRead
from fhir_server.subscriptions.rest_hook import rest_hook
from fhir_server.subscriptions.topics import subscribes

logger = logging.getLogger(__name__)

POLL = 0.3
THREADS = 8
# An endpoint that took longer than this, or failed, takes its next turn in the slow lane.
SLOW = 1.0
LONGEST_REST = 10.0


class Worker:
    """Sequences and delivers.

    Endpoints that were slow or failed share a lane of threads of their own, so that however many of them there are,
    the others find theirs free. `poll` is the rest in seconds when there is nothing to do.
    """

    def __init__(
        self,
        outbox: Outbox,
        deliveries: Deliveries,
        delivery: Delivery,
        *,
        clock: Callable[[], datetime] = now,
        poll: float = POLL,
        threads: int = THREADS,
    ) -> None:
        self._outbox, self._deliveries, self._delivery = outbox, deliveries, delivery
        self._clock, self._poll, self._threads = clock, poll, threads
        self._slow: set[str] = set()
        self._resting: dict[str, float] = {}
        self._turns: dict[str, Future[int]] = {}

    def run_once(self) -> int:
        """Number everything, give each waiting Subscription one turn, wait for the end; how many were told."""
        while self._sequence():
            pass
        with ThreadPoolExecutor(self._threads) as lane:
            turns = [lane.submit(self._turn, w.subscription, threading.Event()) for w in self._waiting()]
            wait(turns)
        return sum(turn.result() for turn in turns)

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; then finish the deliveries that are under way."""
        quick, slow = (ThreadPoolExecutor(self._threads, f"deliver-{lane}") for lane in ("quick", "slow"))
        rest = self._poll
        try:
            while not stop.is_set():
                try:
                    full = self._sequence() >= BATCH
                    self._give_turns(self._waiting(), quick, slow, stop)
                    rest = 0.0 if full else self._poll
                except Exception as error:  # a worker outlives whatever happens to its database
                    rest = min(max(rest, self._poll) * 2, LONGEST_REST)
                    logger.error("The worker met %s; it looks again in %.1f s.", _place(error), rest)
                stop.wait(rest)
        finally:
            for lane in (quick, slow):
                lane.shutdown(wait=True, cancel_futures=True)

    def _sequence(self) -> int:
        moment = self._clock()
        return self._outbox.sequence(lambda subscription, entry: subscribes(subscription, entry, moment), moment)

    def _waiting(self) -> list[Waiting]:
        return self._deliveries.waiting(self._clock())

    def _give_turns(
        self, waiting: Sequence[Waiting], quick: ThreadPoolExecutor, slow: ThreadPoolExecutor, stop: threading.Event
    ) -> None:
        self._turns = {id: turn for id, turn in self._turns.items() if not turn.done()}
        for each in waiting:
            if each.subscription not in self._turns and self._resting.get(each.subscription, 0) < monotonic():
                lane = slow if each.failing or each.subscription in self._slow else quick
                self._turns[each.subscription] = lane.submit(self._turn, each.subscription, stop)

    def _turn(self, subscription: str, stop: threading.Event) -> int:
        """One turn; what goes wrong in it is logged without any content, and stays with this Subscription."""
        started, told = monotonic(), 0
        try:
            told = self._delivery.take_turn(subscription, stop.is_set)
        except Exception as error:
            logger.error("Subscription/%s: the turn ended with %s", subscription, _place(error))
            self._resting[subscription] = monotonic() + LONGEST_REST
        else:
            self._resting.pop(subscription, None)
        if (monotonic() - started) / max(told, 1) > SLOW:
            self._slow.add(subscription)
        else:
            self._slow.discard(subscription)
        return told


def _place(error: Exception) -> str:
    """The kind of an error and where it was raised; never its message, which may hold what it was about."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"


def main(
    store: Store,
    outbox: Outbox,
    deliveries: Deliveries,
    *,
    base_url: str,
    may_read: MayRead,
    http_endpoints: bool,
    stop: threading.Event | None = None,
) -> None:
    """Run a worker until SIGTERM or SIGINT; deliveries under way are finished first (10 s at most).

    `stop` ends it as well; where it is given, the signals stay with the caller.
    """
    if stop is None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_, ended=stop: ended.set())
    outbox.prepare()
    post = rest_hook(http_endpoints=http_endpoints)
    delivery = Delivery(
        store, deliveries, base_url=base_url, may_read=may_read, post=post, http_endpoints=http_endpoints
    )
    Worker(outbox, deliveries, delivery).run(stop)
