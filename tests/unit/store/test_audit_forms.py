"""What is made by its form is the document that any AuditEvent has, whichever way it was written."""

from datetime import UTC, datetime
from typing import Any

import bson
import pytest

from fhir_server.audit.events import ACTIONS, DONE, FAILED, REFUSED, Occurrence, audit_event
from fhir_server.definitions.search_parameters import parameters_of
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.dates import time_range
from fhir_server.fhir.json import Resource
from fhir_server.search.grant import Reader, Stamp
from fhir_server.store.mongo.audit.events import event_document, record_of, recorded_at
from fhir_server.store.mongo.audit.forms import formed
from fhir_server.store.mongo.audit.kinds import ALIKE

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
MOMENTS = [NOON, datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)]
STAMP = Stamp("Patient/é\U0001f600", ("plan-1", "plan-2"))
ACTORS = {
    "a client": Actor("Organization/1", client_id="client-1"),
    "a person": Actor("Organization/1", "Practitioner/2", frozenset({"nurse", "case manager"})),
    "a patient": Actor(person="Patient/3"),
    "nobody": None,
}
OCCURRENCES = {
    "a read": Occurrence("read", ["Task/1"], "Patient/1", reason='its "author" \\ {"what":{"reference":"Task/7"}}'),
    "a version": Occurrence("update", ["Task/1/_history/2", "CareTeam/1/_history/7", "Task/1"], "Patient/1"),
    "a version of a Patient": Occurrence("update", ["Patient/1/_history/2"], "Patient/1"),
    "a search": Occurrence("search-type", [f"Task/{n}" for n in range(20)], None, query="Task?code=x", reason="grants"),
    "several people": Occurrence("search-type", ["Task/1", "Task/2"], people=["Patient/1", "Patient/3"], query="Task"),
    "of what it is about": Occurrence("read", ["Patient/3"], "Patient/3"),
    "the same twice": Occurrence("search-type", ["Task/1", "Task/1", "Condition/1"], "Patient/1"),
    "an operation": Occurrence("Patient-everything", ["Patient/1", "Task/2"], "Patient/1"),
    "a refusal": Occurrence("read", ["Patient/9"], outcome=REFUSED, description="refused: not-found"),
    "very much": Occurrence("search-type", [f"Task/{n}" for n in range(5000)]),
    "other references": Occurrence(
        "read", ["Task/a..b", "Unknown/1", "Task/a.b.", "https://here.example/Task/1", "#x"]
    ),
}
OTHERS: list[Resource] = [
    {"meta": {"versionId": "1", "lastUpdated": "2026-05-01T12:00:00.000Z", "tag": [{"code": "b"}]}},
    {"meta": {"versionId": "1", "lastUpdated": "2026-05-01T12:00:01.000Z"}},
    {"recorded": "2026-05-01T14:00:00.123456+02:00"},
    {"recorded": "2026-05-01T12:00:00Z"},
    {"recorded": "2026-05-01T12:00:60.000Z", "meta": {"versionId": "1", "lastUpdated": "2026-05-01T12:00:60.000Z"}},
    {"entity": [{"what": {"identifier": {"system": "urn:a", "value": "sha256:1"}}, "name": "Loaded"}]},
    {"entity": [{"what": {"reference": "Task/1", "display": "x"}}, {"query": "eA==", "name": "asked"}]},
    {"entity": [{"what": {"reference": "Patient/1/_history/7070707070"}}, {"what": {"reference": "Patient/1"}}]},
    {"agent": [{"who": {"reference": "Practitioner/an-id-that-stands-for-any"}}]},
    {"entity": [{"name": "policy"}], "purposeOfEvent": [{"text": "care"}]},
    {"agent": [{"who": {"reference": "Patient/5"}, "network": {"address": "192.0.2.1"}, "name": "An"}, {"altId": "x"}]},
    {"agent": [{"who": {"reference": "Organization/1", "display": "One"}}], "entity": []},
    {"source": {"observer": {"reference": "Device/1"}, "site": "here", "type": [{"code": "4"}]}},
]


