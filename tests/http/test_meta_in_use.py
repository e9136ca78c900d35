"""$meta of a type and of the server: the labels in use on what the caller reads, and on nothing else."""

import uuid

import pytest

from fhir_server.fhir.json import Resource
from fhir_server.operations import meta_in_use
from tests.http.test_operations_meta import told
from tests.minimal import minimal
from tests.world import Party, World

PROFILE = "https://samen.example/fhir/StructureDefinition/labelled"


def label() -> Resource:
    return {"system": "urn:test:labels", "code": uuid.uuid4().hex, "display": "A label"}


def labelled(party: Party, type_name: str = "Patient", **meta: object) -> str:
    """A resource with this meta."""
    reply = party.post(minimal(type_name, meta=meta))
    assert reply.status == 201, reply.body
    return f"{type_name}/{reply.body['id']}"


def test_each_label_in_use_is_told_once(monkeypatch: pytest.MonkeyPatch, hosp: Party) -> None:
    monkeypatch.setattr(meta_in_use, "MOST", 100_000)  # what other tests labelled, and everybody reads, is there too
    one, other, security = label(), label(), label()
    labelled(hosp, tag=[one, other])
    labelled(hosp, tag=[one], profile=[PROFILE])
    labelled(hosp, "Group", security=[security])

    of_patients, of_all = told(hosp.get("Patient/$meta")), told(hosp.ask("POST", "$meta"))

    assert of_patients == {"profile": [PROFILE], "tag": sorted([one, other], key=lambda each: str(each["code"]))}
    assert {each.get("code") for each in of_all["tag"]} >= {one["code"], other["code"]}
    assert [each for each in of_all["security"] if each.get("system") == security["system"]] == [security]


def test_a_label_on_what_the_caller_does_not_read_is_not_told(world: World, hosp: Party) -> None:
    hidden = label()
    labelled(hosp, tag=[hidden])
    labelled(hosp, "Group", security=[hidden])
    outsider = world.party()

    for place in ("$meta", "Patient/$meta", "Group/$meta"):
        assert str(hidden["code"]).encode() not in outsider.get(place).raw
    assert outsider.get("Patient/$meta").body == {"resourceType": "Parameters"}


def test_a_label_that_was_taken_away_or_deleted_is_not_told(hosp: Party) -> None:
    gone, deleted = label(), label()
    patient, group = labelled(hosp, tag=[gone]), labelled(hosp, "Group", tag=[deleted])
    assert hosp.change(patient, meta=None).status == 200
    assert hosp.ask("DELETE", group).status == 204

    assert hosp.get("Patient/$meta").body == hosp.get("Group/$meta").body == {"resourceType": "Parameters"}


def test_only_types_of_the_scopes_are_told(world: World, hosp: Party) -> None:
    tag, other = label(), label()
    labelled(hosp, tag=[tag])
    labelled(hosp, "Group", tag=[other])
    narrow = world.party("system/Group.rs", organization=hosp.reference)

    assert [each["code"] for each in told(narrow.get("Group/$meta"))["tag"]] == [other["code"]]
    assert str(tag["code"]).encode() not in narrow.get("$meta").raw
    assert narrow.get("Patient/$meta").status == 403


def test_more_than_it_reads_is_too_costly(monkeypatch: pytest.MonkeyPatch, hosp: Party) -> None:
    for _ in range(3):
        labelled(hosp, tag=[label()])

    monkeypatch.setattr(meta_in_use, "MOST", 2)
    refused = hosp.get("Patient/$meta")

    assert (refused.status, refused.issues[0]["code"]) == (403, "too-costly")


def test_pages_are_read_to_their_end(monkeypatch: pytest.MonkeyPatch, hosp: Party) -> None:
    labels = [label() for _ in range(5)]
    for each in labels:
        labelled(hosp, tag=[each])

    monkeypatch.setattr(meta_in_use, "_PAGE", 2)
    found = told(hosp.get("Patient/$meta"))["tag"]

    assert {each["code"] for each in found} == {each["code"] for each in labels}


@pytest.mark.parametrize("place", ["Spaceship/$meta", "Patient/$meta-add", "$meta-add"])
def test_what_is_not_there_is_not_found(hosp: Party, place: str) -> None:
    assert hosp.ask("POST", place).status == 404


def test_an_unknown_parameter_is_refused(hosp: Party) -> None:
    assert hosp.get("Patient/$meta?x=1").status == 400
