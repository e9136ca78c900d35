"""Processes as the machine sees them: the memory that they hold, the time of processors that they spend."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Memory:
    """Bytes: all that is resident, and with what is shared divided among those who share it."""

    resident: int
    proportional: int


def memory_of_workers(parent: int) -> list[Memory]:
    """The memory of a server's worker processes; Linux only, empty elsewhere."""
    return [_memory(child) for child in children_of(parent)]


def processor_seconds(processes: Iterable[int]) -> float:
    """What the processes have spent of processors since they began; Linux only, NaN elsewhere."""
    try:
        return sum(map(_processor_seconds, processes))
    except OSError:
        return float("nan")


def _processor_seconds(process: int) -> float:
    # The second field is the program's name in brackets and may hold spaces; user and system time are 14 and 15.
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children_of(parent: int) -> Iterator[int]:
    """The processes that `parent` started; none where there is no /proc."""
    told = Path(f"/proc/{parent}/task/{parent}/children")
    if told.exists():
        yield from map(int, told.read_text().split())


def _memory(process: int) -> Memory:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    kilobytes = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines)}
    return Memory(kilobytes["Rss"] * 1024, kilobytes["Pss"] * 1024)
