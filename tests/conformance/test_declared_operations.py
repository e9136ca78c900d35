"""Every operation that /metadata declares is performed: on each type, and on the system."""

from collections.abc import Callable

import pytest

from fhir_server.access.types import TYPES
from fhir_server.fhir.actor import OPERATE
from fhir_server.fhir.json import Resource
from fhir_server.operations import meta_in_use
from tests.conformance.test_capabilities import OF_A_CASE
from tests.http.resources import imported, own
from tests.world import EVERYTHING, Case, Party, Reply, World

TAG = {"system": "urn:tags", "code": "checked"}

Perform = Callable[[Party, str, Resource], Reply]


@pytest.fixture(scope="module")
def hospital(world: World) -> Party:
    """Who asks: a hospital whose token may also explain searches."""
    return world.party(EVERYTHING, OPERATE, "samen/open-plans")


@pytest.fixture(scope="module")
def statement(hospital: Party) -> Resource:
    """What the server declares of itself."""
    declared: Resource = hospital.read("metadata")["rest"][0]
    return declared


def parameters(**named: Resource | str) -> Resource:
    """A Parameters resource: texts as codes, resources as resources, all else as meta."""
    listed = []
    for name, value in named.items():
        kind = "valueCode" if isinstance(value, str) else "resource" if "resourceType" in value else "valueMeta"
        listed.append({"name": name, kind: value})
    return {"resourceType": "Parameters", "parameter": listed}


def everything(asker: Party, place: str, resource: Resource) -> Reply:
    reply = asker.get(f"{place}/$everything")
    assert resource["id"] in [each["id"] for each in reply.entries]
    return reply


def validated(asker: Party, place: str, resource: Resource) -> Reply:
    kept = asker.ask("POST", f"{place}/$validate", parameters(resource=resource))
    of_type = asker.ask("POST", f"{resource['resourceType']}/$validate", parameters(resource=resource))
    wrong = {**resource, "colour": "red"}
    refused = asker.ask("POST", f"{resource['resourceType']}/$validate", parameters(resource=wrong))
    assert [each.body["resourceType"] for each in (kept, of_type, refused)] == ["OperationOutcome"] * 3
    assert "error" not in {issue["severity"] for issue in of_type.issues}, of_type.body
    assert "error" in {issue["severity"] for issue in refused.issues}
    return kept


def meta(asker: Party, place: str, resource: Resource) -> Reply:
    for asked in (f"{place}/$meta", f"{resource['resourceType']}/$meta"):
        reply = asker.get(asked)
        assert (reply.status, reply.body["resourceType"]) == (200, "Parameters"), asked
    return reply


def meta_added(asker: Party, place: str, resource: Resource) -> Reply:
    reply = asker.ask("POST", f"{place}/$meta-add", parameters(meta={"tag": [TAG]}))
    assert TAG in asker.read(place)["meta"]["tag"], reply.body
    [told] = asker.get(f"{place}/$meta").body["parameter"]
    assert TAG in told["valueMeta"]["tag"]
    return reply


def meta_deleted(asker: Party, place: str, resource: Resource) -> Reply:
    meta_added(asker, place, resource)
    reply = asker.ask("POST", f"{place}/$meta-delete", parameters(meta={"tag": [TAG]}))
    assert TAG not in asker.read(place)["meta"].get("tag", []), reply.body
    return reply


def versions(asker: Party, place: str, resource: Resource) -> Reply:
    reply = asker.get("CapabilityStatement/$versions")
    assert "4.0" in str(reply.body)
    return reply


def status(asker: Party, place: str, resource: Resource) -> Reply:
    reply = asker.get(f"{place}/$status")
    assert reply.body["type"] == "searchset"
    return reply


def events(asker: Party, place: str, resource: Resource) -> Reply:
    reply = asker.get(f"{place}/$events")
    assert reply.body["type"] == "history"
    return reply


ON_TYPES: dict[str, Perform] = {
    "everything": everything,
    "validate": validated,
    "meta": meta,
    "meta-add": meta_added,
    "meta-delete": meta_deleted,
    "versions": versions,
    "status": status,
    "events": events,
}


@pytest.fixture(autouse=True)
def however_much_is_labelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than `$meta` reads: the official examples that other tests stored, if they are there."""
    monkeypatch.setattr(meta_in_use, "MOST", 100_000)


ON_THE_SYSTEM = {"explain": "$explain?_type=Task", "versions": "$versions", "meta": "$meta"}


@pytest.mark.parametrize("type_name", sorted(TYPES))
def test_every_operation_of_a_type_is_performed(
    world: World, hospital: Party, statement: Resource, case: Case, type_name: str
) -> None:
    [declared] = [each for each in statement["resource"] if each["type"] == type_name]
    asker, resource = _of(world, hospital, case, type_name)
    place = f"{type_name}/{resource['id']}"

    for operation in declared["operation"]:
        reply = ON_TYPES[operation["name"]](asker, place, resource)
        assert reply.status == 200, (operation["name"], reply.body)


def test_every_operation_of_the_system_is_performed(hospital: Party, statement: Resource) -> None:
    assert {each["name"] for each in statement["operation"]} == ON_THE_SYSTEM.keys()
    for place in ON_THE_SYSTEM.values():
        assert hospital.get(place).status == 200, place


def test_every_interaction_of_the_system_is_performed(hospital: Party, statement: Resource, case: Case) -> None:
    empty = {"resourceType": "Bundle", "entry": []}
    done = {
        "transaction": hospital.transact({**empty, "type": "transaction"}),
        "batch": hospital.transact({**empty, "type": "batch"}),
        "search-system": hospital.get(f"?_type=Task,CarePlan&patient={case.patient}"),
        "history-system": hospital.get("_history?_count=1"),
    }

    assert {each["code"] for each in statement["interaction"]} == done.keys()
    assert {name: reply.status for name, reply in done.items()} == dict.fromkeys(done, 200)


def _of(world: World, hospital: Party, case: Case, type_name: str) -> tuple[Party, Resource]:
    """A resource of the type, and a party that may read it and change it, where anybody may."""
    if type_name == "CareTeam":
        return world.custodian, world.custodian.read(case.team)
    if type_name in OF_A_CASE:
        return hospital, hospital.read(getattr(case, OF_A_CASE[type_name]))
    if type_name == "AuditEvent":
        return world.custodian, world.custodian.get(f"AuditEvent?patient={case.patient}&_count=1").entries[0]
    made = hospital.post(own(hospital, type_name))
    if made.status == 403:
        made = world.operator.post(imported(type_name))
        hospital = world.operator
    assert made.status == 201, made.body
    return hospital, made.body
