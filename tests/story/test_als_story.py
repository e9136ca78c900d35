"""The story of the first programme, each sentence a promise: over real HTTP, by organisations that are themselves."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from fhirpy import AsyncFHIRClient, SyncFHIRClient

from fhir_server.demo.client import FhirClient, Refused
from fhir_server.demo.referral import referral
from fhir_server.demo.story import Cast, tell
from fhir_server.fhir.dates import instant, now
from fhir_server.fhir.json import Resource
from tests.story.conftest import Stage


def _refer(stage: Stage, **how: Any) -> dict[str, str]:
    made = stage.clients["hosp"].transact(referral(now(), **how))
    made["CarePlan"] = stage.clients["hosp"].read(made["Task"])["basedOn"][0]["reference"]
    made["CareTeam"] = stage.clients["hosp"].read(made["CarePlan"])["careTeam"][0]["reference"]
    return made


def _move(client: FhirClient, task: str, *statuses: str, **elements: Any) -> None:
    for status in statuses:
        client.change(task, status=status, lastModified=instant(now()), **elements)


def _members(client: FhirClient, team: str) -> dict[str, Resource]:
    return {p["member"]["reference"]: p for p in client.read(team)["participant"] if "end" not in p["period"]}


def test_the_demo_tells_the_whole_story(stage: Stage) -> None:
    said: list[str] = []
    clients = stage.clients
    cast = Cast(clients["hosp"], clients["home"], clients["casemanager"], clients["out"], stage.told)

    made = tell(cast, said.append)

    assert clients["hosp"].read(made["ServiceRequest"])["status"] == "completed"
    assert len([line for line in said if "Refused" in line]) == 3
    [before] = [line for line in said if line.startswith("2  ")]
    assert "where the person lives" in before
    assert before.endswith("not the plan, the team, the person, the chart.")


def test_each_organisation_authenticates_as_itself_at_the_token_endpoint(stage: Stage) -> None:
    party = stage.credentials["parties"]["hosp"]
    answer = requests.post(
        party["token_endpoint"],
        data={"grant_type": "client_credentials"},
        auth=(party["client_id"], party["client_secret"]),
        timeout=60,
    )
    assert answer.status_code == 200
    client = FhirClient(stage.base, answer.json()["access_token"])
    assert client.read(party["organization"])["name"] == party["name"]
    client.close()


def test_there_is_no_anonymous_mode(stage: Stage) -> None:
    for place in ("metadata", "Task", "Patient/x", "Organization", ""):
        assert requests.get(f"{stage.base}/{place}", timeout=60).status_code == 401, place


def test_the_first_bundle_opens_plan_and_team_in_the_same_commit(stage: Stage) -> None:
    made = _refer(stage)
    hosp = stage.clients["hosp"]

    plan, task, team = hosp.read(made["CarePlan"]), hosp.read(made["Task"]), hosp.read(made["CareTeam"])

    assert plan["status"] == "active"
    assert plan["author"]["reference"] == stage.organization("hosp")
    assert plan["activity"] == [{"reference": {"reference": made["ServiceRequest"]}}]
    assert plan["careTeam"] == [{"reference": made["CareTeam"]}]
    assert task["basedOn"] == [{"reference": made["CarePlan"]}]
    assert task["meta"]["versionId"] == plan["meta"]["versionId"] == team["meta"]["versionId"] == "1"
    assert task["meta"]["lastUpdated"] == plan["meta"]["lastUpdated"] == team["meta"]["lastUpdated"]
    custodian = stage.organization("casemanager")
    assert team["managingOrganization"] == [{"reference": custodian}]
    assert set(_members(hosp, made["CareTeam"])) == {made["Patient"], stage.organization("hosp"), custodian}


def test_without_the_consent_owner_and_custodian_stay_pending_until_it_is_recorded(stage: Stage) -> None:
    from fhir_server.demo.referral import consent

    made = _refer(stage, with_consent=False)
    hosp, home, custodian = (stage.clients[key] for key in ("hosp", "home", "casemanager"))
    _move(home, made["Task"], "received", "accepted")

    assert set(_members(hosp, made["CareTeam"])) == {made["Patient"], stage.organization("hosp")}
    assert home.status_of(made["Patient"]) == custodian.status_of(made["CarePlan"]) == 404
    hosp.create(consent(made["Patient"], now(), stage.organization("hosp")))

    assert {stage.organization("home"), stage.organization("casemanager")} <= set(_members(hosp, made["CareTeam"]))
    assert home.status_of(made["Patient"]) == custodian.status_of(made["CarePlan"]) == 200


def test_the_owner_is_notified_with_a_backport_bundle_that_carries_only_the_address(stage: Stage) -> None:
    made = _refer(stage)

    [bundle] = stage.told("home", made["Task"])

    assert bundle["type"] == "history"
    status = bundle["entry"][0]
    assert status["resource"]["resourceType"] == "Parameters"
    assert status["request"]["url"].endswith("/$status")
    [event] = bundle["entry"][1:]
    assert event["fullUrl"] == f"{stage.base}/{made['Task']}"
    assert "resource" not in event
    assert event["request"]
    assert event["response"]


def test_before_acceptance_the_owner_reads_the_task_the_order_and_not_who_it_is_nor_the_chart(stage: Stage) -> None:
    made = _refer(stage)
    home = stage.clients["home"]

    assert {kind: home.status_of(made[kind]) for kind in ("Task", "ServiceRequest")} == {
        "Task": 200,
        "ServiceRequest": 200,
    }
    assert set(home.read(made["Patient"])) == {"resourceType", "id", "meta", "gender", "address", "communication"}
    for hidden in ("Condition", "Consent", "CarePlan", "CareTeam"):
        assert home.status_of(made[hidden]) == 404, hidden


def test_acceptance_makes_the_owner_a_participant_from_that_moment_in_the_same_commit(stage: Stage) -> None:
    made = _refer(stage)
    home = stage.clients["home"]
    _move(home, made["Task"], "received", "accepted")

    task, team = home.read(made["Task"]), home.read(made["CareTeam"])

    participant = _members(home, made["CareTeam"])[stage.organization("home")]
    assert participant["period"]["start"] == task["meta"]["lastUpdated"] == team["meta"]["lastUpdated"]
    for open_now in ("Patient", "Condition", "CarePlan", "CareTeam"):
        assert home.status_of(made[open_now]) == 200, open_now


def test_an_outsider_gets_one_constant_404_for_all_of_it(stage: Stage) -> None:
    made = _refer(stage)
    headers = {"Authorization": f"Bearer {stage.token('out')}"}
    absent = requests.get(f"{stage.base}/Task/never-there", headers=headers, timeout=60)
    assert absent.status_code == 404
    for reference in made.values():
        for place in (reference, f"{reference}/_history", f"{reference}/_history/1"):
            answer = requests.get(f"{stage.base}/{place}", headers=headers, timeout=60)
            assert (answer.status_code, answer.content) == (404, absent.content), place
        type_name, _, id = reference.partition("/")
        found = requests.get(f"{stage.base}/{type_name}?_id={id}", headers=headers, timeout=60).json()
        assert "entry" not in found, type_name
    included = requests.get(
        f"{stage.base}/Task?_include=Task:focus&_total=accurate", headers=headers, timeout=60
    ).json()
    assert included["total"] == 0
    assert "entry" not in included


def test_completion_ends_the_part_of_the_owner_unless_another_task_keeps_it(stage: Stage) -> None:
    made = _refer(stage)
    hosp, home = stage.clients["hosp"], stage.clients["home"]
    second = hosp.create(_second_task(hosp.read(made["Task"])))
    other = f"Task/{second['id']}"
    for task in (made["Task"], other):
        _move(home, task, "received", "accepted", "in-progress")

    _move(home, made["Task"], "completed")
    assert stage.organization("home") in _members(hosp, made["CareTeam"])

    _move(home, other, "completed")
    assert stage.organization("home") not in _members(hosp, made["CareTeam"])
    assert home.status_of(made["Patient"]) == 404
    assert home.status_of(made["CarePlan"]) == home.status_of(made["Task"]) == 200


def _second_task(task: Resource) -> Resource:
    kept = ("resourceType", "intent", "code", "focus", "for", "requester", "owner", "basedOn")
    return {**{name: task[name] for name in kept}, "status": "requested", "authoredOn": instant(now())}


def test_the_requester_is_notified_of_the_completion_and_completes_the_order(stage: Stage) -> None:
    made = _refer(stage)
    hosp, home = stage.clients["hosp"], stage.clients["home"]
    _move(home, made["Task"], "received", "accepted", "in-progress")
    procedure = home.create(
        {
            "resourceType": "Procedure",
            "basedOn": [{"reference": made["ServiceRequest"]}],
            "status": "completed",
            "subject": {"reference": made["Patient"]},
        }
    )
    output = [{"type": {"text": "care given"}, "valueReference": {"reference": f"Procedure/{procedure['id']}"}}]
    _move(home, made["Task"], "completed", output=output)

    assert len(stage.told("hosp", made["Task"], times=5)) == 5
    assert hosp.read(made["Task"])["output"] == output
    assert hosp.read(f"Procedure/{procedure['id']}")["status"] == "completed"
    hosp.change(made["ServiceRequest"], status="completed")
    assert hosp.read(made["ServiceRequest"])["status"] == "completed"


@pytest.mark.parametrize(
    ("reached", "mover", "asked"),
    [
        (("received", "accepted"), "home", "requested"),
        (("received", "accepted", "in-progress", "completed"), "home", "in-progress"),
        ((), "hosp", "accepted"),
    ],
)
def test_illegal_moves_are_refused_naming_path_and_rule_and_change_nothing(
    stage: Stage, reached: tuple[str, ...], mover: str, asked: str
) -> None:
    made = _refer(stage)
    _move(stage.clients["home"], made["Task"], *reached)
    before = stage.clients["hosp"].read(made["Task"])

    answer = requests.put(
        f"{stage.base}/{made['Task']}",
        json={**before, "status": asked},
        headers={"Authorization": f"Bearer {stage.token(mover)}", "Content-Type": "application/fhir+json"},
        timeout=60,
    )

    assert answer.status_code == 422
    [issue] = answer.json()["issue"]
    assert issue["expression"] == ["Task.status"]
    assert issue["details"]["coding"][0]["code"] == "task-move"
    assert stage.clients["hosp"].read(made["Task"]) == before


def test_an_outsider_cannot_write_to_any_of_it(stage: Stage) -> None:
    made = _refer(stage)
    task = stage.clients["hosp"].read(made["Task"])

    with pytest.raises(Refused, match="404"):
        stage.clients["out"]._ask("PUT", made["Task"], {**task, "note": [{"text": "from outside"}]})

    assert stage.clients["hosp"].read(made["Task"]) == task


def test_a_real_fhir_client_library_plays_its_part(stage: Stage) -> None:
    made = _refer(stage)
    home = SyncFHIRClient(stage.base, authorization=f"Bearer {stage.token('home')}")

    task = home.reference("Task", made["Task"].split("/")[1]).to_resource()
    for status in ("received", "accepted", "in-progress"):
        task["status"] = status
        task.save()
    observation = home.resource(
        "Observation",
        status="final",
        code={"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        subject={"reference": made["Patient"]},
        basedOn=[{"reference": made["ServiceRequest"]}],
    )
    observation.save()
    task["status"] = "completed"
    task.save()

    found = home.resources("Task").search(_id=task["id"]).fetch_all()
    assert [each["status"] for each in found] == ["completed"]
    assert stage.clients["hosp"].read(f"Observation/{observation['id']}")["status"] == "final"


def test_a_real_asynchronous_fhir_client_library_searches(stage: Stage) -> None:
    made = _refer(stage)

    async def owners() -> list[Any]:
        hosp = AsyncFHIRClient(stage.base, authorization=f"Bearer {stage.token('hosp')}")
        found = hosp.resources("Task").search(patient=made["Patient"].split("/")[1]).include("Task", "focus")
        return list(await found.fetch())

    # In a thread of its own: the browser tests of this process may have an event loop running in this one.
    with ThreadPoolExecutor(1) as thread:
        found = thread.submit(asyncio.run, owners()).result()
    assert [task["owner"]["reference"] for task in found] == [stage.organization("home")]
