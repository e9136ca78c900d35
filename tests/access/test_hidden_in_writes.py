"""A write learns nothing of what its writer cannot see: conditions, references, Bundles."""

import pytest

from fhir_server.demo.referral import consent
from fhir_server.fhir.dates import instant, now
from fhir_server.fhir.json import Resource
from tests.access.actors import (
    AUTHOR,
    CUSTODIAN,
    ELSEWHERE,
    FORMER,
    MEMBER,
    OFFERED,
    OPENER,
    OPERATOR,
    OUTSIDER,
    PERSON,
    WAITING,
    left_behind,
)
from tests.access.asking import absent, marked, new, stored
from tests.access.circle import Matrix, made, order, task
from tests.access.oracle import CLASS_OF, expected, may_see
from tests.access.samples import in_turn, versions

STRANGERS = (OUTSIDER, OPENER, PERSON, OFFERED, FORMER, ELSEWHERE, WAITING)


@pytest.mark.parametrize("kind", [OUTSIDER, OFFERED, FORMER, ELSEWHERE, WAITING, MEMBER, OPERATOR])
def test_a_condition_that_matches_a_hidden_resource_is_answered_as_if_there_were_none(
    matrix: Matrix, kind: str
) -> None:
    party, refs = matrix.parties[kind], matrix.circle(kind).refs
    for name in in_turn(kind):
        condition = f"_id={refs[name].partition('/')[2]}"

        reply = party.post(new(kind, name, matrix), If_None_Exist=condition)

        if may_see(kind, name):
            assert (reply.status, f"{name}/{reply.body['id']}") == (200, refs[name]), name
        else:
            assert reply.status == expected("create", kind, name), (name, reply.body)
            assert refs[name].partition("/")[2] not in reply.raw.decode().replace(condition, ""), name


@pytest.mark.parametrize("kind", STRANGERS)
def test_references_to_hidden_and_to_absent_resources_are_refused_alike(matrix: Matrix, kind: str) -> None:
    """One Communication that is about a hidden and an absent resource of each type: all findings in the same words."""
    party, refs = matrix.parties[kind], matrix.circle(kind).refs
    hidden = [refs[name] for name in CLASS_OF if not may_see(kind, name)]
    about = [reference for each in hidden for reference in (each, absent(each))]
    before = versions(matrix)
    sent: Resource = {"resourceType": "Communication", "status": "completed"}

    reply = party.post({**sent, "about": [{"reference": reference} for reference in about]})

    assert reply.status == 422
    told = [issue["diagnostics"].replace(to, "X") for issue, to in zip(reply.issues, about, strict=True)]
    assert len(set(told)) == 1, set(told)
    assert {issue["code"] for issue in reply.issues} == {"not-found"}
    assert versions(matrix) == before


@pytest.mark.parametrize("kind", STRANGERS)
def test_a_batch_changes_nothing_that_its_sender_may_not_change(matrix: Matrix, kind: str) -> None:
    party, refs = matrix.parties[kind], matrix.circle(kind).refs
    refused = [name for name in in_turn(kind) if expected("update", kind, name) >= 400]
    entries = [
        {"resource": marked(stored(matrix, refs[name])), "request": {"method": "PUT", "url": refs[name]}}
        for name in refused
    ]
    entries += [{"request": {"method": "DELETE", "url": refs[name]}} for name in refused]
    before = versions(matrix)

    reply = party.transact({"resourceType": "Bundle", "type": "batch", "entry": entries})

    told = [int(entry["response"]["status"][:3]) for entry in reply.body["entry"]]
    asked = [expected(interaction, kind, name) for interaction in ("update", "delete") for name in refused]
    assert told == asked
    assert versions(matrix) == before


