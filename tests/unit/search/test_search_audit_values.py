"""AuditEvents are found by the same values whichever way these were gathered."""

from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_server.audit.events import ACTIONS, DONE, REFUSED, Occurrence, audit_event
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.json import Resource
from fhir_server.search.audit_values import audit_values
from fhir_server.search.extract import search_values

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ACTORS = {
    "a client": Actor("Organization/1", client_id="client-1"),
    "a person": Actor("Organization/1", "Practitioner/2", frozenset({"nurse", "case manager"})),
    "a patient": Actor(person="Patient/3"),
    "nobody": None,
}
OCCURRENCES = {
    "a read": Occurrence("read", ["Task/1"], "Patient/1", reason="its author"),
    "a version": Occurrence("update", ["Task/1/_history/2", "CareTeam/1/_history/7"], "Patient/1"),
    "a search": Occurrence("search-type", [f"Task/{n}" for n in range(20)], None, "Task?code=x", reason="grants"),
    "of a Patient": Occurrence("read", ["Patient/1"], "Patient/1"),
    "an operation": Occurrence("Patient-everything", ["Patient/1", "Task/2"], "Patient/1"),
    "a refusal": Occurrence("read", ["Patient/9"], outcome=REFUSED, description="refused: not-found"),
}
OTHERS: list[Resource] = [
    {"meta": {"tag": [{"system": "urn:a", "code": "b"}]}},
    {
        "entity": [
            {"what": {"identifier": {"system": "urn:a", "value": "sha256:1"}}, "name": "Loaded", "type": {"code": "2"}}
        ]
    },
    {
        "agent": [
            {"who": {"reference": "Patient/5"}, "network": {"address": "192.0.2.1"}, "policy": ["urn:p"], "name": "An"}
        ]
    },
    {"recorded": "2026-05-01T14:00:00.123456+02:00"},
    {"recorded": "2026-05-01T12:00:00Z"},
    {"agent": [{"who": {"reference": "Organization/1", "display": "One"}}], "entity": []},
    {"entity": [{"what": {"reference": f"Task/{'x' * 300}"}}]},
    {"entity": [{"what": {"reference": each}} for each in ("Task/a..b", "Unknown/1", "Task/a b", "urn:x", "#y")]},
    {"entity": [{"what": {"reference": f"Patient/7/_history/{each}"}} for each in ("1", "x", "1/2", "", "9" * 30)]},
    {"entity": [{"what": {"reference": "https://here.example/fhir/Task/1"}}, {"what": {"reference": "Task/1|2"}}]},
    {"source": {"observer": {"reference": "Device/1"}, "site": "here", "type": [{"code": "4"}]}},
]


@pytest.mark.parametrize("actor", ACTORS)
@pytest.mark.parametrize("occurrence", OCCURRENCES)
def test_events_of_this_server_have_the_values_that_any_resource_has(actor: str, occurrence: str) -> None:
    event = audit_event("e1", NOW, ACTORS[actor], OCCURRENCES[occurrence])
    assert in_order(audit_values(event)) == in_order(search_values(event))


@pytest.mark.parametrize("code", ACTIONS)
@pytest.mark.parametrize("outcome", [DONE, REFUSED])
def test_each_interaction_and_outcome_has_values_of_its_own(code: str, outcome: str) -> None:
    event = audit_event("e1", NOW, ACTORS["a client"], Occurrence(code, ["Task/1"], outcome=outcome))
    assert in_order(audit_values(event)) == in_order(search_values(event))


@pytest.mark.parametrize("more", OTHERS)
def test_other_events_have_them_too(more: Resource) -> None:
    event = {**audit_event("e1", NOW, ACTORS["a person"], OCCURRENCES["a read"]), **more}
    assert in_order(audit_values(event)) == in_order(search_values(event))


def in_order(values: dict[str, Any]) -> dict[str, Any]:
    return {**values, "t": sorted(values["t"]), "has": sorted(values["has"])}
