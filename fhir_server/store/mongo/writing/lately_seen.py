"""What this process saw in the database a moment ago, so that a write that only refers to it need not read it again.

Nearly every new resource of a chart names its person, an organisation, an order: the same ones again and again.
Nothing is decided by it that changes who may read or write: the circles of the person are asked for by every write.
Whoever takes such a thing away waits until each write that may have seen it is over, `SECONDS` included.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping

from fhir_server.store.values import Key, Stored

SECONDS = 20.0
"""How long ago the question may lie whose answer is recalled."""

_MOST = 2_000
_LARGEST = 8 * 1024
"""Bytes of a resource; with the number this bounds the memory of a process to some megabytes."""


class LatelySeen:
    """Current versions by type and id, none of them deleted, each for at most `SECONDS`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: OrderedDict[Key, tuple[float, Stored]] = OrderedDict()

    def moment(self) -> float:
        """The moment before a question, which its answer is then kept with."""
        return self._clock()

    def find(self, keys: Iterable[Key]) -> dict[Key, Stored]:
        """Those of the asked that were seen a moment ago."""
        since = self._clock() - SECONDS
        found = {key: self._seen.get(key) for key in keys}
        return {key: seen[1] for key, seen in found.items() if seen is not None and seen[0] > since}

    def keep(self, answered: Mapping[Key, Stored | None], asked_at: float) -> None:
        """Remember what a question found that was asked at the moment."""
        with self._lock:
            for key, stored in answered.items():
                if stored is not None and _lasts(stored):
                    self._seen[key] = (asked_at, stored)
                    self._seen.move_to_end(key)
            while len(self._seen) > _MOST:
                self._seen.popitem(last=False)

    def drop(self, keys: Iterable[Key]) -> None:
        """Forget what this process changed."""
        with self._lock:
            for key in keys:
                self._seen.pop(key, None)


def _lasts(stored: Stored) -> bool:
    """Whether nothing but a delete can make it another thing to refer to: what lies in no plan may come into one."""
    in_its_plan = bool(stored.stamp.readers) and len(stored.stamp.plans) == 1
    lies = stored.type == "Patient" or stored.stamp.audience == "everyone" or in_its_plan
    return lies and not stored.deleted and len(stored.body) <= _LARGEST
