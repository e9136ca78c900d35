"""read: the current version of one resource.

https://hl7.org/fhir/R4/http.html#read
"""

from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import NotFound
from fhir_server.interactions.conditions import not_modified
from fhir_server.interactions.seeing.glimpses import glimpsed
from fhir_server.interactions.seeing.sight import Sight
from fhir_server.interactions.subsets import part_of
from fhir_server.interactions.words import Answer, Interaction, Services
from fhir_server.store.values import Stored


def read(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """The stored bytes, or `not-modified` when If-None-Match or If-Modified-Since says that they are known.

    Of a Patient, whoever is asked for care sees a part, which is no version of it and has no ETag.
    """
    if interaction.type is None or interaction.id is None:
        raise NotFound
    sight = Sight.of(actor, services)
    found = sight.read(interaction.type, interaction.id)
    try:
        stored, reason = sight.readable(found)
    except NotFound:
        part = glimpsed(found, sight, services)
        if part is None:
            raise
        return Answer(
            "ok",
            part_of(part, interaction.parameters),
            None,
            (part,),
            "asked to care for the person; sees what the programme names",
        )
    if not_modified(interaction, stored, lambda: _followed(stored, services)):
        return Answer("not-modified", None, stored, (stored,), reason)
    return Answer("ok", part_of(stored, interaction.parameters), stored, (stored,), reason)


def _followed(stored: Stored, services: Services) -> Stored | None:
    """The version before this one."""
    return services.reading.read_version(stored.type, stored.id, stored.version - 1) if stored.version > 1 else None
