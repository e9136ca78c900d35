"""Contained resources over HTTP: what contains them, or themselves, for whoever may read that."""

import uuid
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.minimal import minimal
from tests.world import Party, Reply, World


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


def test_a_cursor_of_contained_resources_belongs_to_its_question(
    hosp: Party, held: dict[str, str], unique: str
) -> None:
    asked = f"Device?identifier={unique}&_contained=both&_count=1&_sort=-identifier"
    [onward] = [each["url"] for each in hosp.get(asked).body["link"] if each["relation"] == "next"]
    cursor = urlsplit(onward).query.rpartition("&")[2]

    assert hosp.get(f"{asked}&{cursor}").status == 200
    for other in (
        f"Device?identifier=x{unique}&_contained=both&_count=1&_sort=-identifier",
        f"Device?identifier={unique}&_contained=true&_count=1&_sort=-identifier",
        f"Device?identifier={unique}&_contained=both&_count=1&_sort=identifier",
        f"Device?identifier={unique}&_count=1&_sort=-identifier",
        f"{held['patient']}/*?_type=Device&identifier={unique}&_contained=true&_count=1&_sort=-identifier",
    ):
        assert hosp.get(f"{other}&{cursor}").status == 400, other


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


def test_ids_and_times_are_those_of_the_container(hosp: Party, held: dict[str, str], unique: str) -> None:
    asked = f"Device?identifier={unique}&_contained=both"
    id = held["observation"].partition("/")[2]
    updated = hosp.read(held["procedure"])["meta"]["lastUpdated"]

    assert urls(hosp.get(f"{asked}&_id={id}")) == [held["observation"]]
    assert urls(hosp.get(f"{asked}&_id={id}&_containedType=contained")) == [f"{held['observation']}#drug"]
    assert held["procedure"] in urls(hosp.get(f"{asked}&_lastUpdated={updated}"))
    assert urls(hosp.get(f"{asked}&_lastUpdated=lt2000")) == []
    newest = urls(hosp.get(f"{asked}&_sort=-_lastUpdated"))
    assert newest == [held["procedure"], held["observation"], held["device"]]


def test_has_and_list_are_asked_of_a_container_that_refers_to_what_it_contains(
    hosp: Party, held: dict[str, str], unique: str
) -> None:
    subject, inside = {"reference": held["patient"]}, {"contained": [drug(unique)]}
    entry = [{"item": {"reference": "#drug"}}]
    listed = made(hosp, "List", held["patient"], entry=entry, **inside)
    # R4 asks that something refers to what is contained; here it is another parameter than the one that is asked.
    focused = made(hosp, "Observation", held["patient"], focus=[{"reference": "#drug"}], **inside)
    asked = f"Device?identifier={unique}&_contained=true"

    assert urls(hosp.get(f"{asked}&_list={listed.partition('/')[2]}")) == [listed]
    assert urls(hosp.get(f"{asked}&_list=never")) == []
    by_device = urls(hosp.get(f"{asked}&_has:Observation:device:patient={subject['reference']}"))
    assert by_device == [held["observation"]]
    assert urls(hosp.get(f"{asked}&_has:Observation:focus:_id={focused.partition('/')[2]}")) == [focused]
    assert urls(hosp.get(f"{asked}&_has:Observation:device:status=cancelled")) == []
    through = f"{asked}&_has:Observation:device:patient.identifier=none-{unique}"
    assert urls(hosp.get(through)) == []
    standing = made(hosp, "Observation", held["patient"], device={"reference": held["device"]})
    both = f"Device?identifier={unique}&_contained=both&_has:Observation:device:_id={standing.partition('/')[2]}"
    assert urls(hosp.get(both)) == [held["device"]]


