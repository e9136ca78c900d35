"""Conditions that ask through other resources: chains and `_has`, judged by what their writer may read."""

import uuid

import pytest

from fhir_server.fhir.json import Resource
from tests.minimal import minimal
from tests.world import Party, World

SYSTEM = "urn:test:conditions-through"
PATCH = {"Content_Type": "application/json-patch+json"}


@pytest.fixture
def value() -> str:
    """The value of an identifier of this test alone."""
    return uuid.uuid4().hex


@pytest.fixture
def person(hosp: Party, value: str) -> str:
    """A Patient with the identifier."""
    reply = hosp.post(minimal("Patient", identifier=[{"system": SYSTEM, "value": value}]))
    return f"Patient/{reply.body['id']}"


def group_of(person: str, **elements: object) -> Resource:
    """A Group that the person is a member of."""
    return minimal("Group", member=[{"entity": {"reference": person}}], **elements)


def test_each_write_takes_a_condition_with_a_chain(hosp: Party, value: str, person: str) -> None:
    condition = f"member:Patient.identifier={SYSTEM}|{value}"

    created = hosp.ask("PUT", f"Group?{condition}", group_of(person))
    existing = hosp.post(group_of(person), If_None_Exist=condition)
    updated = hosp.ask("PUT", f"Group?{condition}", group_of(person, quantity=3))
    patch = [{"op": "replace", "path": "/quantity", "value": 4}]
    patched = hosp.ask("PATCH", f"Group?{condition}", patch, **PATCH)
    deleted = hosp.ask("DELETE", f"Group?{condition}")

    assert [r.status for r in (created, existing, updated, patched, deleted)] == [201, 200, 200, 200, 204]
    assert {r.body["id"] for r in (created, existing, updated, patched)} == {created.body["id"]}
    assert patched.body["quantity"] == 4
    assert hosp.get(f"Group/{created.body['id']}").status == 410


def test_a_chain_that_leads_to_several_is_no_answer(hosp: Party, value: str, person: str) -> None:
    for _ in range(2):
        assert hosp.post(group_of(person)).status == 201

    refused = hosp.ask("PUT", f"Group?member:Patient.identifier={SYSTEM}|{value}", group_of(person))

    assert (refused.status, refused.issues[0]["code"]) == (412, "multiple-matches")


def test_a_reference_may_be_a_condition_with_has(hosp: Party, value: str, person: str) -> None:
    assert hosp.post(group_of(person, identifier=[{"system": SYSTEM, "value": value}])).status == 201
    flag = minimal("Flag", references={"Patient": person})
    flag["subject"] = {"reference": f"Patient?_has:Group:member:identifier={SYSTEM}|{value}"}
    entry = {"resource": flag, "request": {"method": "POST", "url": "Flag"}}

    reply = hosp.transact({"resourceType": "Bundle", "type": "transaction", "entry": [entry]})

    assert reply.status == 200, reply.body
    made = reply.body["entry"][0]["response"]["location"].split("/_history")[0].rpartition("/Flag/")[2]
    assert hosp.read(f"Flag/{made}")["subject"]["reference"] == person


def test_what_is_hidden_on_the_way_leads_to_no_match(world: World, hosp: Party, value: str, person: str) -> None:
    """The Practitioner is open to everyone; the Encounter that leads to it is not."""
    practitioner = hosp.post(minimal("Practitioner")).body["id"]
    encounter = minimal("Encounter", references={"Patient": person}, subject={"reference": person})
    encounter["identifier"] = [{"system": SYSTEM, "value": value}]
    encounter["participant"] = [{"individual": {"reference": f"Practitioner/{practitioner}"}}]
    assert hosp.post(encounter).status == 201
    condition = f"_has:Encounter:practitioner:identifier={SYSTEM}|{value}"
    stranger = world.party()

    known, unknown = (party.post(minimal("Practitioner"), If_None_Exist=condition) for party in (hosp, stranger))
    never = stranger.post(minimal("Practitioner"), If_None_Exist=f"{condition}-never")

    assert (known.status, known.body["id"]) == (200, practitioner)
    assert (unknown.status, never.status) == (201, 201)
    assert stranger.ask("PATCH", f"Practitioner?{condition}", [], **PATCH).status == 404


def test_each_type_on_the_way_needs_the_scope_to_search(world: World, hosp: Party, value: str, person: str) -> None:
    narrow = world.party("system/Group.cruds", "system/Patient.r", organization=hosp.reference)

    refused = narrow.post(minimal("Group"), If_None_Exist=f"member:Patient.identifier={SYSTEM}|{value}")

    assert (refused.status, refused.rules) == (403, {"scope"})


@pytest.mark.parametrize("condition", ["_has:Group=1", "member.nonsense=1", "_has:Nothing:x:y=1"])
def test_a_broken_chain_is_refused(hosp: Party, condition: str) -> None:
    assert hosp.ask("DELETE", f"Group?{condition}").status == 400
