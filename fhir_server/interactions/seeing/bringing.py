"""The grants by which a search brings resources beside its matches: for each type those that a search of it has."""

from collections.abc import Sequence

from fhir_server.access.scopes import allows
from fhir_server.fhir.errors import TooCostly
from fhir_server.interactions.seeing.glimpses import grants_along
from fhir_server.interactions.seeing.joining import compartment_of, person_named
from fhir_server.interactions.seeing.sight import Sight
from fhir_server.search.grant import Grant, GrantsFor
from fhir_server.search.query import Query


def grants_to_bring(queries: Sequence[Query], sight: Sight) -> GrantsFor:
    """What judges the resources of a type that the queries of one search include.

    A token must allow to read the type, and to search it when it is sought for what it refers to. Whoever cares for
    more people than one question may bring sees, in a person's compartment, by the circles about the person.
    """
    actor, first = sight.actor, queries[0]
    sought = {each.type for each in first.includes if each.reverse}
    named = {person_named(query) for query in queries}
    patient = named.pop() if len(named) == 1 else None

    def grants_for(included: str) -> Sequence[Grant]:
        if not allows(actor, "read", included) or (included in sought and not allows(actor, "search-type", included)):
            return ()
        return [*_grants(included), *grants_along(included, first, sight)]

    def _grants(included: str) -> list[Grant]:
        try:
            return sight.grants(included, patient)
        except TooCostly:
            person = compartment_of(first)
            if person is None:
                raise
            return sight.grants(included, person)

    return grants_for
