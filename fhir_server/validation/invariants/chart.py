"""Invariants of what the chart holds: conditions, observations, goals, consents, appointments and their like."""

from collections.abc import Iterator

from fhir_server.validation.invariants.words import (
    UCUM,
    Fields,
    Invariant,
    Invariants,
    choice,
    has,
    has_any,
    is_coded,
)

_ALLERGY_VERIFICATION = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
_CONDITION_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_CONDITION_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"


def _withdrawn(resource: Fields, system: str) -> bool:
    return is_coded(resource.get("verificationStatus"), system, "entered-in-error")


def _codings(concept: Fields) -> Iterator[tuple[str | None, str | None]]:
    for coding in concept.get("coding", ()):
        yield coding.get("system"), coding.get("code")


def _components_have_codes_of_their_own(observation: Fields) -> bool:
    if choice(observation, "value") is None:
        return True
    own = {coding for coding in _codings(observation["code"]) if coding[1] is not None}
    components = observation.get("component", ())
    return own.isdisjoint(coding for component in components for coding in _codings(component.get("code", {})))


def _is_percent(quantity: Fields | None) -> bool:
    return quantity is None or (quantity.get("code") == "%" and quantity.get("system") == UCUM)


def _consents_to(key: str, scope: str) -> Invariant:
    """ppc-2 to ppc-5, with the placeholder system that R4 published."""
    return Invariant(
        key,
        f"A consent of the scope {scope} must name the patient.",
        lambda consent: has(consent, "patient") or not is_coded(consent.get("scope"), "something", scope),
    )


INVARIANTS: Invariants = {
    "AllergyIntolerance": (
        Invariant(
            "ait-1",
            "An allergy must have a clinicalStatus, unless it is entered-in-error.",
            lambda a: _withdrawn(a, _ALLERGY_VERIFICATION) or has(a, "clinicalStatus"),
        ),
        Invariant(
            "ait-2",
            "An allergy that is entered-in-error must not have a clinicalStatus.",
            lambda a: not (_withdrawn(a, _ALLERGY_VERIFICATION) and has(a, "clinicalStatus")),
        ),
    ),
    "Appointment": (
        Invariant("app-2", "start and end must be given together.", lambda a: has(a, "start") == has(a, "end")),
        Invariant(
            "app-3",
            "start and end may be absent only while proposed, cancelled or on the waitlist.",
            lambda a: (has(a, "start") and has(a, "end")) or a.get("status") in ("proposed", "cancelled", "waitlist"),
        ),
        Invariant(
            "app-4",
            "A cancelationReason needs the status cancelled or no-show.",
            lambda a: not has(a, "cancelationReason") or a.get("status") in ("no-show", "cancelled"),
        ),
    ),
    "Appointment.participant": (
        Invariant("app-1", "A participant must have a type or an actor.", lambda p: has_any(p, "type", "actor")),
    ),
    "AuditEvent.entity": (
        Invariant(
            "sev-1",
            "An entity must have either a name or a query, not both.",
            lambda e: not (has(e, "name") and has(e, "query")),
        ),
    ),
    "Condition": (
        Invariant(
            "con-4",
            "A condition that has abated must have the clinicalStatus inactive, remission or resolved.",
            lambda c: (
                choice(c, "abatement") is None
                or is_coded(c.get("clinicalStatus"), _CONDITION_CLINICAL, "resolved", "remission", "inactive")
            ),
        ),
        Invariant(
            "con-5",
            "A condition that is entered-in-error must not have a clinicalStatus.",
            lambda c: not (_withdrawn(c, _CONDITION_VERIFICATION) and has(c, "clinicalStatus")),
        ),
    ),
    "Condition.stage": (
        Invariant(
            "con-1", "A stage must have a summary or an assessment.", lambda s: has_any(s, "summary", "assessment")
        ),
    ),
    "Condition.evidence": (
        Invariant("con-2", "Evidence must have a code or a detail.", lambda e: has_any(e, "code", "detail")),
    ),
    "Consent": (
        Invariant(
            "ppc-1",
            "A consent must have a policy or a policyRule.",
            lambda consent: has_any(consent, "policy", "policyRule"),
        ),
        _consents_to("ppc-2", "patient-privacy"),
        _consents_to("ppc-3", "research"),
        _consents_to("ppc-4", "adr"),
        _consents_to("ppc-5", "treatment"),
    ),
    "Goal.target": (
        Invariant(
            "gol-1",
            "A target with a detail must say what it measures.",
            lambda target: choice(target, "detail") is None or has(target, "measure"),
        ),
    ),
    "Group": (
        Invariant(
            "grp-1",
            "Only an actual group may have members.",
            lambda group: "member" not in group or group.get("actual") is True,
        ),
    ),
    "Immunization.education": (
        Invariant(
            "imm-1",
            "Education must have a documentType or a reference.",
            lambda e: has_any(e, "documentType", "reference"),
        ),
    ),
    "List": (
        Invariant(
            "lst-1", "A list with entries has no emptyReason.", lambda x: not ("emptyReason" in x and "entry" in x)
        ),
        Invariant(
            "lst-2",
            "Only a list of the mode changes may have deleted entries.",
            lambda x: x.get("mode") == "changes" or not any(has(e, "deleted") for e in x.get("entry", ())),
        ),
        Invariant(
            "lst-3",
            "Only a list of the mode working may have dates in its entries.",
            lambda x: x.get("mode") == "working" or not any(has(e, "date") for e in x.get("entry", ())),
        ),
    ),
    "Observation": (
        Invariant(
            "obs-6",
            "Either a value or a dataAbsentReason may be given, not both.",
            lambda o: "dataAbsentReason" not in o or choice(o, "value") is None,
        ),
        Invariant(
            "obs-7",
            "A component must not have the code of the observation, when that has a value itself.",
            _components_have_codes_of_their_own,
        ),
    ),
    "Observation.referenceRange": (
        Invariant(
            "obs-3", "A reference range must have low, high or text.", lambda r: has_any(r, "low", "high", "text")
        ),
    ),
    "RiskAssessment.prediction": (
        Invariant(
            "ras-1",
            "A probability range must be in percent, by UCUM.",
            lambda p: all(_is_percent(p.get("probabilityRange", {}).get(end)) for end in ("low", "high")),
        ),
        Invariant("ras-2", "A probability must not be over 100.", lambda p: p.get("probabilityDecimal", 0) <= 100),
    ),
}
