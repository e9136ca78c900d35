"""What is kept, asked for and answered: the values that pass between the store and whoever uses it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fhir_server.fhir.json import Resource, decode
from fhir_server.search.grant import Reader, Stamp


@dataclass(frozen=True)
class Stored:
    """One version of one resource as it is kept; a tombstone has no body but keeps its stamp.

    `revives` says that the version brought back what was deleted.
    """

    type: str
    id: str
    version: int
    last_updated: datetime
    body: bytes
    stamp: Stamp = field(default_factory=Stamp)
    deleted: bool = False
    method: str = "POST"
    revives: bool = False

    @property
    def creates(self) -> bool:
        """Whether there was no such resource before this version."""
        return self.version == 1 or self.revives

    @property
    def reference(self) -> str:
        """`Type/id`."""
        return f"{self.type}/{self.id}"

    def resource(self) -> Resource:
        """The content, decoded anew on each call."""
        resource: Resource = decode(self.body)
        return resource


@dataclass(frozen=True)
class Circle:
    """A plan's guard document: who is in, as the last evaluation of the team said.

    `members` are admitted to the chart in their periods; `pending` wait for the person's consent; `former` were
    members and read plan, team and their Tasks for a time; `offered` are asked for care that they have not accepted
    yet, and see of the person what the programme names.
    """

    plan: str
    patient: str
    programme: str
    author: str
    custodian: str
    team: str
    members: tuple[Reader, ...] = ()
    pending: tuple[str, ...] = ()
    former: tuple[Reader, ...] = ()
    open: bool = True

    def admits(self, parties: Sequence[str], moment: datetime) -> bool:
        """Whether one of the parties is a member at the moment."""
        return any(reader.party in parties and reader.start <= moment < reader.until for reader in self.members)

    offered: tuple[Reader, ...] = ()

    def keeper(self, moment: datetime) -> str:
        """Who keeps what is told of the plan: its custodian when the circle admits it then, else the plan itself."""
        return self.custodian if self.admits([self.custodian], moment) else self.plan


@dataclass(frozen=True)
class NumberedEvent:
    """An event of a Subscription as it was numbered: `focus` is `Type/id`, `change` create, update or delete."""

    number: int
    at: datetime
    focus: str
    change: str


@dataclass(frozen=True)
class Page:
    """A page of a search: matches, then what they include; `next` and `previous` lead on, `total` only when asked."""

    matches: tuple[Stored, ...]
    included: tuple[Stored, ...] = ()
    next: str | None = None
    previous: str | None = None
    total: int | None = None


@dataclass(frozen=True)
class Explained:
    """How the database answers a search: filter, sort and winning plan as JSON, and what that examined."""

    filter: str
    sort: str
    plan: str
    keys: int
    documents: int
    returned: int


@dataclass(frozen=True)
class Span:
    """Which versions a history of many resources asks for: of these types, made since, current at some moment `at`.

    `before` is where the page before ended: the time, type, id and number of its last version.
    """

    types: tuple[str, ...]
    since: datetime | None = None
    at: tuple[datetime, datetime] | None = None
    before: tuple[datetime, str, str, int] | None = None


@dataclass(frozen=True)
class Changed:
    """A version in a history, and the current version of the same resource."""

    version: Stored
    current: Stored


@dataclass(frozen=True)
class OwnParameter:
    """A search parameter that the operator defined by the SearchParameter of this `id`.

    `rows` say for each type how it is searched, as `definitions/parameter_rows.py` makes them; `key` names this way of
    searching and no other; `indexed` are the types of which all that is stored carries its values.
    """

    id: str
    url: str
    code: str
    rows: dict[str, dict[str, Any]]
    key: str
    indexed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Deletion:
    """A delete that is looked at again: `Type/id`, the version that it made, and who asked for it."""

    reference: str
    version: int
    organization: str | None
    person: str | None
    client_id: str | None


@dataclass(frozen=True)
class Foreseen:
    """What a write will surely ask for, so that a store may read it by one command before the transaction begins.

    `references` are `Type/id`; `people` are Patients, of whom every circle matters; of the plans that resources of
    the `workflow` types lie in, all resources of these types, circle and moves. Of the references in `standing` it is
    enough to know that they stood there a moment ago.
    """

    references: frozenset[str]
    workflow: tuple[str, ...] = ()
    people: frozenset[str] = frozenset()
    standing: frozenset[str] = frozenset()
