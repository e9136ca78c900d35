"""Operations by every kind of actor: those of a type and of the system, and rehearsals that say what a write would."""

import pytest

from fhir_server.fhir.reference import references_in
from tests.access.actors import CUSTODIAN, FORMER, KINDS, MEMBER, NOBODY, OFFERED, OPERATOR, OUTSIDER, WAITING
from tests.access.asking import marked, stored
from tests.access.circle import Matrix
from tests.access.oracle import CLASS_OF, expected, may_see
from tests.access.samples import unagreed_alone, versions
from tests.world import Reply

WRITERS = (OUTSIDER, OFFERED, MEMBER, FORMER, CUSTODIAN, WAITING)
RECORDS = ("Patient", "CarePlan")


def clean(reply: Reply) -> bool:
    assert reply.status == 200, reply.body
    return all(issue["severity"] != "error" for issue in reply.issues)


@pytest.mark.parametrize("kind", KINDS)
def test_what_tells_nothing_of_anybody_is_for_whoever_is_signed_in(matrix: Matrix, kind: str) -> None:
    party, status = matrix.parties[kind], 401 if kind == NOBODY else 200

    assert party.get("$versions").status == party.get("CapabilityStatement/$versions").status == status
    assert party.ask("POST", "Patient/$validate", {"resourceType": "Patient"}).status == status


@pytest.mark.parametrize("kind", KINDS)
def test_searches_are_explained_to_nobody_without_the_operators_scope(matrix: Matrix, kind: str) -> None:
    asked = f"$explain?_type=Task&patient={matrix.agreed.case.patient}"

    assert matrix.parties[kind].get(asked).status == expected("explain", kind, "")


@pytest.mark.parametrize("kind", WRITERS)
def test_a_rehearsed_write_says_what_the_write_would_and_changes_nothing(matrix: Matrix, kind: str) -> None:
    party, before, seen = matrix.parties[kind], versions(matrix), [name for name in CLASS_OF if may_see(kind, name)]

    for name in seen:
        reference = matrix.circle(kind).refs[name]
        changed = marked(stored(matrix, reference))
        update = party.ask("POST", f"{reference}/$validate?mode=update", changed)
        delete = party.ask("POST", f"{reference}/$validate?mode=delete")
        assert clean(update) == (expected("update", kind, name) == 200), (name, update.body)
        assert clean(delete) == (expected("delete", kind, name) == 204), (name, delete.body)

    assert versions(matrix) == before


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != NOBODY])
def test_everything_shows_nothing_that_a_read_refuses(matrix: Matrix, kind: str) -> None:
    """Of its own circle and of the other one: each entry is read again, and nothing hidden is among them."""
    party, refs = matrix.parties[kind], matrix.circle(kind).refs
    hidden = {reference for name, reference in refs.items() if not may_see(kind, name)}
    for type_name in RECORDS:
        if not may_see(kind, type_name):
            continue
        reply = party.get(f"{refs[type_name]}/$everything?_count=500")
        told = {f"{resource['resourceType']}/{resource['id']}" for resource in reply.entries}
        assert not told & hidden
        assert {party.get(reference).status for reference in told} == {200}
        chart = {name for name, of in CLASS_OF.items() if of == "chart" and may_see(kind, name)}
        if type_name == "Patient":
            chart -= {"Provenance"}  # it is about an Observation, not the person, and so in no person's compartment
        assert {refs[name] for name in chart} <= told


@pytest.mark.parametrize("kind", [MEMBER, CUSTODIAN])
def test_the_audit_of_a_person_is_in_everything_only_when_it_is_asked_for(matrix: Matrix, kind: str) -> None:
    party, patient = matrix.parties[kind], matrix.agreed.case.patient

    usual = party.get(f"{patient}/$everything?_count=500").entries
    asked = party.get(f"{patient}/$everything?_type=AuditEvent&_count=500").entries

    assert "AuditEvent" not in {resource["resourceType"] for resource in usual}
    assert {resource["resourceType"] for resource in asked} <= {"AuditEvent"}
    assert bool(asked) == (kind == CUSTODIAN)
    hidden = unagreed_alone(matrix)
    assert not {target for event in asked for _, target in references_in(event.get("entity", []))} & hidden


@pytest.mark.parametrize("kind", [OUTSIDER, OPERATOR, FORMER])
def test_labels_of_what_is_hidden_stay_hidden(matrix: Matrix, kind: str) -> None:
    reference = matrix.circle(kind).refs["Condition"]

    assert matrix.parties[kind].get(f"{reference}/$meta").raw == matrix.parties[kind].get("Condition/none/$meta").raw
