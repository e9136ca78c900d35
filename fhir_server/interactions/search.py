"""search of one type, everywhere or about one Patient: the query AND what the actor may see, inside the database.

https://hl7.org/fhir/R4/http.html#search
"""

from collections.abc import Sequence

from fhir_server.access.grants import needs_circles
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.dates import beginning_of_day
from fhir_server.fhir.errors import NotFound
from fhir_server.interactions.bundles import searchset
from fhir_server.interactions.parameters import stated
from fhir_server.interactions.search_contained import search_contained
from fhir_server.interactions.seeing.bringing import grants_to_bring
from fhir_server.interactions.seeing.glimpses import cut, grants_by_id
from fhir_server.interactions.seeing.joining import answered, grants_of, patient_asked
from fhir_server.interactions.seeing.sight import Sight
from fhir_server.interactions.subsets import subset_of
from fhir_server.interactions.words import Answer, Interaction, Services
from fhir_server.search.grant import Grant
from fhir_server.search.query import Query
from fhir_server.search.repeated import parse_again
from fhir_server.store.values import Page, Shown


def search(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """A searchset; `disclosed` names each resource in it."""
    if interaction.type is None:
        raise NotFound
    sight = Sight.of(actor, services)
    parameters = stated(interaction.parameters)
    query = parse_again(
        interaction.type,
        parameters,
        base_url=services.base_url,
        default_count=services.default_count,
        max_count=services.max_count,
        lenient=interaction.lenient,
        moment=beginning_of_day(sight.moment),
        patient=interaction.id,
        full_text=services.full_text,
    )
    page: Page[Shown]
    disclosed: Sequence[Shown]
    if query.contained:
        page, disclosed = search_contained([query], sight, services, interaction.id)
    else:
        query = answered(query, sight)
        page = _found(query, sight, services)
        disclosed = page.matches + page.included
    counted = query.summary == "count"
    used = [pair for pair in parameters if pair not in query.skipped]
    page = subset_of(page, query)
    place = f"Patient/{interaction.id}/{query.type}" if interaction.id else query.type
    body = searchset(
        services.base_url, place, (*used, *interaction.form), page, matches=not counted, skipped=query.skipped
    )
    shown = () if counted else tuple(disclosed)
    return Answer(
        "ok", body, None, shown, "the query and the grants of the actor", query=f"{place}?{interaction.asked}"
    )


def _found(query: Query, sight: Sight, services: Services) -> Page[Shown]:
    """The page that the actor sees; in one question where the circles of one person decide on all of it."""

    def grants() -> list[Grant]:
        return [*grants_of(query, sight), *grants_by_id(query, sight)]

    patient = patient_asked(query)
    brings = query.includes or query.any_of or query.total != "none" or query.summary == "count"
    if patient is not None and needs_circles(query.type) and not brings:
        page = sight.search_about(patient, query, grants)
        if page is not None:
            return page
    found = sight.reading.search(query, grants(), sight.moment, grants_to_bring([query], sight))
    return cut(found, sight, services)
