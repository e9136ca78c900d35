"""What the removal of a whole person asks of the store: the only thing in the house that forgets.

Every step finds by itself what is left, so that a purge that was cut off goes on where it ended.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeAlias

from fhir_server.fhir.json import Resource
from fhir_server.search.grant import Stamp
from fhir_server.store.values import Stored

Words: TypeAlias = Callable[[Resource], Iterable[str]]
"""The identifiers that a Patient states."""


@dataclass(frozen=True)
class Purge:
    """A purge that has begun: `Patient/x`, its plans, and when its workflow was closed.

    `key` makes the pseudonyms, and is forgotten with this record. `words` are the identifiers by which searches may
    have asked for the person. `reached` says how far each reading of a whole collection came.
    """

    person: str
    key: bytes
    begun: datetime
    plans: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    closed: datetime | None = None
    reached: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Names:
    """What an AuditEvent is to leave out: `references` (`Type/id`), by pseudonyms of `key`, and identifying `words`.

    `searched` says that the values of all searches go, because nobody knows the words any more.
    """

    key: bytes
    references: frozenset[str]
    words: frozenset[str]
    searched: bool = False


@dataclass(frozen=True)
class Forgetting:
    """How the audit forgets somebody, for a store that knows AuditEvents as documents only.

    `types` are those whose resources a purge takes away; `named` are the references of whatever type that an event and
    its stamp name, `without` are both without some names.
    """

    types: frozenset[str]
    named: Callable[[Resource, Stamp], Iterable[str]]
    without: Callable[[Resource, Stamp, Names], tuple[Resource, Stamp]]


class Purges(Protocol):
    """The questions and steps of purges. Each may raise Unavailable."""

    @property
    def longest_write(self) -> float:
        """Seconds after which a write that had begun before is certainly over."""

    def find(self, person: str) -> Purge | None:
        """The purge of a person that has begun and not ended."""

    def unfinished(self) -> list[str]:
        """The people whose purge has begun and not ended."""

    def begin(self, purge: Purge, told: Resource) -> Purge:
        """Keep the record and the AuditEvent that tells of it, as one; the record that was there, when one was."""

    def reach(self, purge: Purge, collection: str, place: str) -> None:
        """Keep how far the reading of a collection came."""

    def lying(self, person: str, plans: Sequence[str], type_name: str) -> Iterator[Stored]:
        """Current versions, tombstones too, that are about the person or lie in one of the plans."""

    def referring(self, references: Iterable[str], type_names: Sequence[str]) -> Iterator[Stored]:
        """Current versions of these types that refer to one of `Type/id` references."""

    def linking(self, binaries: Container[str], type_names: Sequence[str]) -> Iterator[Stored]:
        """Current versions of these types that name one of the Binaries, by their ids; for this they are read whole."""

    def note(self, person: str, references: Iterable[str]) -> None:
        """Remember what belongs to the person, before it goes."""

    def noted(self, person: str) -> frozenset[str]:
        """Everything that was remembered."""

    def close(self, purge: Purge, type_names: Sequence[str], moment: datetime, words: Words) -> Purge:
        """Take away the person, its workflow and its circles, as one commit at the guards of the person and the plans;
        note what it was, with the plans and the `words` that came since the purge began."""

    def remove(self, references: Sequence[str]) -> None:
        """Take away resources, all their versions, and what the outbox would tell of them."""

    def forget_events(self, purge: Purge, pseudonym: Callable[[str], str]) -> None:
        """Let events that are numbered already say `pseudonym(focus)` instead; what is not numbered goes."""

    def audit_events(self, after: str, since: datetime | None) -> Iterator[tuple[str, Stored]]:
        """AuditEvents, with the place that each has, behind the place `after`; all, or those recorded `since`."""

    def past_versions(self, after: str, since: datetime | None) -> Iterator[tuple[str, Stored]]:
        """Past versions of every type, in the same way."""

    def replace_event(self, event: Resource, stored: Stored) -> None:
        """Put another content in the place of an AuditEvent; `stored` brings its stamp."""

    def replace_version(self, place: str, body: bytes) -> None:
        """Put another content in the place of a past version."""

    def end(self, purge: Purge, told: Resource) -> bool:
        """Forget the record and all that was noted, and keep the AuditEvent; False when another process was first."""
