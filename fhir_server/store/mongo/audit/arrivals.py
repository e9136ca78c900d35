"""The records of journals are put with the other AuditEvents, without the people who were purged in the meantime.

A server that was killed, or had no database, may bring what it recorded long after a person that it names was purged.
The key of that purge is forgotten by then; but of what was the person's no version is in the database any more. So a
record that was made before a purge ended, and arrives after it, leaves out every reference to what is not there, and
the values of its searches. While a purge is under way its own pseudonyms are used.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pymongo import ReplaceOne

from fhir_server.fhir.dates import time_range
from fhir_server.fhir.json import Resource
from fhir_server.search.grant import Stamp
from fhir_server.store.mongo.audit.events import audit_document, insert, recorded_at, recorded_in
from fhir_server.store.mongo.audit.told_pages import ToldPages
from fhir_server.store.mongo.connection import DURABLE, Connection, asking
from fhir_server.store.mongo.documents import AUDIT_EVENTS, Document
from fhir_server.store.mongo.purge_reading import ENDED, PURGES, PurgeReading
from fhir_server.store.purges import Forgetting, Names

_KEY_BYTES = 32


@dataclass(frozen=True)
class _Purges:
    """The purges under way, each with its key and words and whether its workflow is closed; when the last one ended."""

    running: tuple[tuple[str, bytes, tuple[str, ...], bool], ...]
    ended: datetime | None

    def concern(self, record: bytes) -> bool:
        """Whether a record may name somebody who was purged since."""
        return bool(self.running) or self.ended_after(recorded_at(record))

    def ended_after(self, recorded: datetime) -> bool:
        """Whether what was recorded then was before a purge ended.

        Whoever read of the person did so before the purge took away the workflow, and it waits after that, so clocks
        may be as far apart as it waits.
        """
        return self.ended is not None and recorded <= self.ended


class Arrivals:
    """Keeps the records of journals; `told` are those that this process made ready. `forgetting` says how a record is
    without somebody."""

    def __init__(
        self, connection: Connection, forgetting: Forgetting | None, seconds: float, told: ToldPages | None = None
    ) -> None:
        self._connection = connection
        self._forgetting = forgetting
        self._told = told or ToldPages()
        self._seconds = seconds

    def keep(self, records: Sequence[bytes]) -> None:
        """Put the records with the other AuditEvents, once. Raises Unavailable.

        A purge that began or ended meanwhile may have looked before they were there: then it is done again.
        """
        if self._forgetting is None:
            self._insert(records)
            return
        purges, known = self._purges(), None
        while purges != known:
            self._put(records, purges, self._forgetting)
            purges, known = self._purges(), purges

    def _put(self, records: Sequence[bytes], purges: _Purges, forgetting: Forgetting) -> None:
        if not purges.running and purges.ended is None:
            self._insert(records)
            return
        plain: list[bytes] = []
        anew: list[bytes] = []
        for record in records:
            (anew if purges.concern(record) else plain).append(record)
        if plain:
            self._insert(plain)
        if anew:
            told = [recorded_in(record) for record in anew]
            documents = [audit_document(event, stamp) for event, stamp in self._without(told, purges, forgetting)]
            puts = [ReplaceOne({"_id": each["_id"]}, each, upsert=True) for each in documents]
            with asking(self._seconds):
                self._connection.collection(AUDIT_EVENTS, DURABLE).bulk_write(puts, ordered=False)

    def _insert(self, records: Sequence[bytes]) -> None:
        insert(self._connection, records, self._seconds, self._told.formed)

    def _without(
        self, told: Sequence[tuple[Resource, Stamp]], purges: _Purges, forgetting: Forgetting
    ) -> Iterator[tuple[Resource, Stamp]]:
        """The records without whoever was purged, or is being purged."""
        names = [
            Names(key, PurgeReading(self._connection).noted(person), frozenset(words))
            for person, key, words, _ in purges.running
        ]
        gone = self._gone({name for each in told for name in forgetting.named(*each)}, forgetting)
        late = Names(os.urandom(_KEY_BYTES), gone, frozenset(), searched=True)
        for event, stamp in told:
            is_late = purges.ended_after(time_range(event["recorded"])[0])
            for each in [*names, *((late,) if is_late else ())]:
                event, stamp = forgetting.without(event, stamp, each)
            yield event, stamp

    def _gone(self, references: Iterable[str], forgetting: Forgetting) -> frozenset[str]:
        """Those of the references, of types that a purge takes away, to what is not there, deleted or not."""
        ids: dict[str, list[str]] = defaultdict(list)
        for type_name, _, id in (each.partition("/") for each in references):
            if type_name in forgetting.types:
                ids[type_name].append(id)
        gone: set[str] = set()
        for type_name, some in ids.items():
            with asking(self._seconds):
                found = self._connection.collection(type_name).find({"_id": {"$in": some}}, {"_id": 1})
                there = {each["_id"] for each in found}
            gone |= {f"{type_name}/{id}" for id in some if id not in there}
        return frozenset(gone)

    def _purges(self) -> _Purges:
        with asking(self._seconds):
            found: list[Document] = list(self._connection.collection(PURGES).find())
        running = [each for each in found if each["_id"] != ENDED]
        ended = next((each["at"] for each in found if each["_id"] == ENDED), None)
        return _Purges(tuple(sorted(_running(each) for each in running)), ended)


def _running(document: Document) -> tuple[str, bytes, tuple[str, ...], bool]:
    return document["_id"], bytes(document["key"]), tuple(document["words"]), document["closed"] is not None
