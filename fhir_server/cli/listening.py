"""The address that a server listens on is its own: nobody else's, and nobody else gets it while the server lives."""

import errno
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS_FOR_OTHERS_TO_END = 3.0


class AddressRefused(ValueError):
    """The address cannot be listened on; the message says why, and what to do."""


@contextmanager
def claimed(host: str, port: int, *, patience: float = SECONDS_FOR_OTHERS_TO_END) -> Iterator[None]:
    """Hold the IP address `host` and its `port` for the processes of this server. Raises AddressRefused.

    Each of them opens the port for itself, by SO_REUSEPORT, and so could any other server of the same user, which would
    then get a part of the requests. Who held the port has `patience` seconds to let it go: the processes of a server
    that was killed need a moment to see it.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            holder = _alone(host, port)
            break
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() >= deadline:
                raise AddressRefused(_in_words(host, port, error)) from error
        time.sleep(0.1)
    if sys.platform != "linux":
        holder.close()  # there one socket is made for all processes, and it listens at once
    with holder:
        yield


def _alone(host: str, port: int) -> socket.socket:
    """A socket that was bound beside no other, never listens, and lets sockets of SO_REUSEPORT alone come beside it."""
    holder = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        # Connections that have ended linger for a minute, and do not count.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((host, port))
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except BaseException:
        holder.close()
        raise
    return holder


def _in_words(host: str, port: int, error: OSError) -> str:
    at = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return f"Another program listens on {at}: end it, or choose another port by SAMEN_PORT or --port."
    if error.errno == errno.EACCES:
        return f"This user may not listen on {at}: choose a port of 1024 or above by SAMEN_PORT or --port."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"This machine has no address {host}: SAMEN_HOST must be one of its own, or 0.0.0.0 for all of them."
    return f"{at} cannot be listened on: {error.strerror}."
