"""search of contained resources: those of a type, or of several, in whatever contains them and the actor may read.

https://hl7.org/fhir/R4/search.html#contained

A contained resource is part of its container: whoever reads that reads it too, and nobody else. So the question goes to
every type under the grants of that type, and to the types themselves when it is asked for both.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fhir_server.access.scopes import allows, check_scope
from fhir_server.access.types import SERVER_ONLY, TYPES
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.json import encode
from fhir_server.interactions.seeing.bringing import grants_to_bring
from fhir_server.interactions.seeing.glimpses import cut_included
from fhir_server.interactions.seeing.joining import Known, answered, grants_of
from fhir_server.interactions.seeing.sight import Sight
from fhir_server.interactions.words import Services
from fhir_server.search.carried import is_the_match, matches_inside
from fhir_server.search.contained import (
    around,
    check_contained_query,
    container_query,
    inside,
    itself,
    possible_containers,
    way_inside,
)
from fhir_server.search.grant import Grant
from fhir_server.search.join_answers import conditions_of
from fhir_server.search.query import AllOf, Query
from fhir_server.store.values import Page, Stored


def search_contained(
    queries: Sequence[Query], sight: Sight, services: Services, patient: str | None
) -> tuple[Page[Stored], Sequence[Stored]]:
    """The page, and the stored resources that it discloses, which contain what it shows.

    The queries are those of one search, of a type each, not answered yet; `patient` is the id of the person whose
    compartment is searched. Raises MalformedRequest for what contained resources cannot be asked.
    """
    seen = seen_containers(queries, sight, patient)
    asked = {query.type: query for query, _ in seen}
    found = sight.reading.search_several(seen, sight.moment, grants_to_bring(list(asked.values()), sight))
    page = cut_included(found, sight, services)
    disclosed = page.matches + page.included
    if not queries[0].as_contained:
        return page, disclosed
    parts = tuple(part for stored in page.matches for part in _parts(stored, asked[stored.type]))
    return replace(page, matches=parts), disclosed


def seen_containers(
    queries: Sequence[Query], sight: Sight, patient: str | None = None
) -> list[tuple[Query, list[Grant]]]:
    """What is asked of each type that may contain a match, and the grants for it; raises as `search_contained`."""
    for query in queries:
        check_contained_query(query)
    return [(query, grants_of(query, sight)) for query in _container_queries(queries, sight, patient)]


def _container_queries(queries: Sequence[Query], sight: Sight, patient: str | None) -> Iterator[Query]:
    """The query of each type that may contain a match, or for both be one; always one at least."""
    first, known = queries[0], Known()
    outside = around(first)
    if outside is not None:
        check_scope(sight.actor, "search-type", outside.type)
        outside = answered(outside, sight, known)
    within = [way_inside(answered(inside(query), sight, known, within=True), outside, query) for query in queries]
    alone = queries if first.contained == "both" else ()
    found_alone = {each.type: AllOf(conditions_of(answered(itself(each), sight, known))) for each in alone}
    containers = possible_containers(patient, _searched(queries, sight.actor)) or [first.type]
    for at, name in enumerate(containers):
        contains = within if outside is None or outside.type == name else []
        ways = [*([found_alone[name]] if name in found_alone else ()), *contains]
        if ways or at == 0:
            yield container_query(queries, name, ways, patient)


def _searched(queries: Sequence[Query], actor: Actor) -> list[str]:
    """The types that the token allows to search, those that are asked for first."""
    asked = [query.type for query in queries]
    others = sorted(name for name, rule in TYPES.items() if rule.kind != SERVER_ONLY and name not in asked)
    return [*asked, *(name for name in others if allows(actor, "search-type", name))]


def _parts(stored: Stored, query: Query) -> list[Stored]:
    """What a match shows: itself when it is what was asked, and each contained resource that is."""
    resource = stored.resource()
    return [
        *([stored] if is_the_match(query, resource) else ()),
        *(
            replace(stored, id=f"{stored.id}#{each.get('id', '')}", body=encode(each))
            for each in matches_inside(query, resource)
        ),
    ]
