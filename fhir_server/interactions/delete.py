"""delete: a tombstone takes the place of the current version.

https://hl7.org/fhir/R4/http.html#delete
"""

from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import NotFound
from fhir_server.interactions.commit import commit
from fhir_server.interactions.gate.asks import Ask
from fhir_server.interactions.gate.matching import condition_of
from fhir_server.interactions.words import Answer, Interaction, Services


def delete(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """`deleted`, with the version that the tombstone is, when it is one; a condition may match none or several."""
    if interaction.type is None:
        raise NotFound
    ask = Ask(
        "delete",
        interaction.type,
        interaction.id,
        if_match=interaction.if_match,
        condition=condition_of(interaction),
        if_none_match=interaction.if_none_match,
        if_unmodified_since=interaction.if_unmodified_since,
    )
    written = commit([ask], actor, services)
    return Answer("deleted", None, written[0].stored if len(written) == 1 else None, audited=True)
