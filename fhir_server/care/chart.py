"""What the rules look at: one plan with all that belongs to its workflow."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fhir_server.care.care_team import CustodianAction
from fhir_server.care.moves import Move
from fhir_server.care.parties import Directory
from fhir_server.care.programmes import Programme
from fhir_server.fhir.change import Change
from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import reference_to


@dataclass(frozen=True)
class Situation:
    """A plan, its team, Tasks, orders and consents as they are stored; a write's changes are laid over them.

    `moves` is the whole log with the moves of the changes that are judged. `author` is the party that opened the
    plan, `custodian` the organisation that keeps it, `subject` the `Patient/x`; `started` is when it was opened.
    A plan that is only now being opened stands among the changes, or here, or in both.
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
    _stored: Mapping[str, Resource] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = (self.plan, self.team, *self.tasks, *self.orders, *self.consents)
        object.__setattr__(self, "_stored", {reference_to(resource): resource for resource in known})

    def stored(self, reference: str) -> Resource | None:
        """The resource as it is stored, if it is part of the situation."""
        return self._stored.get(reference)

    def after(self, changes: Iterable[Change]) -> dict[str, Resource]:
        """The situation's resources and the changed ones, by reference, as `changes` would leave them."""
        state = dict(self._stored)
        for change in changes:
            if change.after is None:
                state.pop(change.reference, None)
            else:
                state[change.reference] = change.after
        return state
