"""What the joins of a query come to: the conditions that are asked in their place once their own queries are answered.

A Join is answered in two steps: its own queries first, each under the asker's grants for their type, then the condition
that what they found makes. `joined` puts these conditions beside the others, so that no join ever reaches the database
or `match.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from fhir_server.definitions.search_parameters import parameters_of
from fhir_server.search.clauses import indexed
from fhir_server.search.hierarchy import PART_OF
from fhir_server.search.query import AllOf, AnyOf, Clause, Condition, Contained, Join, Not, Query, Target, Token, Value

URL = "url"
"""The parameter by which resources are found that have a canonical url."""

Seek = Callable[[Query, str | None], Sequence[str]]
"""What a query finds, as `Type/id`; or what these refer to by the parameter that is named, urls included."""
Members = Callable[[Join], Sequence[Value]]
"""The values that a join with `members` stands for."""
Inside = Callable[[str, Query], Sequence[Condition] | None]
"""What a query asks, when resources of the type may contain what it finds; else None."""


def joined(query: Query, seek: Seek, members: Members, inside: Inside = lambda type_name, query: None) -> Query:
    """`query` with what its joins come to: in `joined`, and in `filtered` for those that stand within its filters."""

    def answer(asked: Join) -> Condition:
        if asked.members:
            return _of_members(asked, members)
        if asked.linked is not None:
            return _referred(asked, query.type, seek)
        elsewhere = _referring(asked, query.type, seek)
        within = ((sub.type, inside(query.type, sub)) for sub in asked.queries)
        contained = [Contained(name, tuple(said), (asked.parameter,)) for name, said in within if said is not None]
        return AnyOf((elsewhere, *contained)) if contained else elsewhere

    filtered = tuple(_with_answers(each, answer) for each in query.filters)
    return replace(query, joined=tuple(map(answer, query.joins)), filtered=filtered)


def joins_in(query: Query) -> list[Join]:
    """The joins of a query, those in its filters included, however deep."""
    return [*query.joins, *(join for each in query.filters for join in _joins_of(each))]


def conditions_of(query: Query) -> tuple[Condition, ...]:
    """All that a query asks, its joins answered. Raises ValueError when they are not: never ask less."""
    filters = query.filtered or query.filters
    if len(query.joins) != len(query.joined) or any(_joins_of(each) for each in filters):
        raise ValueError("the joins of this query are not answered")
    about = (AnyOf(query.any_of),) if query.any_of else ()
    return (*query.clauses, *query.joined, *filters, *about)


def _joins_of(condition: Condition) -> list[Join]:
    if isinstance(condition, AllOf | AnyOf | Contained):
        return [join for each in condition.conditions for join in _joins_of(each)]
    if isinstance(condition, Not):
        return _joins_of(condition.condition)
    return [condition] if isinstance(condition, Join) else []


def _with_answers(condition: Condition, answer: Callable[[Join], Condition]) -> Condition:
    if isinstance(condition, AllOf | AnyOf):
        return replace(condition, conditions=tuple(_with_answers(each, answer) for each in condition.conditions))
    if isinstance(condition, Not):
        return Not(_with_answers(condition.condition, answer))
    return answer(condition) if isinstance(condition, Join) else condition


def _referring(asked: Join, type_name: str, seek: Seek) -> Condition:
    """Refers to what the queries find: by address, a canonical also by url."""
    found = [Target(reference=each) for sub in asked.queries for each in seek(sub, None)]
    if parameters_of(type_name)[asked.parameter].is_canonical:
        found += [Target(url=each) for sub in asked.queries for each in seek(sub, _url_of(sub.type))]
    return Clause(asked.parameter, "reference", tuple(dict.fromkeys(found)))


def _referred(asked: Join, type_name: str, seek: Seek) -> Condition:
    """Is referred to by what the query finds: by address, in a canonical also by url."""
    [sub] = asked.queries
    found = dict.fromkeys(seek(sub, asked.linked))
    own = tuple(Token(None, each.partition("/")[2]) for each in found if each.startswith(f"{type_name}/"))
    by_id = Clause("_id", "token", own)
    if not parameters_of(sub.type)[asked.linked or ""].is_canonical:
        return by_id
    urls = tuple(Target(url=each) for each in found if ":" in each)
    return AnyOf((by_id, Clause(_url_of(type_name), "uri", urls)))


def _url_of(type_name: str) -> str:
    """The parameter of the canonical url. Raises NotYetIndexed."""
    return indexed(type_name, parameters_of(type_name)[URL]).code


def _of_members(asked: Join, members: Members) -> Clause:
    kind = "reference" if asked.queries[0].type in PART_OF else "token"
    return Clause(asked.parameter, kind, tuple(members(asked)), "not" if asked.members == "not-in" else None)
