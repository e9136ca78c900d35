"""A small resource of every type, as the operator imports it and as a party creates its own."""

from fhir_server.demo.receiver import subscription
from fhir_server.fhir.json import Resource
from tests.minimal import minimal
from tests.world import Party

_COVERAGE = {
    "contained": [
        {
            "resourceType": "Coverage",
            "id": "coverage",
            "status": "active",
            "beneficiary": {"display": "The person"},
            "payor": [{"display": "The payer"}],
        }
    ],
    "insurance": [{"sequence": 1, "focal": True, "coverage": {"reference": "#coverage"}}],
}
_EXPLAINED = {**_COVERAGE, "insurance": [{"focal": True, "coverage": {"reference": "#coverage"}}]}
ALSO: dict[str, Resource] = {
    "Claim": _COVERAGE,
    "ExplanationOfBenefit": _EXPLAINED,
    "Subscription": subscription("http://127.0.0.1:9/nobody"),
}
# What the references of a required element may need beside a person and an organisation.
_NEEDED = {"DeviceRequest": "Device", "DeviceUseStatement": "Device"}


def imported(type_name: str) -> Resource:
    """A small resource of the type that the operator may write."""
    return minimal(type_name, **ALSO.get(type_name, {}))


def own(party: Party, type_name: str) -> Resource:
    """A small resource of the type that `party` may create: about a person of its own, asked by itself."""
    itself = {"reference": party.reference}
    references = {"Organization": party.reference}
    for needed in ("Patient", "Practitioner", *filter(None, [_NEEDED.get(type_name)])):
        if needed != type_name:
            references[needed] = f"{needed}/{party.post(minimal(needed)).body['id']}"
    also = {
        "ServiceRequest": {"requester": itself},
        "PractitionerRole": {"organization": itself},
        "Consent": {"patient": {"reference": references.get("Patient")}},
    }
    return minimal(type_name, references=references, **ALSO.get(type_name, {}), **also.get(type_name, {}))
