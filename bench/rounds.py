"""Two sides measured in turn in one run, so that what else the machine does falls on both alike."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.load import Crowd, Round

WARM_UP = 0.7


@dataclass(frozen=True)
class Scale:
    """How large a run is: rounds of so many seconds, connections, cases, and Tasks of the two caseloads."""

    rounds: int = 7
    seconds: float = 3.0
    connections: int = 16
    cases: int = 96
    observations: int = 21
    few_tasks: int = 50_000
    many_tasks: int = 1_000_000
    few_patients: int = 50
    many_patients: int = 50_000
    starts: int = 5


QUICK = Scale(2, 0.3, 4, 4, 3, 1_000, 3_000, 50, 200, 1)


@dataclass(frozen=True)
class Spread:
    """The median of several values, with the least and the greatest."""

    median: float
    least: float
    greatest: float


@dataclass(frozen=True)
class Duel:
    """The rounds of both sides, in their order."""

    ours: Sequence[Round]
    theirs: Sequence[Round]

    def of(self, measure: Callable[[Round], float]) -> Spread:
        """The ratio ours to theirs, round by round."""
        return spread([measure(a) / measure(b) for a, b in zip(self.ours, self.theirs, strict=True)])


def duel(ours: Crowd, theirs: Crowd, scale: Scale) -> Duel:
    """Warm both up, then measure them in turn: theirs, ours, theirs, ours."""
    for crowd in (theirs, ours):
        crowd.round(min(WARM_UP, scale.seconds))
    found: tuple[list[Round], list[Round]] = ([], [])
    for _ in range(scale.rounds):
        found[1].append(theirs.round(scale.seconds))
        found[0].append(ours.round(scale.seconds))
    for crowd in (theirs, ours):
        crowd.close()
    return Duel(*found)


def spread(values: Sequence[float]) -> Spread:
    """The spread of at least one value."""
    return Spread(statistics.median(values), min(values), max(values))
