"""A page of a search: the asked query AND any grant, inside the database, by keys and never by skipping.

A page begins after the sort values of the last match before it. What a match refers to is included when a grant for
its own type admits it, and is absent otherwise.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import pymongo
from pymongo import ASCENDING, DESCENDING
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import OperationFailure

from fhir_server.definitions.structures import RESOURCE_TYPES
from fhir_server.fhir.errors import TooCostly
from fhir_server.fhir.reference import Reference, parse_reference
from fhir_server.search.grant import Grant
from fhir_server.search.query import Include, Query
from fhir_server.store.contract import Page, Stored
from fhir_server.store.mongo import cursors
from fhir_server.store.mongo.documents import Document, stored_from
from fhir_server.store.mongo.queries import NOTHING, Filter, both, grant_filter, query_filter

GrantsFor: TypeAlias = Callable[[str], Sequence[Grant]]
Within: TypeAlias = dict[str, Any]
SortKeys: TypeAlias = Sequence[tuple[str, int]]

MAX_TIME_MS = 5_000

_LAST_UPDATED = "lu"
_OF_THE_STORE = {"_id": "_id", "_lastUpdated": _LAST_UPDATED}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_TIME_IS_UP, _SORTS_TOO_MUCH = 50, 292
_NOT_SENT = {"s": 0, "d": 0, "has": 0, "n": 0, "g": 0, "m": 0}


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

    `grants_for(type)` judges what is included; without it nothing is. `secret` signs the cursor of the next page.
    Raises MalformedRequest for a foreign cursor, TooCostly when the database needs longer than `max_time_ms`.
    """
    condition = both(query_filter(query), grant_filter(grants, moment))
    within: Within = {"session": session, "max_time_ms": max_time_ms}
    with _costly(query):
        total = _total(database, query, condition, within)
        if query.summary == "count":
            return Page((), total=total)
        documents = _page(database, query, condition, secret, within)
        shown = documents[: query.count]
        included = _included(database, query, shown, grants_for, moment, within)
    matches = tuple(stored_from(query.type, each["_id"], each) for each in shown)
    more = len(documents) > query.count
    return Page(matches, included, _cursor(query, shown[-1], secret) if more else None, total)


def sort_keys(query: Query) -> SortKeys:
    """The fields to sort by, each with its direction; `_id` is the last and follows the direction before it."""
    keys = [(_field(each.parameter, each.descending), _direction(each.descending)) for each in query.sort]
    return keys if "_id" in dict(keys) else [*keys, ("_id", keys[-1][1] if keys else ASCENDING)]


def after(keys: SortKeys, values: Sequence[Any]) -> Filter:
    """The documents that come after these sort values.

    The range of the first key stands beside the alternatives, because an index can only begin at a range.
    """
    ties = [
        both(*({field: value} for (field, _), value in zip(keys[:tied], values, strict=False)), _beyond(key, value))
        for tied, (key, value) in enumerate(zip(keys, values, strict=True))
    ]
    field, direction = keys[0]
    return both({field: {"$gte" if direction == ASCENDING else "$lte": values[0]}}, {"$or": ties})


def _beyond(key: tuple[str, int], value: Any) -> Filter:
    field, direction = key
    return {field: {"$gt" if direction == ASCENDING else "$lt": value}}


def _field(parameter: str, descending: bool) -> str:
    return _OF_THE_STORE.get(parameter) or f"k.{parameter}.{'hi' if descending else 'lo'}"


def _direction(descending: bool) -> int:
    return DESCENDING if descending else ASCENDING


def _total(database: Database[Document], query: Query, condition: Filter, within: Within) -> int | None:
    if query.total != "accurate" and query.summary != "count":
        return None
    limit = {"maxTimeMS": within["max_time_ms"]}
    return database[query.type].count_documents(condition, session=within["session"], **limit)


def _page(
    database: Database[Document], query: Query, condition: Filter, secret: bytes, within: Within
) -> list[Document]:
    """The documents of the page and one more, which says that there is a next page."""
    keys = sort_keys(query)
    if query.cursor is not None:
        condition = both(condition, after(keys, _times(keys, cursors.read(query, secret))))
    kept = _NOT_SENT if query.includes else {**_NOT_SENT, "t": 0}
    found = database[query.type].find(condition, kept, sort=list(keys), limit=query.count + 1, **within)
    return list(found)


def _cursor(query: Query, last: Document, secret: bytes) -> str:
    values = [_value(last, field) for field, _ in sort_keys(query)]
    return cursors.written(query, values, secret)


def _value(document: Document, field: str) -> Any:
    value: Any = document
    for name in field.split("."):
        value = value[name]
    if field == _LAST_UPDATED:
        return (value - _EPOCH) // _MILLISECOND
    return int(value) if isinstance(value, int) else value  # the driver reads a long as its own kind of int


def _times(keys: SortKeys, values: list[Any]) -> list[Any]:
    """The values of a cursor with times for the milliseconds that it holds."""
    return [
        _EPOCH + value * _MILLISECOND if field == _LAST_UPDATED else value
        for (field, _), value in zip(keys, values, strict=True)
    ]


def _included(
    database: Database[Document],
    query: Query,
    matches: Sequence[Document],
    grants_for: GrantsFor | None,
    moment: datetime,
    within: Within,
) -> tuple[Stored, ...]:
    """What the matches refer to and a grant admits, without the matches themselves, in the order of mention."""
    if grants_for is None or not query.includes:
        return ()
    shown = {f"{query.type}/{each['_id']}" for each in matches}
    wanted = {str(each): each for each in _referred(query.includes, matches) if str(each) not in shown}
    found: dict[str, Stored] = {}
    for type_name, ids in _by_type(wanted.values()).items():
        admitted = grant_filter(grants_for(type_name), moment)
        if admitted != NOTHING:
            condition = both({"_id": {"$in": ids}}, {"del": False}, admitted)
            for document in database[type_name].find(condition, {**_NOT_SENT, "t": 0}, **within):
                found[f"{type_name}/{document['_id']}"] = stored_from(type_name, document["_id"], document)
    return tuple(found[reference] for reference in wanted if reference in found)


def _referred(includes: Sequence[Include], matches: Sequence[Document]) -> Iterator[Reference]:
    """The resources on this server that the matches refer to; their terms say which."""
    for document in matches:
        for include in includes:
            beginning = f"{include.parameter}="
            for term in document["t"]:
                reference = parse_reference(term.removeprefix(beginning)) if term.startswith(beginning) else None
                if reference and reference.version is None and include.target in {None, reference.type}:
                    yield reference


def _by_type(references: Iterable[Reference]) -> Mapping[str, list[str]]:
    ids: dict[str, list[str]] = defaultdict(list)
    for reference in references:
        if reference.type in RESOURCE_TYPES:
            ids[reference.type].append(reference.id)
    return ids


@contextmanager
def _costly(query: Query) -> Iterator[None]:
    """What the database gives up becomes TooCostly.

    The driver's own limit is taken off inside: it ends at the same instant as the server's, so that the client would
    often hang up before it hears why. The client's socket timeout stays.
    """
    try:
        with pymongo.timeout(None):
            yield
    except OperationFailure as error:
        if error.code not in {_TIME_IS_UP, _SORTS_TOO_MUCH}:
            raise
        raise TooCostly(
            f"This search of {query.type} examines too much. Narrow it by a patient, an identifier, a code or a date, "
            "or sort it by _id or _lastUpdated."
        ) from error
