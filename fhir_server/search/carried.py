"""What of a resource a search with `_contained` has found: the resource itself, or what it contains."""

from fhir_server.fhir.json import Resource
from fhir_server.search.contained import ways_in
from fhir_server.search.match import contained_matches, holds_all
from fhir_server.search.query import Query


def is_the_match(query: Query, resource: Resource) -> bool:
    """Whether the container query has found the resource for what it is itself."""
    return any(contained is None and holds_all(conditions, resource) for conditions, contained in ways_in(query))


def matches_inside(query: Query, resource: Resource) -> list[Resource]:
    """The contained resources for which the container query has found the resource, as they stand in it."""
    found = [
        each
        for conditions, contained in ways_in(query)
        if contained is not None and holds_all(conditions, resource)
        for each in contained_matches(contained, resource)
    ]
    return [each for each in resource.get("contained", ()) if each in found]
