"""One POST to one endpoint, within one deadline.

Plain `http.client` rather than a session library: no redirect is followed, no proxy, netrc or cookie is picked up from
the surroundings, no body is read, and a receiver that trickles bytes cannot hold a thread past the deadline.
"""

import io
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from time import monotonic
from typing import cast
from urllib.parse import SplitResult, urlsplit

from fhir_server.subscriptions.endpoints import may_connect

_MOST_ADDRESSES = 4
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Answer:
    """What an endpoint did: `reason` is None when it accepted, else a few words without anything of its own text."""

    reason: str | None = None

    @property
    def accepted(self) -> bool:
        """Whether the answer was a 2xx."""
        return self.reason is None


Post = Callable[[str, Mapping[str, str], bytes, float], Answer]


def rest_hook(*, http_endpoints: bool, trust: ssl.SSLContext | None = None) -> Post:
    """A function that POSTs (endpoint, headers, body, timeout in seconds) and tells what became of it; never raises
    for what a receiver or the network does. `trust` replaces the machine's certificate authorities.
    """
    context = trust or ssl.create_default_context()

    def post(endpoint: str, headers: Mapping[str, str], body: bytes, timeout: float) -> Answer:
        deadline = _Deadline(timeout)
        try:
            return _answer(_exchange(urlsplit(endpoint), headers, body, deadline, context, http_endpoints))
        except (OSError, HTTPException, ValueError) as error:
            return Answer(_in_words(error))

    return post


class _Deadline:
    """A moment that the whole exchange shares."""

    def __init__(self, seconds: float) -> None:
        self._end = monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left; raises TimeoutError when there are none."""
        left = self._end - monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _TimedSocket:
    """What http.client needs of a socket, each step of it under the deadline."""

    def __init__(self, raw: socket.socket, deadline: _Deadline) -> None:
        self._raw, self._deadline = raw, deadline

    def sendall(self, data: bytes) -> None:
        self._raw.settimeout(self._deadline.remaining())
        self._raw.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._raw, self._deadline), 2048)

    def close(self) -> None:
        self._raw.close()


class _TimedReader(io.RawIOBase):
    def __init__(self, raw: socket.socket, deadline: _Deadline) -> None:
        self._raw, self._deadline = raw, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview[int]") -> int:  # type: ignore[override]
        self._raw.settimeout(self._deadline.remaining())
        return self._raw.recv_into(buffer)


def _exchange(
    url: SplitResult,
    headers: Mapping[str, str],
    body: bytes,
    deadline: _Deadline,
    context: ssl.SSLContext,
    http_endpoints: bool,
) -> int:
    host, port = url.hostname or "", url.port or _PORTS[url.scheme]
    raw = _connect(host, port, deadline, http_endpoints)
    try:
        connection: HTTPConnection
        if url.scheme == "https":
            raw.settimeout(deadline.remaining())
            raw = context.wrap_socket(raw, server_hostname=host)
            connection = HTTPSConnection(host, port, context=context)
        else:
            connection = HTTPConnection(host, port)
        connection.sock = cast(socket.socket, _TimedSocket(raw, deadline))
        connection.request("POST", url.path or "/", body, {**headers, "Connection": "close"})
        return connection.getresponse().status
    finally:
        raw.close()


def _connect(host: str, port: int, deadline: _Deadline, http_endpoints: bool) -> socket.socket:
    """A connection to the first address of the host that is admitted and answers.

    The address is judged after the name was resolved, so a name cannot be turned to loopback later.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure: OSError = _NotAdmitted()
    for family, kind, protocol, _, address in found[:_MOST_ADDRESSES]:
        if not may_connect(str(address[0]), http_endpoints=http_endpoints):
            continue
        raw = socket.socket(family, kind, protocol)
        try:
            raw.settimeout(deadline.remaining())
            raw.connect(address)
        except OSError as error:
            raw.close()
            failure = error
        else:
            return raw
    raise failure


class _NotAdmitted(OSError):
    """Every address of the host is one that a receiver cannot have."""


def _answer(status: int) -> Answer:
    if 200 <= status < 300:
        return Answer()
    if 300 <= status < 400:
        return Answer(f"answered {status}; redirects are not followed")
    return Answer(f"answered {status}")


_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (_NotAdmitted, "lies at an address that notifications do not go to"),
    (TimeoutError, "did not answer in time"),
    (ssl.SSLCertVerificationError, "shows a certificate that is not trusted"),
    (ssl.SSLError, "did not agree on TLS"),
    (socket.gaierror, "has a name that does not resolve"),
    (ConnectionRefusedError, "refused the connection"),
    (OSError, "could not be reached"),
    (HTTPException, "did not speak HTTP"),
)


def _in_words(error: Exception) -> str:
    return next((words for kind, words in _WORDS if isinstance(error, kind)), "did not speak HTTP")