def test_a_compartment_has_what_its_resources_contain(hosp: Party, held: dict[str, str], unique: str) -> None:
    other = f"Patient/{hosp.post(minimal('Patient')).body['id']}"
    elsewhere = made(hosp, "Procedure", other, usedReference=[{"reference": "#drug"}], contained=[drug(unique)])
    doctor = {"resourceType": "Practitioner", "id": "doctor", "name": [{"family": f"F{unique}"}]}
    seen = made(hosp, "Observation", held["patient"], performer=[{"reference": "#doctor"}], contained=[doctor])
    asked = f"identifier={unique}&_contained=true"

    assert elsewhere in urls(hosp.get(f"Device?{asked}"))
    about = [held["observation"], held["procedure"]]
    assert urls(hosp.get(f"{held['patient']}/Device?{asked}")) == about
    assert urls(hosp.get(f"{held['patient']}/*?_type=Device&{asked}")) == about
    assert urls(hosp.get(f"{other}/Device?{asked}")) == [elsewhere]
    assert urls(hosp.get(f"{held['patient']}/Practitioner?_contained=true&name=F{unique}")) == [seen]
    assert hosp.get(f"{held['patient']}/Practitioner?_contained=both").status == 400


def test_containers_are_sorted_by_what_was_found_in_them(hosp: Party, held: dict[str, str], unique: str) -> None:
    patient = held["patient"]
    made_of = {}
    for name, numbers in {"one": "31", "two": "2", "none": ""}.items():
        contained = [
            {
                "resourceType": "Device",
                "id": f"d{n}",
                "lotNumber": unique,
                "serialNumber": n,
                "modelNumber": unique,
                "identifier": [{"value": f"{n}-{unique}"}],
                "deviceName": [{"name": f"n{n}", "type": "other"}],
            }
            for n in numbers
        ] or [{"resourceType": "Device", "id": "d", "deviceName": [{"name": "m", "type": "other"}], "url": "urn:x"}]
        references = [{"reference": f"#{each['id']}"} for each in contained]
        made_of[name] = made(hosp, "Procedure", patient, usedReference=references, contained=contained)
    ids = ",".join(each.partition("/")[2] for each in made_of.values())
    asked = f"Device?_contained=true&_id={ids}"

    assert urls(hosp.get(f"{asked}&_sort=identifier")) == [made_of["one"], made_of["two"], made_of["none"]]
    assert urls(hosp.get(f"{asked}&_sort=-identifier")) == [made_of["one"], made_of["two"], made_of["none"]]
    two = f"{asked}&identifier=1-{unique},2-{unique}"
    assert urls(hosp.get(f"{two}&_sort=-identifier")) == [made_of["two"], made_of["one"]]
    parts = urls(hosp.get(f"{two}&_sort=-identifier&_containedType=contained"))
    assert parts == [f"{made_of['two']}#d2", f"{made_of['one']}#d1"]


def brought(reply: Reply) -> list[str]:
    assert reply.status == 200, reply.body
    beside = [each for each in reply.body["entry"] if each["search"]["mode"] == "include"]
    return [each["fullUrl"].partition("/fhir/")[2] for each in beside]


def test_what_is_contained_brings_what_it_refers_to_and_so_does_its_container(
    hosp: Party, held: dict[str, str], unique: str
) -> None:
    owner = f"Patient/{hosp.post(minimal('Patient')).body['id']}"
    contained = [
        {**drug(f"of-{unique}"), "patient": {"reference": owner}},
        {**drug("other", "o"), "patient": {"reference": held["patient"]}},
    ]
    holder = made(
        hosp, "Procedure", owner, usedReference=[{"reference": "#drug"}, {"reference": "#o"}], contained=contained
    )
    told = minimal("Provenance", references={"Patient": owner}, target=[{"reference": holder}])
    said = hosp.post({**told, "agent": [{"who": {"reference": hosp.reference}}]})
    assert said.status == 201, said.body
    asked = f"Device?identifier=of-{unique}&_contained=true"

    for how in ("container", "contained"):
        shown = f"{asked}&_containedType={how}"
        assert brought(hosp.get(f"{shown}&_include=Device:patient")) == [owner]
        assert brought(hosp.get(f"{shown}&_include=Procedure:patient")) == [owner]
        assert brought(hosp.get(f"{shown}&_revinclude=Provenance:target")) == [f"Provenance/{said.body['id']}"]
        assert set(brought(hosp.get(f"{shown}&_include=*"))) >= {owner}
    assert brought(hosp.get(f"{asked}&_include=Observation:patient")) == []
    assert hosp.get(f"{asked}&_include=Device:colour").status == 400


