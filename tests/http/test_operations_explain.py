"""$explain, and what is asked of /metadata beside the statement itself."""

import json
import uuid
from typing import Any

import pytest
from pymongo import MongoClient

from fhir_server.fhir.actor import OPERATE
from fhir_server.fhir.json import Resource
from fhir_server.store.mongo.contained import GATHERED
from fhir_server.store.mongo.wording import WORDING
from fhir_server.validation.validator import Validator
from tests.databases import LentDatabases
from tests.minimal import minimal
from tests.world import EVERYTHING, Party, World, world_apart


@pytest.fixture(scope="module")
def operator(world: World) -> Party:
    return world.party(EVERYTHING, OPERATE)


def explained(party: Party, asked: str) -> dict[str, str]:
    """The parameters of the answer, which must be valid."""
    reply = party.get(f"$explain?{asked}")
    assert reply.status == 200, reply.body
    assert Validator().check(reply.body) == []
    return {p["name"]: next(v for n, v in p.items() if n.startswith("value")) for p in reply.body["parameter"]}


def test_a_worklist_is_explained_with_its_index(world: World) -> None:
    operator = world.party(EVERYTHING, OPERATE)

    told = explained(operator, "_type=Task&status=requested,accepted&_sort=due&_count=20")

    assert "Query(type='Task'" in told["query"]
    asked = json.loads(told["filter"])
    assert operator.reference in told["filter"]
    assert "$and" in asked
    assert json.loads(told["sort"]) == {"k.due.lo": 1, "_id": 1}
    assert "IXSCAN" in told["plan"]
    assert "COLLSCAN" not in told["plan"]
    assert told["returned"] == 0


def test_an_order_without_an_index_is_explained_with_how_it_is_made(operator: Party) -> None:
    told = explained(operator, "_type=Organization&_sort=-type,_id&_count=2")

    asked = json.loads(told["sort"])
    assert asked["sort"] == {"o.type": -1, "_id": 1}
    [made] = asked["made"]
    assert list(made["$set"]["o"]) == ["type"]
    assert "$sort" in told["plan"] or "SORT" in told["plan"]
    assert int(told["returned"]) <= 3


def test_what_the_plan_examined_is_what_the_search_found(operator: Party) -> None:
    found = operator.get("Organization?_count=10").entries

    told = explained(operator, "_type=Organization&_count=10")

    assert min(int(told["returned"]), 10) == len(found)
    assert int(told["documentsExamined"]) >= len(found)
    assert "open to every signed-in party" in told["grant"]


def test_a_chain_is_explained_under_the_operators_own_grants(world: World, operator: Party) -> None:
    hosp = world.hospital()
    case = world.case(hosp, world.party())

    told = explained(operator, "_type=Task&patient.active=true")

    assert case.patient not in json.dumps(told)


def test_a_search_about_a_person_is_explained_by_the_plans_that_it_goes_by(world: World) -> None:
    operator = world.party(EVERYTHING, OPERATE)
    hosp = world.hospital()
    one, other = world.case(hosp, operator), world.case(hosp, operator)
    for task in (one.task, other.task):
        assert [operator.move(task, status).status for status in ("received", "accepted")] == [200, 200]

    told = explained(operator, f"_type=Appointment&patient={one.patient}")

    assert one.plan.removeprefix("CarePlan/") in told["filter"]
    assert other.plan.removeprefix("CarePlan/") not in told["filter"]


def containers(party: Party, asked: str) -> dict[str, dict[str, str]]:
    """By type, what is told of each that may contain a match; the answer must be valid."""
    reply = party.get(f"$explain?{asked}")
    assert reply.status == 200, reply.body
    assert Validator().check(reply.body) == []
    parts = [each["part"] for each in reply.body["parameter"] if each["name"] == "container"]
    told = [{p["name"]: next(v for n, v in p.items() if n.startswith("value")) for p in part} for part in parts]
    return {each["type"]: each for each in told}


def test_what_is_contained_is_explained_of_each_type_that_may_contain_it(operator: Party) -> None:
    unique = uuid.uuid4().hex
    device = {"resourceType": "Device", "id": "d", "identifier": [{"value": unique}]}
    holder = minimal("Device", contained=[device], parent={"reference": "#d"})
    asked = f"_contained=true&identifier={unique}"
    assert operator.post(holder).status == 201
    assert len(operator.get(f"Device?{asked}").entries) == 1

    told = containers(operator, f"_type=Device&{asked}")

    assert {"Device", "Observation", "Procedure", "Provenance"} <= told.keys()
    assert "AuditEvent" not in told
    assert {name: each["returned"] for name, each in told.items() if each["returned"]} == {"Device": 1}
    assert unique in told["Device"]["filter"]
    assert unique in told["Observation"]["filter"]
    assert all("COLLSCAN" not in each["plan"] for each in told.values())
    assert told["Device"]["keysExamined"] >= 1


