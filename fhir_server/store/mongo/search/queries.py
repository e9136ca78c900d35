"""A Query and grants as MongoDB filters over the fields that `search/extract.py` describes.

The same question asked of one resource in memory is `search/match.py`; property tests hold the two equal.
"""

from collections.abc import Sequence
from datetime import datetime

from fhir_server.search.grant import Grant
from fhir_server.search.join_answers import conditions_of
from fhir_server.search.query import AllOf, AnyOf, Condition, Contained, Join, Not, Query
from fhir_server.search.types.age import AGE, meaning
from fhir_server.search.words import PHRASE, WORDS
from fhir_server.store.mongo.contained import contains
from fhir_server.store.mongo.documents import admitted
from fhir_server.store.mongo.indexing.indexes import STATUS_OF, in_time_alone, keyed, status_key
from fhir_server.store.mongo.logic import NOTHING, Filter, both, either
from fhir_server.store.mongo.search.conditions import clause_conditions
from fhir_server.store.mongo.wording import phrase_conditions, word_conditions


def query_filter(query: Query) -> Filter:
    """The documents that the query asks for, whoever asks; tombstones never match. Not to be changed."""
    made: Filter | None = query.made_of_it.get(_FILTER)
    if made is None:
        made = query.made_of_it[_FILTER] = _filter_of(query)
    return made


_FILTER = "filter of MongoDB"


def _filter_of(query: Query) -> Filter:
    asked = [condition for each in conditions_of(query) for condition in _compiled(query.type, each)]
    return both({"del": False}, *asked, *_whatever_status(query, asked))


def conditions_filter(type_name: str, conditions: Sequence[Condition]) -> Filter:
    """The documents of a type that meet the conditions, whoever asks."""
    return both({}, *(each for asked in conditions for each in _compiled(type_name, asked)))


def contained_filter(asked: Contained) -> Filter:
    """What contained resources must be, over the fields of `contained.py`."""
    inside = (each for part in asked.conditions for each in _compiled(asked.type, part, contained=True))
    by = {"by": {"$all": list(asked.by)}} if asked.by else {}
    return both({"is": asked.type, **by}, *inside)


def grant_filter(grants: Sequence[Grant], moment: datetime) -> Filter:
    """The documents that some grant admits at `moment`, as `search/grant.py` says; no grants admit nothing."""
    return either([_admitted(grant, moment) for grant in grants])


def _whatever_status(query: Query, asked: Sequence[Filter]) -> list[Filter]:
    """What `in_time_alone` adds to a query that is ordered or narrowed in time and names no status."""
    if query.part_of or query.type not in STATUS_OF or any(status_key(query.type) in each for each in asked):
        return []
    fields = {name for each in asked for name in each} | {
        _FIELDS_OF_TIME.get(each.parameter, "") for each in query.sort[:1]
    }
    found = in_time_alone(query.type, fields)
    return [found] if found is not None else []


_FIELDS_OF_TIME = {"_lastUpdated": "lu", "due": "k.due.lo"}


def _admitted(grant: Grant, moment: datetime) -> Filter:
    if grant.readers:
        return {"readers": admitted(list(grant.readers), moment)}
    if grant.plans:
        return {"plans": {"$in": list(grant.plans)}, "label": {"$in": [None, *grant.labels]}}
    if grant.authors:
        return {"author": {"$in": list(grant.authors)}}
    if grant.glimpses:
        return {"glimpses": admitted(list(grant.glimpses), moment)}
    return {"audience": "everyone"} if grant.everyone else NOTHING


def _compiled(type_name: str, asked: Condition, *, contained: bool = False) -> list[Filter]:
    """The conditions that together say what is asked; of a `contained` resource no index knows the keys."""
    if isinstance(asked, AllOf):
        return [condition for each in asked.conditions for condition in _compiled(type_name, each, contained=contained)]
    if isinstance(asked, AnyOf):
        alternatives = [_compiled(type_name, each, contained=contained) for each in asked.conditions]
        return [either([both(*each) for each in alternatives])] if all(alternatives) else []
    if isinstance(asked, Not):
        return [{"$nor": [both(*_compiled(type_name, asked.condition, contained=contained))]}]
    if isinstance(asked, Contained):
        inside = {"c": {"$elemMatch": contained_filter(asked)}}
        return [inside] if contained else [{"t": contains(asked.type)}, inside]
    if isinstance(asked, Join):
        raise ValueError("a join is answered before it is asked")
    if asked.type == AGE:
        return _compiled(type_name, meaning(asked), contained=contained)
    if asked.type == WORDS:
        return word_conditions(asked)
    if asked.type == PHRASE:
        return phrase_conditions(asked)
    return clause_conditions(type_name, asked, frozenset() if contained else keyed(type_name))
