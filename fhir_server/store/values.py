"""What is kept, asked for and answered: the values that pass between the store and whoever uses it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeAlias, TypeVar

from fhir_server.fhir.json import Resource, decode
from fhir_server.search.grant import Reader, Stamp

Key: TypeAlias = tuple[str, str]
"""A resource by its type and id."""


class Shown(Protocol):
    """What an answer shows of a resource, and what its record says of it: as much as a page needs of a Stored."""

    @property
    def type(self) -> str:
        """The resource type."""

    @property
    def id(self) -> str:
        """The id."""

    @property
    def body(self) -> bytes:
        """The exact JSON, or a part of it."""

    @property
    def stamp(self) -> Stamp:
        """Of whom it is and in which plans it lies, at least."""

    @property
    def deleted(self) -> bool:
        """Whether there is nothing to show."""

    @property
    def reference(self) -> str:
        """`Type/id`."""

    def resource(self) -> Resource:
        """The content, decoded anew on each call."""


class _Content:
    """What both forms of a resource below say of themselves."""

    @property
    def reference(self: Shown) -> str:
        """`Type/id`."""
        return f"{self.type}/{self.id}"

    def resource(self: Shown) -> Resource:
        """The content, decoded anew on each call."""
        resource: Resource = decode(self.body)
        return resource


@dataclass(frozen=True)
class Stored(_Content):
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


@dataclass(frozen=True)
class Match(_Content):
    """A match of a page that is only shown; its stamp says of whom it is, in which plans and for what audience."""

    type: str
    id: str
    body: bytes
    stamp: Stamp
    deleted: Literal[False] = False


@dataclass(frozen=True)
class Circle:
    """The circle of a plan: who is in, as the last evaluation of the team said.

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
    offered: tuple[Reader, ...] = ()

    def admits(self, parties: Sequence[str], moment: datetime) -> bool:
        """Whether one of the parties is a member at the moment."""
        return any(reader.party in parties and reader.start <= moment < reader.until for reader in self.members)

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


Kept = TypeVar("Kept", bound=Shown, covariant=True)


@dataclass(frozen=True)
class Page(Generic[Kept]):
    """A page of a search: matches, then what they include; `next` and `previous` lead on, `total` only when asked."""

    matches: tuple[Kept, ...]
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


class Item(NamedTuple):
    """What a list refers to: a resource in all its versions, or one of them."""

    type: str
    id: str
    version: int | None = None


@dataclass(frozen=True)
class Span:
    """Which versions a history of many resources asks for: of these types, made since, current at some moment `at`.

    `before` is where the page before ended: the time, type, id and number of its last version. With `items` it asks
    for the versions of these alone.
    """

    types: tuple[str, ...]
    since: datetime | None = None
    at: tuple[datetime, datetime] | None = None
    before: tuple[datetime, str, str, int] | None = None
    items: frozenset[Item] | None = None


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
    the `workflow` types lie in, all resources of these types, circle and moves. Of the references in `lasting` it is
    enough to have seen them a moment ago: they are only referred to, and nobody takes one away without waiting.
    """

    references: frozenset[str]
    workflow: tuple[str, ...] = ()
    people: frozenset[str] = frozenset()
    lasting: frozenset[str] = frozenset()
