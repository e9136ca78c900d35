"""A page of a search: the asked query AND any grant, inside the database, by keys and never by skipping.

A page begins after the sort values of the last match before it. What a match refers to is included when a grant for
its own type admits it, and is absent otherwise.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import OperationFailure

from fhir_server.fhir.errors import TooCostly
from fhir_server.search.grant import Grant
from fhir_server.search.query import Query
from fhir_server.store.mongo import cursors
from fhir_server.store.mongo.audit_kinds import asked_filter, known_kinds
from fhir_server.store.mongo.connection import MoreToCome, Pipeline, first_batch
from fhir_server.store.mongo.cursors import Cursor
from fhir_server.store.mongo.documents import AUDIT_EVENTS, SHOWN_FIELDS, STORED_FIELDS, Document, stored_from
from fhir_server.store.mongo.full_text import asks_for_words, check_words
from fhir_server.store.mongo.including import GrantsFor, brought, matched_by, named
from fhir_server.store.mongo.queries import Filter, both, grant_filter
from fhir_server.store.mongo.questions import PageAsked, Questions
from fhir_server.store.mongo.sorting import LAST_UPDATED, MADE, Order, SortKeys, after, order_of, pipeline
from fhir_server.store.mongo.time_limit import MAX_TIME_MS, TIME_IS_UP, Within, costly, too_costly
from fhir_server.store.values import Page, Stored

ESTIMATE_MS = 500

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def search(
    database: Database[Document],
    query: Query,
    grants: Sequence[Grant],
    moment: datetime,
    *,
    secret: bytes,
    grants_for: GrantsFor | None = None,
    session: ClientSession | None = None,
    max_time_ms: int = MAX_TIME_MS,
) -> Page:
    """One page of what the query asks and a grant admits at `moment`, sorted as asked and then by id.

    `grants_for(type)` judges what is included; without it nothing is. `secret` signs cursors.
    Raises MalformedRequest for a foreign cursor, TooCostly when the database needs longer than `max_time_ms`.
    """
    condition = both(asked_filter(database, query, session), grant_filter(grants, moment))
    within = Within(session, max_time_ms, query.type)
    check_words(database, query, session)
    cursor = cursors.read(query, moment, secret) if query.cursor is not None else None
    with costly(query.type):
        total = total_of(database, query, condition, within)
        if query.summary == "count":
            return Page((), total=total)
        order, begin = _ordering(query, cursor)
        documents = ordered(
            database,
            query.type,
            order,
            condition,
            begin,
            _kept(query, order, shown=session is None),
            query.count + 1,
            within,
        )
        shown = _in_order(documents[: query.count], cursor)
        matched = matched_by(query.type, shown)
        included = brought(database, query.includes, matched, {query.type: grants}, grants_for, moment, within)
    page = _page(query, documents, cursor, moment, secret)
    return replace(page, included=included, total=total) if included or total is not None else page


def search_beside_circles(
    database: Database[Document],
    questions: Questions,
    query: Query,
    grants: Sequence[Grant],
    moment: datetime,
    patient: str,
    *,
    secret: bytes,
) -> tuple[Page, list[Document]] | None:
    """The page of a query about a patient that brings nothing along, and the patient's circles as they are after it.

    None when this needs more than one question. What is in the order of an index and asks for no words is quick, so
    others may ask together with it. Raises as `search` does.
    """
    order = order_of(query)
    if order.made or asks_for_words(query):
        return None
    cursor = cursors.read(query, moment, secret) if query.cursor is not None else None
    order, begin = _ordering(query, cursor)
    condition = both(
        asked_filter(database, query, None), grant_filter(grants, moment), *([begin] if begin is not None else ())
    )
    stages: Pipeline = [
        {"$match": condition},
        {"$sort": dict(order.keys)},
        {"$limit": query.count + 1},
        {"$project": _kept(query, order, shown=True)},
    ]
    with costly(query.type):
        found = questions.page(PageAsked(query.type, stages, query.count + 1, patient))
    if found is None:
        return None
    documents, circles = found
    return _page(query, documents, cursor, moment, secret), circles


def _page(query: Query, documents: list[Document], cursor: Cursor | None, moment: datetime, secret: bytes) -> Page:
    """The matches among the documents of a page and one more, which says that there is another, with their links."""
    shown = _in_order(documents[: query.count], cursor)
    matches = tuple(stored_from(query.type, each["_id"], each) for each in shown)
    onward, backward = ways(cursor, more=len(documents) > query.count)

    def leading(to: bool, *, back: bool) -> str | None:
        if not to or not shown:
            return None
        beside = Cursor(values_at(shown[0 if back else -1], order_of(query).keys), back)
        return cursors.written(query, beside, moment, secret)

    return Page(matches, (), leading(onward, back=False), leading(backward, back=True))


def linked(
    database: Database[Document],
    query: Query,
    grants: Sequence[Grant],
    moment: datetime,
    *,
    parameter: str | None,
    limit: int,
    session: ClientSession | None = None,
    max_time_ms: int = MAX_TIME_MS,
) -> list[str]:
    """`Type/id` of what the query asks and a grant admits, or of what these refer to by `parameter`, with urls.

    Raises TooCostly when they are more than `limit`, which only counts what a grant admits, Unavailable when documents
    lack the words that are asked for.
    """
    check_words(database, query, session)
    condition = both(asked_filter(database, query, session), grant_filter(grants, moment))
    kept = {"_id": 1} if parameter is None else {"t": 1}
    with costly(query.type):
        found = database[query.type].find(condition, kept, limit=limit + 1, session=session, max_time_ms=max_time_ms)
        documents = list(found)
    if len(documents) > limit:
        raise TooCostly(
            f"This search goes through more than {limit} resources of the type {query.type}; "
            "narrow what it says of them."
        )
    if parameter is None:
        return [f"{query.type}/{each['_id']}" for each in documents]
    return list(dict.fromkeys(each for document in documents for each in named(document, parameter)))


def plans_beside(
    database: Database[Document],
    query: Query,
    patient: str,
    limit: int,
    *,
    session: ClientSession | None = None,
    max_time_ms: int = MAX_TIME_MS,
) -> list[str]:
    """The plans of what the query finds that is about somebody else, whoever may read it. Raises TooCostly."""
    asked = both(asked_filter(database, query, session), {"patient": {"$ne": patient}})
    with costly(query.type):
        kept = {"_id": 0, "plans": 1}
        found = list(database[query.type].find(asked, kept, limit=limit + 1, session=session, max_time_ms=max_time_ms))
    if len(found) > limit:
        raise too_costly(query.type)
    return sorted({plan for each in found for plan in each["plans"]})


@dataclass(frozen=True)
class Slice:
    """At most `count` resources of a plan: those behind the id `after`, updated `since` then."""

    plan: str
    after: str | None
    since: datetime | None
    count: int


def lying_in(
    collection: Collection[Document],
    part: Slice,
    grants: Sequence[Grant],
    moment: datetime,
    *,
    session: ClientSession | None = None,
    max_time_ms: int = MAX_TIME_MS,
) -> list[Stored]:
    """What lies in a plan and a grant admits, by id. Raises TooCostly like a search."""
    lying: Filter = {"plans": part.plan, "del": False}
    if part.after is not None:
        lying["_id"] = {"$gt": part.after}
    if part.since is not None:
        lying[LAST_UPDATED] = {"$gte": part.since}
    asked, type_name = both(lying, grant_filter(grants, moment)), collection.name
    with costly(type_name):
        found = collection.find(
            asked, STORED_FIELDS, sort=[("_id", 1)], limit=part.count, session=session, max_time_ms=max_time_ms
        )
        return [stored_from(type_name, each["_id"], each) for each in found]


def total_of(database: Database[Document], query: Query, condition: Filter, within: Within) -> int | None:
    """The number of all matches when it was asked; an estimate is the number itself, or none if it takes too long."""
    if query.total == "none" and query.summary != "count":
        return None
    estimated = query.total == "estimate" and query.summary != "count"
    limit = {"maxTimeMS": min(ESTIMATE_MS, within.left()) if estimated else within.left()}
    try:
        return database[query.type].count_documents(condition, session=within.session, **limit)
    except OperationFailure as error:
        if not estimated or error.code != TIME_IS_UP or within.session is not None:
            raise
        return None


def _ordering(query: Query, cursor: Cursor | None) -> tuple[Order, Filter | None]:
    """The order of a page, in reverse when the way leads back, and the condition that it begins with."""
    order = order_of(query)
    if cursor is None:
        return order, None
    order = order.reversed() if cursor.back else order
    return order, after(order.keys, times_at(order.keys, cursor.values))


def _kept(query: Query, order: Order, *, shown: bool) -> Document:
    """What is needed of each document: inclusion goes by its terms, the next page by what it is ordered by.

    Who reads it is judged again where something is included, of Patients that are seen in part, and by a write; what is
    `shown` by any other search has been judged.
    """
    judged = not shown or query.includes or query.type == "Patient"
    beside = (("t", query.includes), ("k", order.by_keys), (MADE, order.made))
    return {**(STORED_FIELDS if judged else SHOWN_FIELDS), **{name: 1 for name, needed in beside if needed}}


def ordered(
    database: Database[Document],
    type_name: str,
    order: Order,
    condition: Filter,
    begin: Filter | None,
    kept: Document,
    limit: int,
    within: Within,
) -> list[Document]:
    """The first `limit` documents of a type that meet the condition, in the order and from `begin` on.

    Of each comes what is `kept`.
    """
    if order.made:
        alike = known_kinds(database, within.session).stages() if type_name == AUDIT_EVENTS else ()
        stages = [*pipeline(order, condition, begin, limit, alike), {"$project": kept}]
        time_limit: dict[str, Any] = {"maxTimeMS": within.left()}
        return list(database[type_name].aggregate(stages, session=within.session, **time_limit))
    sought = condition if begin is None else both(condition, begin)
    if within.session is None:
        asked: Document = {"find": type_name, "filter": sought, "projection": kept, "sort": dict(order.keys)}
        # One more than there can be: of what it sorts itself, MongoDB only then knows that no more is to come.
        asked |= {"limit": limit, "batchSize": limit + 1, "maxTimeMS": within.left()}
        with suppress(MoreToCome):
            return first_batch(database, asked)
    return list(database[type_name].find(sought, kept, sort=list(order.keys), limit=limit, **within.options()))


def _in_order(documents: list[Document], cursor: Cursor | None) -> list[Document]:
    return documents[::-1] if cursor is not None and cursor.back else documents


def ways(cursor: Cursor | None, *, more: bool) -> tuple[bool, bool]:
    """Whether there is a page after this one, and one before it; whoever came by a cursor can go back where it was."""
    if cursor is None:
        return more, False
    return (True, more) if cursor.back else (more, True)


def values_at(document: Document, keys: SortKeys) -> list[Any]:
    """The sort values of a document, as a cursor holds them."""
    return [_value(document, field) for field, _ in keys]


def _value(document: Document, field: str) -> Any:
    value: Any = document
    for name in field.split("."):
        value = value[name]
    if field == LAST_UPDATED:
        return (value - _EPOCH) // _MILLISECOND
    return int(value) if isinstance(value, int) else value  # the driver reads a long as its own kind of int


def times_at(keys: SortKeys, values: Sequence[Any]) -> list[Any]:
    """The values of a cursor with times for the milliseconds that it holds."""
    return [
        _EPOCH + value * _MILLISECOND if field == LAST_UPDATED else value
        for (field, _), value in zip(keys, values, strict=True)
    ]
