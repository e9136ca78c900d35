"""Ports for the servers that tests start: nobody is given one of these by chance before the server listens there."""

import itertools
import os
import socket

# Below the ports that a system gives out by itself, and other ones for each process of a run.
_FIRST, _EACH, _PROCESSES = 10_000, 20, 1_000
_turns = itertools.count()


def free_port() -> int:
    """A port of this process's own on which nobody listens; another one each time."""
    for _ in range(_EACH):
        port = _FIRST + os.getpid() % _PROCESSES * _EACH + next(_turns) % _EACH
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                continue
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError(f"somebody listens on each of the {_EACH} ports of this process")
