"""A question about contained resources, asked of what contains them: by `_contained`, or by a chain that leads there.

https://hl7.org/fhir/R4/search.html#contained
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

from fhir_server.definitions.search_parameters import parameters_of, shipped_parameters_of
from fhir_server.fhir.errors import MalformedRequest
from fhir_server.fhir.json import Resource
from fhir_server.search.elements import values_of
from fhir_server.search.extract import OF_THE_STORE
from fhir_server.search.query import AllOf, AnyOf, Clause, Condition, Contained, Join, Not, Query


def contained_query(query: Query, type_name: str) -> Query:
    """The query of one type for what contains a match of `query`; of the type itself also for the matches, for both."""
    asked, plain = (*query.clauses, *query.joins, *query.filters), _plain(query)
    both = query.contained == "both" and type_name == query.type
    if both and not asked:
        filters: tuple[Condition, ...] = ()
        return replace(_how(query, type_name), filters=filters)
    contained, found = Contained(query.type, asked), Contained(query.type, plain)
    if both:
        return replace(
            _how(query, type_name),
            filters=(AnyOf((AllOf(asked), contained)),),
            filtered=(AnyOf((AllOf(plain), found)),),
        )
    return replace(_how(query, type_name), filters=(contained,), filtered=(found,))


def check_contained_query(query: Query) -> None:
    """Raise MalformedRequest for what cannot be asked of a contained resource, or of several types at once."""
    if query.includes or query.any_of or query.sort:
        raise MalformedRequest("With '_contained' nothing is included or sorted, and no compartment is searched.")
    known = shipped_parameters_of(query.type).keys() - OF_THE_STORE
    for each in (*query.clauses, *query.joins, *query.filters):
        _check(each, known)


def may_be_contained(type_name: str, conditions: Sequence[Condition]) -> bool:
    """Whether a contained resource of the type can be asked this."""
    known = shipped_parameters_of(type_name).keys() - OF_THE_STORE
    try:
        for each in conditions:
            _check(each, known)
    except MalformedRequest:
        return False
    return True


def referring_parameters(resource: Resource) -> Mapping[str, list[str]]:
    """The parameters by which a resource refers to what it contains, by the reference, such as `#device`."""
    found: dict[str, list[str]] = defaultdict(list)
    for parameter in parameters_of(resource["resourceType"]).values():
        values = values_of(resource, parameter) if parameter.type == "reference" else ()
        for address in {value.get("reference") for _, value in values if isinstance(value, dict)}:
            if isinstance(address, str) and address.startswith("#"):
                found[address].append(parameter.code)
    return found


def _check(condition: Condition, known: Set[str]) -> None:
    if isinstance(condition, AllOf | AnyOf):
        for each in condition.conditions:
            _check(each, known)
    elif isinstance(condition, Not):
        _check(condition.condition, known)
    elif isinstance(condition, Clause | Join) and condition.parameter not in known:
        raise MalformedRequest(
            f"A contained resource is not searched by {condition.parameter!r}, nor by what refers to it; leave it out."
        )


def _how(query: Query, type_name: str) -> Query:
    """A query of a type that is answered as this one is."""
    return Query(
        type_name,
        count=query.count,
        cursor=query.cursor,
        total=query.total,
        summary=query.summary,
        elements=query.elements,
        contained=query.contained,
        as_contained=query.as_contained,
    )


def _plain(query: Query) -> tuple[Condition, ...]:
    return (*query.clauses, *query.joined, *(query.filtered or query.filters))
