"""What the scopes of a token allow bounds whoever holds it, whatever the circle says."""

from typing import Any

import pytest

from fhir_server.fhir.actor import OPEN_PLANS
from fhir_server.fhir.json import Resource
from tests.access.actors import AUTHOR
from tests.access.asking import batch, constant, marked
from tests.access.circle import Matrix, made
from tests.world import Party


def _token(matrix: Matrix, *scopes: str) -> Party:
    """The author's organisation with fewer scopes."""
    return matrix.world.party(*scopes, organization=matrix.parties[AUTHOR].reference)


def test_a_token_for_reading_tasks_reads_tasks_alone(matrix: Matrix) -> None:
    refs, reader = matrix.agreed.refs, _token(matrix, "system/Task.r")

    assert reader.get(refs["Task"]).status == 200
    assert reader.get(f"{refs['Task']}/_history").status == 200
    for reply in (
        reader.get(refs["Patient"]),
        reader.get(f"{refs['Patient']}/_history/1"),
        reader.get("Task"),
        reader.get("Patient"),
        reader.put(marked(reader.read(refs["Task"]))),
        reader.post({"resourceType": "Patient"}),
        reader.ask("DELETE", refs["Task"]),
    ):
        assert (reply.status, reply.rules) == (403, {"scope"})


def test_a_missing_scope_says_nothing_of_what_exists(matrix: Matrix) -> None:
    reader = _token(matrix, "system/Task.r")

    assert constant(reader.get(matrix.agreed.refs["Patient"])) == constant(reader.get("Patient/never-there"))


def test_who_may_search_nothing_has_no_history_of_the_system(matrix: Matrix) -> None:
    for scope in ("system/Task.r", "system/*.crud", "system/AuditEvent.s"):
        reader = _token(matrix, scope)
        for place in ("_history", "?_lastUpdated=gt2020"):
            assert (reader.get(place).status, reader.get(place).rules) == (403, {"scope"}), (scope, place)
    assert _token(matrix, "system/Task.s").get("_history").status == 200


def test_an_include_needs_the_scope_of_what_it_brings(matrix: Matrix) -> None:
    task = matrix.agreed.refs["Task"].partition("/")[2]
    place = f"Task?_id={task}&_include=Task:patient&_include=Task:focus"

    only_tasks = _token(matrix, "system/Task.rs").get(place)
    both = _token(matrix, "system/Task.rs", "system/Patient.r").get(place)

    assert [r["resourceType"] for r in only_tasks.entries] == ["Task"]
    assert {r["resourceType"] for r in both.entries} == {"Task", "Patient"}


def test_a_condition_needs_the_scope_to_search(matrix: Matrix) -> None:
    writer = _token(matrix, "system/Patient.c")
    condition = f"_id={matrix.agreed.refs['Patient'].partition('/')[2]}"

    reply = writer.post({"resourceType": "Patient"}, If_None_Exist=condition)

    assert (reply.status, reply.rules) == (403, {"scope"})
    assert writer.post({"resourceType": "Patient"}).status == 201


def test_a_person_is_found_by_identifier_only_with_the_scope_to_search(matrix: Matrix) -> None:
    hosp, refs = matrix.parties[AUTHOR], matrix.agreed.refs
    asked = hosp.read(refs["Task"])
    del asked["id"], asked["meta"]
    asked["for"] = {"identifier": hosp.read(refs["Patient"])["identifier"][0]}

    reply = _token(matrix, "system/Task.c").post(asked)

    assert (reply.status, reply.paths) == (422, {"Task.for"})
    assert _token(matrix, "system/Task.c", "system/Patient.s").post(asked).status == 201


def test_the_entries_of_a_bundle_need_their_scopes(matrix: Matrix) -> None:
    refs, reader = matrix.agreed.refs, _token(matrix, "system/Task.r", OPEN_PLANS)
    asked = [("GET", refs["Task"]), ("GET", refs["Patient"])]

    each = reader.transact(batch(asked)).body["entry"]
    together = reader.transact(batch(asked, "transaction"))

    assert [entry["response"]["status"][:3] for entry in each] == ["200", "403"]
    assert (together.status, together.rules) == (403, {"scope"})


def test_no_scope_no_access(matrix: Matrix) -> None:
    nothing = _token(matrix, "system/Nothing.r")

    assert {nothing.get(reference).status for reference in matrix.agreed.refs.values()} == {403}


JSON_PATCH = {"Content_Type": "application/json-patch+json"}
NOTHING_TO_CHANGE: list[Resource] = []
TAG = {"system": "urn:tests", "code": "follow-up"}