@pytest.mark.parametrize("kind", STRANGERS)
@pytest.mark.parametrize("method", ["PUT", "DELETE", "GET"])
def test_a_transaction_with_one_hidden_entry_is_refused_as_a_whole(matrix: Matrix, kind: str, method: str) -> None:
    party, refs = matrix.parties[kind], matrix.circle(kind).refs
    good: Resource = {"resource": {"resourceType": "Group", "type": "person", "actual": False}}
    good["request"] = {"method": "POST", "url": "Group"}
    before = versions(matrix)
    for name in ("CarePlan", "Consent", "Observation", "Subscription", "AuditEvent"):
        if may_see(kind, name):
            continue
        answers = set()
        for reference in (refs[name], f"{name}/{'0' * len(refs[name].partition('/')[2])}"):
            entry: Resource = {"request": {"method": method, "url": reference}}
            if method == "PUT":
                entry["resource"] = {**stored(matrix, refs[name]), "id": reference.partition("/")[2]}
            reply = party.transact({"resourceType": "Bundle", "type": "transaction", "entry": [good, entry]})
            answers.add((reply.status, reply.raw))

        assert [status for status, _ in answers] == [404], (name, answers)
    assert versions(matrix) == before


@pytest.mark.parametrize("kind", [MEMBER, CUSTODIAN, FORMER, OFFERED, OUTSIDER])
def test_saying_what_is_stored_needs_the_right_to_change_it_all_the_same(matrix: Matrix, kind: str) -> None:
    party, refs = matrix.parties[kind], matrix.circle(kind).refs
    for name in in_turn(kind):
        status = expected("update", kind, name)

        reply = party.put(stored(matrix, refs[name]))

        assert reply.status == status, (name, reply.body)


def test_adding_to_a_plan_by_reference_needs_membership_of_it(matrix: Matrix) -> None:
    """Who reads the person by another plan, or the plan as a former member, adds nothing to this one."""
    plan, patient = matrix.agreed.case.plan, matrix.agreed.case.patient
    observation: Resource = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "FVC"},
        "basedOn": [{"reference": plan}],
    }
    before = versions(matrix)

    elsewhere = matrix.parties[ELSEWHERE].post({**observation, "subject": {"reference": patient}})
    former = matrix.parties[FORMER].post(observation)

    assert (elsewhere.status, elsewhere.paths) == (422, {"Observation.basedOn[0].reference"})
    assert (former.status, former.rules) == (403, {"not-a-member"})
    assert versions(matrix) == before


def test_the_refusal_to_add_to_a_plan_does_not_name_one_that_is_hidden(matrix: Matrix) -> None:
    """What is written about lies in two plans, and its reader is in one of them."""
    world = matrix.world
    hosp, stays = world.hospital(), world.party()
    earlier = left_behind(world, hosp, stays)
    made(hosp, consent(earlier.patient, now(), hosp.reference))
    fresh = made(hosp, task(hosp, world.party(), earlier.patient, made(hosp, order(hosp, earlier.patient))))
    [hidden] = [each["reference"] for each in hosp.read(fresh)["basedOn"]]
    based_on = [{"reference": plan} for plan in (earlier.plan, hidden)]
    about = {"code": {"text": "FVC"}, "subject": {"reference": earlier.patient}, "basedOn": based_on}
    both = made(world.custodian, {"resourceType": "Observation", "status": "final", **about})
    agent = [{"who": {"reference": stays.reference}}]
    target = [{"reference": both}]
    assert (stays.get(both).status, stays.get(hidden).status) == (200, 404)

    reply = stays.post({"resourceType": "Provenance", "target": target, "recorded": instant(now()), "agent": agent})

    assert (reply.status, reply.rules) == (403, {"not-a-member"})
    assert "CarePlan/" not in reply.raw.decode()


def test_the_author_of_something_does_not_move_it_to_another_person(matrix: Matrix) -> None:
    hosp = matrix.parties[AUTHOR]
    other = hosp.post({"resourceType": "Patient"}).body
    observation = hosp.read(matrix.agreed.refs["Observation"])

    reply = hosp.put({**observation, "subject": {"reference": f"Patient/{other['id']}"}})

    assert (reply.status, reply.rules) == (422, {"subject"})
