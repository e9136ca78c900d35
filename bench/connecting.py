"""Connections that fall to the processes of a server in equal numbers.

Which process takes a connection is luck: of sixteen all have been seen to fall to one, which then answers alone, on one
processor. A row would measure that, on either side. So connections are made until each process holds as many as
another; those that are too many are closed again.
"""

import math
import os
import socket
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

_PATIENCE = 60.0
_SECONDS_TO_ACCEPT = 2.0
_MOST_FOR_EACH = 20


def connections(port: int, count: int, processes: Sequence[int] = ()) -> list[socket.socket]:
    """So many connections to a server on loopback, spread evenly over its processes; as they fall where that cannot be
    seen (elsewhere than on Linux) or does not come about."""
    serving = _listening(port, processes)
    share = math.ceil(count / max(len(serving), 1))
    kept: list[socket.socket] = []
    closed = 0
    held: Counter[int | None] = Counter()
    while len(kept) < count:
        made = _connected(port)
        holder = _holder(port, made, serving) if len(serving) > 1 else None
        if holder is None or held[holder] < share or closed == _MOST_FOR_EACH * count:
            held[holder] += 1
            kept.append(made)
        else:
            made.close()
            closed += 1
    return kept


def _connected(port: int) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def _holder(port: int, made: socket.socket, processes: Sequence[int]) -> int | None:
    """The process that holds the other end; None when nobody can tell, or nobody took it in time."""
    until = time.monotonic() + _SECONDS_TO_ACCEPT
    with suppress(OSError):
        while time.monotonic() < until:
            other_end = _sockets(port, made.getsockname()[1])
            for process in processes:
                if not other_end.isdisjoint(_open_files(process)):
                    return process
            time.sleep(0.001)
    return None


def _listening(port: int, processes: Iterable[int]) -> list[int]:
    """Those of the processes that take connections; none where nobody can tell."""
    with suppress(OSError):
        taking = _sockets(port, 0)
        return [each for each in processes if not taking.isdisjoint(_open_files(each))]
    return []


def _sockets(port: int, peer: int) -> set[str]:
    """The server's sockets between these ports, as the open files of a process name them; Linux only, else OSError.

    Those that nobody has taken yet have the number 0, which is nobody's.
    """
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {f"socket:[{each[9]}]" for each in lines if (_port(each[1]), _port(each[2])) == (port, peer)}


def _port(address: str) -> int:
    return int(address.partition(":")[2], 16)


def _open_files(process: int) -> set[str]:
    found = set()
    for each in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(os.readlink(each))
    return found
