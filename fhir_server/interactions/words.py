"""What is asked of the hall and what it answers, free of HTTP."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fhir_server.care.programmes import Programme
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.json import Resource
from fhir_server.fhir.outcome import Issue
from fhir_server.store.contract import Reading, Store
from fhir_server.store.values import Shown, Stored
from fhir_server.validation.validator import Validator


@dataclass(frozen=True)
class Misread:
    """A body, or an entry of a batch, that is well-formed and none of R4, as only XML can be: what is wrong with it."""

    issues: tuple[Issue, ...]


@dataclass(frozen=True)
class Interaction:
    """One interaction as it was asked: its FHIR name, the place, search parameters, body and conditions.

    `form` are the parameters that say how the answer is written; the links of a page carry them on.
    """

    name: str
    type: str | None = None
    id: str | None = None
    version: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()
    resource: Any = None
    if_match: str | None = None
    if_none_match: str | None = None
    if_none_exist: str | None = None
    lenient: bool = False
    if_modified_since: str | datetime | None = None
    returning: str | None = None
    form: tuple[tuple[str, str], ...] = ()
    if_unmodified_since: str | None = None

    @property
    def asked(self) -> str:
        """Its parameters as the audit tells them: decoded, in their order."""
        return "&".join(f"{name}={value}" for name, value in self.parameters)


@dataclass(frozen=True)
class Answer:
    """What comes back: an outcome word, the bytes, the stored version that it is about, and what was disclosed.

    `etag` is for an answer that is about no stored version.
    """

    outcome: str
    body: bytes | None = None
    stored: Stored | None = None
    disclosed: tuple[Shown, ...] = ()
    reason: str | None = None
    query: str | None = None
    audited: bool = False
    etag: str | None = None


@dataclass(frozen=True)
class Services:
    """All that the interactions work with; built once by the application.

    `within` is the transaction that a Bundle's reads take part in, so that they see its writes; `operations` are the
    performers of operations, by name; `full_text` are the types whose words are kept.
    """

    store: Store
    validator: Validator
    programmes: Mapping[str, Programme]
    base_url: str
    secret: bytes
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    check_subscription: Callable[[Resource, bool], list[Issue]]
    max_circles: int = 2000
    default_count: int = 50
    max_count: int = 500
    max_stored: int = 12_000_000
    max_deletes: int = 1
    referential_integrity: bool = True
    full_text: frozenset[str] = frozenset()
    software_version: str = field(default="0")
    within: Reading | None = None
    operations: Mapping[str, Callable[[Interaction, Actor, "Services"], Answer]] = field(default_factory=dict)

    @property
    def reading(self) -> Reading:
        """Where reads and searches ask: the store, or the transaction around them."""
        return self.within or self.store
