"""All that a transaction has to write when it ends, and how it is written: alone, or with what others have to write."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from fhir_server.search.grant import Stamp
from fhir_server.store.mongo import commands, ledger
from fhir_server.store.mongo.documents import AUDIT_EVENTS, Document
from fhir_server.store.mongo.writing import sending
from fhir_server.store.mongo.writing.sending import Save
from fhir_server.store.values import Circle, Key

AnyKey = TypeVar("AnyKey")
Value = TypeVar("Value")

_FEW_DOCUMENTS = 40
_FEW_BYTES = 500_000


class StartAgain(Exception):
    """Another writer was first; the transaction had no effect and starts again. Only `transact` may catch it."""


class Taken(StartAgain):
    """Somebody else stored a new resource of the same id first; who starts again finds it."""


@dataclass(frozen=True)
class Unit:
    """What is kept together or not at all.

    `turns` are taken after those given, `proofs` must be as given, `additions` go to the ledger; `seen` are the stamps
    that saves and restamps replace; `events` are documents of AuditEvents that do not wait in the ledger.
    """

    turns: Mapping[str, int] = field(default_factory=dict)
    proofs: Mapping[str, int] = field(default_factory=dict)
    additions: Sequence[Document] = ()
    saves: Mapping[Key, Save] = field(default_factory=dict)
    restamps: Mapping[Key, Stamp] = field(default_factory=dict)
    seen: Mapping[Key, Stamp] = field(default_factory=dict)
    circles: Mapping[str, Circle] = field(default_factory=dict)
    events: Sequence[Document] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (
            self.turns or self.proofs or self.additions or self.saves or self.restamps or self.circles or self.events
        )

    @property
    def is_small(self) -> bool:
        """Whether others may be asked to wait until it is written."""
        documents = len(self.additions) + len(self.saves) + len(self.restamps) + len(self.circles) + len(self.events)
        return documents <= _FEW_DOCUMENTS and sum(len(s.stored.body) for s in self.saves.values()) <= _FEW_BYTES

    @property
    def touches(self) -> set[str | Key]:
        """The guards and documents that no other may touch at the same time."""
        return {*self.turns, *self.proofs, *self.saves, *self.restamps, *self.circles}


def joined(units: Sequence[Unit]) -> Unit:
    """Units that touch nothing in common, as one."""
    return Unit(
        turns=_merged([unit.turns for unit in units]),
        proofs=_merged([unit.proofs for unit in units]),
        additions=[document for unit in units for document in unit.additions],
        saves=_merged([unit.saves for unit in units]),
        restamps=_merged([unit.restamps for unit in units]),
        seen=_merged([unit.seen for unit in units]),
        circles=_merged([unit.circles for unit in units]),
        events=[document for unit in units for document in unit.events],
    )


def write(database: Database[Document], unit: Unit, session: ClientSession, full_text: frozenset[str]) -> None:
    """Write it in the session's transaction.

    Raises StartAgain when a turn was taken by another, Taken when a new resource is there already, VersionConflict when
    a version or stamp is not the one to be replaced, or whatever the driver raises.
    """
    _note(database, unit, session)
    try:
        sending.versions(database, unit.saves.values(), unit.seen, session, full_text)
    except DuplicateKeyError as error:
        raise Taken from error
    sending.stamps(database, unit.restamps, unit.seen, session)
    sending.circles(database, unit.circles.values(), session)
    commands.insert(database, AUDIT_EVENTS, unit.events, session)


def _note(database: Database[Document], unit: Unit, session: ClientSession) -> None:
    """Take the turns, prove others and add to the ledger, or start again."""
    if not (unit.turns or unit.proofs or unit.additions):
        return
    try:
        if not ledger.write(database, unit.turns, unit.proofs, unit.additions, session):
            raise StartAgain
    except DuplicateKeyError as error:
        raise StartAgain from error


def _merged(parts: "Sequence[Mapping[AnyKey, Value]]") -> "dict[AnyKey, Value]":
    return {key: value for part in parts for key, value in part.items()}
