"""What the rules look at: one plan with all that belongs to its workflow."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from itertools import chain

from fhir_server.care.care_team import CustodianAction
from fhir_server.care.moves import Move, happened, last_of_each
from fhir_server.care.parties import Directory
from fhir_server.care.programmes import Programme
from fhir_server.fhir.change import Change
from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import reference_to


@dataclass(frozen=True)
class Situation:
    """A plan, its team, Tasks, orders and consents, with those that the write adds to the plan.

    What a write changes is laid over them; what is not listed here is not part of the plan and never counts, whatever
    else the write holds. `moves` is the plan's whole log with the moves of the changes that are judged. `author` is
    the party that opened the plan, `custodian` the organisation that keeps it, `subject` the `Patient/x`; `started`
    is when it was opened.
    """

    plan: Resource
    team: Resource
    programme: Programme
    author: str
    custodian: str
    subject: str
    started: datetime
    directory: Directory
    moves: tuple[Move, ...] = ()
    tasks: tuple[Resource, ...] = ()
    orders: tuple[Resource, ...] = ()
    consents: tuple[Resource, ...] = ()
    custodian_actions: tuple[CustodianAction, ...] = ()
    _listed: Mapping[str, Resource] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = (self.plan, self.team, *self.tasks, *self.orders, *self.consents)
        object.__setattr__(self, "_listed", {reference_to(resource): resource for resource in known})

    @cached_property
    def last_moves(self) -> Mapping[str, Move]:
        """The last move of each item."""
        return last_of_each(self.moves)

    def moved(self, made: Sequence[Move]) -> "Situation":
        """The same after further moves."""
        return replace(self, moves=(*self.moves, *made)) if made else self

    def happened(self, now: datetime) -> "Situation":
        """The same to whoever acts at `now`: nothing that was done lies ahead, whatever clock told when."""
        if max(self._latest, self.started) <= now:
            return self
        actions = tuple(replace(action, at=min(action.at, now)) for action in self.custodian_actions)
        moves = happened(self.moves, now)
        return replace(self, moves=moves, custodian_actions=actions, started=min(self.started, now))

    @cached_property
    def _latest(self) -> datetime:
        """When the last thing was done; asked several times by each write, and a log may be long."""
        times = chain((move.at for move in self.moves), (action.at for action in self.custodian_actions))
        return max(times, default=self.started)

    def listed(self, reference: str) -> Resource | None:
        """The resource as it is listed here, if it is part of the plan."""
        return self._listed.get(reference)

    def after(self, changes: Iterable[Change]) -> dict[str, Resource]:
        """The listed resources by reference, as `changes` would leave them."""
        changed = {change.reference: change.after for change in changes if change.reference in self._listed}
        return {ref: after for ref, after in {**self._listed, **changed}.items() if after is not None}