def test_a_contained_search_is_explained_where_its_container_is_named(operator: Party) -> None:
    asked = "_contained=true&_has:Observation:device:status=final&_sort=-identifier&_count=3"

    told = containers(operator, f"_type=Device&{asked}")

    searched = {name for name, each in told.items() if "final" in each["filter"]}
    assert searched == {"Observation"}
    assert "made" in json.loads(told["Observation"]["sort"])


def test_only_the_operators_scope_explains(world: World) -> None:
    for party in (world.hospital(), world.party("system/*.cruds", "samen/import"), world.custodian):
        refused = party.get("$explain?_type=Task")
        assert (refused.status, refused.rules) == (403, {"scope"})


def test_what_is_still_being_gathered_is_neither_found_nor_explained_in_part(
    mongo_url: str, mongo_client: MongoClient[dict[str, Any]], databases: LentDatabases
) -> None:
    with world_apart(mongo_url, databases) as apart:
        asker = apart.party(EVERYTHING, OPERATE)
        assert asker.post(minimal("List", title="ramp")).status == 201
        procedure = minimal("Procedure", subject={"reference": f"Patient/{asker.post(minimal('Patient')).body['id']}"})
        assert asker.post(procedure).status == 201
        database = mongo_client[apart.parts.settings.database]
        asked = ("_type=List&_contained=true", "_type=List&source:Device.status=active", "_type=Procedure&_text=ramp")
        before = [asker.get(f"$explain?{each}").status for each in asked]
        database[GATHERED].delete_many({"_id": "List"})
        database["Procedure"].update_many({}, {"$unset": {WORDING: ""}})

        assert before == [200, 200, 200]
        assert [asker.get(f"$explain?{each}").status for each in asked] == [503, 503, 503]
        searches = (each.removeprefix("_type=").replace("&", "?", 1) for each in asked)
        assert [asker.get(each).status for each in searches] == [503, 503, 503]


def test_only_what_the_token_may_search_is_explained(world: World) -> None:
    narrow = world.party("system/Task.rs", "system/Observation.r", OPERATE)

    for asked in ("_type=Patient", "_type=Observation", "_type=Device&_contained=true&identifier=a"):
        refused = narrow.get(f"$explain?{asked}")
        assert (refused.status, refused.rules) == (403, {"scope"}), asked
    assert narrow.get("$explain?_type=Task").status == 200
    assert set(containers(narrow, "_type=Task&_contained=true")) == {"Task"}


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("status=requested", 400),
        ("_type=Task&_type=Goal", 400),
        ("_type=Nothing", 404),
        ("_type=Task&no-such=1", 400),
        ("_type=Task&_cursor=abc", 400),
        ("_type=Device&_contained=true&_cursor=abc", 400),
        ("_type=Device&_contained=true&_text=ramp", 400),
        ("_type=Device&_contained=sometimes", 400),
    ],
)
def test_what_a_search_would_refuse_is_refused(operator: Party, asked: str, status: int) -> None:
    assert operator.get(f"$explain?{asked}").status == status


def test_a_batch_may_ask_and_a_transaction_may_not(operator: Party) -> None:
    def bundle(kind: str) -> Resource:
        entry = {"request": {"method": "GET", "url": "$explain?_type=Task"}}
        return {"resourceType": "Bundle", "type": kind, "entry": [entry]}

    assert operator.transact(bundle("batch")).body["entry"][0]["response"]["status"].startswith("200")
    assert operator.transact(bundle("transaction")).status == 400


def test_the_statement_is_sent_once(operator: Party, world: World) -> None:
    first = operator.get("metadata")
    tag = first.headers["ETag"]

    for condition in (tag, f'"other", {tag}', "*"):
        again = operator.get("metadata", If_None_Match=condition)
        assert (again.status, again.raw, again.headers["ETag"]) == (304, b"", tag)
    assert operator.get("metadata", If_None_Match='W/"other"').status == 200
    assert world.hospital().get("metadata").headers["ETag"] == tag
    assert operator.ask("HEAD", "metadata").headers["ETag"] == tag


def test_a_summary_of_the_statement_is_shorter_and_says_so(operator: Party) -> None:
    whole, summary = operator.get("metadata"), operator.get("metadata?_summary=true")

    assert len(summary.raw) < len(whole.raw)
    assert summary.headers["ETag"] != whole.headers["ETag"]
    assert summary.body["fhirVersion"] == "4.0.1"
    assert "SUBSETTED" in json.dumps(summary.body["meta"])
    assert operator.get("metadata?_summary=false").body.keys() == whole.body.keys()


@pytest.mark.parametrize("asked", ["mode=x", "mode=", "_summary=count", "no-such=1", "mode=terminology&_summary=count"])
def test_what_is_not_declared_of_the_statement_is_refused(operator: Party, asked: str) -> None:
    assert operator.get(f"metadata?{asked}").status == 400
    assert operator.get("metadata?mode=full").status == 200
