"""read: the current version of one resource.

https://hl7.org/fhir/R4/http.html#read
"""

from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import NotFound
from fhir_server.interactions.conditions import matches_etag
from fhir_server.interactions.sight import Sight
from fhir_server.interactions.words import Answer, Interaction, Services


def read(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """The stored bytes, or `not-modified` when If-None-Match names the current version."""
    if interaction.type is None or interaction.id is None:
        raise NotFound
    sight = Sight(actor, services.reading, services.clock(), services.max_circles)
    stored, reason = sight.readable(services.reading.read(interaction.type, interaction.id))
    if interaction.if_none_match and matches_etag(interaction.if_none_match, stored.version):
        return Answer("not-modified", None, stored, (stored,), reason)
    return Answer("ok", stored.body, stored, (stored,), reason)
