"""delete: a tombstone takes the place of the current version.

https://hl7.org/fhir/R4/http.html#delete
"""

from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import NotFound
from fhir_server.interactions.asks import Ask
from fhir_server.interactions.commit import commit
from fhir_server.interactions.words import Answer, Interaction, Services


def delete(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """`deleted`, with the version that the tombstone is."""
    if interaction.type is None or interaction.id is None:
        raise NotFound
    [written] = commit(
        [Ask("delete", interaction.type, interaction.id, if_match=interaction.if_match)], actor, services
    )
    return Answer(written.outcome, None, written.stored, audited=True)