@pytest.mark.parametrize("actor", ACTORS)
@pytest.mark.parametrize("occurrence", OCCURRENCES)
@pytest.mark.parametrize("moment", MOMENTS)
def test_what_this_server_tells_lies_the_same_way_by_its_form(actor: str, occurrence: str, moment: datetime) -> None:
    event = audit_event("e1", moment, ACTORS[actor], OCCURRENCES[occurrence])
    assert_same(record_of(event, STAMP), has_form=occurrence != "very much")


@pytest.mark.parametrize("code", ACTIONS)
@pytest.mark.parametrize("outcome", [DONE, REFUSED, FAILED])
def test_each_interaction_and_outcome_has_a_form_of_its_own(code: str, outcome: str) -> None:
    event = audit_event("e1", NOON, ACTORS["a client"], Occurrence(code, ["Task/1"], outcome=outcome))
    assert_same(record_of(event, Stamp()), has_form=True)


@pytest.mark.parametrize("more", OTHERS)
def test_what_is_written_in_another_way_lies_as_any_other(more: Resource) -> None:
    event = {**audit_event("e1", NOON, ACTORS["a person"], OCCURRENCES["a read"]), **more}
    assert_same(record_of(event, STAMP))


def test_an_event_without_what_this_server_always_writes_has_no_form() -> None:
    bare = {"resourceType": "AuditEvent", "id": "e1", "recorded": "2026-05-01T12:00:00.000Z", "action": "R"}
    assert_same(record_of(bare, Stamp()), has_form=False)


@pytest.mark.parametrize(
    "stamp",
    [
        Stamp(author="Organization/1"),
        Stamp(audience="everyone"),
        Stamp(readers=(Reader("Organization/1"),)),
        Stamp(label="restricted"),
    ],
)
def test_a_stamp_that_says_more_is_kept_whole(stamp: Stamp) -> None:
    assert_same(record_of(audit_event("e1", NOON, None, OCCURRENCES["a read"]), stamp), has_form=False)


def test_each_parameter_of_a_kind_is_one_that_no_single_event_differs_by() -> None:
    assert all(parameters_of("AuditEvent")[code].type == "token" for code in ALIKE)
    assert not ALIKE & {"agent", "altid", "date", "entity", "patient"}


@pytest.mark.parametrize(
    "recorded",
    ["2026-05-01T12:00:00.000Z", "2026-05-01T12:00:00Z", "2026-05-01T14:00:00.123456+02:00", "2026-05-01T12:00:60Z"],
)
def test_a_record_says_when_it_was_made(recorded: str) -> None:
    event = {**audit_event("e1", NOON, None, OCCURRENCES["a read"]), "recorded": recorded}

    assert recorded_at(record_of(event, STAMP)) == time_range(recorded)[0]


def assert_same(record: bytes, *, has_form: bool | None = None) -> None:
    """Whether it has a form is as expected, and then its document is the one that the event has without.

    With its kind it is the same, but for the terms that this stands for.
    """
    made = formed(record)
    assert has_form is None or (made is not None) == has_form
    if made is not None:
        expected = in_order(bson.decode(bson.encode(event_document(record))))
        plain, short = made.document(()), made.document({made.form.kind.name})
        assert in_order(bson.decode(plain)) == expected
        assert {each for each in expected["t"] if each.partition("=")[0] in ALIKE} == made.form.kind.terms
        terms = sorted([made.form.kind.name, *(each for each in expected["t"] if each not in made.form.kind.terms)])
        assert in_order(bson.decode(short)) == {**expected, "t": terms}
        assert bson.is_valid(plain)
        assert bson.is_valid(short)


def in_order(document: dict[str, Any]) -> dict[str, Any]:
    assert len(document["t"]) == len(set(document["t"]))
    return {**document, "t": sorted(document["t"]), "has": sorted(document["has"])}
