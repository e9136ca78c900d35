"""Invariants of people and organisations."""

from fhir_server.validation.invariants.words import Invariant, Invariants, has_any

INVARIANTS: Invariants = {
    "Patient.contact": (
        Invariant(
            "pat-1",
            "A contact must have a name, a telecom, an address or an organization.",
            lambda contact: has_any(contact, "name", "telecom", "address", "organization"),
        ),
    ),
    "Organization": (
        Invariant(
            "org-1",
            "An organisation must have a name or an identifier.",
            lambda organization: has_any(organization, "name", "identifier"),
        ),
        Invariant(
            "org-2",
            "An address of an organisation must not be of the use home.",
            lambda organization: all(a.get("use") != "home" for a in organization.get("address", ())),
        ),
        Invariant(
            "org-3",
            "A telecom of an organisation must not be of the use home.",
            lambda organization: all(t.get("use") != "home" for t in organization.get("telecom", ())),
        ),
    ),
}
