"""Conditions instead of ids: none, one, several; each for whoever may read, and one writer at a time."""

import base64
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from fhir_server.app import web
from fhir_server.fhir.json import Resource, decode
from tests.minimal import minimal
from tests.world import Party, World

SYSTEM = "urn:test:conditions"


def group(value: str, **elements: object) -> Resource:
    """A Group with an identifier; its author may delete it."""
    return minimal("Group", identifier=[{"system": SYSTEM, "value": value}], **elements)


def asked(value: str) -> str:
    """The condition that finds it."""
    return f"Group?identifier={SYSTEM}|{value}"


def found(party: Party, value: str) -> list[str]:
    """The ids that a search finds."""
    return [each["id"] for each in party.get(asked(value)).entries]


def test_an_update_creates_then_updates_and_never_guesses(hosp: Party) -> None:
    value = uuid.uuid4().hex

    created = hosp.ask("PUT", asked(value), group(value))
    again = hosp.ask("PUT", asked(value), group(value))
    updated = hosp.ask("PUT", asked(value), group(value, quantity=3))
    stale = hosp.ask("PUT", asked(value), group(value, quantity=4), If_Match='W/"1"')
    other_id = hosp.ask("PUT", asked(value), {**group(value), "id": "other"})
    assert hosp.post(group(value)).status == 201
    several = hosp.ask("PUT", asked(value), group(value, quantity=5))

    assert [r.status for r in (created, again, updated, stale, several)] == [201, 200, 200, 412, 412]
    assert created.headers["Location"].endswith(f"Group/{created.body['id']}/_history/1")
    assert (again.headers["ETag"], updated.headers["ETag"]) == ('W/"1"', 'W/"2"')
    assert updated.body["id"] == created.body["id"]
    assert (other_id.status, other_id.rules) == (400, {"id-differs"})


def test_only_the_operator_chooses_ids(world: World, hosp: Party) -> None:
    value, id = uuid.uuid4().hex, f"chosen-{uuid.uuid4().hex[:8]}"

    refused = hosp.ask("PUT", asked(value), {**group(value), "id": id})
    chosen = world.operator.ask("PUT", asked(value), {**group(value), "id": id})

    assert (refused.status, refused.rules) == (400, {"client-id"})
    assert (chosen.status, chosen.body["id"]) == (201, id)


def test_what_is_hidden_is_no_match(world: World, hosp: Party) -> None:
    value, stranger = uuid.uuid4().hex, world.party()
    mine = hosp.post(group(value)).body["id"]

    assert stranger.ask("PUT", asked(value), group(value)).status == 201
    assert stranger.ask("DELETE", asked(value)).status == 204
    assert stranger.ask("PATCH", asked(value), [], Content_Type="application/json-patch+json").status == 404
    assert found(stranger, value) == []
    assert found(hosp, value) == [mine]


def test_a_patch_finds_its_one(hosp: Party) -> None:
    value = uuid.uuid4().hex
    made = hosp.post(group(value)).body["id"]
    patch = [{"op": "add", "path": "/quantity", "value": 3}]

    reply = hosp.ask("PATCH", asked(value), patch, Content_Type="application/json-patch+json")

    assert (reply.status, reply.body["id"], reply.body["quantity"]) == (200, made, 3)
    hosp.post(group(value))
    assert hosp.ask("PATCH", asked(value), patch, Content_Type="application/json-patch+json").status == 412


def test_a_delete_takes_one_or_none(hosp: Party) -> None:
    value = uuid.uuid4().hex
    made = hosp.post(group(value)).body["id"]

    assert hosp.ask("DELETE", asked(value)).status == 204
    assert hosp.get(f"Group/{made}").status == 410
    assert hosp.ask("DELETE", asked(value)).status == 204
    for _ in range(2):
        hosp.post(group(value))
    assert hosp.ask("DELETE", asked(value)).status == 412
    assert len(found(hosp, value)) == 2


def test_a_condition_never_overwrites_what_it_did_not_mean(world: World) -> None:
    value, other = uuid.uuid4().hex, uuid.uuid4().hex
    there = world.operator.post(group(value)).body

    refused = world.operator.ask("PUT", asked(other), {**group(other), "id": there["id"]})
    judged = world.operator.transact(
        {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [
                {
                    "resource": {**group(other), "id": there["id"]},
                    "request": {"method": "PUT", "url": asked(other)},
                }
            ],
        }
    )

    assert (refused.status, refused.rules, refused.paths) == (409, {"id-taken"}, {"Group.id"})
    assert (judged.status, judged.paths) == (409, {"Bundle.entry[0].resource.id"})
    assert world.operator.read(f"Group/{there['id']}") == there


