"""What is contained in what another version of the server stored is never searched in part."""

from collections.abc import Container
from typing import Any

import pytest
from pymongo.database import Database

from fhir_server.fhir.json import Resource
from fhir_server.search.fingerprints import CONTAINED, FORM, rows_of
from fhir_server.store.mongo.contained import contained_values
from fhir_server.store.mongo.indexing.reindexing import Reindexing
from tests.faults.test_other_versions import run, start, stored_before
from tests.http.test_searching import ids, observation
from tests.minimal import minimal
from tests.world import World


@pytest.mark.parametrize("asked", ["organization.name=maker", "status=active"])
def test_what_is_contained_in_an_earlier_form_waits_until_it_is_indexed(
    apart: World, database: Database[dict[str, Any]], indexing: Reindexing, asked: str
) -> None:
    hosp = apart.hospital()
    patient = f"Patient/{hosp.post(minimal('Patient')).body['id']}"
    maker = {"resourceType": "Organization", "id": "maker", "name": "Maker"}
    device = {"resourceType": "Device", "id": "d", "status": "active", "owner": {"reference": "#maker"}}
    inside = {"contained": [device, maker], "device": {"reference": "#d"}}
    before = hosp.post({**observation(patient), **inside}).body["id"]
    database["Observation"].update_one({"_id": before}, {"$unset": {"c.$[].c": ""}})
    stored_before(database, "Observation", said={"form": FORM - 1, "rows": dict(rows_of("Observation")), "turn": 0})
    start(apart)

    assert hosp.get(f"Device?_contained=true&{asked}").status == 503
    assert hosp.get(f"Device?{asked}").status == 200
    run(indexing, apart)

    assert ids(hosp.get(f"Device?_contained=true&{asked}")) == [before]


def test_what_is_indexed_anew_keeps_the_words_of_what_it_contains(
    apart: World, database: Database[dict[str, Any]], indexing: Reindexing
) -> None:
    hosp = apart.hospital()
    patient = f"Patient/{hosp.post(minimal('Patient')).body['id']}"
    done = minimal("Procedure", id="p", subject={"reference": patient}, note=[{"text": "ramp"}])
    inside = {"contained": [done], "partOf": [{"reference": "#p"}]}
    before = hosp.post({**observation(patient), **inside}).body["id"]
    stored_before(database, "Observation", "code")
    start(apart)

    run(indexing, apart)

    assert ids(hosp.get("Procedure?_contained=true&_content=ramp")) == [before]


@pytest.mark.parametrize("alone", [True, False])
def test_a_parameter_that_a_later_version_ships_finds_what_was_contained_before(
    apart: World, database: Database[dict[str, Any]], indexing: Reindexing, alone: bool
) -> None:
    hosp = apart.hospital()
    patient = f"Patient/{hosp.post(minimal('Patient')).body['id']}"
    inside = {"contained": [{"resourceType": "Device", "id": "d", "status": "active"}], "device": {"reference": "#d"}}
    before = hosp.post({**observation(patient), **inside}).body["id"]
    lacking = {"c.$[].t": {"$regex": "^status="}, "c.$[].has": "status"}
    database["Observation"].update_one({"_id": before}, {"$pull": lacking})
    if alone:
        assert hosp.post(minimal("Device", status="inactive")).status == 201
    stored_before(database, "Device", "status")
    start(apart)

    asked = "Device?_contained=true&status=active"
    assert (hosp.get(asked).status, hosp.get("Observation?device.status=active").status) == (503, 503)
    run(indexing, apart)

    assert ids(hosp.get(asked)) == [before]
    assert ids(hosp.get("Observation?device.status=active")) == [before]


def test_a_container_that_is_too_large_for_what_it_contains_keeps_that_type_waiting(
    apart: World, database: Database[dict[str, Any]], indexing: Reindexing, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosp = apart.hospital()
    patient = f"Patient/{hosp.post(minimal('Patient')).body['id']}"
    inside = {"contained": [{"resourceType": "Device", "id": "d", "status": "active"}], "device": {"reference": "#d"}}
    small, large = (hosp.post({**observation(patient), **inside}).body["id"] for _ in range(2))
    database["Observation"].update_many({"_id": {"$in": [small, large]}}, {"$pull": {"c.$[].has": "status"}})
    kept = contained_values

    def of_a_large_one(resource: Resource, full_text: Container[str]) -> list[dict[str, Any]]:
        return [*kept(resource, full_text), *([{"is": "x" * 17_000_000}] if resource["id"] == large else [])]

    monkeypatch.setattr("fhir_server.store.mongo.contained.contained_values", of_a_large_one)
    stored_before(database, "Device", "status")
    start(apart)

    run(indexing, apart)

    assert indexing.too_large == {f"Observation/{large}"}
    assert hosp.get("Device?_contained=true&status=active").status == 503
    other = database["Observation"].find_one({"_id": small})
    assert other is not None
    assert "status" in other["c"][0]["has"], "the others were indexed"


def test_what_is_not_contained_is_searched_while_what_is_contained_gets_its_form(
    apart: World, database: Database[dict[str, Any]], indexing: Reindexing
) -> None:
    hosp = apart.hospital()
    patient = f"Patient/{hosp.post(minimal('Patient')).body['id']}"
    maker = {"resourceType": "Organization", "id": "maker", "name": "Maker"}
    device = {"resourceType": "Device", "id": "d", "status": "active", "owner": {"reference": "#maker"}}
    before = hosp.post({**observation(patient), "contained": [device, maker], "device": {"reference": "#d"}}).body["id"]
    database["Observation"].update_one({"_id": before}, {"$unset": {"c.$[].c": ""}})
    stored_before(database, "Observation", CONTAINED)
    start(apart)

    inside = ("Device?_contained=true&organization.name=maker", "Observation?device.status=active")
    assert [hosp.get(asked).status for asked in inside] == [503, 503]
    assert ids(hosp.get(f"Observation?patient={patient}")) == [before]
    assert hosp.get("Device?status=active").status == 200
    run(indexing, apart)

    assert [ids(hosp.get(asked)) for asked in inside] == [[before], [before]]


def test_the_audit_is_not_gone_through_for_what_it_never_contains() -> None:
    assert CONTAINED not in rows_of("AuditEvent")
    assert CONTAINED in rows_of("Observation")
