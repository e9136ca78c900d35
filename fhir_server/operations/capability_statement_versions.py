"""$versions: which releases of FHIR are spoken here.

https://hl7.org/fhir/R4/capabilitystatement-operation-versions.html
"""

from fhir_server.fhir.actor import Actor
from fhir_server.fhir.json import encode
from fhir_server.interactions.words import Answer, Interaction, Services
from fhir_server.operations.inputs import texts

_R4 = "4.0"


def versions(interaction: Interaction, actor: Actor, services: Services) -> Answer:
    """R4 alone, which is also the default."""
    texts(interaction, services, ())
    told = [{"name": "version", "valueCode": _R4}, {"name": "default", "valueCode": _R4}]
    body = encode({"resourceType": "Parameters", "parameter": told})
    return Answer("ok", body, reason="open to every signed-in party")
