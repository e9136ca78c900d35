"""Before it accepts, whoever is asked sees the Task, the order, and of the person what the programme names."""

from typing import Any

import pytest

from fhir_server.demo.referral import MIA, consent
from fhir_server.fhir.dates import now
from fhir_server.fhir.json import Resource
from tests.access.circle import asked, made, order, task, walk
from tests.world import Case, Party, World

REASON = "no nurse is free"


def of_the_person(case: Case) -> Resource:
    """All that an offered owner sees of Mia."""
    return {
        "resourceType": "Patient",
        "id": case.patient.partition("/")[2],
        "meta": {"tag": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}]},
        "gender": MIA.gender,
        "address": [{"use": "home", "city": MIA.city, "postalCode": MIA.postal_code}],
        "communication": [
            {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": MIA.language}]}, "preferred": True}
        ],
    }


def test_an_offered_owner_reads_what_the_programme_names_of_the_person_and_no_more(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)

    reply = home.get(case.patient)

    assert (reply.status, reply.body) == (200, of_the_person(case))
    assert not {"ETag", "Last-Modified"} & set(reply.headers)
    assert home.move(case.task, "received").status == 200
    assert home.read(case.patient) == of_the_person(case)


def test_the_same_shows_by_its_id_in_a_search_and_along_with_its_task(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    id = case.patient.partition("/")[2]

    by_id = home.get(f"Patient?_id={id}&_total=accurate")
    along = home.get(f"Task?_id={case.task.partition('/')[2]}&_include=Task:patient")
    of_order = home.get(f"ServiceRequest?_include=ServiceRequest:subject&_id={case.order.partition('/')[2]}")
    in_parts = home.get(f"Patient?_id={id}&_elements=gender")

    assert (by_id.body["total"], by_id.entries) == (1, [of_the_person(case)])
    for reply in (along, of_order):
        assert [r for r in reply.entries if r["resourceType"] == "Patient"] == [of_the_person(case)]
    whole = of_the_person(case)
    assert in_parts.entries == [{name: whole[name] for name in ("resourceType", "id", "meta", "gender")}]


def test_nothing_else_of_the_person_and_nothing_that_it_refers_to_is_seen(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    doctor = made(hosp, {"resourceType": "Practitioner", "active": True})
    assert hosp.change(case.patient, generalPractitioner=[{"reference": doctor}]).status == 200
    id = case.patient.partition("/")[2]

    hidden = [
        f"{case.patient}/_history",
        f"{case.patient}/_history/1",
        f"{case.patient}/$everything",
        f"{case.patient}/$meta",
        case.condition,
        case.plan,
        case.team,
        str(case.consent),
    ]
    assert {place: home.get(place).status for place in hidden} == dict.fromkeys(hidden, 404)
    task_id = case.task.partition("/")[2]
    for place in (
        f"Patient?_id={id}&_include=Patient:general-practitioner",
        f"Task?_id={task_id}&_include=Task:patient&_include:iterate=Patient:general-practitioner",
        f"Practitioner?_id={doctor.partition('/')[2]}&_revinclude=Patient:general-practitioner",
    ):
        types = {resource["resourceType"] for resource in home.get(place).entries}
        assert not {"Patient", "Practitioner"} <= types, place
    assert "Patient" not in {r["resourceType"] for r in home.get("Patient/_history").entries}


def test_an_offered_owner_writes_nothing_about_the_person(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    new = {"resourceType": "Observation", "status": "final", "code": {"text": "weight"}}

    reply = home.post({**new, "subject": {"reference": case.patient}})

    assert (reply.status, reply.paths) == (422, {"Observation.subject.reference"})
    part = home.read(case.patient)
    assert home.put(part).status == 422
    assert home.put({name: value for name, value in part.items() if name != "meta"}).status == 404


def test_with_the_refusal_of_the_task_the_person_is_gone(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)

    assert home.move(case.task, "rejected", REASON).status == 200

    assert home.get(case.patient).status == 404
    assert home.get(case.task).status == 200


def test_with_the_acceptance_the_person_is_seen_whole(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)

    walk(home, case.task, "accepted")

    assert home.read(case.patient) == hosp.read(case.patient)


def test_without_the_persons_consent_nothing_of_the_person_is_seen(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home, with_consent=False)

    before = home.get(case.patient).status
    made(hosp, consent(case.patient, now(), hosp.reference))

    assert (before, home.read(case.patient)) == (404, of_the_person(case))


def test_a_party_that_the_person_keeps_out_sees_nothing_of_the_person(world: World) -> None:
    hosp, home, other = world.hospital(), world.party(), world.party()
    case = world.case(hosp, home)
    asked(hosp, other, case)
    assert other.get(case.patient).status == 200

    denied: dict[str, Any] = {"type": "deny", "actor": [_actor(other)]}
    given = hosp.read(str(case.consent))
    reply = hosp.put({**given, "provision": {"type": "permit", "provision": [denied]}})

    assert reply.status == 200, reply.body
    assert other.get(case.patient).status == 404
    assert home.get(case.patient).status == 200


def test_a_draft_and_a_question_show_nothing_of_the_person(world: World) -> None:
    hosp, home, other = world.hospital(), world.party(), world.party()
    case = world.case(hosp, home)
    ordered = made(hosp, order(hosp, case.patient, basedOn=[{"reference": case.plan}]))
    plan = [{"reference": case.plan}]

    made(hosp, task(hosp, other, case.patient, ordered, basedOn=plan, status="draft"))
    assert other.get(case.patient).status == 404
    made(hosp, task(hosp, other, case.patient, ordered, basedOn=plan, code={"text": "a question"}))
    assert other.get(case.patient).status == 404


def test_a_programme_that_names_nothing_shows_nothing(world: World) -> None:
    """Stamps name the programme, so that what a pack no longer names is seen no more."""
    from dataclasses import replace

    from fhir_server.app import web

    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    silent = {name: replace(each, offer_demographics=()) for name, each in world.parts.services.programmes.items()}
    app = web(replace(world.parts, services=replace(world.parts.services, programmes=silent)))

    there = Party(app.test_client(), world.base_path, home.reference, home.token)

    assert there.get(case.patient).raw == home.get("Patient/never-there").raw
    assert there.get(f"Patient?_id={case.patient.partition('/')[2]}").entries == []


def _actor(party: Party) -> Resource:
    role = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}
    return {"role": role, "reference": {"reference": party.reference}}


@pytest.mark.parametrize("element", ["identifier", "name", "telecom", "birthDate"])
def test_who_the_person_is_stays_hidden(world: World, element: str) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    contact = [{"system": "phone", "value": "+32 9 000 00 00"}]
    assert hosp.change(case.patient, telecom=contact).status == 200

    assert element in hosp.read(case.patient)
    assert element not in home.read(case.patient)


def test_an_offered_owner_reads_no_version_from_before_it_was_asked(world: World) -> None:
    """By no way: what a draft said to nobody, or for another owner, stays with the circle and the author."""
    hosp, member, meant, sent = world.hospital(), world.party(), world.party(), world.party()
    case = world.case(hosp, member)
    walk(member, case.task, "accepted")
    plan = [{"reference": case.plan}]
    draft = {"status": "draft", "patientInstruction": "SECRET"}
    ordered = made(hosp, {**order(hosp, case.patient, basedOn=plan), **draft})
    drafted = task(hosp, meant, case.patient, ordered, basedOn=plan, status="draft", description="SECRET")
    asked_by = made(hosp, drafted)
    assert hosp.change(ordered, patientInstruction="clean", status="active").status == 200
    owner = {"reference": sent.reference}
    assert hosp.change(asked_by, owner=owner, description="clean", status="requested").status == 200
    assert hosp.change(ordered, note=[{"text": "since then"}]).status == 200
    walk(sent, asked_by, "received")

    for reference in (asked_by, ordered):
        versions = [f"{reference}/_history/{number}" for number in (1, 2, 3)]
        for reader, seen in ((sent, [404, 200, 200]), (member, [200] * 3), (hosp, [200] * 3)):
            assert [reader.get(each).status for each in versions] == seen, (reference, seen)
            for place in (f"{reference}/_history", f"{reference}/_history?_count=1&_before=3"):
                shown = {entry["meta"]["versionId"] for entry in reader.get(place).entries}
                assert ("1" in shown) is (seen[0] == 200 and "_before" not in place), (reference, place)
            type_name, _, id = reference.partition("/")
            of_type = reader.get(f"{type_name}/_history?_count=500").entries
            of_it = {entry["meta"]["versionId"] for entry in of_type if entry["id"] == id}
            assert ("1" in of_it) is (seen[0] == 200), reference
        assert sent.get(versions[0], If_None_Match='W/"1"').status == 404
    walk(sent, asked_by, "accepted")
    assert {sent.get(f"{each}/_history/1").status for each in (asked_by, ordered)} == {200}


def test_who_left_reads_the_versions_of_its_own_task_that_it_was_shown(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    other = world.party()
    ordered, sent = asked(hosp, other, case, "accepted", "in-progress", "completed")

    assert other.get(case.plan).status == 200
    assert {other.get(f"{sent}/_history/{number}").status for number in (1, 2, 3, 4)} == {200}
    assert other.get(f"{ordered}/_history/1").status == 200
