"""The process that turns the outbox into notifications. Any number of them may run; each may be killed at any time."""

import logging
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from fhir_server.fhir.dates import now
from fhir_server.fhir.errors import Unavailable
from fhir_server.fhir.faults import raised_at
from fhir_server.store.contract import Store
from fhir_server.store.mongo.delivery.deliveries import MOST_FORGOTTEN, Deliveries, Waiting
from fhir_server.store.mongo.delivery.heartbeats import Heartbeats
from fhir_server.store.mongo.delivery.outbox import BATCH, Outbox
from fhir_server.store.mongo.delivery.queue import Queue
from fhir_server.subscriptions.delivery import Delivery, MayRead
from fhir_server.subscriptions.rest_hook import rest_hook
from fhir_server.subscriptions.topics import subscribes

logger = logging.getLogger(__name__)

POLL = 0.3
CROWDED = 0.02
LONGEST_REST = 10.0
# An endpoint that takes longer than this, or failed, is slow: it counts among the slow ones from then on.
SLOW = 1.0
BEAT = 10.0
TIDYING = 3600.0
QUICK_TURNS = 16
MOST_TURNS = 64


@dataclass(frozen=True)
class _Turn:
    """A turn under way; `slow` when its endpoint was known to be slow or failing."""

    future: Future[int]
    started: float
    slow: bool


