"""patch: some elements of a resource change, by JSON Patch or FHIRPath Patch.

https://hl7.org/fhir/R4/http.html#patch
"""

from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import NotFound
from fhir_server.interactions.commit import commit
from fhir_server.interactions.gate.asks import Ask
from fhir_server.interactions.gate.matching import condition_of
from fhir_server.interactions.patching.patches import read_patch
from fhir_server.interactions.words import Answer, Interaction, Services


def patch(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """The new version, which the gate judged as it judges an update; `unchanged` when nothing changed."""
    if interaction.type is None:
        raise NotFound
    ask = Ask(
        "patch",
        interaction.type,
        interaction.id,
        if_match=interaction.if_match,
        patch=read_patch(interaction.resource),
        condition=condition_of(interaction),
        if_none_match=interaction.if_none_match,
        if_unmodified_since=interaction.if_unmodified_since,
    )
    [written] = commit([ask], actor, services)
    return Answer(written.outcome, written.stored.body, written.stored, audited=True)
