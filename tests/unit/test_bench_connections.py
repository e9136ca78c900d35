"""The bench's connections fall to the processes of a server in equal numbers."""

import socket
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.synchronize import Semaphore

import pytest

from bench import connecting
from bench.connecting import _holder, connections

LONG = 60.0
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@pytest.fixture(autouse=True)
def however_slow_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that gets no processor for a while still takes its connection."""
    monkeypatch.setattr(connecting, "_SECONDS_TO_ACCEPT", LONG)


def _take_all(listening: socket.socket, ready: Semaphore) -> None:
    taken = []
    ready.release()
    while True:
        taken.append(listening.accept())


@contextmanager
def _server(processes: int) -> Iterator[tuple[int, list[int]]]:
    """Processes that take connections from one port, whoever comes first; the port and their ids."""
    fork = get_context("fork")
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        ready = fork.Semaphore(0)
        taking = [fork.Process(target=_take_all, args=(listening, ready)) for _ in range(processes)]
        for each in taking:
            each.start()
        try:
            for _ in taking:  # else one of them takes all while another only begins
                assert ready.acquire(timeout=LONG)
            yield listening.getsockname()[1], [each.pid or 0 for each in taking]
        finally:
            for each in taking:
                each.kill()
                each.join()


@pytest.mark.skipif(sys.platform != "linux", reason="who holds a connection is asked of Linux")
def test_each_process_of_a_server_holds_as_many_connections_as_another() -> None:
    with _server(2) as (port, processes):
        made = connections(port, 10, processes)
        held = Counter(_holder(port, each, processes) for each in made)
        for each in made:
            each.close()

    assert held == dict.fromkeys(processes, 5)


def test_connections_fall_as_they_may_where_nobody_can_tell() -> None:
    with _server(1) as (port, _):
        made = connections(port, 3, [1])
        for each in made:
            each.close()

    assert len(made) == 3
