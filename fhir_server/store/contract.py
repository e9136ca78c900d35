"""What the rest of the house may ask of the store.

Reading and writing share one set of questions: inside a transaction they see its own writes.
"""

from collections.abc import Callable, Container, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol, TypeVar

from fhir_server.fhir.json import Resource
from fhir_server.search.grant import Grant, GrantsFor, Stamp
from fhir_server.search.query import Query
from fhir_server.store.purges import Purges
from fhir_server.store.values import (
    Changed,
    Circle,
    Deletion,
    Explained,
    Foreseen,
    Match,
    NumberedEvent,
    OwnParameter,
    Page,
    Span,
    Stored,
)

Result = TypeVar("Result")


class Reading(Protocol):
    """The questions."""

    def read(self, type_name: str, id: str) -> Stored | None:
        """The current version, a tombstone included; None when there never was one."""

    def read_with_circles(self, type_name: str, id: str) -> tuple[Stored | None, list[Circle]]:
        """The current version, as `read` gives it, and the circles of its plans, by plan, in one question."""

    def read_many(self, references: Iterable[str]) -> dict[str, Stored]:
        """Current versions of `Type/id` references, by reference; tombstones and absent ones are left out."""

    def read_version(self, type_name: str, id: str, version: int) -> Stored | None:
        """One version, current or past."""

    def history(self, type_name: str, id: str, before: int | None, count: int) -> list[Stored]:
        """Versions of one resource, newest first, those below version `before` when it is given."""

    def changes(
        self,
        span: Span,
        grants_for: GrantsFor,
        plans: Sequence[str],
        moment: datetime,
        count: int,
    ) -> list[Changed]:
        """At most `count` versions of the span, newest first.

        Current ones are admitted by `grants_for(type)`. Past ones are candidates: they were admitted in their time, or
        lie in one of `plans`; whoever asks judges them by their current version.
        """

    def search(
        self,
        query: Query,
        grants: Sequence[Grant],
        moment: datetime,
        grants_for: GrantsFor | None = None,
    ) -> Page[Stored]:
        """The query AND any grant, decided inside the database; `grants_for(type)` judges what is included.

        Outside of a transaction the matches are to be shown: but for Patients, their stamps need not name readers.
        """

    def search_about(
        self,
        patient: str,
        query: Query,
        grants_from: Callable[[Sequence[Circle]], Sequence[Grant]],
        moment: datetime,
    ) -> Page[Match] | None:
        """A page of a query that brings nothing along, together with the circles about the patient, in one question.

        `grants_from(circles)` gives the grants of a member of these circles, which are all about the patient; it may be
        asked more than once, and the page is by the last. None when one question cannot tell: then ask for the circles,
        and search.
        """

    def search_several(
        self,
        asked: Sequence[tuple[Query, Sequence[Grant]]],
        moment: datetime,
        grants_for: GrantsFor | None = None,
    ) -> Page[Stored]:
        """What queries of different types ask, each AND any of its grants, merged into one page of matches.

        They are of one question: sort, count, includes, total, summary and cursor of the first count for all;
        `grants_for(type)` judges what is included.
        """

    def linked(
        self, query: Query, grants: Sequence[Grant], moment: datetime, *, parameter: str | None, limit: int
    ) -> list[str]:
        """`Type/id` of what the query AND any grant find, or of what these refer to by `parameter`; of a url the url.

        Raises TooCostly when more than `limit` are found.
        """

    def contains(self, type_name: str, contained: str) -> bool:
        """Whether some resource of the type contains one of the other type, whoever may read it."""

    def plans_beside(self, query: Query, patient: str, limit: int) -> list[str]:
        """The plans of what the query finds that is about somebody else than `Patient/x`, whoever may read it.

        Only to narrow the circles that decide about it. Raises TooCostly for more than `limit` resources.
        """

    def referrers(self, references: Sequence[str], type_names: Sequence[str], limit: int) -> list[Stored]:
        """Current resources of these types that refer to one of `Type/id` references, `limit` of each type at most.

        Also in a transaction they are of what is committed."""

    def in_plan(self, plan: str, type_name: str) -> list[Stored]:
        """Current resources of a type that lie in the plan."""

    def lying_in(
        self,
        plan: str,
        type_name: str,
        grants: Sequence[Grant],
        moment: datetime,
        *,
        after: str | None = None,
        since: datetime | None = None,
        count: int,
    ) -> list[Stored]:
        """At most `count` current resources of a type in the plan AND any grant: by id, after the id `after`, updated
        since then."""

    def circle(self, plan: str) -> Circle | None:
        """The plan's circle."""

    def circles(
        self,
        *,
        parties: Sequence[str],
        patient: str | None = None,
        plans: Sequence[str] | None = None,
        moment: datetime,
        limit: int,
    ) -> list[Circle]:
        """Circles that have one of `parties` as a member at `moment`, narrowed to a patient or to plans."""

    def circles_in(self, plans: Sequence[str]) -> list[Circle]:
        """The circles of these plans, those that have one, by plan."""

    def keepers(self, plans: Sequence[str], moment: datetime) -> dict[str, str]:
        """Who keeps each of these plans that has a circle, by plan, as `Circle.keeper` says."""

    def plans_kept(self, parties: Sequence[str], moment: datetime, limit: int) -> list[str]:
        """At most `limit` plans of which one of `parties` is custodian, and one of them is a member at `moment`."""

    def circles_about(self, patient: str) -> list[Circle]:
        """Every circle about the patient."""

    def events(self, subscription: str, first: int, last: int | None, count: int) -> list[NumberedEvent]:
        """At most `count` events of a Subscription by number, from `first` to `last`, both included; told or not."""

    def last_event(self, subscription: str) -> int:
        """The number of the newest event of a Subscription; 0 when there is none."""

    def moves(self, plan: str) -> list[Resource]:
        """The plan's log of moves, oldest first, as they were given, with their `plan` and `seq`."""


