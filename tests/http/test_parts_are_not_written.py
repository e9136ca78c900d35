"""A part of a resource, as `_elements` or `_summary` shows it, never takes the place of the whole."""

import pytest

from fhir_server.fhir.json import Resource
from tests.minimal import minimal
from tests.world import Party, World

SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
TAGGED: Resource = {"meta": {"tag": [{**SUBSETTED, "display": "Subsetted"}]}}
REFUSED = (422, {"subsetted"}, {"Patient.meta.tag"})


@pytest.fixture
def whole(hosp: Party) -> Resource:
    """A Patient with more than one part."""
    made: Resource = hosp.post(minimal("Patient", name=[{"family": "Maes"}], gender="female")).body
    return made


@pytest.mark.parametrize("asked", ["_elements=gender", "_summary=true", "_summary=text", "_summary=data"])
def test_what_was_read_in_part_is_not_written_back(hosp: Party, whole: Resource, asked: str) -> None:
    place = f"Patient/{whole['id']}"
    part = hosp.read(f"{place}?{asked}")

    reply = hosp.put(part)

    assert (reply.status, reply.rules, reply.paths) == REFUSED
    assert hosp.read(place) == whole


def test_neither_is_it_created_imported_patched_in_or_added(world: World, hosp: Party, whole: Resource) -> None:
    place = f"Patient/{whole['id']}"
    added = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": TAGGED["meta"]}]}
    patch = [{"op": "add", "path": "/meta/tag", "value": [SUBSETTED]}]
    entry = {"resource": minimal("Patient", **TAGGED), "request": {"method": "POST", "url": "Patient"}}

    for reply in (
        hosp.post(minimal("Patient", **TAGGED)),
        world.operator.post(minimal("Patient", **TAGGED)),
        hosp.ask("PATCH", place, patch, Content_Type="application/json-patch+json"),
        hosp.ask("POST", f"{place}/$meta-add", added),
    ):
        assert (reply.status, reply.rules, reply.paths) == REFUSED
    bundled = hosp.transact({"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    assert (bundled.status, bundled.paths) == (422, {"Bundle.entry[0].resource.meta.tag"})
    assert hosp.read(place) == whole


def test_a_code_of_another_system_is_a_tag_like_any(hosp: Party) -> None:
    own = {"system": "https://care.example/tags", "code": "SUBSETTED"}

    assert hosp.post(minimal("Patient", meta={"tag": [own, {"display": "a part"}]})).status == 201