def _own(matrix: Matrix, name: str = "Condition") -> str:
    """A resource of the author's that these tests alone write."""
    reference = matrix.agreed.refs[name]
    content = matrix.parties[AUTHOR].read(reference)
    return made(matrix.parties[AUTHOR], {name: value for name, value in content.items() if name not in {"id", "meta"}})


@pytest.mark.parametrize("preference", ["representation", "minimal", "OperationOutcome"])
def test_who_may_write_and_not_read_is_shown_nothing_of_what_it_wrote(matrix: Matrix, preference: str) -> None:
    reference, author = _own(matrix), matrix.parties[AUTHOR]
    writer, wish = _token(matrix, "system/Condition.cus"), {"Prefer": f"return={preference}"}
    content = author.read(reference)
    new = {name: value for name, value in content.items() if name not in {"id", "meta"}}
    meta = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [TAG]}}]}
    condition = f"_id={reference.partition('/')[2]}"

    replies = [
        writer.ask("PATCH", reference, NOTHING_TO_CHANGE, **wish, **JSON_PATCH),
        writer.ask("PATCH", f"Condition?{condition}", NOTHING_TO_CHANGE, **wish, **JSON_PATCH),
        writer.put({**content, "recordedDate": "2026-01-02"}, **wish),
        writer.post(new, **wish),
        writer.post(new, If_None_Exist=condition, **wish),
        writer.ask("POST", f"{reference}/$meta-add", meta, **wish),
        writer.ask("POST", f"{reference}/$meta-delete", meta, **wish),
    ]

    assert [reply.status for reply in replies] == [200, 200, 200, 201, 200, 200, 200]
    for reply in replies:
        told = reply.body["resourceType"] if reply.raw else None
        assert told == ("OperationOutcome" if preference == "OperationOutcome" and reply not in replies[5:] else None)
        assert b"code" not in reply.raw.replace(b'"code":"informational"', b"")
        assert reply.headers["ETag"]
    assert writer.get(reference).status == 403
    assert author.read(reference)["recordedDate"] == "2026-01-02"


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_who_may_write_and_not_read_is_shown_nothing_in_a_bundle(matrix: Matrix, kind: str) -> None:
    reference, author = _own(matrix), matrix.parties[AUTHOR]
    content = author.read(reference)
    new = {name: value for name, value in content.items() if name not in {"id", "meta"}}
    bundle = {
        "resourceType": "Bundle",
        "type": kind,
        "entry": [
            {"resource": content, "request": {"method": "PUT", "url": reference}},
            {"resource": new, "request": {"method": "POST", "url": "Condition"}},
        ],
    }

    hidden, shown = (
        _token(matrix, f"system/Condition.{letters}").ask("POST", "", bundle, Prefer="return=representation")
        for letters in ("cu", "cru")
    )

    assert [entry["response"]["status"][:3] for entry in hidden.body["entry"]] == ["200", "201"]
    assert hidden.entries == []
    assert [each["resourceType"] for each in shown.entries] == ["Condition", "Condition"]


def test_a_patch_that_asks_what_stands_there_needs_the_scope_to_read(matrix: Matrix) -> None:
    reference = _own(matrix)
    writer, reader = _token(matrix, "system/Condition.u"), _token(matrix, "system/Condition.ru")
    by_path = {
        "resourceType": "Parameters",
        "parameter": [
            {
                "name": "operation",
                "part": [
                    {"name": "type", "valueCode": "delete"},
                    {"name": "path", "valueString": "Condition.note.where(text = 'secret')"},
                ],
            }
        ],
    }
    asking: list[tuple[Any, dict[str, str]]] = [
        ([{"op": "test", "path": "/resourceType", "value": "Condition"}], JSON_PATCH),
        ([{"op": "test", "path": "/resourceType", "value": "Other"}], JSON_PATCH),
        ([{"op": "copy", "from": "/resourceType", "path": "/recordedDate"}], JSON_PATCH),
        ([{"op": "move", "from": "/subject/reference", "path": "/recordedDate"}], JSON_PATCH),
        (by_path, {}),
    ]

    for patch, headers in asking:
        refused, absent = (writer.ask("PATCH", each, patch, **headers) for each in (reference, "Condition/never-there"))
        assert (refused.status, refused.rules) == (403, {"scope"}), patch
        assert constant(refused) == constant(absent)
        assert reader.ask("PATCH", reference, patch, **headers).status != 403
    replaced = [{"op": "add", "path": "/recordedDate", "value": "2026-02-03"}]
    assert writer.ask("PATCH", reference, replaced, **JSON_PATCH).status == 200
