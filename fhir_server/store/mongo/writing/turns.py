"""The turns that one transaction takes at guards, so that of two writers at one guard the later starts again.

A guard is a document of the ledger that counts the turns taken at it. A turn that was read ahead is taken with what is
written: the snapshot is the same, and so is the conflict. Without reading ahead it is taken in the database at once.
"""

from collections.abc import Mapping
from typing import cast

from pymongo import ReturnDocument
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError

from fhir_server.store.mongo.connection import asking
from fhir_server.store.mongo.documents import Document
from fhir_server.store.mongo.ledger import turn_id
from fhir_server.store.mongo.writing.ahead import Ahead
from fhir_server.store.mongo.writing.own_session import OwnSession
from fhir_server.store.mongo.writing.unit import StartAgain


class Turns:
    """The turns of one transaction, by the keys of their guards; the database is asked for `seconds` at most."""

    def __init__(
        self, ledger: Collection[Document], own_session: OwnSession, ahead: Ahead | None, seconds: float
    ) -> None:
        self._ledger = ledger
        self._own_session = own_session
        self._seconds = seconds
        self._ahead = dict(ahead.turns) if ahead is not None else None
        self._taken: dict[str, int] = {}
        self._to_take: dict[str, int] = {}
        self._to_prove = dict(ahead.turns) if ahead is not None and ahead.unread else {}

    @property
    def taken(self) -> Mapping[str, int]:
        """The turns that it took."""
        return self._taken

    @property
    def matter(self) -> bool:
        """Whether it took a turn, or must still prove one by what it writes."""
        return bool(self._taken or self._to_prove)

    @property
    def are_ahead(self) -> bool:
        """Whether the turns were read ahead: what they guard may then be older than the transaction."""
        return self._ahead is not None

    def take(self, key: str) -> int:
        """Take the next turn at `key`, once. Raises StartAgain when another writer takes one at the same time, and
        when others were read ahead but this one was not: who reads it now may read it too late."""
        if key not in self._taken:
            self._taken[key] = self._next(key) if self._ahead is None else self._foreseen(key, self._ahead)
        return self._taken[key]

    def to_be_written(self) -> tuple[dict[str, int], dict[str, int]]:
        """The turns before those that are still to be taken by a write, and those that it must prove; only once."""
        taking, self._to_take = self._to_take, {}
        proving, self._to_prove = {key: turn for key, turn in self._to_prove.items() if key not in taking}, {}
        return taking, proving

    def _foreseen(self, key: str, ahead: Mapping[str, int]) -> int:
        if key not in ahead:
            raise StartAgain
        self._to_take[key] = ahead[key]
        return ahead[key] + 1

    def _next(self, key: str) -> int:
        with asking(self._seconds):
            try:
                document = self._ledger.find_one_and_update(
                    {"_id": turn_id(key)},
                    {"$inc": {"turn": 1}},
                    upsert=True,
                    return_document=ReturnDocument.AFTER,
                    session=self._own_session.begun(),
                )
            except DuplicateKeyError as error:
                raise StartAgain from error
        turn: int = cast("Document", document)["turn"]
        return turn
