"""What is contained in what another version of the server stored is never searched in part."""

from typing import Any

import pytest
from pymongo.database import Database

from fhir_server.search.fingerprints import FORM, rows_of
from fhir_server.store.mongo.reindexing import Reindexing
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
