"""A page is so many documents in an order, from the sort values of the last one before it; these lie in a cursor."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from pymongo.database import Database
from pymongo.errors import OperationFailure

from fhir_server.search.query import Query
from fhir_server.store.mongo.audit.kinds import known_kinds
from fhir_server.store.mongo.connection import MoreToCome, first_batch
from fhir_server.store.mongo.documents import AUDIT_EVENTS, Document
from fhir_server.store.mongo.logic import Filter, both
from fhir_server.store.mongo.search import cursors
from fhir_server.store.mongo.search.cursors import Cursor
from fhir_server.store.mongo.search.sorting import LAST_UPDATED, Order, SortKeys, after, order_of, pipeline
from fhir_server.store.mongo.time_limit import TIME_IS_UP, Within

ESTIMATE_MS = 500

_Shown = TypeVar("_Shown")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def ordering(query: Query, cursor: Cursor | None) -> tuple[Order, Filter | None]:
    """The order of a page, in reverse when the way leads back, and the condition that it begins with."""
    order = order_of(query)
    if cursor is None:
        return order, None
    order = order.reversed() if cursor.back else order
    begin = after(order.keys, times_at(order.keys, cursor.values), with_ties=cursor.ties)
    return order, recorded_by_then(begin, query.type, cursor)


def recorded_by_then(begin: Filter | None, type_name: str, cursor: Cursor) -> Filter | None:
    """The condition that a page begins with, of AuditEvents without those that came after its first page."""
    if type_name != AUDIT_EVENTS or cursor.until is None:
        return begin
    bound: Filter = {LAST_UPDATED: {"$lte": _EPOCH + cursor.until * _MILLISECOND}}
    return both(bound, begin) if begin is not None else bound


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


def in_order(documents: list[Document], cursor: Cursor | None) -> list[Document]:
    """The documents of a page as they are shown, also when the way to it led back."""
    return documents[::-1] if cursor is not None and cursor.back else documents


def ways(cursor: Cursor | None, *, more: bool) -> tuple[bool, bool]:
    """Whether there is a page after this one, and one before it; whoever came by a cursor can go back where it was."""
    if cursor is None:
        return more, False
    return (True, more) if cursor.back else (more, True)


def links(
    question: Query,
    cursor: Cursor | None,
    shown: Sequence[_Shown],
    values: Callable[[_Shown], list[Any]],
    *,
    more: bool,
    moment: datetime,
    secret: bytes,
) -> tuple[str | None, str | None]:
    """The cursors of the pages after and before the one that `cursor` began; `values` are those that one is placed by.

    A page on which nothing is left leads to what is on either side of where it began.
    """
    onward, backward = ways(cursor, more=more)
    until = cursor.until if cursor is not None else None
    if cursor is None and AUDIT_EVENTS in question.type.split(","):
        until = (moment - _EPOCH) // _MILLISECOND

    def leading(to: bool, *, back: bool) -> str | None:
        if not to:
            return None
        if shown:
            at = Cursor(values(shown[0 if back else -1]), back, until=until)
            return cursors.written(question, at, moment, secret)
        return cursors.written(question, cursor.turned(), moment, secret) if cursor is not None else None

    return leading(onward, back=False), leading(backward, back=True)


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


def times_at(keys: SortKeys, values: Sequence[Any]) -> list[Any]:
    """The values of a cursor with times for the milliseconds that it holds."""
    return [
        _EPOCH + value * _MILLISECOND if field == LAST_UPDATED else value
        for (field, _), value in zip(keys, values, strict=True)
    ]
