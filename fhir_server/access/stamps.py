"""Which readers a resource carries: the parties that its circle admits, and until when.

Coordination resources and Patients are stamped, so that a worklist over any caseload is one index range. The chart is
not: its plans are checked against the actor's circles when it is asked for, so a team change never touches it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter

from fhir_server.search.grant import Reader

OFFERED = frozenset({"Task", "ServiceRequest"})
"""The types whose resources show themselves to the owner of a Task from the moment it is asked."""
NOT_YET_OFFERED = frozenset({"draft"})
_until = attrgetter("until")
_party_and_start = attrgetter("party", "start")
ENDED = frozenset({"rejected", "cancelled", "completed", "failed", "entered-in-error"})


@dataclass(frozen=True)
class Offer:
    """What a Task shows its owner: the Task and its order, from when it is asked until some time after its end."""

    task: str
    order: str | None
    owner: str | None
    status: str
    ended_at: datetime | None


def offer_reader(offer: Offer, read_after_end: timedelta) -> Reader | None:
    """The owner's own right to read a Task and its order, whether or not it is a member of the circle."""
    if offer.owner is None or offer.status in NOT_YET_OFFERED:
        return None
    if offer.status in ENDED:
        return Reader(offer.owner, until=offer.ended_at + read_after_end) if offer.ended_at else None
    return Reader(offer.owner)


def by_what_they_show(offers: Iterable[Offer]) -> Mapping[str, Sequence[Offer]]:
    """The offers of each Task, and of each order, by its reference."""
    showing: dict[str, list[Offer]] = defaultdict(list)
    for offer in offers:
        showing[offer.task].append(offer)
        if offer.order is not None:
            showing[offer.order].append(offer)
    return showing


def admitted(
    type_name: str, author: str | None, members: Iterable[Reader], former: Iterable[Reader]
) -> tuple[Reader, ...]:
    """Whom a circle admits to all resources of a type and an author: the author always, members in their periods, and
    to the plan and the team former members for a time."""
    return widest(
        [*([Reader(author)] if author else ()), *members, *(former if type_name in {"CarePlan", "CareTeam"} else ())]
    )


def readers(everyone: tuple[Reader, ...], offers: Iterable[Offer], read_after_end: timedelta) -> tuple[Reader, ...]:
    """The readers of one resource: those `admitted` to all such, and the owners of the Tasks that it is shown by."""
    owners = [reader for offer in offers if (reader := offer_reader(offer, read_after_end))]
    more = [owner for owner in owners if not _is_covered(owner, everyone)]
    return widest([*everyone, *more]) if more else everyone


def widest(found: Iterable[Reader]) -> tuple[Reader, ...]:
    """`found` without what another entry of the same party covers, in a stable order."""
    kept: list[Reader] = []
    for reader in sorted(sorted(found, key=_until, reverse=True), key=_party_and_start):
        # Of a party, whoever was kept last began no later and lasts longest.
        if not kept or kept[-1].party != reader.party or kept[-1].until < reader.until:
            kept.append(reader)
    return tuple(kept)


def _is_covered(one: Reader, by: Iterable[Reader]) -> bool:
    """Whether one of the others may read whenever this one may."""
    return any(other.party == one.party and other.start <= one.start and one.until <= other.until for other in by)
