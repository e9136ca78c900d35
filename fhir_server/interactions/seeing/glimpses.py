"""A Patient as whoever is asked for care sees it before it accepts: read by id, or brought along by its Task.

What is cut out must not show by another way. So a search meets these Patients by their id alone: any other parameter,
and any order, would answer for an element that is not shown.
"""

from collections.abc import Sequence
from dataclasses import replace

from fhir_server.access.demographics import only, shown_to
from fhir_server.access.grants import glimpse
from fhir_server.fhir.json import encode
from fhir_server.interactions.seeing.sight import Sight
from fhir_server.interactions.subsets import marked
from fhir_server.interactions.words import Services
from fhir_server.search.grant import Grant
from fhir_server.search.query import Query
from fhir_server.store.values import Page, Stored


def grants_by_id(query: Query, sight: Sight) -> list[Grant]:
    """The further grants of a search that says of a Patient nothing but its id; none of any other search."""
    if query.type != "Patient" or not query.clauses:
        return []
    asked = replace(Query(query.type, query.clauses, query.sort), **{name: getattr(query, name) for name in _HOW})
    by_id = all(c.parameter == "_id" and c.modifier is None and c.missing is None for c in query.clauses)
    in_order = all(sort.parameter == "_id" for sort in query.sort)
    return glimpse(sight.actor) if asked == query and by_id and in_order else []


def grants_along(included: str, query: Query, sight: Sight) -> Sequence[Grant]:
    """The further grants for what a search brings along; not where it seeks what refers to its matches."""
    sought = any(each.reverse and each.type == included for each in query.includes)
    return glimpse(sight.actor) if included == "Patient" and not sought else ()


def glimpsed(stored: Stored | None, sight: Sight, services: Services) -> Stored | None:
    """What the actor sees of a stored Patient that it may not read; None when that is nothing at all."""
    if stored is None or stored.type != "Patient" or stored.deleted:
        return None
    named = {name: programme.offer_demographics for name, programme in services.programmes.items()}
    paths = shown_to(sight.actor.parties, stored.stamp, named, sight.moment)
    if not paths:
        return None
    return replace(stored, body=encode(marked(only(stored.resource(), paths), "Patient")))


def cut(page: Page[Stored], sight: Sight, services: Services) -> Page[Stored]:
    """The page with those Patients cut that it has by a glimpse alone."""
    if all(stored.type != "Patient" for stored in (*page.matches, *page.included)):
        return page
    matches = tuple(seen for stored in page.matches if (seen := _as_seen(stored, sight, services)))
    return cut_included(replace(page, matches=matches), sight, services)


def cut_included(page: Page[Stored], sight: Sight, services: Services) -> Page[Stored]:
    """The page with those of the included Patients cut that it has by a glimpse alone; its matches are whole."""
    if all(stored.type != "Patient" for stored in page.included):
        return page
    included = tuple(seen for stored in page.included if (seen := _as_seen(stored, sight, services)))
    return replace(page, included=included)


# How the answer is to be given; anything else says what is asked, also what a later search learns to ask.
_HOW = ("count", "includes", "cursor", "total", "summary", "elements")


def _as_seen(stored: Stored, sight: Sight, services: Services) -> Stored | None:
    if stored.type != "Patient" or sight.reason_to_read(stored) is not None:
        return stored
    return glimpsed(stored, sight, services)
