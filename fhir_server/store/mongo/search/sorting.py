"""The order of a search, and what comes after a place in it.

https://hl7.org/fhir/R4/search.html#sort

What an index holds is sorted by the keys that are stored (`search/keys.py`). Every other order is worked out for the
candidates of the one search, from the search values that each document has anyway: so it costs a write nothing, it
serves documents that were stored before a key existed, and it is bounded by the time that a search may take.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pymongo import ASCENDING, DESCENDING

from fhir_server.definitions.search_parameters import parameters_of
from fhir_server.search.keys import places_asked
from fhir_server.search.query import Query, Sort
from fhir_server.store.mongo.indexing.indexes import keyed
from fhir_server.store.mongo.logic import Filter, both
from fhir_server.store.mongo.search.sort_values import component_names, made_value
from fhir_server.store.mongo.search.sorting_contained import Stage, stages_within

SortKeys: TypeAlias = Sequence[tuple[str, int]]

LAST_UPDATED = "lu"
MADE = "o"
"""The field that holds the sort values which are worked out, by parameter."""

_OF_THE_STORE = {"_id": "_id", "_lastUpdated": LAST_UPDATED}


@dataclass(frozen=True)
class Order:
    """The fields to sort by, each with its direction, and the stages that make those which no document has."""

    keys: SortKeys
    made: Sequence[Stage] = ()

    @property
    def by_keys(self) -> bool:
        """Whether the sort values of a document stand among its keys `k`."""
        return bool(self.made) or any(name.startswith("k.") for name, _ in self.keys)

    def reversed(self) -> "Order":
        """The same order from its end."""
        return Order([(name, -direction) for name, direction in self.keys], self.made)


def order_of(query: Query) -> Order:
    """The order that a query asks; `_id` is the last key and follows the direction before it."""
    sought = [each for each in query.sort if each.parameter not in _OF_THE_STORE]
    stored = not sought if query.part_of else all(each.parameter in keyed(query.type) for each in sought)
    keys = [(field, _direction(each)) for each in query.sort for field in _fields(query, each, stored=stored)]
    if "_id" not in dict(keys):
        keys.append(("_id", keys[-1][1] if keys else ASCENDING))
    if stored:
        return Order(keys)
    if query.part_of:
        return Order(keys, stages_within(query, sought, MADE))
    values = {each.parameter: _value(query, each) for each in sought}
    return Order(keys, [{"$set": {MADE: values}}])


def after(keys: SortKeys, values: Sequence[Any], *, with_ties: bool = False) -> Filter:
    """The documents that come after these sort values; `with_ties` also those that have them all.

    The range of the first key stands beside the alternatives, because an index can only begin at a range.
    """
    ties = [
        both(*({name: value} for (name, _), value in zip(keys[:tied], values, strict=False)), _beyond(key, value))
        for tied, (key, value) in enumerate(zip(keys, values, strict=True))
    ]
    if with_ties:
        ties.append({name: value for (name, _), value in zip(keys, values, strict=True)})
    name, direction = keys[0]
    return both({name: {"$gte" if direction == ASCENDING else "$lte": values[0]}}, {"$or": ties})


def pipeline(
    order: Order, condition: Filter, begin: Filter | None, limit: int, first: Sequence[Stage] = ()
) -> list[dict[str, Any]]:
    """The stages that find what meets `condition` in an order that is worked out, from `begin` on.

    `first` are those that complete what the order is worked out from.
    """
    stages: list[dict[str, Any]] = [
        {"$match": condition},
        *first,
        *order.made,
        *([{"$match": begin}] if begin is not None else ()),
        {"$sort": dict(order.keys)},
        {"$limit": limit},
    ]
    return stages


def _beyond(key: tuple[str, int], value: Any) -> Filter:
    name, direction = key
    return {name: {"$gt" if direction == ASCENDING else "$lt": value}}


def _fields(query: Query, sort: Sort, *, stored: bool) -> list[str]:
    """The fields that a sort key stands for: one, but for each component of a composite its own."""
    if sort.parameter in _OF_THE_STORE:
        return [_OF_THE_STORE[sort.parameter]]
    if stored:
        return [f"k.{sort.parameter}.{_end(sort)}"]
    sorted_type = query.part_of[0].type if query.part_of else query.type
    names = component_names(parameters_of(sorted_type)[sort.parameter])
    return [f"{MADE}.{sort.parameter}.{name}" for name in names] or [f"{MADE}.{sort.parameter}"]


def _direction(sort: Sort) -> int:
    return DESCENDING if sort.descending else ASCENDING


def _end(sort: Sort) -> str:
    """Ascending by the least of the values, descending by the greatest."""
    return "hi" if sort.descending else "lo"


def _value(query: Query, sort: Sort) -> dict[str, Any]:
    return made_value(parameters_of(query.type)[sort.parameter], sort, places_asked(query.clauses))
