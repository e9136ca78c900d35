"""What several threads of this process ask for at the same moment goes out as one.

A command costs the driver and MongoDB more than what one document adds to it. So while a command is on its way, whoever
comes waits for the next one, which takes along all who wait. Nobody joins one that has already left: what is answered
is never older than the question. A thread that finds nobody under way goes at once, so a quiet server never waits.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from functools import partial
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")


def in_own_time(
    send: Callable[[Sequence[Asked]], Sequence[Answered]],
) -> Callable[[Sequence[Asked]], Sequence[Answered]]:
    """`send` in a context of its own: a time limit of the thread that sends is not the others'."""
    return lambda asked: Context().run(send, asked)


class Interrupted(RuntimeError):
    """Who asked for others was ended while it did; what became of what they asked, nobody knows."""


class Together(Generic[Asked, Answered]):
    """Sends what is asked by `send`, `most` at once; it gives as many answers as it was asked, in their order.

    An error of `send` is everybody's whose question it took along; what interrupts the thread that sends is Interrupted
    to the others. `send` must end by itself within bounded time, for those who come meanwhile wait for it.
    """

    def __init__(self, send: Callable[[Sequence[Asked]], Sequence[Answered]], *, most: int = 50) -> None:
        self._send = send
        self._most = most
        self._under_way = False
        self._lock = threading.Lock()
        self._queue: deque[_Place[Asked, Answered]] = deque()

    def ask(self, asked: Asked) -> Answered:
        """The answer, after one or two times of `send`. Raises whatever it raises."""
        own: _Place[Asked, Answered] = _Place(asked)
        with self._lock:
            waits = self._under_way
            if waits:
                own.turn.acquire()  # let go of by the thread that answers, or that hands on the lead
                self._queue.append(own)
            else:
                self._under_way = True
                own.leads = [own]
        if waits:
            self._wait(own)
        if own.leads:
            along, own.leads = own.leads, ()  # no circle: what was asked and answered goes as soon as it is done with
            self._lead(own, along)
        if own.error is not None:
            raise own.error
        return own.answers[0]

    def _wait(self, own: "_Place[Asked, Answered]") -> None:
        """Return when it is answered or leads; whoever is interrupted leaves the others as if it had never come."""
        try:
            own.turn.acquire()
        except BaseException:
            with self._lock:
                if own in self._queue:
                    self._queue.remove(own)
                others = [place for place in own.leads if place is not own]
                self._queue.extendleft(reversed(others))
            if own.leads:
                self._hand_on()
            raise

    def _lead(self, own: "_Place[Asked, Answered]", along: "Sequence[_Place[Asked, Answered]]") -> None:
        """Send for all of them; let the next go before these are told, for they have waited less."""
        try:
            answers = self._send([place.asked for place in along])
            for place, answer in zip(along, answers, strict=True):
                place.answers.append(answer)
        except BaseException as error:  # the others must not wait for ever, whatever ended this one
            told = error if isinstance(error, Exception) else Interrupted("the thread that asked for others ended")
            for place in along:
                place.error = told
            raise
        finally:
            self._hand_on()
            for place in along:
                if place is not own:
                    place.turn.release()

    def _hand_on(self) -> None:
        """Let the first of those who wait go, with as many as may; or nobody."""
        with self._lock:
            following = [self._queue.popleft() for _ in range(min(self._most, len(self._queue)))]
            self._under_way = bool(following)
            if following:
                following[0].leads = following
                following[0].turn.release()


class TogetherByKind(Generic[Asked, Answered]):
    """Sends together what is asked of the same kind, each time in a context of its own; no kind waits for another.

    `send` is told the kind; else it is as that of Together.
    """

    def __init__(self, send: Callable[[str, Sequence[Asked]], Sequence[Answered]], *, most: int = 50) -> None:
        self._send = send
        self._most = most
        self._making = threading.Lock()
        self.by_kind: dict[str, Together[Asked, Answered]] = {}
        """Those that were asked so far."""

    def ask(self, kind: str, asked: Asked) -> Answered:
        """The answer, as Together gives it."""
        together = self.by_kind.get(kind)
        if together is None:
            made = Together(in_own_time(partial(self._send, kind)), most=self._most)
            with self._making:
                together = self.by_kind.setdefault(kind, made)
        return together.ask(asked)


class _Place(Generic[Asked, Answered]):
    """One question: where its thread waits, and what became of it."""

    __slots__ = ("answers", "asked", "error", "leads", "turn")

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.answers: list[Answered] = []
        self.error: Exception | None = None
        self.leads: Sequence[_Place[Asked, Answered]] = ()
        self.turn = threading.Lock()
