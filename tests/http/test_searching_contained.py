"""Contained resources over HTTP: what contains them, or themselves, for whoever may read that."""

import uuid
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.minimal import minimal
from tests.world import Party, Reply, World


@pytest.fixture
def hosp(world: World) -> Party:
    """A hospital."""
    return world.hospital()


@pytest.fixture
def unique() -> str:
    """A value that no other test has."""
    return uuid.uuid4().hex


def drug(unique: str, id: str = "drug") -> dict[str, Any]:
    """A contained Device of an identifier that no other has."""
    return {"resourceType": "Device", "id": id, "identifier": [{"value": unique}]}


def made(party: Party, type_name: str, patient: str, **elements: Any) -> str:
    subject = {"reference": patient}
    reply = party.post(minimal(type_name, references={"Patient": patient}, subject=subject, **elements))
    assert reply.status == 201, reply.body
    return f"{type_name}/{reply.body['id']}"


@pytest.fixture
def held(hosp: Party, unique: str) -> dict[str, str]:
    """An Observation and a Procedure that contain a Device, and a Device that stands by itself."""
    patient = f"Patient/{hosp.post(minimal('Patient')).body['id']}"
    alone = minimal("Device", references={"Patient": patient}, patient={"reference": patient})
    reply = hosp.post({**alone, "identifier": [{"value": unique}]})
    assert reply.status == 201, reply.body
    contained = {"contained": [drug(unique)], "device": {"reference": "#drug"}}
    return {
        "device": f"Device/{reply.body['id']}",
        "observation": made(hosp, "Observation", patient, **contained),
        "procedure": made(hosp, "Procedure", patient, usedReference=[{"reference": "#drug"}], contained=[drug(unique)]),
        "patient": patient,
    }


def urls(reply: Reply) -> list[str]:
    assert reply.status == 200, reply.body
    return [each["fullUrl"].partition("/fhir/")[2] for each in reply.body.get("entry", [])]


def test_what_contains_a_match_is_found_and_without_being_asked_only_the_match(
    hosp: Party, held: dict[str, str], unique: str
) -> None:
    asked = f"Device?identifier={unique}"

    assert urls(hosp.get(asked)) == urls(hosp.get(f"{asked}&_contained=false")) == [held["device"]]
    assert urls(hosp.get(f"{asked}&_contained=true")) == [held["observation"], held["procedure"]]
    assert urls(hosp.get(f"{asked}&_contained=both")) == [held["device"], held["observation"], held["procedure"]]
    assert urls(hosp.get(f"Device?identifier=none-{unique}&_contained=both")) == []
    counted = hosp.get(f"{asked}&_contained=both&_summary=count")
    assert counted.body["total"] == 3


def test_the_contained_resources_themselves_are_shown_when_they_are_asked_for(
    hosp: Party, held: dict[str, str], unique: str
) -> None:
    asked = f"Device?identifier={unique}&_containedType=contained"
    true, both = hosp.get(f"{asked}&_contained=true"), hosp.get(f"{asked}&_contained=both")

    parts = [f"{held['observation']}#drug", f"{held['procedure']}#drug"]
    assert urls(true) == parts
    assert urls(both) == [held["device"], *parts]
    assert true.entries[0] == drug(unique)


def test_pages_of_contained_resources_follow_each_other(hosp: Party, held: dict[str, str], unique: str) -> None:
    reply, shown = hosp.get(f"Device?identifier={unique}&_contained=both&_count=1"), []
    for _ in range(3):
        shown += urls(reply)
        following = [each["url"] for each in reply.body["link"] if each["relation"] == "next"]
        if not following:
            break
        parts = urlsplit(following[0])
        reply = hosp.get(f"{parts.path.removeprefix('/fhir/')}?{parts.query}")
    assert shown == [held["device"], held["observation"], held["procedure"]]


def test_a_contained_resource_is_found_through_what_it_refers_to(
    hosp: Party, held: dict[str, str], unique: str
) -> None:
    name = {"name": [{"family": f"F{unique}"}]}
    assert hosp.put({**hosp.read(held["patient"]), **name}).status == 200
    contained = [{**drug(f"of-{unique}"), "patient": {"reference": held["patient"]}}]
    holder = made(hosp, "Procedure", held["patient"], usedReference=[{"reference": "#drug"}], contained=contained)

    assert urls(hosp.get(f"Device?patient.family=F{unique}&_contained=true")) == [holder]
    expression = f"_filter=patient%20re%20{held['patient']}%20and%20not%20(identifier%20eq%20none)"
    assert urls(hosp.get(f"Device?{expression}&_contained=true")) == [holder]


def test_whoever_may_not_read_the_container_does_not_find_what_it_contains(
    world: World, held: dict[str, str], unique: str
) -> None:
    for how in ("true", "both"):
        for kind in ("container", "contained"):
            asked = f"Device?identifier={unique}&_contained={how}&_containedType={kind}&_total=accurate"
            hidden = world.party().get(asked)
            assert (urls(hidden), hidden.body["total"]) == ([], 0)


def test_a_token_finds_only_in_the_types_that_it_may_search(
    world: World, hosp: Party, held: dict[str, str], unique: str
) -> None:
    narrow = world.party("system/Device.rs", "system/Procedure.rs", organization=hosp.reference)
    assert urls(narrow.get(f"Device?identifier={unique}&_contained=true")) == [held["procedure"]]


@pytest.mark.parametrize(
    "asked",
    [
        "Device?_contained=maybe",
        "Device?_containedType=both",
        "Device?_contained=true&_id=1",
        "Device?_contained=true&_sort=identifier",
        "Device?_contained=both&_include=Device:patient",
        "Patient/1/Observation?_contained=true",
        "?_type=Device,Task&_contained=true",
        "Patient?_contained=true&_has:Observation:patient:code=1",
    ],
)
def test_what_cannot_be_asked_of_contained_resources_is_refused(hosp: Party, asked: str) -> None:
    reply = hosp.get(asked)
    assert (reply.status, "contained" in reply.issues[0]["diagnostics"].lower()) == (400, True), reply.body
