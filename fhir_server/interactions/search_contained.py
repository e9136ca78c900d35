"""search of contained resources: those of a type, in whatever contains them and the actor may read.

https://hl7.org/fhir/R4/search.html#contained

A contained resource is part of its container: whoever reads that reads it too, and nobody else. So the question goes to
every type under the grants of that type, and to the type itself when it is asked for both.
"""

from collections.abc import Sequence
from dataclasses import replace

from fhir_server.access.scopes import allows
from fhir_server.access.types import SERVER_ONLY, TYPES
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.json import encode
from fhir_server.interactions.sight import Sight
from fhir_server.search.contained import contained_query
from fhir_server.search.grant import Grant
from fhir_server.search.joins import conditions_of
from fhir_server.search.match import holds_all
from fhir_server.search.query import Query
from fhir_server.store.contract import Page, Stored


def search_contained(query: Query, actor: Actor, sight: Sight) -> tuple[Page, Sequence[Stored]]:
    """The page, and the stored resources that it discloses, which contain what it shows."""
    grants = [(each, sight.grants(each)) for each in _containers(query, actor)]
    asked: list[tuple[Query, Sequence[Grant]]] = [(contained_query(query, name), found) for name, found in grants]
    page = sight.reading.search_several(asked, sight.moment)
    if not query.as_contained:
        return page, page.matches
    parts = tuple(part for stored in page.matches for part in _parts(stored, query))
    return replace(page, matches=parts), page.matches


def _containers(query: Query, actor: Actor) -> list[str]:
    """The types that the token allows to search, the searched one first."""
    others = sorted(name for name, rule in TYPES.items() if rule.kind != SERVER_ONLY and name != query.type)
    return [query.type, *(name for name in others if allows(actor, "search-type", name))]


def _parts(stored: Stored, query: Query) -> list[Stored]:
    """What a match shows: itself when it is what was asked, and each contained resource that is."""
    resource, conditions = stored.resource(), conditions_of(query)
    itself = query.contained == "both" and stored.type == query.type and holds_all(conditions, resource)
    return [
        *([stored] if itself else ()),
        *(
            replace(stored, id=f"{stored.id}#{each.get('id', '')}", body=encode(each))
            for each in resource.get("contained", ())
            if each.get("resourceType") == query.type and holds_all(conditions, each)
        ),
    ]
