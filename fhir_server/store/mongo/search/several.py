"""A page of a search of several types: each type is asked by itself, under its own grants, and the answers are merged.

Without `_sort` the types follow each other in the order that they are asked in, and a page asks only as many as it
needs; with it, each type is asked for the keys of one page. All questions of a page share one time limit.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeAlias

from pymongo import DESCENDING
from pymongo.client_session import ClientSession
from pymongo.database import Database

from fhir_server.search.grant import Grant, GrantsFor
from fhir_server.search.query import Query
from fhir_server.store.mongo.contained import check_contained
from fhir_server.store.mongo.documents import STORED_FIELDS, TERMS_SENT, Document, stored_from
from fhir_server.store.mongo.indexing.full_text import check_words
from fhir_server.store.mongo.logic import NOTHING, Filter, both
from fhir_server.store.mongo.search import cursors
from fhir_server.store.mongo.search.asked import asked_filter
from fhir_server.store.mongo.search.cursors import Cursor
from fhir_server.store.mongo.search.including import Found, brought, matched_by, matched_inside
from fhir_server.store.mongo.search.paging import (
    ESTIMATE_MS,
    links,
    ordered,
    recorded_by_then,
    times_at,
    total_of,
    values_at,
)
from fhir_server.store.mongo.search.queries import grant_filter
from fhir_server.store.mongo.search.sorting import Order, after, order_of
from fhir_server.store.mongo.time_limit import MAX_TIME_MS, Within, costly
from fhir_server.store.values import Page, Stored

Asked: TypeAlias = Sequence[tuple[Query, Sequence[Grant]]]


@dataclass(frozen=True)
class _Row:
    """Where a match stands: the place of its type among those asked, its sort values, the last of which is its id."""

    place: int
    values: list[Any]


def search_several(
    database: Database[Document],
    asked: Asked,
    moment: datetime,
    *,
    secret: bytes,
    grants_for: GrantsFor | None = None,
    session: ClientSession | None = None,
    max_time_ms: int = MAX_TIME_MS,
) -> Page[Stored]:
    """One page of what the queries ask and grants of their types admit; all sort, count, include and summarise alike.

    `grants_for(type)` judges what is included; without it nothing is.
    Raises MalformedRequest for a foreign cursor, TooCostly when the database needs longer than `max_time_ms`.
    """
    for query, _ in asked:
        check_words(database, query, session)
        check_contained(database, query, session)
    first = asked[0][0]
    # A comma behind the last of them: where a page of one type begins among several is said otherwise than by itself.
    question = replace(first, type="".join(f"{query.type}," for query, _ in asked))
    cursor = cursors.read(question, moment, secret) if first.cursor is not None else None
    search = _Search(database, asked, moment, cursor, Within(session, max_time_ms, "several types"))
    with costly("several types"):
        total = search.total()
        if first.summary == "count":
            return Page((), total=total)
        rows = search.rows()
        shown = rows[: first.count][::-1] if search.back else rows[: first.count]
        matched = search.matched(shown)
        granted = {query.type: grants for query, grants in asked}
        sources = {**matched, **search.contained(matched)} if first.includes else matched
        included = brought(database, first.includes, sources, granted, grants_for, moment, search.within)
    following, previous = links(
        question,
        cursor,
        shown,
        lambda row: [row.place, *row.values],
        more=len(rows) > first.count,
        moment=moment,
        secret=secret,
    )
    matches = tuple(stored_from(type_name, each["_id"], each) for type_name, each in matched.values())
    return Page(matches, included, following, previous, total)


class _Search:
    """One page's way through the types."""

    def __init__(
        self,
        database: Database[Document],
        asked: Asked,
        moment: datetime,
        cursor: Cursor | None,
        within: Within,
    ) -> None:
        first = asked[0][0]
        self._database = database
        self._queries = [query for query, _ in asked]
        self._conditions = [
            both(asked_filter(database, query, within.session), grant_filter(grants, moment)) for query, grants in asked
        ]
        self._seen = [bool(grants) for _, grants in asked]
        self._kept = {**STORED_FIELDS, **(TERMS_SENT if first.includes else {})}
        self.within = within
        self._begin = cursor
        self._by_type = not first.sort
        self._most = first.count + 1
        self.back = cursor is not None and cursor.back
        orders = [_to_the_id(order_of(query)) for query, _ in asked]
        self._orders = [order.reversed() for order in orders] if self.back else orders

    def total(self) -> int | None:
        """The number of all matches, when it was asked; of an estimate none when that takes too long."""
        first, total = self._queries[0], 0
        if first.total == "none" and first.summary != "count":
            return None
        estimated = first.total == "estimate" and first.summary != "count"
        late = time.monotonic() + ESTIMATE_MS / 1000
        for query, condition, seen in zip(self._queries, self._conditions, self._seen, strict=True):
            if estimated and time.monotonic() > late:
                return None
            counted = total_of(self._database, query, condition, self.within) if seen else 0
            if counted is None:
                return None
            total += counted
        return total

    def rows(self) -> list[_Row]:
        """Where the matches of the page stand, and one more; in reverse when the way leads back."""
        rows: list[_Row] = []
        for place in reversed(range(len(self._queries))) if self.back else range(len(self._queries)):
            rows += self._rows_of(place, self._most - len(rows) if self._by_type else self._most)
            if self._by_type and len(rows) >= self._most:
                break
        return self._in_order(rows)[: self._most]

    def matched(self, rows: Sequence[_Row]) -> Found:
        """The documents of the rows; one that changed a moment ago, so that it is no match now, is left out."""
        found: Found = {}
        for place in sorted({row.place for row in rows}):
            type_name = self._queries[place].type
            ids = {"_id": {"$in": [row.values[-1] for row in rows if row.place == place]}}
            wanted = both(ids, self._conditions[place])
            documents = self._database[type_name].find(wanted, self._kept, **self.within.options())
            found |= matched_by(type_name, documents)
        shown = (f"{self._queries[row.place].type}/{row.values[-1]}" for row in rows)
        return {key: found[key] for key in shown if key in found}

    def contained(self, matched: Found) -> Found:
        """What of the matched documents was sought, where they only contain it."""
        found: Found = {}
        for query in self._queries if self._queries[0].contained else ():
            found |= matched_inside(query, (each for name, each in matched.values() if name == query.type))
        return found

    def _rows_of(self, place: int, most: int) -> Iterator[_Row]:
        beyond = self._beyond(place)
        if beyond == NOTHING or not self._seen[place]:
            return
        order = self._orders[place]
        found = ordered(
            self._database,
            self._queries[place].type,
            order,
            self._conditions[place],
            beyond,
            {field: 1 for field, _ in order.keys},
            most,
            self.within,
        )
        for document in found:
            yield _Row(place, values_at(document, order.keys))

    def _beyond(self, place: int) -> Filter | None:
        """What of a type comes behind the cursor: nothing of the types before it, where these come one by one."""
        if self._begin is None:
            return None
        begin, *values = self._begin.values
        ahead, type_name = place < begin if self.back else place > begin, self._queries[place].type
        if self._by_type and place != begin:
            return recorded_by_then(None, type_name, self._begin) if ahead else NOTHING
        keys = self._orders[place].keys
        ties = ahead or (place == begin and self._begin.ties)
        return recorded_by_then(after(keys, times_at(keys, values), with_ties=ties), type_name, self._begin)

    def _in_order(self, rows: list[_Row]) -> list[_Row]:
        """By the keys, then by type: what sorts last is sorted by first."""
        rows.sort(key=lambda row: row.place, reverse=self.back)
        directions = [direction for _, direction in self._orders[0].keys]
        for position in reversed(range(len(directions))) if not self._by_type else ():
            rows.sort(key=lambda row, at=position: row.values[at], reverse=directions[position] == DESCENDING)  # type: ignore[misc]
        return rows


def _to_the_id(order: Order) -> Order:
    """The order as far as the id: of one type nothing is left to sort behind it."""
    return replace(order, keys=order.keys[: [field for field, _ in order.keys].index("_id") + 1])
