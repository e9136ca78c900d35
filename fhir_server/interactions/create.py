"""create, and create under a condition.

https://hl7.org/fhir/R4/http.html#create
"""

from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import NotFound
from fhir_server.interactions.commit import commit
from fhir_server.interactions.gate.asks import Ask
from fhir_server.interactions.words import Answer, Interaction, Services


def create(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """The new version, or `existing` when If-None-Exist matched one resource that the actor may read."""
    if interaction.type is None:
        raise NotFound
    ask = Ask("create", interaction.type, resource=interaction.resource, if_none_exist=interaction.if_none_exist)
    [written] = commit([ask], actor, services)
    return Answer(written.outcome, written.stored.body, written.stored, audited=True)