class Transaction(Reading, Protocol):
    """The writes; all of them are kept together or none is."""

    def guard(self, key: str) -> None:
        """Take part in the order of writers of `key` (a plan id, a patient, a condition): two who do cannot both commit
        on the same state; the later one starts again."""

    def save(self, stored: Stored) -> None:
        """Keep a new version; the one before it, which must be `stored.version - 1`, becomes history."""

    def restamp(self, type_name: str, id: str, stamp: Stamp) -> None:
        """Change what the server knows of a resource without a new version of it."""

    def save_circle(self, circle: Circle) -> None:
        """Create or replace a circle."""

    def log_moves(self, moves: Sequence[Resource], plan: str) -> None:
        """Append to the plan's log of moves."""

    def take_up(
        self, plan: str, patient: str, author: str, type_names: Sequence[str], unlabelled: Container[str] = ()
    ) -> None:
        """Let the plan take up the author's chart of the patient that lies in no plan yet; of `unlabelled` types only
        what carries no label."""

    def record(self, audit_events: Sequence[Resource], stamp: Stamp) -> None:
        """Keep AuditEvents with the write that they tell of."""

    def announce(self, entries: Sequence[dict[str, Any]]) -> None:
        """Put entries into the outbox."""

    def look_again(self, deletion: Deletion) -> None:
        """Remember that a delete of this write is to be looked at again."""

    def looked_at(self, deletion: Deletion) -> None:
        """Forget that a delete is to be looked at again."""

    def own_parameters(self) -> list[OwnParameter]:
        """The operator's search parameters; who asks for them to change them takes a turn at it."""

    def define(self, parameters: Sequence[OwnParameter]) -> None:
        """Let these be all of the operator's search parameters."""


class Store(Reading, Protocol):
    """The whole store."""

    @property
    def purges(self) -> Purges:
        """What forgets a whole person."""

    def defined(self) -> AbstractContextManager[None]:
        """While this lasts, searches are understood and answered with the operator's parameters of now, too."""

    def transact(self, work: Callable[[Transaction], Result], foreseen: Foreseen | None = None) -> Result:
        """Run `work` in one transaction; again from the start when another writer was first.

        What is `foreseen` may be read shortly before; a `guard` proves that what lies behind it did not change since.
        `work` must be repeatable. Raises Unavailable when it never gets through, or the database does not answer.
        """

    def deletions(self) -> list[Deletion]:
        """The deletes that are to be looked at again."""

    def explain(self, asked: Sequence[tuple[Query, Sequence[Grant]]], moment: datetime) -> list[Explained]:
        """How the first page of each query is found. Raises TooCostly, like the search itself."""

    def record_reading(self, audit_event: Resource, stamp: Stamp, page: Sequence[str] = ()) -> None:
        """Keep the AuditEvent of a read or refusal before it is answered; `page` are the references of its first
        entities, when all of these are about the person of the stamp. Raises Unavailable."""

    def settle_audit(self) -> None:
        """Let a transaction that begins now find the AuditEvent of everything that this machine answered before, as
        other questions about AuditEvents do by themselves. Raises Unavailable."""
