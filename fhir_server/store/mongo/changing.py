"""The versions of many resources by time: what histories of a type and of the system are made of.

Current versions are asked of their own collections, under the grants of whoever asks. Past versions lie in one
collection for all types, with the keys of those who could see them then; whether they may now is for the caller to
judge, who gets the current version beside each.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from pymongo import DESCENDING
from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from fhir_server.fhir.errors import TooCostly
from fhir_server.search.grant import GrantsFor
from fhir_server.store.mongo.documents import (
    STORED_FIELDS,
    Document,
    history_keys_of,
    seen_by,
    stored_from,
    time_key,
)
from fhir_server.store.mongo.ledger import LEDGER
from fhir_server.store.mongo.logic import NOTHING, Filter, both, either
from fhir_server.store.mongo.search.queries import grant_filter
from fhir_server.store.mongo.time_limit import MAX_TIME_MS, given_up
from fhir_server.store.values import Changed, Item, Span, Stored

Collections = Callable[[str], Collection[Document]]


def changes(
    collections: Collections,
    span: Span,
    grants_for: GrantsFor,
    plans: Sequence[str],
    moment: datetime,
    count: int,
    session: ClientSession | None = None,
    *,
    max_time_ms: int = MAX_TIME_MS,
) -> list[Changed]:
    """At most `count` versions of the span, newest first; past ones are still to be judged."""
    within: dict[str, Any] = {"session": session, "limit": count, "max_time_ms": max_time_ms}
    with given_up(_too_costly()):
        found = [each for name in span.types for each in _current(collections, name, span, grants_for, moment, within)]
        past = list(_past(collections, span, grants_for, plans, within))
    # What was followed by another version between the two questions is in both answers.
    told = {_order(version): version for version in (*past, *found)}
    newest = [told[order] for order in sorted(told, reverse=True)][:count]
    current = _current_of(collections, newest, session) | {version.reference: version for version in found}
    return [Changed(version, current[version.reference]) for version in newest if version.reference in current]


def _too_costly() -> TooCostly:
    return TooCostly("This history examines too much. Ask for one type, and with _since for a shorter time.")


def _order(version: Stored) -> tuple[datetime, str, str, int]:
    return version.last_updated, version.type, version.id, version.version


def _current(
    collections: Collections, name: str, span: Span, grants_for: GrantsFor, moment: datetime, within: dict[str, Any]
) -> Iterable[Stored]:
    admitted = grant_filter(grants_for(name), moment)
    if admitted == NOTHING:
        return
    condition = both(admitted, *_times(span), *_before_in(name, span), *_items_in(name, span))
    found = collections(name).find(condition, STORED_FIELDS, **within)
    for document in found.sort([("lu", DESCENDING), ("_id", DESCENDING)]):
        yield stored_from(name, document["_id"], document)


def _past(
    collections: Collections, span: Span, grants_for: GrantsFor, plans: Sequence[str], within: dict[str, Any]
) -> Iterable[Stored]:
    keys = {key for name in span.types for grant in grants_for(name) for key in history_keys_of(grant)}
    keys |= seen_by(plans=plans)
    if not keys:
        return
    conditions: list[Filter] = [{"see": {"$in": sorted(keys)}}, *_times(span)]
    if len(span.types) == 1:
        conditions.append({"o": {"$gte": f"{span.types[0]} ", "$lt": f"{span.types[0]}!"}})
    if span.at is not None:
        conditions.append({"nx": {"$gt": span.at[0]}})
    if span.before is not None:
        at, name, id, number = span.before
        after = {"$or": [{"lu": {"$lt": at}}, {"o": {"$lt": time_key(name, id, number)}}]}
        conditions += [{"lu": {"$lte": at}}, after]
    if span.items is not None:
        conditions.append(either([_past_of(each) for each in sorted(span.items, key=str) if each.type in span.types]))
    found = collections(LEDGER).find(both(*conditions), **within)
    for document in found.sort([("lu", DESCENDING), ("o", DESCENDING)]):
        name, id, _ = document["o"].split(" ")
        if name in span.types:
            yield stored_from(name, id, document)


def _times(span: Span) -> list[Filter]:
    since = [{"lu": {"$gte": span.since}}] if span.since else []
    return [*since, *([{"lu": {"$lt": span.at[1]}}] if span.at else [])]


def _items_in(name: str, span: Span) -> list[Filter]:
    """The current versions of a type among the items that are asked for."""
    if span.items is None:
        return []
    of_type = [each for each in span.items if each.type == name]
    whole = sorted(each.id for each in of_type if each.version is None)
    single = [{"_id": each.id, "v": each.version} for each in sorted(of_type, key=str) if each.version is not None]
    return [either([{"_id": {"$in": whole}}, *single])]


def _past_of(item: Item) -> Filter:
    """The past versions of an item, by what orders them; a quotation mark comes right behind a space."""
    if item.version is not None:
        return {"o": time_key(item.type, item.id, item.version)}
    return {"o": {"$gte": f"{item.type} {item.id} ", "$lt": f"{item.type} {item.id}!"}}


def _before_in(name: str, span: Span) -> list[Filter]:
    """Where the page before ended, as the collection of one type sees it."""
    if span.before is None:
        return []
    at, last, id, _ = span.before
    if name != last:
        return [{"lu": {"$lte" if name < last else "$lt": at}}]
    return [{"lu": {"$lte": at}}, {"$or": [{"lu": {"$lt": at}}, {"_id": {"$lt": id}}]}]


def _current_of(
    collections: Collections, versions: Iterable[Stored], session: ClientSession | None
) -> dict[str, Stored]:
    """The current versions, tombstones too, by reference."""
    ids: dict[str, set[str]] = defaultdict(set)
    for version in versions:
        ids[version.type].add(version.id)
    return {
        f"{name}/{document['_id']}": stored_from(name, document["_id"], document)
        for name, wanted in ids.items()
        for document in collections(name).find({"_id": {"$in": sorted(wanted)}}, STORED_FIELDS, session=session)
    }
