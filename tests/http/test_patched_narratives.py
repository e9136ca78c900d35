"""A narrative that a patch leaves as it stood would tell what was, and may be read for what is.

https://hl7.org/fhir/R4/http.html#patch
"""

from typing import Any

import pytest

from fhir_server.fhir.json import Resource
from tests.minimal import minimal
from tests.world import Party, Reply, World

JSON_PATCH = "application/json-patch+json"
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">%s</div>'


def narrative(status: str = "generated", told: str = "a man") -> Resource:
    """A narrative."""
    return {"status": status, "div": DIV % told}


def person(hosp: Party, **text: str) -> Resource:
    """A Patient with a narrative."""
    made: Resource = hosp.post(minimal("Patient", text=narrative(**text), gender="male")).body
    return made


def op(kind: str, path: str, value: Any = None) -> Resource:
    """An operation of a JSON Patch."""
    return {"op": kind, "path": path, **({} if value is None else {"value": value})}


def patched(party: Party, place: str, *operations: Resource) -> Reply:
    """A JSON Patch."""
    return party.ask("PATCH", place, list(operations), Content_Type=JSON_PATCH)


GENDER = op("replace", "/gender", "female")


@pytest.mark.parametrize("status", ["generated", "extensions"])
def test_what_was_generated_goes_with_what_it_told(hosp: Party, status: str) -> None:
    place = f"Patient/{person(hosp, status=status)['id']}"

    reply = patched(hosp, place, GENDER)

    assert (reply.status, reply.body["gender"], "text" in hosp.read(place)) == (200, "female", False)


def test_so_it_does_with_a_patch_in_fhirpath_and_in_a_transaction(hosp: Party) -> None:
    place = f"Patient/{person(hosp)['id']}"
    parts = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Patient.gender"},
        {"name": "value", "valueCode": "female"},
    ]
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    entry = {"resource": parameters, "request": {"method": "PATCH", "url": place}}

    assert hosp.transact({"resourceType": "Bundle", "type": "transaction", "entry": [entry]}).status == 200
    assert (hosp.read(place)["gender"], "text" in hosp.read(place)) == ("female", False)


@pytest.mark.parametrize(
    "operation",
    [op("replace", "/gender", "male"), op("add", "/meta/tag", [{"code": "seen"}]), op("test", "/gender", "male")],
)
def test_it_stays_where_nothing_changes_that_it_may_tell(hosp: Party, operation: Resource) -> None:
    made = person(hosp)

    assert patched(hosp, f"Patient/{made['id']}", operation).body["text"] == made["text"]


def test_it_stays_as_the_patch_writes_it(hosp: Party) -> None:
    told = narrative(told="a woman")

    reply = patched(hosp, f"Patient/{person(hosp)['id']}", GENDER, op("replace", "/text", told))

    assert (reply.status, reply.body["text"]) == (200, told)


def test_an_empty_one_tells_nothing_and_stays(hosp: Party) -> None:
    made = person(hosp, status="empty")

    assert patched(hosp, f"Patient/{made['id']}", GENDER).body["text"] == made["text"]


def test_what_says_more_than_the_data_is_left_out_by_name_alone(hosp: Party) -> None:
    made = person(hosp, status="additional")
    place = f"Patient/{made['id']}"

    refused = patched(hosp, place, GENDER)

    assert (refused.status, refused.paths) == (422, {"Patient.text"})
    assert hosp.read(place) == made
    assert patched(hosp, place, GENDER, op("remove", "/text")).status == 200
    assert "text" not in hosp.read(place)


def test_the_owner_of_a_task_moves_it_by_a_patch_whatever_its_narrative_told(world: World, hosp: Party) -> None:
    home = world.party()
    case = world.case(hosp, home)
    assert hosp.change(case.task, text=narrative(told="requested")).status == 200
    version = home.read(case.task)["meta"]["versionId"]

    moved = home.ask(
        "PATCH",
        case.task,
        [op("replace", "/status", "accepted")],
        Content_Type=JSON_PATCH,
        If_Match=f'W/"{version}"',
    )

    assert (moved.status, moved.body.get("status"), "text" in moved.body) == (200, "accepted", False), moved.body
