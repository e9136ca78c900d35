"""A small HTTP client that keeps many connections busy from one thread, and times every answer.

A conversation is a generator: it yields the next request of one connection and is given its answer, so a request may
follow from what was answered before. Conversations and connections outlive a round.
"""

import selectors
import socket
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import TypeAlias

_PATIENCE = 60.0


@dataclass(frozen=True)
class Request:
    """The bytes of one request, the name under which its time is kept, and the status that it must be answered with."""

    label: str
    raw: bytes
    expected: int = 200


@dataclass(frozen=True)
class Answer:
    """Status and body."""

    status: int
    body: bytes


Conversation: TypeAlias = Generator[Request, Answer, None]


@dataclass(frozen=True)
class Round:
    """What one round brought: seconds of each answer, by label, how long the round lasted, and the processor's seconds
    that the server and the database spent in it."""

    lasted: float
    seconds: Mapping[str, list[float]]
    processor: float = float("nan")

    @property
    def answers(self) -> int:
        """How many answers came in time."""
        return sum(map(len, self.seconds.values()))

    @property
    def per_second(self) -> float:
        """Answers in a second."""
        return self.answers / self.lasted

    @property
    def per_processor_second(self) -> float:
        """Answers for each second of a processor that the server and the database spent."""
        return self.answers / self.processor

    def median(self, label: str | None = None) -> float:
        """The median time of an answer in seconds, of one label or of all."""
        found = self.seconds.get(label, []) if label else [each for some in self.seconds.values() for each in some]
        return statistics.median(found) if found else float("nan")


class WrongAnswer(RuntimeError):
    """A request was answered otherwise than the scenario says; such a round would measure something else."""


def request(method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """The bytes of an HTTP/1.1 request."""
    told = {"Host": "127.0.0.1", "Accept": "application/fhir+json", **headers}
    if body:
        told |= {"Content-Type": "application/fhir+json", "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def repeating(requests: Iterable[Request]) -> Conversation:
    """The same requests over and over, whatever is answered."""
    for each in cycle(requests):  # noqa: UP028 what is sent into `yield from` would reach the iterator
        yield each


def spread_over(requests: Sequence[Request], connections: int) -> list[Conversation]:
    """The same requests on every connection, each beginning elsewhere."""
    apart = max(1, len(requests) // connections)
    return [repeating(_from(requests, number * apart)) for number in range(connections)]


def _from(requests: Sequence[Request], first: int) -> list[Request]:
    first %= len(requests)
    return [*requests[first:], *requests[:first]]


@dataclass
class _Line:
    """One connection with its conversation, what it waits for and since when."""

    socket: socket.socket
    conversation: Conversation
    next: Request | None
    sent: float = 0.0
    waits: bool = False
    received: bytearray = field(default_factory=bytearray)

    def ask(self) -> None:
        if self.next is not None:
            self.socket.setblocking(True)
            self.socket.sendall(self.next.raw)
            self.socket.setblocking(False)
            self.sent, self.waits = time.perf_counter(), True

    def take(self) -> tuple[str, float] | None:
        """Read what has come; the label and time of the answer once it is whole."""
        try:
            data = self.socket.recv(1 << 18)
        except BlockingIOError:
            return None
        if not data:
            raise WrongAnswer("the server closed a connection")
        self.received += data
        answer = _whole_answer(self.received)
        if answer is None or self.next is None:
            return None
        took = time.perf_counter() - self.sent
        asked, self.waits = self.next, False
        self.received.clear()
        if answer.status != asked.expected:
            raise WrongAnswer(f"{asked.label}: {answer.status} instead of {asked.expected}: {answer.body[:500]!r}")
        self.next = _following(self.conversation, answer)
        return asked.label, took


class Crowd:
    """One of the connections for each conversation; `processor` tells the seconds spent behind them so far."""

    def __init__(
        self,
        connected: Iterable[socket.socket],
        conversations: Iterable[Conversation],
        processor: Callable[[], float] = lambda: float("nan"),
    ) -> None:
        self._selector = selectors.DefaultSelector()
        self._processor = processor
        self._lines = [self._line(each, talk) for each, talk in zip(connected, conversations, strict=True)]

    def round(self, seconds: float) -> Round:
        """Keep every connection busy for so long; answers that come later are taken in but not counted."""
        found: dict[str, list[float]] = defaultdict(list)
        spent = self._processor()
        begun = time.perf_counter()
        end = begun + seconds
        for line in self._lines:
            line.ask()
        while any(line.waits for line in self._lines):
            ready = self._selector.select(_PATIENCE)
            if not ready:
                raise WrongAnswer(f"no answer within {_PATIENCE:.0f} s")
            for key, _ in ready:
                done = key.data.take()
                now = time.perf_counter()
                if done and now <= end:
                    found[done[0]].append(done[1])
                    key.data.ask()
        return Round(min(seconds, time.perf_counter() - begun), found, self._processor() - spent)

    def close(self) -> None:
        """Hang up."""
        for line in self._lines:
            self._selector.unregister(line.socket)
            line.socket.close()
        self._selector.close()

    def _line(self, connected: socket.socket, conversation: Conversation) -> _Line:
        line = _Line(connected, conversation, next(conversation, None))
        self._selector.register(connected, selectors.EVENT_READ, line)
        return line


def _following(conversation: Conversation, answer: Answer) -> Request | None:
    try:
        return conversation.send(answer)
    except StopIteration:
        return None


def _whole_answer(received: bytearray) -> Answer | None:
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(received[:end]).lower()
    at = head.find(b"content-length:")
    if at < 0:
        raise WrongAnswer("an answer without Content-Length")
    length = int(head[at + 15 :].split(b"\r\n", 1)[0])
    if len(received) < end + 4 + length:
        return None
    return Answer(int(head[9:12]), bytes(received[end + 4 : end + 4 + length]))