def test_a_delete_takes_several_where_the_operator_has_set_it(world: World, hosp: Party) -> None:
    value = uuid.uuid4().hex
    for _ in range(3):
        hosp.post(group(value))
    parts = replace(world.parts, services=replace(world.parts.services, max_deletes=3))
    same = Party(web(parts).test_client(), world.base_path, hosp.reference, hosp.token)

    assert {r["conditionalDelete"] for r in same.read("metadata")["rest"][0]["resource"]} == {
        "not-supported",
        "multiple",
    }
    assert same.ask("DELETE", asked(value)).status == 204
    assert found(hosp, value) == []
    for _ in range(4):
        hosp.post(group(value))
    assert same.ask("DELETE", asked(value)).status == 412
    assert len(found(hosp, value)) == 4


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "condition", ["", "?_count=1", "?identifier=x&_sort=_id", "?nonsense=1", "?identifier=x&_contained=true"]
)
def test_a_condition_says_what_a_resource_has(hosp: Party, method: str, condition: str) -> None:
    body = {"PUT": group("x"), "PATCH": [], "DELETE": None}[method]
    kind = {"Content_Type": "application/json-patch+json"} if method == "PATCH" else {}

    assert hosp.ask(method, f"Group{condition}", body, **kind).status == 400


def test_an_expression_is_a_condition_too(hosp: Party) -> None:
    value = uuid.uuid4().hex
    condition = f"Group?_filter=identifier%20eq%20{value}%20and%20not%20(type%20eq%20medication)"

    made = hosp.ask("PUT", condition, group(value))
    again = hosp.ask("PUT", condition, group(value, quantity=3))

    assert (made.status, again.status, again.body["id"]) == (201, 200, made.body["id"])
    assert hosp.ask("DELETE", condition.replace("not%20", "")).status == 204
    assert len(found(hosp, value)) == 1
    assert hosp.ask("DELETE", condition).status == 204
    assert found(hosp, value) == []


def test_the_same_condition_in_a_bundle(hosp: Party) -> None:
    one, two, three = (uuid.uuid4().hex for _ in range(3))
    kept = hosp.post(group(one)).body["id"]
    gone = hosp.post(group(two)).body["id"]
    entries = [
        {"resource": group(one, quantity=7), "request": {"method": "PUT", "url": asked(one)}},
        {"request": {"method": "DELETE", "url": asked(two)}},
        {"request": {"method": "DELETE", "url": asked(three)}},
        {"resource": group(three), "request": {"method": "PUT", "url": asked(uuid.uuid4().hex)}},
    ]

    reply = hosp.transact({"resourceType": "Bundle", "type": "transaction", "entry": entries})

    assert reply.status == 200, reply.body
    assert [e["response"]["status"][:3] for e in reply.body["entry"]] == ["200", "204", "204", "201"]
    assert hosp.read(f"Group/{kept}")["quantity"] == 7
    assert hosp.get(f"Group/{gone}").status == 410


def test_a_resource_by_its_id_and_by_a_condition_is_twice_the_same(hosp: Party) -> None:
    value = uuid.uuid4().hex
    made = hosp.post(group(value)).body
    entries = [
        {"resource": {**made, "quantity": 1}, "request": {"method": "PUT", "url": f"Group/{made['id']}"}},
        {"request": {"method": "DELETE", "url": asked(value)}},
    ]

    reply = hosp.transact({"resourceType": "Bundle", "type": "transaction", "entry": entries})

    assert (reply.status, reply.rules) == (400, {"duplicate-entry"})
    assert hosp.read(f"Group/{made['id']}")["meta"]["versionId"] == "1"


def test_many_updates_under_one_condition_at_once_make_one_resource(world: World, hosp: Party) -> None:
    value = uuid.uuid4().hex

    def put(_: int) -> int:
        party = Party(world.app.test_client(), world.base_path, hosp.reference, hosp.token)
        return party.ask("PUT", asked(value), group(value)).status

    with ThreadPoolExecutor(10) as pool:
        statuses = sorted(pool.map(put, range(20)))

    assert statuses == [200] * 19 + [201]
    assert len(found(hosp, value)) == 1


def test_a_delete_that_matched_nothing_is_audited(world: World, hosp: Party) -> None:
    value = uuid.uuid4().hex

    assert hosp.ask("DELETE", asked(value)).status == 204

    events = world.audit().find({"t": f"agent={hosp.reference}"}, {"body": 1})
    queries = [e["query"] for each in events for e in decode(each["body"]).get("entity", []) if "query" in e]
    assert base64.b64encode(asked(value).encode()).decode() in queries
