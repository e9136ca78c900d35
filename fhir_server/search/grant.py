"""One reason to see a stored resource, in words that both the database and the memory understand.

Access decides which grants an actor has; a read asks whether some grant admits the stored document, a search asks
for the query AND any grant. An empty list of grants admits nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

FOREVER = datetime(9999, 12, 31, tzinfo=UTC)
BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
RESTRICTED, VERY_RESTRICTED = "restricted", "very-restricted"
"""How far labels restrict a resource: to its author and those cleared for it, or to its author alone."""


@dataclass(frozen=True)
class Reader:
    """A party that a circle admits to one resource, from `start` until `until` (exclusive)."""

    party: str
    start: datetime = BEGINNING
    until: datetime = FOREVER


@dataclass(frozen=True)
class Glimpse:
    """A party that sees of a Patient what `programme` names, from `start` until `until` (exclusive), and no more."""

    party: str
    programme: str
    start: datetime = BEGINNING
    until: datetime = FOREVER


@dataclass(frozen=True)
class Stamp:
    """What the server knows of a stored resource beside its content.

    `patient` is `Patient/x`; `plans` are ids of CarePlans; `readers` is used by coordination resources and Patients,
    `glimpses` by Patients; `author` is the party that wrote the resource first; `audience` is "everyone" for what any
    signed-in party reads; `label` is how far its labels restrict what lies in plans.
    """

    patient: str | None = None
    plans: tuple[str, ...] = ()
    readers: tuple[Reader, ...] = ()
    author: str | None = None
    audience: str = "circle"
    glimpses: tuple[Glimpse, ...] = ()
    label: str | None = None


@dataclass(frozen=True)
class Grant:
    """Admits what carries one of `readers` now, or lies in one of `plans`, or was written by one of `authors`.

    Or, in part, what carries a glimpse for one of `glimpses` now: whoever gives that grant cuts what it admits.
    Exactly one of the conditions is given. By plans, it admits what no label restricts, or as far as `labels` says.
    `reason` goes into the audit.
    """

    reason: str
    readers: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    everyone: bool = False
    glimpses: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


GrantsFor: TypeAlias = Callable[[str], Sequence[Grant]]
"""The grants of somebody for the resources of a type."""


def admits(grant: Grant, stamp: Stamp, moment: datetime) -> bool:
    """Whether `grant` shows a resource with this stamp at `moment`."""
    if grant.readers:
        return any(r.party in grant.readers and r.start <= moment < r.until for r in stamp.readers)
    if grant.plans:
        return stamp.label in {None, *grant.labels} and any(plan in grant.plans for plan in stamp.plans)
    if grant.authors:
        return stamp.author in grant.authors
    if grant.glimpses:
        return any(g.party in grant.glimpses and g.start <= moment < g.until for g in stamp.glimpses)
    return grant.everyone and stamp.audience == "everyone"


def first_that_admits(grants: Iterable[Grant], stamp: Stamp, moment: datetime) -> Grant | None:
    """The first of `grants` that admits the stamp, or None."""
    return next((grant for grant in grants if admits(grant, stamp, moment)), None)
