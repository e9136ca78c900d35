"""A server as the machine sees it: how soon it answers, how much memory its processes hold."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.ground import Ground, free_port
from bench.serving import OURS, serving


@dataclass(frozen=True)
class Memory:
    """Bytes: all that is resident, and with what is shared divided among those who share it."""

    resident: int
    proportional: int


def first_answers(ground: Ground, database: str, times: int) -> list[float]:
    """Seconds from the start of `fhir-server serve` to its first answer with a question to the database, each time."""
    found = []
    for number in range(times):
        begun = time.perf_counter()
        with serving(OURS, ground.environment(database), free_port(), ground.data / f"start-{number}.log"):
            found.append(time.perf_counter() - begun)
    return found


def memory_of_workers(parent: int) -> list[Memory]:
    """The memory of a server's worker processes; Linux only, empty elsewhere."""
    return [_memory(child) for child in _children(parent)]


def _children(parent: int) -> Iterator[int]:
    told = Path(f"/proc/{parent}/task/{parent}/children")
    if told.exists():
        yield from map(int, told.read_text().split())


def _memory(process: int) -> Memory:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    kilobytes = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines)}
    return Memory(kilobytes["Rss"] * 1024, kilobytes["Pss"] * 1024)
