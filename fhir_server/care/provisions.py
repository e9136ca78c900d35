"""What a Consent says as it stands: whom it permits, and whom it denies.

https://hl7.org/fhir/R4/consent.html
"""

from collections.abc import Iterator
from typing import Any

from fhir_server.care.parties import Directory, party
from fhir_server.fhir.errors import InvalidResource
from fhir_server.fhir.json import Resource

PERMIT = "permit"
DENY = "deny"
EVERYONE = None
_SCOPES = "http://terminology.hl7.org/CodeSystem/consentscope"
_NARROWER_THAN_THE_CHART = ("action", "class", "code", "data", "dataPeriod", "purpose", "securityLabel")
# The directives of https://terminology.hl7.org/CodeSystem-v3-ActCode.html that are no agreement to all.
_NO_OPT_IN = frozenset({"EMRGONLY", "GRANTORCHOICE", "NOCONSENT", "NOPP", "OPTINR", "OPTOUT", "OPTOUTE"})


def decisions(consent: Resource, directory: Directory) -> dict[str | None, str]:
    """What the Consent decides as it stands: a word for everyone (key None), and for each party that it names.

    Empty when it is not active or not about privacy. Fail closed: a permit in any doubt (see `opens_the_chart`) permits
    nothing, a nested deny that names no party denies everyone, and a party that cannot be read is not permitted.
    """
    if not in_force(consent):
        return {}
    provision = consent.get("provision", {})
    found: dict[str | None, str] = {}
    if provision.get("type", PERMIT) == DENY:
        found[EVERYONE] = DENY
    elif opens_the_chart(consent):
        found.update(dict.fromkeys(_permitted_parties(provision, directory), PERMIT))
    for nested in _denials(provision):
        found.update(dict.fromkeys(_denied_parties(nested, directory), DENY))
    return found


def denied_in_words(consent: Resource, directory: Directory) -> list[str | None]:
    """Whom it denies beyond doubt: everyone, or whoever it names and can be read; not whom doubt alone keeps out."""
    if not in_force(consent):
        return []
    provision = consent.get("provision", {})
    nested = [each for each in provision.get("provision", []) if each.get("type", DENY) == DENY]
    named = [who for each in nested for actor in _actors(each) if (who := _readable(actor, directory))]
    return [EVERYONE] if provision.get("type", PERMIT) == DENY else [*named]


def rejected_parties(consent: Resource, directory: Directory) -> list[str | None]:
    """Whom it would have let in, had the person not rejected it; nobody when it was not rejected."""
    provision = consent.get("provision", {})
    permits = consent.get("status") == "rejected" and _about_privacy(consent) and opens_the_chart(consent)
    return _permitted_parties(provision, directory) if permits else []


def in_force(consent: Resource) -> bool:
    """Whether it is active and about privacy; its period is not asked."""
    return consent.get("status") == "active" and _about_privacy(consent)


def opens_the_chart(consent: Resource) -> bool:
    """Whether it permits the whole chart beyond doubt, whatever its status is.

    The root provision permits, or states no type and no policy says otherwise; nothing limits or modifies it, and
    whatever is nested in it denies: what permits there may mean "only these".
    """
    provision = consent.get("provision", {})
    limited = any(limit in provision for limit in _NARROWER_THAN_THE_CHART)
    excepted = any(nested.get("type") != DENY for nested in provision.get("provision", []))
    ruled = "implicitRules" in consent or "_implicitRules" in consent
    doubtful = ruled or _modified(consent) or _unverified(consent)
    return _permits(consent, provision) and not (limited or excepted or doubtful)


def _permits(consent: Resource, provision: Resource) -> bool:
    if "type" in provision:
        return bool(provision["type"] == PERMIT)
    codings = consent.get("policyRule", {}).get("coding", [])
    return "_type" not in provision and not any(str(c.get("code", "")).upper() in _NO_OPT_IN for c in codings)


def _modified(value: Any) -> bool:
    """Whether an extension anywhere in it may turn its meaning around; what is contained speaks for itself."""
    if isinstance(value, list):
        return any(_modified(item) for item in value)
    if not isinstance(value, dict):
        return False
    return "modifierExtension" in value or any(_modified(item) for name, item in value.items() if name != "contained")


def _unverified(consent: Resource) -> bool:
    """Whether somebody asked the person or the family if this is what they agreed to, and nobody said yes."""
    asked = consent.get("verification", [])
    return bool(asked) and not any(each.get("verified") is True for each in asked)


def _denials(provision: Resource) -> Iterator[Resource]:
    """The denials in a provision and in what it permits anew; what a denial excepts from itself stays denied."""
    for nested in provision.get("provision", []):
        if nested.get("type", DENY) == DENY:
            yield nested
        else:
            yield from _denials(nested)


def _about_privacy(consent: Resource) -> bool:
    codings = consent.get("scope", {}).get("coding", [])
    return any(c.get("code") == "patient-privacy" and c.get("system") in (None, _SCOPES) for c in codings)


def _permitted_parties(provision: Resource, directory: Directory) -> list[str | None]:
    """Everyone, when the permit names nobody or a care team; else whoever of its actors can be read."""
    actors = _actors(provision)
    if not actors or any(actor.startswith("CareTeam/") for actor in actors):
        return [EVERYONE]
    return [who for actor in actors if (who := _readable(actor, directory))]


def _denied_parties(provision: Resource, directory: Directory) -> list[str | None]:
    """Whoever the denial names; everyone, when it names nobody or somebody who cannot be read."""
    return [_readable(actor, directory) for actor in _actors(provision)] or [EVERYONE]


def _actors(provision: Resource) -> list[str]:
    return [actor.get("reference", {}).get("reference", "") for actor in provision.get("actor", [])]


def _readable(reference: str, directory: Directory) -> str | None:
    try:
        return party(reference, directory)
    except InvalidResource:
        return None
