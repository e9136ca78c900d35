"""search of several types: of the whole system, or of all that is about one Patient.

https://hl7.org/fhir/R4/http.html#search
"""

from collections.abc import Sequence

from fhir_server.access.scopes import allows, check_scope
from fhir_server.access.types import SERVER_ONLY, TYPES
from fhir_server.definitions.compartments import patient_compartment
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.dates import beginning_of_day
from fhir_server.fhir.errors import Forbidden, MalformedRequest
from fhir_server.interactions.bundles import searchset
from fhir_server.interactions.parameters import stated
from fhir_server.interactions.search_contained import search_contained
from fhir_server.interactions.seeing.bringing import grants_to_bring
from fhir_server.interactions.seeing.glimpses import cut_included
from fhir_server.interactions.seeing.joining import Known, answered, grants_of
from fhir_server.interactions.seeing.sight import Sight
from fhir_server.interactions.subsets import subset_of
from fhir_server.interactions.words import Answer, Interaction, Services
from fhir_server.search.query import Query
from fhir_server.search.several import parse_several
from fhir_server.store.values import Page, Shown, Stored


def search_several(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """A searchset of every type that is asked; `disclosed` names each resource in it."""
    parameters = stated(interaction.parameters)
    queries = parse_several(
        _types(interaction.id, parameters, actor),
        [pair for pair in parameters if pair[0] != "_type"],
        base_url=services.base_url,
        default_count=services.default_count,
        max_count=services.max_count,
        lenient=interaction.lenient,
        moment=beginning_of_day(services.clock()),
        patient=interaction.id,
        full_text=services.full_text,
    )
    first = queries[0]
    sight = Sight.of(actor, services)
    page: Page[Shown]
    disclosed: Sequence[Shown]
    if first.contained:
        page, disclosed = search_contained(queries, sight, services, interaction.id)
    else:
        page = _found(queries, sight, services)
        disclosed = page.matches + page.included
    page = subset_of(page, first)
    counted = first.summary == "count"
    used = [pair for pair in parameters if pair not in first.skipped]
    place = f"Patient/{interaction.id}/*" if interaction.id else ""
    body = searchset(
        services.base_url, place, (*used, *interaction.form), page, matches=not counted, skipped=first.skipped
    )
    reason = "the query and, for each type, the grants of the actor"
    return Answer("ok", body, None, () if counted else tuple(disclosed), reason, query=f"{place}?{interaction.asked}")


def _found(queries: Sequence[Query], sight: Sight, services: Services) -> Page[Stored]:
    known = Known()
    asked = [answered(query, sight, known) for query in queries]
    seen = [(query, grants_of(query, sight)) for query in asked]
    page = services.reading.search_several(seen, sight.moment, grants_to_bring(asked, sight))
    return cut_included(page, sight, services)


def _types(patient: str | None, parameters: Sequence[tuple[str, str]], actor: Actor) -> list[str]:
    """The types that are named, each of which must be allowed; else those that the token allows, without the audit.

    Raises MalformedRequest, Forbidden.
    """
    anywhere = patient is None or ("_contained", "true") in parameters
    possible = sorted(TYPES if anywhere else patient_compartment())
    given = [value for name, value in parameters if name == "_type"]
    if len(given) > 1:
        raise MalformedRequest("The search parameter '_type' may be given once; its types stand between commas.")
    if not given:
        usual = [name for name in possible if TYPES[name].kind != SERVER_ONLY]
        allowed = [name for name in usual if allows(actor, "search-type", name)]
        if not allowed:
            raise Forbidden("Your token does not allow to search any type.", rule="scope")
        return allowed
    named = list(dict.fromkeys(given[0].split(",")))
    unknown = [name for name in named if name not in possible]
    if unknown:
        told = ", ".join(map(repr, unknown))
        raise MalformedRequest(
            f"'_type' takes types that are searched here, not {told}; these are {', '.join(possible)}."
        )
    for name in named:
        check_scope(actor, "search-type", name)
    return named
