"""What is asked together: who goes with whom, and what becomes of errors."""

import os
import signal
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar

import pytest

from fhir_server.store import together as together_module
from fhir_server.store.together import Interrupted, Together, in_own_time
from tests.patience import until

LONG = 60.0


class _Slow:
    """Answers each question by its double, when it is let; knows what went together."""

    def __init__(self) -> None:
        self.sent: list[list[int]] = []
        self.begun = threading.Semaphore(0)
        self.may_answer = threading.Semaphore(0)
        self.fails: BaseException | None = None

    def __call__(self, asked: Sequence[int]) -> list[int]:
        self.sent.append(list(asked))
        self.begun.release()
        assert self.may_answer.acquire(timeout=LONG)
        if self.fails is not None:
            raise self.fails
        return [2 * each for each in asked]


def _asked_one_by_one(
    pool: ThreadPoolExecutor, together: Together[int, int], numbers: Sequence[int]
) -> list[Future[int]]:
    """Each asks when the one before is in the queue."""
    futures = []
    for number in numbers:
        waiting = len(together._queue)
        futures.append(pool.submit(together.ask, number))
        until(lambda before=waiting: len(together._queue) > before)
    return futures


class _Turn:
    """A lock that knows whether somebody came to wait for it."""

    def __init__(self) -> None:
        self.awaited = False
        self._lock = threading.Lock()

    def acquire(self) -> None:
        self.awaited = self._lock.locked()
        self._lock.acquire()

    def release(self) -> None:
        self._lock.release()


class _Watched(together_module._Place[int, int]):
    """A question whose turn is watched."""

    def __init__(self, asked: int) -> None:
        super().__init__(asked)
        self.turn = _Turn()


def _interrupt_when_waiting(together: Together[int, int], asked: int) -> None:
    """Interrupt the main thread as soon as it waits for its answer, and not while it is on its way there."""
    until(lambda: any(each.asked == asked and each.turn.awaited for each in list(together._queue)))
    os.kill(os.getpid(), signal.SIGALRM)


def test_who_comes_while_a_question_is_on_its_way_goes_with_the_next() -> None:
    send = _Slow()
    together = Together(send)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(together.ask, 1)
        assert send.begun.acquire(timeout=LONG)
        others = _asked_one_by_one(pool, together, [2, 3, 4])
        assert send.sent == [[1]]
        send.may_answer.release(2)
        assert first.result(LONG) == 2
        assert [each.result(LONG) for each in others] == [4, 6, 8]
    assert send.sent == [[1], [2, 3, 4]]


def test_no_more_go_together_than_may() -> None:
    send = _Slow()
    together = Together(send, most=2)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(together.ask, 1)
        assert send.begun.acquire(timeout=LONG)
        others = _asked_one_by_one(pool, together, [2, 3, 4])
        send.may_answer.release(3)
        assert [each.result(LONG) for each in [first, *others]] == [2, 4, 6, 8]
    assert send.sent == [[1], [2, 3], [4]]


def test_a_time_limit_of_the_thread_that_sends_is_not_the_others() -> None:
    limit: ContextVar[int | None] = ContextVar("limit", default=None)
    together = Together[int, int | None](in_own_time(lambda asked: [limit.get() for _ in asked]))
    limit.set(1)
    assert together.ask(1) is None


@pytest.mark.parametrize("first_in_line", [True, False])
def test_who_is_interrupted_while_it_waits_leaves_the_others_unharmed(
    first_in_line: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the main thread can be interrupted where it waits; the tests run in it."""
    monkeypatch.setattr(together_module, "_Place", _Watched)
    send = _Slow()
    together = Together(send)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with ThreadPoolExecutor(8) as pool:
            first = pool.submit(together.ask, 1)
            assert send.begun.acquire(timeout=LONG)
            earlier = [] if first_in_line else _asked_one_by_one(pool, together, [2])
            pool.submit(_interrupt_when_waiting, together, 3)
            with pytest.raises(KeyboardInterrupt):
                together.ask(3)
            later = _asked_one_by_one(pool, together, [4])
            send.may_answer.release(3)
            assert [each.result(LONG) for each in [first, *earlier, *later]] == ([2, 8] if first_in_line else [2, 4, 8])
    finally:
        signal.signal(signal.SIGALRM, before)
    assert 3 not in [each for sent in send.sent for each in sent]


@pytest.mark.parametrize(("error", "told"), [(ValueError("no"), ValueError), (SystemExit(3), Interrupted)])
def test_an_error_is_that_of_all_who_went_along_and_of_nobody_else(
    error: BaseException, told: type[BaseException]
) -> None:
    send = _Slow()
    together = Together(send)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(together.ask, 1)
        assert send.begun.acquire(timeout=LONG)
        leading, following = _asked_one_by_one(pool, together, [2, 3])
        send.may_answer.release()
        assert first.result(LONG) == 2
        assert send.begun.acquire(timeout=LONG)
        later = _asked_one_by_one(pool, together, [4])
        send.fails = error
        send.may_answer.release()
        assert leading.exception(LONG) is error
        assert type(following.exception(LONG)) is told
        assert send.begun.acquire(timeout=LONG)
        send.fails = None
        send.may_answer.release()
        assert later[0].result(LONG) == 8
        send.may_answer.release()
        assert together.ask(5) == 10
    assert send.sent == [[1], [2, 3], [4], [5]]


def test_too_few_answers_are_an_error_for_all() -> None:
    together = Together[int, int](lambda asked: [])
    with pytest.raises(ValueError, match="shorter"):
        together.ask(1)
    with pytest.raises(ValueError, match="shorter"):
        together.ask(2)


@pytest.mark.usefixtures("no_collector")
def test_what_was_answered_goes_without_the_collector() -> None:
    """A page of twenty resources that lay in a circle would stay for a hundred requests more."""

    class Found:
        pass

    together = Together[int, Found](lambda asked: [Found() for _ in asked])
    left = weakref.ref(together.ask(1))

    assert left() is None


def test_everybody_is_answered_his_own_question_by_a_later_answer() -> None:
    """What is asked after a change is never answered from before it."""
    state = 0
    changing = threading.Lock()

    def send(asked: Sequence[int]) -> list[tuple[int, int]]:
        return [(each, state) for each in asked]

    together = Together[int, tuple[int, int]](send, most=5)

    def change_and_ask(number: int) -> None:
        nonlocal state
        for turn in range(200):
            with changing:
                state += 1
                mine = state
            asked, seen = together.ask(number * 1000 + turn)
            assert asked == number * 1000 + turn
            assert seen >= mine

    with ThreadPoolExecutor(12) as pool:
        for each in [pool.submit(change_and_ask, number) for number in range(12)]:
            each.result(LONG)
