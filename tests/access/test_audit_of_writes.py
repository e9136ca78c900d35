"""What the custodian of a plan reads of a write that concerns another custodian's plan as well: of its own alone."""

import base64

from fhir_server.demo.referral import consent
from fhir_server.fhir.dates import now
from fhir_server.fhir.json import Resource, decode
from fhir_server.fhir.reference import references_in
from tests.access.actors import left_behind
from tests.access.circle import Matrix, made, order, second_custodian, task, walk
from tests.world import Party


def test_a_write_in_plans_of_two_custodians_tells_each_of_its_own_alone(matrix: Matrix) -> None:
    """By itself, and in a transaction in which something follows in one of the plans."""
    world = matrix.world
    other, hosp, both = second_custodian(world), world.hospital(), world.party()
    first = left_behind(world, hosp, both)
    german = {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "de"}]}, "preferred": True}
    moved = hosp.change(first.patient, address=[{"use": "home", "postalCode": "4700"}], communication=[german])
    assert moved.status == 200, moved.body
    made(hosp, consent(first.patient, now(), hosp.reference))
    asked = made(hosp, task(hosp, both, first.patient, made(hosp, order(hosp, first.patient))))
    [second] = [each["reference"] for each in hosp.read(asked)["basedOn"]]
    team = hosp.read(second)["careTeam"][0]["reference"]
    assert hosp.read(team)["managingOrganization"] == [{"reference": other.reference}]
    walk(both, asked, "accepted", "in-progress")
    measured = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "FVC"},
        "subject": {"reference": first.patient},
        "basedOn": [{"reference": first.plan}, {"reference": second}],
    }

    alone = made(both, measured)
    done = {**both.read(asked), "status": "completed"}
    together = both.transact(
        {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [
                {"resource": measured, "request": {"method": "POST", "url": "Observation"}},
                {"resource": done, "request": {"method": "PUT", "url": asked}},
            ],
        }
    )

    assert together.status == 200, together.body
    beside = together.body["entry"][0]["response"]["location"].rpartition("/_history/")[0].rpartition("/fhir/")[2]
    for custodian, own, foreign in (
        (world.custodian, {first.plan}, {second, team, asked}),
        (other, {second, team}, {first.plan, first.team}),
    ):
        for observation in (alone, beside):
            [event] = _creates(custodian, both, observation)
            said = str(event)
            assert not [each for each in foreign if each in said], (custodian.reference, event)
        assert any(each in str(_creates(custodian, both, alone)) for each in own)
    assert team in str(_creates(other, both, beside))


def test_a_custodian_reads_the_condition_of_a_write_only_when_it_names_nobody_but_its_own_person(
    matrix: Matrix,
) -> None:
    world = matrix.world
    hosp = world.hospital()
    case = world.case(hosp, world.party())
    person = hosp.read(case.patient)
    own, foreign = person["identifier"][0]["value"], "99887766554"
    condition = {name: value for name, value in hosp.read(case.condition).items() if name not in {"id", "meta"}}
    plain = f"Condition?clinical-status=active&patient={case.patient}"

    naming = hosp.ask("PUT", f"Patient?identifier={own},{foreign}", {**person, "active": False})
    told = hosp.ask("PUT", plain, {**condition, "recordedDate": "2026-01-01"})

    assert (naming.status, told.status) == (200, 200), (naming.body, told.body)
    events = world.custodian.get(f"AuditEvent?agent={hosp.reference}&action=U&_count=50").entries
    named = {target for event in events for _, target in references_in(event.get("entity", []))}
    assert {f"{case.patient}/_history/2", f"{case.condition}/_history/2"} <= named
    assert _questions(events) == {plain}
    world.parts.store.settle_audit()
    kept = [decode(each["body"]) for each in world.audit().find({"body": {"$exists": True}})]
    assert f"Patient?identifier={own},{foreign}" in _questions(kept)


def _questions(events: list[Resource]) -> set[str]:
    entities = [entity for event in events for entity in event.get("entity", []) if "query" in entity]
    return {base64.b64decode(entity["query"]).decode() for entity in entities}


def _creates(custodian: Party, by: Party, reference: str) -> list[Resource]:
    """The creates of `reference` by `by` in the audit that the custodian reads."""
    events = custodian.get(f"AuditEvent?entity={reference}&action=C&_count=50").entries
    return [event for event in events if event["agent"][0]["who"]["reference"] == by.reference]
