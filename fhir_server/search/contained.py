"""A question about contained resources, asked of what contains them: by `_contained`, or by a chain that leads there.

https://hl7.org/fhir/R4/search.html#contained

What a search says with `_id`, `_lastUpdated` or a compartment, it says of the container: a contained resource has none
of its own. `_has` and `_list` are said of a container that refers to what it contains, for nothing else can.
"""

from collections.abc import Iterator, Sequence, Set
from dataclasses import replace

from fhir_server.definitions.compartments import patient_compartment
from fhir_server.definitions.search_parameters import shipped_parameters_of
from fhir_server.fhir.errors import MalformedRequest
from fhir_server.search.extract import OF_THE_STORE
from fhir_server.search.join_answers import conditions_of
from fhir_server.search.parse import in_compartment
from fhir_server.search.query import AllOf, AnyOf, Clause, Condition, Contained, Join, Not, Query
from fhir_server.search.words import IN_WORDS


def check_contained_query(query: Query) -> None:
    """Raise MalformedRequest for what cannot be asked of contained resources of the query's type, with the reason."""
    known = _known(query.type)
    for each in conditions_inside(query):
        _check(each, known)
    for sort in query.sort:
        if sort.parameter not in known | OF_THE_STORE:
            raise _unknown(sort.parameter)
    referring = _referring(query)
    if len({each.queries[0].type for each in referring}) > 1:
        raise MalformedRequest(
            "One resource contains what '_contained' finds, and nothing else refers to it; "
            "so '_has' and '_list' must be of one type."
        )


def may_be_contained(type_name: str, conditions: Sequence[Condition]) -> bool:
    """Whether a contained resource of the type can be asked this."""
    known = _known(type_name)
    try:
        for each in conditions:
            _check(each, known)
    except MalformedRequest:
        return False
    return True


def inside(query: Query) -> Query:
    """What the query says of a contained resource."""
    return Query(query.type, _own_clauses(query), joins=_own_joins(query), filters=query.filters)


def itself(query: Query) -> Query:
    """What the query says of a resource that is no contained one, without what it says of every container."""
    return Query(query.type, _own_clauses(query), joins=query.joins, filters=query.filters)


def around(query: Query) -> Query | None:
    """What containers must be beside, because they must refer to what they contain; None when they need not."""
    found = [each.queries[0] for each in _referring(query)]
    if not found:
        return None
    return Query(
        found[0].type,
        tuple(clause for each in found for clause in each.clauses),
        joins=tuple(join for each in found for join in each.joins),
        filters=tuple(condition for each in found for condition in each.filters),
    )


def container_query(queries: Sequence[Query], type_name: str, ways: Sequence[AllOf], patient: str | None) -> Query:
    """The query of one type for what is found in one of the `ways`, answered as the `queries` are.

    They are those of one search, of a type each. `patient` is the id of the person whose compartment is searched.
    """
    first = queries[0]
    return Query(
        type_name,
        tuple(each for each in first.clauses if each.parameter in OF_THE_STORE),
        any_of=in_compartment(type_name, patient) if patient is not None else (),
        filters=(AnyOf(tuple(ways)),),
        sort=first.sort,
        count=first.count,
        includes=first.includes,
        cursor=first.cursor,
        total=first.total,
        summary=first.summary,
        elements=first.elements,
        contained=first.contained,
        as_contained=first.as_contained,
        part_of=tuple(replace(itself(each), clauses=each.clauses, any_of=each.any_of) for each in queries),
    )


def way_inside(query: Query, outside: Query | None, asked: Query) -> AllOf:
    """The way to what contains a match of `query` and meets `outside`, both answered.

    `asked` is the query as it was, which says by what the one refers to the other.
    """
    by = tuple(sorted({each.linked for each in _referring(asked) if each.linked}))
    rest = conditions_of(outside) if outside is not None else ()
    return AllOf((*rest, Contained(query.type, conditions_of(query), by)))


def ways_in(query: Query) -> Iterator[tuple[tuple[Condition, ...], Contained | None]]:
    """The ways of a container query: what a resource must be and what it must contain, None where it is the match."""
    alternatives = query.filters[0] if query.contained and query.filters else None
    for way in alternatives.conditions if isinstance(alternatives, AnyOf) else ():
        conditions = way.conditions if isinstance(way, AllOf) else (way,)
        contained = [each for each in conditions if isinstance(each, Contained)]
        yield tuple(each for each in conditions if each not in contained), contained[0] if contained else None


def possible_containers(patient: str | None, types: Sequence[str]) -> list[str]:
    """Those of the types that may contain what is searched: in a compartment those that it has."""
    table = patient_compartment() if patient is not None else types
    return [each for each in types if each in table]


def conditions_inside(query: Query) -> tuple[Condition, ...]:
    """What the query says of a contained resource, as it was asked."""
    return (*_own_clauses(query), *_own_joins(query), *query.filters)


def _own_clauses(query: Query) -> tuple[Clause, ...]:
    return tuple(each for each in query.clauses if each.parameter not in OF_THE_STORE)


def _own_joins(query: Query) -> tuple[Join, ...]:
    return tuple(each for each in query.joins if each.linked is None)


def _referring(query: Query) -> list[Join]:
    return [each for each in query.joins if each.linked is not None]


def _known(type_name: str) -> Set[str]:
    """The parameters by which contained resources of a type are searched."""
    return (shipped_parameters_of(type_name).keys() - OF_THE_STORE) | set(IN_WORDS)


def _check(condition: Condition, known: Set[str]) -> None:
    if isinstance(condition, AllOf | AnyOf):
        for each in condition.conditions:
            _check(each, known)
    elif isinstance(condition, Not):
        _check(condition.condition, known)
    elif isinstance(condition, Clause | Join) and condition.parameter not in known:
        raise _unknown(condition.parameter)


def _unknown(parameter: str) -> MalformedRequest:
    told = f"A contained resource is not searched by {parameter!r}"
    if parameter in OF_THE_STORE:
        return MalformedRequest(f"{told} within '_filter': it is said of what contains it. Give it beside '_filter'.")
    return MalformedRequest(f"{told}, which is no parameter that travels with this server. Leave it out.")
