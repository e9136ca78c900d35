"""The log of moves: each step that a Task, an order or a consent made, who made it and when.

The log is append-only and is the memory from which the team is computed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import MISSING, dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from fhir_server.fhir.dates import instant, time_range
from fhir_server.fhir.json import Resource

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Move:
    """One step of `item` (`Task/x`, `ServiceRequest/y`, `Consent/z`).

    `requester` and `owner` are parties as they stood at the move. `confers` is False for a Task that never makes its
    owner a member: a sub-task, a cancellation request, anything but a fulfilment. `version` is the version of the item
    that the move made, so that a log keeps its order when clocks disagree.

    For a consent, the statuses are the decisions `permit`, `deny` and `none`, and `owner` is the party that the
    decision speaks of (None: everyone).
    """

    item: str
    kind: str
    from_status: str | None
    to_status: str
    at: datetime
    requester: str | None = None
    owner: str | None = None
    confers: bool = True
    version: int = 0
    actor: str = ""

    def __hash__(self) -> int:
        # A team is remembered by whole logs; an item has one move of a version, but where it names several parties.
        return hash((self.item, self.version))


def to_document(move: Move) -> Resource:
    """`move` as a plain document for the store; its time is a FHIR instant."""
    return {**vars(move), "at": instant(move.at)}


def from_document(document: Resource) -> Move:
    """The move that `to_document` wrote; what the store added of its own is left aside."""
    return _made(*map(document.get, _NAMES))


_NAMES = tuple(Move.__dataclass_fields__)
_DEFAULTS = {name: each.default for name, each in Move.__dataclass_fields__.items() if each.default is not MISSING}


# A plan's log is asked for by each of its writes, and what it holds never changes.
@lru_cache(maxsize=8192)
def _made(*values: Any) -> Move:
    told = {name: value for name, value in zip(_NAMES, values, strict=True) if value is not None}
    return Move(**{"from_status": None, **_DEFAULTS, **told, "at": time_range(told["at"])[0]})


def last_of_each(moves: Iterable[Move]) -> dict[str, Move]:
    """The last move of each item; asked for often, so without putting all in order."""
    last: dict[str, Move] = {}
    for move in moves:
        known = last.get(move.item)
        if known is None or known.version < move.version or (known.version == move.version and known.at <= move.at):
            last[move.item] = move
    return last


def in_turn(made: Sequence[Move], known: Iterable[Move]) -> list[Move]:
    """`made`, each later than what the log knows of its item, though the clock that told that one ran ahead."""
    items = {move.item for move in made}
    last = last_of_each(move for move in known if move.item in items) if items else {}
    return [
        replace(move, at=last[move.item].at + _MILLISECOND)
        if move.item in last and move.at <= last[move.item].at
        else move
        for move in made
    ]


def happened(moves: Sequence[Move], now: datetime) -> tuple[Move, ...]:
    """The log to whoever acts at `now`: what it tells has happened, also by a clock that ran ahead of this one.

    Moves that are dated ahead take place just before `now`, in their order, and the last of them now; all others stay.
    """
    ahead = sorted({move.at for move in moves if move.at >= now})
    taken = {at: now - place * timedelta.resolution for place, at in enumerate(reversed(ahead))}
    return tuple(replace(move, at=taken[move.at]) if move.at in taken else move for move in moves)
