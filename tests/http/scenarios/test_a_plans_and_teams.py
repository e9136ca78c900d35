"""Scenarios A: plans and teams come into being."""

import copy
import uuid
from typing import Any

import pytest

from fhir_server.demo.referral import Parties, Person, referral
from fhir_server.fhir.dates import instant, now
from fhir_server.fhir.json import Resource
from tests.world import Case, Party, Reply, World

LUC = Person("Luc", "Lambert", "male", 61, "Namur", "5000", "fr")


def _bundle(hosp: Party, home: Party, **how: Any) -> Resource:
    return referral(now(), parties=Parties(hosp.reference, home.reference), **how)


def _entry(bundle: Resource, type_name: str) -> Resource:
    [entry] = [entry for entry in bundle["entry"] if entry["resource"]["resourceType"] == type_name]
    return dict(entry)


def _task(case: Case, requester: Party, owner: Party, **elements: Any) -> Resource:
    task = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
        "focus": {"reference": case.order},
        "for": {"reference": case.patient},
        "requester": {"reference": requester.reference},
        "owner": {"reference": owner.reference},
        "authoredOn": instant(now()),
        **elements,
    }
    return {name: value for name, value in task.items() if value is not None}


def test_a1_a_task_without_plan_opens_plan_and_team_and_leaves_the_owner_out(world: World) -> None:
    cmo, home = world.custodian, world.party()
    reply = cmo.transact(_bundle(cmo, home))
    assert reply.status == 200, reply.body
    [place] = [each["response"]["location"] for each in reply.body["entry"] if "/Task/" in each["response"]["location"]]
    task = cmo.read("/".join(place.split("/")[-4:-2]))

    plan = cmo.read(task["basedOn"][0]["reference"])
    team = cmo.read(plan["careTeam"][0]["reference"])

    assert plan["status"] == "active"
    assert plan["activity"] == [{"reference": task["focus"]}]
    assert [p["member"] for p in team["participant"]] == [plan["subject"], {"reference": cmo.reference}]
    assert home.reference not in str(team)


