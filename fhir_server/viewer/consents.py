"""A Consent in words: what it says, and whether it lets anybody see anything."""

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

from fhir_server.care.parties import Directory
from fhir_server.care.provisions import DENY, PERMIT, decisions, in_force
from fhir_server.fhir.json import Resource

_REFUSED = _l("Consent refused")
_NOT_IN_FORCE: Mapping[str, Any] = {
    "draft": _l("Consent being prepared"),
    "proposed": _l("Consent being prepared"),
    "rejected": _REFUSED,
    "inactive": _l("Consent no longer in force"),
    "entered-in-error": _l("Consent entered by mistake"),
}


def consent_word(consent: Resource, directory: Directory) -> Any:
    """What the Consent does as it stands; given is only what permits somebody by the rule of `care.provisions`."""
    status = consent.get("status", "")
    if status in _NOT_IN_FORCE:
        return _NOT_IN_FORCE[status]
    if status == "active" and not in_force(consent):
        return _l("Consent to something else recorded: opens nothing")
    decided = decisions(consent, directory).values()
    if PERMIT in decided:
        return _l("Consent given, with exceptions") if DENY in decided else _l("Consent given")
    refused = consent.get("provision", {}).get("type") == DENY
    return _REFUSED if refused else _l("Consent with limits recorded: opens nothing")
