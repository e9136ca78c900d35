"""What others refer to is not deleted; who refers to it is told only to who may read that."""

import uuid
from dataclasses import replace

from fhir_server.app import web
from fhir_server.fhir.json import Resource
from tests.minimal import minimal
from tests.world import Party, World


def listing(*references: str) -> Resource:
    """A List of resources."""
    return minimal("List", entry=[{"item": {"reference": reference}} for reference in references])


def made(party: Party, resource: Resource) -> str:
    """`Type/id` of a new resource."""
    reply = party.post(resource)
    assert reply.status == 201, reply.body
    return f"{resource['resourceType']}/{reply.body['id']}"


def test_a_referenced_resource_stays_and_its_referrers_are_named(hosp: Party) -> None:
    group = made(hosp, minimal("Group"))
    one = made(hosp, listing(group))
    two = made(hosp, minimal("Group", member=[{"entity": {"reference": group}}]))

    refused = hosp.ask("DELETE", group)

    assert (refused.status, refused.rules, refused.issues[0]["code"]) == (409, {"still-referred"}, "conflict")
    assert one in refused.issues[0]["diagnostics"]
    assert two in refused.issues[0]["diagnostics"]
    assert hosp.get(group).status == 200
    assert hosp.ask("DELETE", one).status == 204
    assert hosp.change(two, member=None).status == 200
    assert hosp.ask("DELETE", group).status == 204
    assert hosp.get(group).status == 410


def test_an_element_without_a_search_parameter_refers_as_well(world: World) -> None:
    place = world.operator.post(minimal("Location")).body["id"]
    visit = minimal("Encounter", hospitalization={"origin": {"reference": f"Location/{place}"}})
    assert world.operator.post(visit).status == 201

    assert world.operator.ask("DELETE", f"Location/{place}").status == 409


def test_referrers_that_may_not_be_read_have_no_names(world: World, hosp: Party) -> None:
    place = f"Location/{world.operator.post(minimal('Location')).body['id']}"
    hidden = [made(hosp, listing(place)) for _ in range(2)]

    refused = world.operator.ask("DELETE", place)

    assert refused.status == 409
    assert refused.issues[0]["diagnostics"] == f"{place} is not deleted: resources that you may not read refer to it."
    assert not [each for each in hidden if each.partition("/")[2] in refused.raw.decode()]


def test_those_that_go_together_do_not_hold_each_other(hosp: Party) -> None:
    group = made(hosp, minimal("Group"))
    one, two = made(hosp, listing(group)), made(hosp, listing(group))
    gone = [{"request": {"method": "DELETE", "url": each}} for each in (group, one)]
    changed = {**hosp.read(two), "entry": [{"item": {"display": "nothing"}}]}
    change = {"resource": changed, "request": {"method": "PUT", "url": two}}

    alone = hosp.transact({"resourceType": "Bundle", "type": "transaction", "entry": gone})
    together = hosp.transact({"resourceType": "Bundle", "type": "transaction", "entry": [*gone, change]})

    assert (alone.status, alone.paths) == (409, {"Bundle.entry[0].resource"})
    assert together.status == 200, together.body


def test_a_resource_may_refer_to_itself(hosp: Party) -> None:
    id = made(hosp, minimal("Group"))
    assert hosp.change(id, member=[{"entity": {"reference": id}}]).status == 200

    assert hosp.ask("DELETE", id).status == 204


def test_the_operator_may_set_that_references_are_not_asked(world: World, hosp: Party) -> None:
    group = made(hosp, minimal("Group"))
    made(hosp, listing(group))
    parts = replace(world.parts, services=replace(world.parts.services, referential_integrity=False))
    same = Party(web(parts).test_client(), world.base_path, hosp.reference, hosp.token)

    assert same.ask("DELETE", group).status == 204


def test_who_may_not_delete_is_not_told_who_refers(world: World, hosp: Party) -> None:
    place = f"Location/{world.operator.post(minimal('Location', id=str(uuid.uuid4()))).body['id']}"
    made(hosp, listing(place))

    assert hosp.ask("DELETE", place).status == 403


def test_a_tombstone_has_the_scope_of_what_was_deleted(world: World, hosp: Party) -> None:
    subject = {"reference": made(hosp, minimal("Patient"))}
    listed = made(hosp, minimal("List", subject=subject))
    before = world.parts.store.read("List", listed.partition("/")[2])

    assert hosp.ask("DELETE", listed).status == 204

    after = world.parts.store.read("List", listed.partition("/")[2])
    assert before is not None
    assert after is not None
    assert (after.deleted, after.stamp) == (True, before.stamp)
    assert (after.stamp.patient, after.stamp.author) == (subject["reference"], hosp.reference)


def test_gone_is_told_to_who_could_read_it_alone(world: World, hosp: Party) -> None:
    group = made(hosp, minimal("Group"))
    assert hosp.ask("DELETE", group).status == 204

    assert hosp.get(group).status == 410
    assert world.hospital().get(group).status == 404
    assert hosp.get(f"{group}/_history").body["entry"][0]["request"]["method"] == "DELETE"