class Worker:
    """Sequences and delivers.

    Of the `most` turns that may be under way at once, `quick` are kept for endpoints that answer quickly: however many
    others hang, these find room. `poll` is the rest in seconds when there is nothing to do. Events that were told are
    kept as long as `kept`, for good without it.
    """

    def __init__(
        self,
        outbox: Outbox,
        deliveries: Deliveries,
        delivery: Delivery,
        *,
        clock: Callable[[], datetime] = now,
        poll: float = POLL,
        quick: int = QUICK_TURNS,
        most: int = MOST_TURNS,
        heartbeats: Heartbeats | None = None,
        kept: timedelta | None = None,
    ) -> None:
        self._outbox, self._deliveries, self._delivery = outbox, deliveries, delivery
        self._clock, self._poll, self._quick, self._most = clock, poll, quick, most
        self._turns: dict[str, _Turn] = {}
        self._slow: set[str] = set()
        self._resting: dict[str, float] = {}
        self._heartbeats, self._kept = heartbeats, kept
        self._next_beat = self._next_tidying = 0.0

    def run_once(self) -> int:
        """Number everything, give each waiting Subscription one turn, wait for the end; how many were told."""
        while self._sequence():
            pass
        with ThreadPoolExecutor(self._quick) as threads:
            turns = [threads.submit(self._turn, each.subscription, threading.Event()) for each in self._waiting()]
            wait(turns)
        return sum(turn.result() for turn in turns)

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; then finish the deliveries that are under way."""
        failures = 0
        with ThreadPoolExecutor(self._most, "deliver") as threads:
            while not stop.is_set():
                rests = [self._guarded(step) for step in (self._number_some, lambda: self._give_turns(threads, stop))]
                failures = failures + 1 if None in rests else 0
                if not failures:
                    self._guarded(self._beat)
                    self._guarded(self._tidy)
                rest = min(rest for rest in (*rests, self._poll) if rest is not None)
                stop.wait(rest if not failures else min(self._poll * 2**failures, LONGEST_REST))

    def _guarded(self, step: Callable[[], float]) -> float | None:
        """The rest in seconds that a step asks for, None when it failed: a worker outlives its database's bad days,
        and a queue that cannot be numbered does not keep what is numbered from being delivered."""
        try:
            return step()
        except Exception as error:
            logger.error("The worker met %s", raised_at(error))
            return None

    def _beat(self) -> float:
        """Tell now and then that the steps of the work succeed."""
        if self._heartbeats is not None and monotonic() >= self._next_beat:
            self._heartbeats.beat(self._clock())
            self._next_beat = monotonic() + BEAT
        return self._poll

    def _tidy(self) -> float:
        """Forget some of what was told long ago; correctness never waits for it."""
        if self._kept is not None and monotonic() >= self._next_tidying:
            gone = self._deliveries.forget(self._clock() - self._kept)
            self._next_tidying = monotonic() + (0.0 if gone == MOST_FORGOTTEN else TIDYING)
        return self._poll

    def _number_some(self) -> float:
        return 0.0 if self._sequence() >= BATCH else self._poll

    def _sequence(self) -> int:
        moment = self._clock()
        return self._outbox.sequence(
            lambda subscription, entry: subscribes(subscription, entry, moment), moment, passed_over=self._set_aside
        )

    def _set_aside(self, subscription: str, version: int) -> None:
        """Tell the owner of a Subscription that nothing is numbered for it; the others never wait for that."""
        try:
            self._delivery.set_aside(subscription, version)
        except Exception as error:
            logger.error("Subscription/%s: not told that it has an error: %s", subscription, raised_at(error))

    def _waiting(self) -> list[Waiting]:
        return self._deliveries.waiting(self._clock())

    def _give_turns(self, threads: ThreadPoolExecutor, stop: threading.Event) -> float:
        """Start the turns that there is room for."""
        self._turns = {id: turn for id, turn in self._turns.items() if not turn.future.done()}
        crowded = False
        for each in self._waiting():
            id, moment = each.subscription, monotonic()
            if id in self._turns or self._resting.get(id, 0) > moment:
                continue
            slow = each.failing or id in self._slow
            if self._has_room(slow, moment):
                self._turns[id] = _Turn(threads.submit(self._turn, id, stop), moment, slow)
            else:
                crowded = crowded or not slow
        return CROWDED if crowded else self._poll

    def _has_room(self, slow: bool, moment: float) -> bool:
        held = sum(turn.slow or moment - turn.started > SLOW for turn in self._turns.values())
        if slow:
            return held < self._most - self._quick
        return len(self._turns) - held < self._quick and len(self._turns) < self._most

    def _turn(self, subscription: str, stop: threading.Event) -> int:
        """One turn; what goes wrong in it is logged without any content, and stays with this Subscription."""
        started, told = monotonic(), 0
        try:
            told = self._delivery.take_turn(subscription, stop.is_set)
        except Exception as error:
            logger.error("Subscription/%s: the turn ended with %s", subscription, raised_at(error))
            self._resting[subscription] = monotonic() + LONGEST_REST
        else:
            self._resting.pop(subscription, None)
        if (monotonic() - started) / max(told, 1) > SLOW:
            self._slow.add(subscription)
        else:
            self._slow.discard(subscription)
        return told


def main(
    store: Store,
    queue: Queue,
    *,
    base_url: str,
    may_read: MayRead,
    http_endpoints: bool,
    kept: timedelta | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Run a worker on `queue` until SIGTERM or SIGINT; deliveries under way are finished first (10 s
    at most). `stop` ends it as well; where it is given, the signals stay with the caller.
    """
    if stop is None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_, ended=stop: ended.set())
    delivery = Delivery(
        store,
        queue.deliveries,
        base_url=base_url,
        may_read=may_read,
        post=rest_hook(http_endpoints=http_endpoints),
        http_endpoints=http_endpoints,
    )
    _prepare(queue, stop)
    Worker(queue.outbox, queue.deliveries, delivery, heartbeats=queue.heartbeats, kept=kept).run(stop)


def _prepare(queue: Queue, stop: threading.Event) -> None:
    """Prepare the queue as soon as its database answers, unless `stop` is set before."""
    while not stop.is_set():
        try:
            queue.outbox.prepare()
            queue.heartbeats.prepare()
        except Unavailable as error:
            logger.error("The worker begins as soon as the database answers; it met %s", raised_at(error))
            stop.wait(LONGEST_REST)
        else:
            return
