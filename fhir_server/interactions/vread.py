"""vread: one version of one resource.

https://hl7.org/fhir/R4/http.html#vread
"""

import re

from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import Gone, NotFound
from fhir_server.interactions.conditions import not_modified
from fhir_server.interactions.seeing.sight import Sight
from fhir_server.interactions.subsets import part_of
from fhir_server.interactions.words import Answer, Interaction, Services

_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


def vread(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """The bytes of that version; readable only when the current document and its own plans permit."""
    if interaction.type is None or interaction.id is None or interaction.version is None:
        raise NotFound
    sight = Sight.of(actor, services)
    current, reason = sight.visible(services.reading.read(interaction.type, interaction.id))
    if not _NUMBER.fullmatch(interaction.version):
        raise NotFound
    version = sight.readable_version(
        current, services.reading.read_version(interaction.type, interaction.id, int(interaction.version))
    )
    if version.deleted:
        raise Gone(f"{version.reference} was deleted with version {version.version}.")
    if not_modified(interaction, version):
        return Answer("not-modified", None, version, (version,), reason)
    return Answer("ok", part_of(version, interaction.parameters), version, (version,), reason)
