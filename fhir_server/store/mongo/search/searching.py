"""A page of a search: the asked query AND any grant, inside the database, by keys and never by skipping.

A page begins after the sort values of the last match before it. What a match refers to is included when a grant for
its own type admits it, and is absent otherwise.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from pymongo.client_session import ClientSession
from pymongo.database import Database

from fhir_server.search.grant import Grant, GrantsFor
from fhir_server.search.query import Query
from fhir_server.store.mongo.connection import Pipeline
from fhir_server.store.mongo.documents import (
    MATCH_FIELDS,
    SHOWN_FIELDS,
    STORED_FIELDS,
    TERMS_SENT,
    Document,
    match_from,
    stored_from,
)
from fhir_server.store.mongo.indexing.full_text import asks_for_words, check_words
from fhir_server.store.mongo.logic import both
from fhir_server.store.mongo.questions import PageAsked, Questions
from fhir_server.store.mongo.search import cursors
from fhir_server.store.mongo.search.asked import asked_filter
from fhir_server.store.mongo.search.cursors import Cursor
from fhir_server.store.mongo.search.including import brought, matched_by
from fhir_server.store.mongo.search.paging import in_order, links, ordered, ordering, total_of, values_at
from fhir_server.store.mongo.search.queries import grant_filter
from fhir_server.store.mongo.search.sorting import LAST_UPDATED, MADE, Order
from fhir_server.store.mongo.time_limit import MAX_TIME_MS, Within, costly
from fhir_server.store.values import Kept, Match, Page, Stored


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
) -> Page[Stored]:
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
        order, begin = ordering(query, cursor)
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
        shown = in_order(documents[: query.count], cursor)
        matched = matched_by(query.type, shown)
        included = brought(database, query.includes, matched, {query.type: grants}, grants_for, moment, within)
    page = _page(query, order, documents, stored_from, cursor, moment, secret)
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
) -> tuple[Page[Match], list[Document]] | None:
    """The page of a query about a patient that brings nothing along, and the patient's circles as they are after it.

    None when this needs more than one question. What is in the order of an index and asks for no words is quick, so
    others may ask together with it. Raises as `search` does.
    """
    cursor = cursors.read(query, moment, secret) if query.cursor is not None else None
    order, begin = ordering(query, cursor)
    if order.made or asks_for_words(query):
        return None
    condition = both(
        asked_filter(database, query, None), grant_filter(grants, moment), *([begin] if begin is not None else ())
    )
    stages: Pipeline = [
        {"$match": condition},
        {"$sort": dict(order.keys)},
        {"$limit": query.count + 1},
        {"$project": _shown(order)},
    ]
    with costly(query.type):
        found = questions.page(PageAsked(query.type, stages, query.count + 1, patient))
    if found is None:
        return None
    documents, circles = found
    return _page(query, order, documents, match_from, cursor, moment, secret), circles


def _page(
    query: Query,
    order: Order,
    documents: list[Document],
    kept_from: Callable[[str, str, Document], Kept],
    cursor: Cursor | None,
    moment: datetime,
    secret: bytes,
) -> Page[Kept]:
    """The matches among the documents of a page and one more, which says that there is another, with their links."""
    shown = in_order(documents[: query.count], cursor)
    matches = tuple([kept_from(query.type, each["_id"], each) for each in shown])
    following, previous = links(
        query,
        cursor,
        shown,
        lambda each: values_at(each, order.keys),
        more=len(documents) > query.count,
        moment=moment,
        secret=secret,
    )
    return Page(matches, (), following, previous)


def _shown(order: Order) -> Document:
    """What is needed of a document that is only shown, and of the last one for the way to the next page."""
    beside = (("k", order.by_keys), (LAST_UPDATED, LAST_UPDATED in dict(order.keys)))
    return {**MATCH_FIELDS, **{name: 1 for name, needed in beside if needed}}


def _kept(query: Query, order: Order, *, shown: bool) -> Document:
    """What is needed of each document: inclusion goes by its terms, the next page by what it is ordered by.

    Who reads it is judged again where something is included, of Patients that are seen in part, and by a write; what is
    `shown` by any other search has been judged.
    """
    judged = not shown or query.includes or query.type == "Patient"
    beside = (("k", order.by_keys), (MADE, order.made))
    return {
        **(STORED_FIELDS if judged else SHOWN_FIELDS),
        **(TERMS_SENT if query.includes else {}),
        **{name: 1 for name, needed in beside if needed},
    }
