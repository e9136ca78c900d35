"""Rules by which a resource says that it is to be read: none are understood here, and R4 asks that they be.

https://hl7.org/fhir/R4/resource.html#Resource
"""

from fhir_server.fhir.json import Resource
from fhir_server.validation.findings import below, finding

NOT_UNDERSTOOD = "No implicit rules are understood here, and they may change what the rest means; leave them out."
RULED = below(".implicitRules", finding("not-supported", NOT_UNDERSTOOD, "implicit-rules"))


def states_implicit_rules(resource: Resource) -> bool:
    """Whether the resource states such rules; an extension in their place counts, too."""
    return "implicitRules" in resource or "_implicitRules" in resource