def test_several_types_of_contained_resources_are_found_together(
    world: World, hosp: Party, held: dict[str, str], unique: str
) -> None:
    place = {"resourceType": "Location", "id": "place", "identifier": [{"value": unique}]}
    there = made(
        hosp, "Encounter", held["patient"], location=[{"location": {"reference": "#place"}}], contained=[place]
    )
    asked = f"?_type=Location,Device&identifier={unique}"

    inside = [there, held["observation"], held["procedure"]]
    assert urls(hosp.get(f"{asked}&_contained=true")) == inside
    assert urls(hosp.get(f"{asked}&_contained=both&_sort=_id")) == sorted(
        [*inside, held["device"]], key=lambda each: each.partition("/")[2]
    )
    parts = [f"{held['observation']}#drug", f"{held['procedure']}#drug"]
    shown = urls(hosp.get(f"{asked}&_contained=true&_containedType=contained&_sort=identifier"))
    assert sorted(shown) == sorted([f"{there}#place", *parts])
    assert brought(hosp.get(f"{asked}&_contained=true&_include=Encounter:patient")) == [held["patient"]]
    hidden = world.party().get(f"{asked}&_contained=both&_total=accurate&_include=*&_sort=identifier")
    assert (urls(hidden), hidden.body["total"]) == ([], 0)


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


@pytest.mark.parametrize("how", ["true", "both"])
@pytest.mark.parametrize("place", ["Device", "{patient}/Device", "{patient}/*", ""])
def test_a_member_of_the_circle_finds_what_is_contained_and_who_is_only_asked_does_not(
    world: World, hosp: Party, unique: str, how: str, place: str
) -> None:
    home = world.party()
    case = world.case(hosp, home)
    holder = made(hosp, "Observation", case.patient, contained=[drug(unique)], device={"reference": "#drug"})
    types = "" if place.endswith("Device") else "&_type=Device"
    asked = f"{place.format(patient=case.patient)}?_contained={how}&identifier={unique}{types}"
    if place.startswith("{") and how == "both":
        asked = asked.replace("Device", "Observation").replace(f"identifier={unique}", "status=final,registered")
    asked += "&_include=*&_revinclude=Provenance:target&_total=accurate&_sort=_lastUpdated"

    before = home.get(asked)
    accepted = [home.move(case.task, status).status for status in ("received", "accepted")]
    after = home.get(asked)

    assert (urls(before), before.body["total"]) == ([], 0)
    assert accepted == [200, 200]
    assert urls(after)[0] == holder
    assert case.patient in brought(after) or case.patient in urls(after)
    for reference in brought(after):
        assert home.get(reference).status == 200, reference
    assert (urls(world.party().get(asked)), world.party().get(asked).body["total"]) == ([], 0)


@pytest.mark.parametrize(
    "asked",
    [
        "Device?_contained=maybe",
        "Device?_containedType=both",
        "Device?_contained=true&_filter=_id%20eq%201",
        "Device?_contained=true&_list=1&_has:Observation:device:code=1",
        "?_contained=true",
        "Patient/1/*?_contained=both",
    ],
)
def test_what_cannot_be_asked_of_contained_resources_is_refused(hosp: Party, asked: str) -> None:
    reply = hosp.get(asked)
    assert (reply.status, "contained" in reply.issues[0]["diagnostics"].lower()) == (400, True), reply.body
