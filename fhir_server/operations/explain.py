"""$explain: how a search is understood and how the database answers it, for the operator.

It is the operator's own search, under the operator's own grants: so it tells of no plan and no person that the operator
could not find by searching.
"""

from collections.abc import Sequence

from fhir_server.access.scopes import check_scope
from fhir_server.fhir.actor import OPERATE, Actor
from fhir_server.fhir.dates import beginning_of_day
from fhir_server.fhir.errors import Forbidden, MalformedRequest
from fhir_server.fhir.json import Resource, encode
from fhir_server.interactions.parameters import stated
from fhir_server.interactions.search_contained import seen_containers
from fhir_server.interactions.seeing.joining import answered, grants_of
from fhir_server.interactions.seeing.sight import Sight
from fhir_server.interactions.words import Answer, Interaction, Services
from fhir_server.search.grant import Grant
from fhir_server.search.parse import parse
from fhir_server.search.query import Query
from fhir_server.store.values import Explained


def explain(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """A Parameters resource: the Query, the grants, the filter, the sort, the winning plan, and what it examined.

    With `_contained` all but the Query stands in a `container` for each type that may contain a match.
    """
    if OPERATE not in actor.scopes:
        raise Forbidden(f"Only the operator explains searches; it needs the scope {OPERATE}.", rule="scope")
    if services.within is not None:
        raise MalformedRequest("A transaction holds no $explain; ask by itself or in a batch.", rule="explain")
    query = parse(
        _type(interaction),
        [pair for pair in stated(interaction.parameters) if pair[0] != "_type"],
        base_url=services.base_url,
        default_count=services.default_count,
        max_count=services.max_count,
        lenient=interaction.lenient,
        full_text=services.full_text,
        moment=beginning_of_day(services.clock()),
    )
    check_scope(actor, "search-type", query.type)
    if query.cursor is not None:
        raise MalformedRequest("$explain is of the first page; leave _cursor out.", rule="parameter-value")
    sight = Sight.of(actor, services)
    asked = seen_containers([query], sight) if query.contained else [_seen(query, sight)]
    told = services.store.explain(asked, sight.moment)
    found = [_told(grants, each) for (_, grants), each in zip(asked, told, strict=True)]
    parameters: list[Resource] = [{"name": "query", "valueString": repr(query)}]
    if query.contained:
        parameters += [
            {"name": "container", "part": [{"name": "type", "valueCode": each.type}, *parts]}
            for (each, _), parts in zip(asked, found, strict=True)
        ]
    else:
        parameters += found[0]
    body = encode({"resourceType": "Parameters", "parameter": parameters})
    return Answer("ok", body, reason=f"scope {OPERATE}", query=interaction.asked)


def _seen(query: Query, sight: Sight) -> tuple[Query, list[Grant]]:
    plain = answered(query, sight)
    return plain, grants_of(plain, sight)


def _told(grants: Sequence[Grant], told: Explained) -> list[Resource]:
    return [
        *({"name": "grant", "valueString": repr(grant)} for grant in grants),
        {"name": "filter", "valueString": told.filter},
        {"name": "sort", "valueString": told.sort},
        {"name": "plan", "valueString": told.plan},
        {"name": "keysExamined", "valueInteger": told.keys},
        {"name": "documentsExamined", "valueInteger": told.documents},
        {"name": "returned", "valueInteger": told.returned},
    ]


def _type(interaction: Interaction) -> str:
    types = [value for name, value in interaction.parameters if name == "_type"]
    if len(types) != 1 or not types[0]:
        raise MalformedRequest("Say with _type which one type the search is of.", rule="parameter-value")
    return types[0]
