"""A subscriber's endpoint: a real HTTP server on loopback that keeps what it is sent."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    """One POST."""

    path: str
    headers: Mapping[str, str]
    bundle: dict[str, Any]

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the status, each as its value; `notification-event` as a dict of its parts."""
        return {p["name"]: _value(p) for p in self.bundle["entry"][0]["resource"]["parameter"]}

    @property
    def kind(self) -> str:
        """handshake, heartbeat or event-notification."""
        return str(self.parameters["type"])

    @property
    def number(self) -> int:
        """The event's number; 0 for what is no event."""
        return int(self.parameters.get("notification-event", {}).get("event-number", 0))

    @property
    def focus(self) -> str | None:
        """The event's focus as it was sent."""
        focus = self.parameters.get("notification-event", {}).get("focus")
        return focus["reference"] if focus else None


class Receiver:
    """What one endpoint received. `answer` decides the status of each POST, and may wait or raise."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answer: Callable[[Received], int] = lambda _: 204
        self.headers: dict[str, str] = {}
        self.url = ""
        self._arrived = threading.Condition()

    @property
    def events(self) -> list[Received]:
        """The events in the order in which they came, repeats included."""
        return [each for each in self.received if each.kind == "event-notification"]

    @property
    def numbers(self) -> list[int]:
        """Their numbers."""
        return [each.number for each in self.events]

    def keep(self, received: Received) -> None:
        """Keep one POST, and wake who waits for it."""
        with self._arrived:
            self.received.append(received)
            self._arrived.notify_all()

    def wait_for(self, condition: Callable[["Receiver"], bool], seconds: float = 60.0) -> float:
        """Wait until `condition` holds; how long it took. Raises AssertionError when it does not."""
        started = time.monotonic()
        with self._arrived:
            assert self._arrived.wait_for(lambda: condition(self), seconds), f"only {self.received} arrived"
        return time.monotonic() - started


@contextmanager
def listening() -> Iterator[Receiver]:
    """A receiver that listens until the end of the block."""
    receiver = Receiver()

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received = Received(self.path, dict(self.headers), body)
            receiver.keep(received)
            self.send_response(receiver.answer(received))
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: object) -> None:
            """A sender that hung up, or a test that let the answer fail."""

    with Server(("127.0.0.1", 0), Endpoint) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}/notify"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


def _value(parameter: dict[str, Any]) -> Any:
    if "part" in parameter:
        return {part["name"]: _value(part) for part in parameter["part"]}
    return next(value for name, value in parameter.items() if name.startswith("value"))
