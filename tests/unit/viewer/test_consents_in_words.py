"""What the viewer says of a Consent: given only when it lets somebody in."""

from typing import Any

import pytest

from fhir_server.care.provisions import PERMIT, decisions
from fhir_server.fhir.json import Resource
from fhir_server.viewer.consents import consent_word
from tests.unit.viewer.readers import reading

PRIVACY = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]}
LIMITED = "Consent with limits recorded: opens nothing"
HOME = {"role": {"text": "care"}, "reference": {"reference": "Organization/home"}}


def nowhere(reference: str) -> Resource | None:
    return None


@pytest.mark.parametrize(
    ("elements", "told"),
    [
        ({"provision": {"type": "permit"}}, "Consent given"),
        ({"provision": {"actor": [HOME]}}, "Consent given"),
        ({"provision": {"provision": [{"type": "deny", "actor": [HOME]}]}}, "Consent given, with exceptions"),
        ({"provision": {"type": "deny"}}, "Consent refused"),
        ({"provision": {"type": "permit", "purpose": [{"code": "HRESCH"}]}}, LIMITED),
        ({"provision": {"type": "permit", "action": [{"text": "read"}]}}, LIMITED),
        ({"provision": {"type": "permit", "provision": [{"type": "deny"}]}}, LIMITED),
        ({"provision": {"type": "permit", "actor": [{"reference": {"display": "the nurse"}}]}}, LIMITED),
        ({"modifierExtension": [{"url": "https://example.org/only", "valueCode": "x"}]}, LIMITED),
        ({"policyRule": {"coding": [{"code": "OPTOUT"}]}}, LIMITED),
        ({"verification": [{"verified": False}], "provision": {"type": "permit"}}, LIMITED),
        ({"scope": {"coding": [{"code": "research"}]}}, "Consent to something else recorded: opens nothing"),
        ({"status": "draft"}, "Consent being prepared"),
        ({"status": "proposed"}, "Consent being prepared"),
        ({"status": "rejected"}, "Consent refused"),
        ({"status": "inactive"}, "Consent no longer in force"),
        ({"status": "entered-in-error"}, "Consent entered by mistake"),
    ],
)
def test_given_is_only_a_consent_that_lets_somebody_in(elements: dict[str, Any], told: str) -> None:
    consent = {"resourceType": "Consent", "id": "c", "status": "active", "scope": PRIVACY, **elements}

    with reading("en"):
        assert str(consent_word(consent, nowhere)) == told
    assert told.startswith("Consent given") == (PERMIT in decisions(consent, nowhere).values())
