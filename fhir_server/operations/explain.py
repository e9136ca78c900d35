"""$explain: how a search is understood and how the database answers it, for the operator.

It is the operator's own search, under the operator's own grants: so it tells of no plan and no person that the operator
could not find by searching.
"""

from fhir_server.fhir.actor import OPERATE, Actor
from fhir_server.fhir.dates import beginning_of_day
from fhir_server.fhir.errors import Forbidden, MalformedRequest
from fhir_server.fhir.json import Resource, encode
from fhir_server.interactions.joining import answered, patient_asked
from fhir_server.interactions.sight import Sight
from fhir_server.interactions.words import Answer, Interaction, Services
from fhir_server.search.parse import parse


def explain(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """A Parameters resource: the Query, the grants, the filter, the sort, the winning plan, and what it examined."""
    if OPERATE not in actor.scopes:
        raise Forbidden(f"Only the operator explains searches; it needs the scope {OPERATE}.", rule="scope")
    if services.within is not None:
        raise MalformedRequest("A transaction holds no $explain; ask by itself or in a batch.", rule="explain")
    query = parse(
        _type(interaction),
        [pair for pair in interaction.parameters if pair[0] != "_type"],
        base_url=services.base_url,
        default_count=services.default_count,
        max_count=services.max_count,
        lenient=interaction.lenient,
        full_text=services.full_text,
        moment=beginning_of_day(services.clock()),
    )
    if query.contained:
        raise MalformedRequest("$explain is of one type; leave _contained out.", rule="parameter-value")
    if query.cursor is not None:
        raise MalformedRequest("$explain is of the first page; leave _cursor out.", rule="parameter-value")
    sight = Sight(actor, services.store, services.clock(), services.max_circles)
    asked = answered(query, sight)
    grants = sight.grants(query.type, patient_asked(asked))
    told = services.store.explain(asked, grants, sight.moment)
    parameters: list[Resource] = [
        {"name": "query", "valueString": repr(query)},
        *({"name": "grant", "valueString": repr(grant)} for grant in grants),
        {"name": "filter", "valueString": told.filter},
        {"name": "sort", "valueString": told.sort},
        {"name": "plan", "valueString": told.plan},
        {"name": "keysExamined", "valueInteger": told.keys},
        {"name": "documentsExamined", "valueInteger": told.documents},
        {"name": "returned", "valueInteger": told.returned},
    ]
    body = encode({"resourceType": "Parameters", "parameter": parameters})
    told_of = "&".join(f"{name}={value}" for name, value in interaction.parameters)
    return Answer("ok", body, reason=f"scope {OPERATE}", query=told_of)


def _type(interaction: Interaction) -> str:
    types = [value for name, value in interaction.parameters if name == "_type"]
    if len(types) != 1 or not types[0]:
        raise MalformedRequest("Say with _type which one type the search is of.", rule="parameter-value")
    return types[0]