def test_a2_the_same_bundle_twice_with_if_none_exist_makes_nothing_new(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    bundle = _bundle(hosp, home)
    for entry in bundle["entry"]:
        identifier = {"system": "urn:test:bundle", "value": uuid.uuid4().hex}
        entry["resource"]["identifier"] = [identifier]
        entry["request"]["ifNoneExist"] = f"identifier={identifier['system']}|{identifier['value']}"
    first = hosp.transact(bundle)
    assert first.status == 200, first.body

    second = hosp.transact(bundle)

    assert second.status == 200, second.body
    assert [e["response"]["status"] for e in second.body["entry"]] == ["200 OK"] * len(bundle["entry"])
    locations = [[e["response"]["location"] for e in reply.body["entry"]] for reply in (first, second)]
    assert locations[0] == locations[1]
    patient = "/".join(locations[0][0].split("/")[-4:-2])
    for type_name in ("CarePlan", "Task", "CareTeam"):
        assert len(hosp.get(f"{type_name}?patient={patient}").entries) == 1, type_name


@pytest.mark.parametrize(
    "subject",
    [
        None,
        {"identifier": {"system": "urn:test:nobody", "value": "1"}},
        {"display": "somebody"},
    ],
)
def test_a4_a_task_that_does_not_say_for_whom_is_refused(world: World, subject: Resource | None) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    before = len(hosp.get(f"Task?patient={case.patient}").entries)

    reply = hosp.post(_task(case, hosp, home, **{"for": subject}))

    assert reply.status == 422
    assert "Task.for" in reply.paths
    assert len(hosp.get(f"Task?patient={case.patient}").entries) == before


def test_a4_an_identifier_that_matches_one_readable_person_is_resolved(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    patient = hosp.read(case.patient)
    value = uuid.uuid4().hex
    identifier = {"system": "urn:test:mrn", "value": value}
    assert hosp.put({**patient, "identifier": [*patient["identifier"], identifier]}).status == 200

    reply = hosp.post(_task(case, hosp, home, **{"for": {"identifier": identifier}}))

    assert reply.status == 201, reply.body
    assert reply.body["for"]["reference"] == case.patient


def test_a4_an_identifier_with_a_comma_is_one_identifier(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case, other = world.case(hosp, home), world.case(hosp, home, LUC)
    number = uuid.uuid4().hex
    for reference, value in ((case.patient, f"{number},7"), (other.patient, number)):
        person = hosp.read(reference)
        own = [*person["identifier"], {"system": "urn:test:mrn", "value": value}]
        assert hosp.put({**person, "identifier": own}).status == 200

    def asked(value: str) -> Reply:
        return hosp.post(_task(case, hosp, home, **{"for": {"identifier": {"system": "urn:test:mrn", "value": value}}}))

    meant, meaning_nobody = asked(f"{number},7"), asked(f"{number},8")

    assert meant.status == 201, meant.body
    assert meant.body["for"]["reference"] == case.patient
    assert (meaning_nobody.status, meaning_nobody.paths) == (422, {"Task.for"})


def test_a4_an_identifier_that_matches_two_people_is_refused(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    identifier = {"system": "urn:test:mrn", "value": uuid.uuid4().hex}
    for _ in range(2):
        assert hosp.post({"resourceType": "Patient", "identifier": [identifier]}).status == 201

    reply = hosp.post(_task(case, hosp, home, **{"for": {"identifier": identifier}}))

    assert (reply.status, reply.paths) == (422, {"Task.for"})


def test_a5_a_task_for_another_person_than_its_plan_is_refused(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case, other = world.case(hosp, home), world.case(hosp, home, LUC)

    reply = hosp.post(_task(other, hosp, home, basedOn=[{"reference": case.plan}], focus={"reference": case.order}))

    assert reply.status == 422


def test_a7_an_invalid_third_entry_stores_nothing_and_is_named(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    bundle = _bundle(hosp, home)
    value = uuid.uuid4().hex
    bundle["entry"][0]["resource"]["identifier"] = [{"system": "urn:test:a7", "value": value}]
    broken = copy.deepcopy(bundle)
    broken["entry"][2]["resource"]["status"] = "no-such-status"

    reply = hosp.transact(broken)

    assert reply.status == 422
    assert reply.paths == {"Bundle.entry[2].resource.status"}
    assert hosp.get(f"Patient?identifier=urn:test:a7|{value}").entries == []
    assert hosp.transact(bundle).status == 200


def test_a_plan_is_not_opened_by_whoever_may_not_open_plans(world: World) -> None:
    other, home = world.party(), world.party()

    reply = other.transact(_bundle(other, home))

    assert (reply.status, reply.rules) == (403, {"open-plans"})
    assert reply.paths == {"Bundle.entry[4].resource.basedOn"}


def test_a_person_whom_no_programme_takes_in_gets_no_plan(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    bundle = _bundle(hosp, home)
    bundle["entry"] = [e for e in bundle["entry"] if e["resource"]["resourceType"] != "Condition"]

    reply = hosp.transact(bundle)

    assert (reply.status, reply.rules) == (422, {"not-enrolled"})


def test_the_case_manager_is_found_by_language_and_region(world: World) -> None:
    hosp, home = world.hospital(), world.party()

    case = world.case(hosp, home, LUC)

    assert hosp.read(case.team)["managingOrganization"] == [{"reference": world.custodian.reference}]


def test_a_second_order_by_the_same_hospital_joins_the_plan(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    order = hosp.read(case.order)
    second = hosp.post({name: value for name, value in order.items() if name not in {"id", "meta"}})
    assert second.status == 201, second.body

    reply = hosp.post(_task(case, hosp, home, focus={"reference": f"ServiceRequest/{second.body['id']}"}))

    assert reply.status == 201, reply.body
    assert reply.body["basedOn"] == [{"reference": case.plan}]
    activities = [a["reference"]["reference"] for a in hosp.read(case.plan)["activity"]]
    assert activities == [case.order, f"ServiceRequest/{second.body['id']}"]


def test_what_the_author_stored_before_is_taken_up_by_the_plan(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    patient = hosp.post({"resourceType": "Patient", "name": [{"family": "Before"}]}).body
    subject = {"reference": f"Patient/{patient['id']}"}
    reply = hosp.post({"resourceType": "Observation", "status": "final", "code": {"text": "FVC"}, "subject": subject})
    assert reply.status == 201, reply.body
    observation = f"Observation/{reply.body['id']}"
    bundle = _bundle(hosp, home)
    urn = _entry(bundle, "Patient")["fullUrl"]
    entries = [e for e in bundle["entry"] if e["resource"]["resourceType"] != "Patient"]
    bundle = _with_subject({**bundle, "entry": entries}, urn, subject["reference"])
    reply = hosp.transact(bundle)
    assert reply.status == 200, reply.body
    task = hosp.get(f"Task?patient={subject['reference']}").entries[0]

    assert home.get(observation).status == 404
    for status in ("received", "accepted"):
        assert home.move(f"Task/{task['id']}", status).status == 200

    assert home.get(observation).status == 200


def _with_subject(bundle: Resource, urn: str, reference: str) -> Resource:
    from fhir_server.fhir.reference import rewrite_references

    rewritten: Resource = rewrite_references(bundle, lambda found: reference if found == urn else found)
    return rewritten
