"""update: a new version of a resource that exists; under a condition, or a new resource when nothing matches it.

https://hl7.org/fhir/R4/http.html#update
"""

from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import MalformedRequest, NotFound
from fhir_server.fhir.json import Resource
from fhir_server.interactions.commit import commit
from fhir_server.interactions.gate.asks import Ask
from fhir_server.interactions.gate.matching import condition_of
from fhir_server.interactions.words import Answer, Interaction, Services


def update(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """The new version; `unchanged` when the content is what is stored already."""
    if interaction.type is None:
        raise NotFound
    condition = condition_of(interaction)
    if interaction.id is not None:
        check_id(interaction.resource, interaction.type, interaction.id)
    ask = Ask(
        "update",
        interaction.type,
        interaction.id,
        interaction.resource,
        interaction.if_match,
        condition=condition,
        if_none_match=interaction.if_none_match,
        if_unmodified_since=interaction.if_unmodified_since,
    )
    [written] = commit([ask], actor, services)
    return Answer(written.outcome, written.stored.body, written.stored, audited=True)


def check_id(resource: Resource, type_name: str, id: str) -> None:
    """Raise MalformedRequest unless the body carries the id of the address."""
    stated = resource.get("id") if isinstance(resource, dict) else None
    if stated != id:
        told = "has no id" if stated is None else f"says {stated!r}"
        raise MalformedRequest(
            f"The address says {type_name}/{id}, the body {told}; they must be the same.",
            f"{type_name}.id",
            "id-differs",
        )
