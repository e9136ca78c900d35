"""What names several people is found by each of them: in the audit, and among what an actor may read anyway."""

import time
from dataclasses import replace

from fhir_server.app import web
from fhir_server.demo.referral import Person
from fhir_server.fhir.dates import instant, now
from fhir_server.fhir.json import Resource
from tests.access.asking import batch
from tests.access.circle import made, walk
from tests.world import Party, World

JAN = Person("Jan", "Peeters", "male", 63)


def found_by(party: Party, person: str, since: str) -> list[Resource]:
    """The AuditEvents about the person since then."""
    return party.get(f"AuditEvent?patient={person}&date=ge{since}&_count=500").entries


def test_a_worklist_over_several_people_is_found_in_the_audit_of_each(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    cases = [world.case(hosp, home), world.case(hosp, home, JAN)]
    since = from_now()

    ids = ",".join(case.task.partition("/")[2] for case in cases)
    assert len(home.get(f"Task?_id={ids}").entries) == 2

    for case in cases:
        [event] = found_by(world.custodian, case.patient, since)
        named = {each["what"]["reference"] for each in event["entity"] if "what" in each}
        assert named == {each for case in cases for each in (case.task, case.patient)}
        person = {"system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "1"}
        people = [each for each in event["entity"] if each.get("role") == person]
        assert {each["what"]["reference"] for each in people} == {case.patient for case in cases}


def test_a_refused_transaction_over_several_people_is_found_in_the_audit_of_each(world: World) -> None:
    hosp, out = world.hospital(), world.party()
    cases = [world.case(hosp, world.party()), world.case(hosp, world.party(), JAN)]
    since = from_now()

    assert out.transact(batch([("GET", case.condition) for case in cases], "transaction")).status == 404

    for case in cases:
        [event] = found_by(world.custodian, case.patient, since)
        assert event["outcome"] == "4"


def from_now() -> str:
    """An instant after all that was told before."""
    time.sleep(0.002)
    return instant(now())


def appointment(*people: str) -> Resource:
    """A visit of several people."""
    participants = [{"actor": {"reference": each}, "status": "accepted"} for each in people]
    return {"resourceType": "Appointment", "status": "proposed", "participant": participants}


def test_what_lies_in_the_plan_of_one_and_names_another_is_found_by_both(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    mia, jan = world.case(hosp, world.party()), world.case(hosp, home, JAN)
    visit = made(hosp, appointment(jan.patient, mia.patient))
    walk(home, jan.task, "accepted")

    assert home.get(visit).status == 200
    for case in (mia, jan):
        found = home.get(f"Appointment?patient={case.patient}&_total=accurate")
        assert ([each["id"] for each in found.entries], found.body["total"]) == ([visit.partition("/")[2]], 1)
    assert world.party().get(f"Appointment?patient={mia.patient}").entries == []


def test_who_cares_for_very_many_people_finds_what_lies_in_the_plans_of_the_one(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    mia, jan = world.case(hosp, home), world.case(hosp, home, JAN)
    visit = made(hosp, appointment(jan.patient, mia.patient))
    for case in (mia, jan):
        walk(home, case.task, "accepted")
    few_circles = web(replace(world.parts, services=replace(world.parts.services, max_circles=1)))
    many = Party(few_circles.test_client(), world.base_path, home.reference, home.token)

    assert [each["id"] for each in many.get(f"Appointment?patient={jan.patient}").entries] == [visit.partition("/")[2]]
    assert many.get(f"Appointment?patient={mia.patient}").entries == []
    assert [each["id"] for each in home.get(f"Appointment?patient={mia.patient}").entries] == [visit.partition("/")[2]]
    assert many.get("Appointment?status=proposed").issues[0]["code"] == "too-costly"


def test_who_cares_for_many_people_finds_it_by_both_through_the_few_plans_that_name_the_one(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    mia, jan, _ = cases = [world.case(hosp, home), world.case(hosp, home, JAN), world.case(hosp, home)]
    visit = made(hosp, appointment(jan.patient, mia.patient))
    for case in cases:
        walk(home, case.task, "accepted")
    few_circles = web(replace(world.parts, services=replace(world.parts.services, max_circles=2)))
    many = Party(few_circles.test_client(), world.base_path, home.reference, home.token)

    for case in (mia, jan):
        found = many.get(f"Appointment?patient={case.patient}").entries
        assert [each["id"] for each in found] == [visit.partition("/")[2]]
    outside = Party(few_circles.test_client(), world.base_path, "", world.party().token)
    assert outside.get(f"Appointment?patient={mia.patient}").entries == []
