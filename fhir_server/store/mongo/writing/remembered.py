"""What a process remembers of the plans that it wrote last, so that their next write need not read them again.

Whatever decides on a plan or on a person's circles changes only when a turn is taken at a guard (`ahead.py`). So what
was read is still what is stored for as long as nobody took another turn, which is seen when the turns are read anew, or
proved by the write. What this process wrote itself is added once it is kept, under the turns that it took. An entry
ends after a minute, in case somebody restores the database from a backup while the server runs.
"""

import random
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from fhir_server.fhir.json import Resource
from fhir_server.search.grant import Stamp
from fhir_server.store.mongo.writing.ahead import Ahead
from fhir_server.store.mongo.writing.sending import Save
from fhir_server.store.values import Circle, Key, Stored

_SECONDS = 60.0
_MOST_LYING = 300
"""Resources of a plan."""
_BESIDES = 6 * 1024
"""About the bytes that a resource takes beside its body, with its stamp and its moves."""
_MOST_BYTES = 24 * 1024 * 1024
"""Of all plans, counted so."""


@dataclass
class Changes:
    """What a transaction wrote, of the kinds that are remembered."""

    stored: dict[Key, Stored] = field(default_factory=dict)
    stamped: dict[Key, Stamp] = field(default_factory=dict)
    circles: dict[str, Circle] = field(default_factory=dict)
    moves: list[Resource] = field(default_factory=list)

    @property
    def changed(self) -> set[Key]:
        """The resources that are no more as they were."""
        return {*self.stored, *self.stamped}

    def take(self, saves: Mapping[Key, Save], stamped: Mapping[Key, Stamp], circles: Mapping[str, Circle]) -> None:
        """Add what was sent, which is of different resources; a version replaces the stamp before it."""
        for key, save in saves.items():
            self.stored[key] = save.stored
            self.stamped.pop(key, None)
        self.stamped.update(stamped)
        self.circles.update(circles)


@dataclass(frozen=True)
class _Entry:
    """A plan, the moment of the monotonic clock until which it is remembered, and about how many bytes it takes."""

    until: float
    ahead: Ahead
    size: int


class Remembered:
    """Plans by their ids, each as it stood at the turns that it says."""

    def __init__(self, *, seconds: float = _SECONDS) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._plans: OrderedDict[str, _Entry] = OrderedDict()
        self._bytes = 0

    def find(self, plans: Iterable[str]) -> Ahead | None:
        """What is remembered of one plan; nothing when several are asked for."""
        asked = list(plans)
        with self._lock:
            self._drop_old()
            found = self._plans.get(asked[0]) if len(asked) == 1 else None
        return found.ahead if found is not None else None

    def keep(self, ahead: Ahead, taken: Mapping[str, int], changes: Changes) -> None:
        """Remember the one plan that was read ahead, as the changes left it, with the turns that were taken."""
        plans = list(ahead.moves)
        circle = ahead.circles.get(plans[0]) if len(plans) == 1 else None
        if circle is None:
            return  # what the server does not govern has no turns
        left = _after(ahead, circle.plan, {**ahead.turns, **taken}, changes)
        if sum(map(len, left.lying.values())) > _MOST_LYING:
            return
        size = _BESIDES + sum(_BESIDES + len(each.body) for each in left.stored.values() if each)
        with self._lock:
            self._drop(circle.plan)
            self._plans[circle.plan] = _Entry(time.monotonic() + self._seconds, left, size)
            self._bytes += size
            self._drop_old()

    def _drop_old(self) -> None:
        """Let go of what was kept too long ago, which stands first, and when it is too much, of any but the last.

        Not of the oldest: whoever goes through more plans than there is room for, again and again in the same order,
        would find each time that just the next one has gone.
        """
        now = time.monotonic()
        while self._plans and next(iter(self._plans.values())).until <= now:
            self._drop(next(iter(self._plans)))
        while self._bytes > _MOST_BYTES and len(self._plans) > 1:
            self._drop(random.choice(list(self._plans)[:-1]))  # noqa: S311 no secret

    def _drop(self, plan: str) -> None:
        entry = self._plans.pop(plan, None)
        self._bytes -= entry.size if entry is not None else 0


def _after(ahead: Ahead, plan: str, turns: dict[str, int], changes: Changes) -> Ahead:
    """What was read, with the changes, as far as it changes in one of the turns alone; the rest is forgotten."""
    known = {key: each for key, each in (ahead.stored | changes.stored).items() if each}
    known |= {key: replace(known[key], stamp=stamp) for key, stamp in changes.stamped.items() if key in known}
    lying: dict[tuple[str, str], list[Stored]] = {(plan, name): [] for _, name in ahead.lying}
    stored: dict[Key, Stored | None] = {}
    for key, each in known.items():
        place = lying.get((plan, each.type))
        if place is not None and plan in each.stamp.plans:
            stored[key] = each
            if not each.deleted:
                place.append(each)
        elif each.reference in ahead.people:
            stored[key] = each
    return Ahead(
        stored=stored,
        lying=lying,
        circles=ahead.circles | changes.circles,
        people=set(ahead.people),
        moves={plan: [*ahead.moves[plan], *(move for move in changes.moves if move["plan"] == plan)]},
        turns=turns,
    )
