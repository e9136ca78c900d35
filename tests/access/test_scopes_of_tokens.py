"""What the scopes of a token allow bounds whoever holds it, whatever the circle says."""

from fhir_server.fhir.actor import OPEN_PLANS
from tests.access.actors import AUTHOR
from tests.access.asking import batch, constant, marked
from tests.access.circle import Matrix
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
