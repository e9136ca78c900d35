"""The order of containers, by what of them was found: of a search with `_contained`, whose sort keys are of that.

The database takes each container apart into itself and what it contains, keeps what is a match, and sorts the container
by the least of these, or descending by the greatest. `_id` and `_lastUpdated` are the container's own.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from fhir_server.definitions.search_parameters import parameters_of
from fhir_server.search.contained import ways_in
from fhir_server.search.keys import places_asked
from fhir_server.search.query import Query, Sort
from fhir_server.store.mongo.logic import Filter, both, either
from fhir_server.store.mongo.search.queries import conditions_filter, contained_filter
from fhir_server.store.mongo.search.sort_values import Expression, made_value

Stage: TypeAlias = dict[str, Any]

_SEARCHED = ("t", "d", "s", "n", "g", "m", "k", "has")


def stages_within(query: Query, sorts: Sequence[Sort], field: str) -> tuple[Stage, ...]:
    """What makes of the documents that a container query finds their ids and times, with sort values in `field`.

    `sorts` are those keys that are of what is contained.
    """
    itself = {"itself": True, "is": query.type, **{name: f"${name}" for name in _SEARCHED}}
    apart = {"$concatArrays": [[itself], {"$ifNull": ["$c", []]}]}
    known = {"_id": "$_id", "lu": "$lu", "whole": ["$$ROOT"]}
    ends = {f"s{at}": {"$max" if each.descending else "$min": f"${field}.{at}"} for at, each in enumerate(sorts)}
    return (
        {"$project": {"body": 0}},
        {"$set": {"apart": apart}},
        {"$unwind": "$apart"},
        {"$replaceWith": {"$mergeObjects": ["$apart", known]}},
        {"$match": either(list(_ways(query)))},
        {"$set": {field: {str(at): _value(query, each) for at, each in enumerate(sorts)}}},
        {"$group": {"_id": "$_id", "lu": {"$first": "$lu"}, **ends}},
        {"$set": {field: {each.parameter: f"$s{at}" for at, each in enumerate(sorts)}}},
    )


def _ways(query: Query) -> Iterator[Filter]:
    """Which of the parts are matches: the container itself, or what it contains while it is what it must be."""
    for conditions, contained in ways_in(query):
        whole = {"whole": {"$elemMatch": conditions_filter(query.type, conditions)}} if conditions else {}
        part = {"itself": True} if contained is None else {"itself": None, **contained_filter(contained)}
        yield both(part, whole)


def _value(query: Query, sort: Sort) -> Expression:
    """The sort value of a part, read as its type says."""
    values = {
        each.type: made_value(parameters_of(each.type)[sort.parameter], sort, places_asked(each.clauses))
        for each in query.part_of
    }
    *others, last = values
    branches = [{"case": {"$eq": ["$is", name]}, "then": values[name]} for name in others]
    return {"$switch": {"branches": branches, "default": values[last]}} if branches else values[last]
