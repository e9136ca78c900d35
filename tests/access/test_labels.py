"""Security labels: who sees what is restricted, by every path, now and in the past."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from fhir_server.fhir.actor import CLEARED
from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import reference_to
from tests.access.asking import batch, constant, patched
from tests.access.circle import asked, made, walk
from tests.http.scenarios.test_a_plans_and_teams import LUC
from tests.world import EVERYTHING, Case, Party, Reply, World

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
SENSITIVITY = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"

NORMAL = {"system": CONFIDENTIALITY, "code": "N"}
RESTRICTED = {"system": CONFIDENTIALITY, "code": "R"}
VERY_RESTRICTED = {"system": CONFIDENTIALITY, "code": "V"}
SENSITIVE = {"system": SENSITIVITY, "code": "PSY"}
UNHEARD = {"system": CONFIDENTIALITY, "code": "X"}
OF_NO_SYSTEM = {"code": "R"}
TEST_DATA = {"system": REASON, "code": "HTEST"}
OF_AN_EARLIER_NAME = {"system": "http://hl7.org/fhir/v3/Confidentiality", "code": "V"}
BY_ITS_OID = {"system": "urn:oid:2.16.840.1.113883.5.4", "code": "PSY"}


@dataclass(frozen=True)
class Cast:
    """A case with its author, a member, a member who is cleared, and the custodian."""

    world: World
    case: Case
    author: Party
    member: Party
    cleared: Party

    @property
    def others(self) -> Mapping[str, Party]:
        return {"member": self.member, "cleared": self.cleared, "custodian": self.world.custodian}


@pytest.fixture
def cast(world: World) -> Cast:
    hosp, home, other = world.hospital(), world.party(), world.party(EVERYTHING, CLEARED)
    case = world.case(hosp, home, LUC)
    walk(home, case.task, "accepted")
    asked(hosp, other, case, "accepted")
    return Cast(world, case, hosp, home, other)


def labelled(case: Case, *labels: Resource) -> Resource:
    return {
        "resourceType": "Observation",
        **({"meta": {"security": list(labels)}} if labels else {}),
        "status": "final",
        "code": {"text": "mood"},
        "subject": {"reference": case.patient},
    }


@pytest.mark.parametrize(
    ("labels", "seen_by"),
    [
        ([], {"member", "cleared", "custodian"}),
        ([NORMAL, TEST_DATA], {"member", "cleared", "custodian"}),
        ([RESTRICTED], {"cleared"}),
        ([NORMAL, SENSITIVE], {"cleared"}),
        ([UNHEARD], {"cleared"}),
        ([OF_NO_SYSTEM], {"cleared"}),
        ([VERY_RESTRICTED], set()),
        ([VERY_RESTRICTED, RESTRICTED], set()),
        ([OF_AN_EARLIER_NAME], set()),
        ([BY_ITS_OID], {"cleared"}),
    ],
)
def test_a_label_says_who_sees_it(cast: Cast, labels: list[Resource], seen_by: set[str]) -> None:
    observation = made(cast.author, labelled(cast.case, *labels))

    assert cast.author.get(observation).status == 200
    assert {name for name, party in cast.others.items() if party.get(observation).status == 200} == seen_by
    for name in set(cast.others) - seen_by:
        party = cast.others[name]
        assert constant(party.get(observation)) == constant(party.get("Observation/never-there")), name


def test_what_is_restricted_is_hidden_on_every_path(cast: Cast) -> None:
    hidden = made(cast.author, labelled(cast.case, RESTRICTED))
    report = {"resourceType": "DiagnosticReport", "status": "final", "code": {"text": "report"}}
    open_report = made(
        cast.author,
        {**report, "subject": {"reference": cast.case.patient}, "result": [{"reference": hidden}]},
    )
    id, report_id = hidden.partition("/")[2], open_report.partition("/")[2]
    plan_id = cast.case.plan.partition("/")[2]
    places = [
        f"Observation?_id={id}",
        f"Observation?patient={cast.case.patient}",
        f"Observation?_security={RESTRICTED['system']}|R",
        f"{cast.case.patient}/Observation",
        f"{cast.case.patient}/*",
        f"?_type=Observation&patient={cast.case.patient}",
        f"DiagnosticReport?_id={report_id}&_include=DiagnosticReport:result",
        f"Patient?_id={cast.case.patient.partition('/')[2]}&_revinclude=Observation:patient",
        f"{cast.case.patient}/$everything?_count=200",
        f"CarePlan/{plan_id}/$everything?_count=200",
        "Observation/_history",
        "_history?_count=200",
    ]

    def found(party: Party, place: str) -> bool:
        reply = party.get(place)
        assert reply.status == 200, (place, reply.body)
        return hidden in {reference_to(resource) for resource in reply.entries}

    for place in places:
        assert (found(cast.author, place), found(cast.cleared, place)) == (True, True), place
        assert not found(cast.member, place), place
    through = (
        f"DiagnosticReport?_id={report_id}&result.code:text=mood",
        f"Patient?_id={cast.case.patient.partition('/')[2]}&_has:Observation:patient:_id={id}",
    )
    for place in through:
        assert (len(cast.cleared.get(place).entries), len(cast.member.get(place).entries)) == (1, 0), place
    assert cast.member.get(f"Observation?_id={id}&_summary=count").body["total"] == 0


def test_what_is_restricted_is_not_written_by_whom_it_is_hidden_from(cast: Cast) -> None:
    hidden = made(cast.author, labelled(cast.case, RESTRICTED))
    member, absent = cast.member, "Observation/never-there"
    content = labelled(cast.case)
    about = {"resourceType": "Communication", "status": "completed", "about": [{"reference": hidden}]}

    replies: list[Reply] = [
        member.ask("PUT", hidden, {**content, "id": hidden.partition("/")[2]}),
        patched(member, hidden, hidden),
        member.ask("DELETE", hidden),
        member.transact(batch([("GET", hidden)], "transaction")),
        member.get(f"{hidden}/_history"),
        member.get(f"{hidden}/$meta"),
    ]

    assert {reply.status for reply in replies} == {404}
    assert constant(member.ask("DELETE", hidden)) == constant(member.ask("DELETE", absent))
    assert (member.post(about).status, cast.cleared.post(about).status) == (422, 201)
    condition = f"_id={hidden.partition('/')[2]}"
    assert member.post(content, If_None_Exist=condition).status == 201


def test_a_version_is_seen_only_when_its_own_labels_and_those_of_now_permit(cast: Cast) -> None:
    first_hidden = made(cast.author, labelled(cast.case, RESTRICTED))
    first_open = made(cast.author, labelled(cast.case))
    assert cast.author.change(first_hidden, meta={"versionId": "1"}).status == 200
    assert cast.author.change(first_open, meta={"versionId": "1", "security": [VERY_RESTRICTED]}).status == 200

    assert cast.member.get(first_hidden).status == 200
    assert cast.member.get(f"{first_hidden}/_history/1").status == 404
    assert len(cast.member.get(f"{first_hidden}/_history").entries) == 1
    assert len(cast.cleared.get(f"{first_hidden}/_history").entries) == 2
    for party in cast.others.values():
        assert party.get(f"{first_open}/_history/1").status == 404
    shown = {reference_to(r) for r in cast.member.get("Observation/_history").entries}
    assert first_open not in shown
    versions = [
        entry["resource"]["meta"]["versionId"]
        for entry in cast.member.get("Observation/_history").body["entry"]
        if reference_to(entry["resource"]) == first_hidden
    ]
    assert versions == ["2"]


def test_clearance_counts_inside_a_plan_alone(cast: Cast) -> None:
    outsider = cast.world.party(EVERYTHING, CLEARED)
    observation = made(cast.author, labelled(cast.case, RESTRICTED))

    assert outsider.get(observation).status == 404


def test_what_cannot_be_restricted_is_not_labelled_so(cast: Cast) -> None:
    group: Resource = {"resourceType": "Practitioner", "meta": {"security": [RESTRICTED]}}
    goal: Resource = {
        "resourceType": "Goal",
        "meta": {"security": [SENSITIVE]},
        "lifecycleStatus": "active",
        "description": {"text": "speaks of it"},
        "subject": {"reference": cast.case.patient},
    }
    patient = cast.author.read(cast.case.patient)

    replies = {
        "Practitioner": cast.author.post(group),
        "Goal": cast.author.post(goal),
        "Patient": cast.author.put({**patient, "meta": {**patient["meta"], "security": [VERY_RESTRICTED]}}),
    }

    for name, reply in replies.items():
        assert (reply.status, reply.rules, reply.paths) == (422, {"label-not-kept"}, {f"{name}.meta.security"})
    assert cast.author.put({**patient, "meta": {**patient["meta"], "security": [NORMAL]}}).status == 200


def test_what_is_its_authors_alone_may_carry_any_label(cast: Cast) -> None:
    own = made(cast.author, {"resourceType": "Group", "type": "person", "actual": False,
                             "meta": {"security": [VERY_RESTRICTED]}})  # fmt: skip

    assert cast.author.get(own).status == 200
    assert cast.cleared.get(own).status == 404


def test_a_label_is_given_and_taken_by_the_author_and_holds_at_once(cast: Cast) -> None:
    observation = made(cast.author, labelled(cast.case))
    label = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"security": [RESTRICTED]}}]}
    assert cast.member.get(observation).status == 200

    assert cast.member.ask("POST", f"{observation}/$meta-add", label).status == 403
    assert cast.author.ask("POST", f"{observation}/$meta-add", label).status == 200
    assert cast.member.get(observation).status == 404
    assert cast.author.ask("POST", f"{observation}/$meta-delete", label).status == 200
    assert cast.member.get(observation).status == 200
