"""Patient/$everything and CarePlan/$everything: all that a read shows, and nothing that it refuses."""

import base64
from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeAlias

import pytest

from fhir_server.fhir.dates import now
from fhir_server.fhir.json import Resource
from fhir_server.operations import gathering
from fhir_server.validation.validator import Validator
from tests.minimal import minimal
from tests.world import Case, Party, World

Roles: TypeAlias = tuple[Party, Party, Case, list[str]]


@pytest.fixture(scope="module")
def roles(world: World) -> Roles:
    """A hospital, a service that accepted, their case, and what the service put into the chart."""
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    for status in ("received", "accepted", "in-progress"):
        assert home.move(case.task, status).status == 200
    practitioner = f"Practitioner/{home.post(minimal('Practitioner')).body['id']}"
    made = []
    for number in range(5):
        body = minimal("Observation", references={"Patient": case.patient})
        body |= {"subject": {"reference": case.patient}, "performer": [{"reference": practitioner}]}
        reply = home.post({**body, "code": {"text": f"number {number}"}, "basedOn": [{"reference": case.plan}]})
        assert reply.status == 201, reply.body
        made.append(f"Observation/{reply.body['id']}")
    return hosp, home, case, [practitioner, *made]


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No page ends early, and perhaps empty, because the machine is busy."""
    monkeypatch.setattr(gathering, "SECONDS", 600.0)


def pages(party: Party, place: str, *, whole: bool = True) -> Iterator[Resource]:
    """Each page, by the next links; of parts an invariant may not hold."""
    following: str | None = place
    while following:
        reply = party.get(following)
        assert reply.status == 200, reply.body
        assert not whole or Validator().check(reply.body) == []
        yield reply.body
        links = {link["relation"]: link["url"] for link in reply.body["link"]}
        following = links["next"].partition("/fhir/")[2] if "next" in links else None


def named(bundles: Iterator[Resource] | list[Resource], mode: str = "match") -> list[str]:
    """References in their order."""
    entries = [entry for bundle in bundles for entry in bundle.get("entry", []) if entry["search"]["mode"] == mode]
    return [f"{entry['resource']['resourceType']}/{entry['resource']['id']}" for entry in entries]


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("count", [1, 2, 3, 50])
@pytest.mark.parametrize("about", ["patient", "plan"])
def test_every_page_together_is_all_of_it_and_nothing_twice(roles: Roles, about: str, count: int) -> None:
    hosp, _, case, made = roles

    found = list(pages(hosp, f"{getattr(case, about)}/$everything?_count={count}"))

    assert all(len(named([page])) <= count for page in found)
    assert all(named([page]) for page in found), "an empty page"
    told = named(found)
    assert len(told) == len(set(told))
    assert set(told) >= {case.patient, case.plan, case.team, case.order, case.task, case.condition, *made[1:]}
    assert {case.consent} <= set(told)
    assert set(named(found, "include")) >= {made[0], hosp.reference}
    assert told[0] == getattr(case, about)
    assert all(hosp.get(reference).status == 200 for reference in told)


@pytest.mark.usefixtures("unhurried")
def test_the_custodians_pages_end_though_each_leaves_a_record_that_it_may_read(world: World, roles: Roles) -> None:
    """No page looks through the audit unless it is asked for: every question would add to what the next one finds."""
    _, _, case, _ = roles

    found = list(islice(pages(world.custodian, f"{case.patient}/$everything?_count=1"), 60))

    assert [len(named([page])) for page in found] == [1] * len(found)
    assert len(found) < 60
    asked = list(islice(pages(world.custodian, f"{case.patient}/$everything?_type=AuditEvent&_count=500"), 60))
    assert {name.partition("/")[0] for name in named(asked)} == {"AuditEvent"}


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("about", ["patient", "plan"])
@pytest.mark.parametrize("asked", ["_summary=text", "_elements=name,status"])
def test_the_parts_that_are_asked_for_are_shown_of_each_resource_on_each_page(
    roles: Roles, about: str, asked: str
) -> None:
    hosp, _, case, made = roles
    place = f"{getattr(case, about)}/$everything"

    parts = list(pages(hosp, f"{place}?{asked}&_count=4", whole=False))

    assert set(named(parts)) == set(named(pages(hosp, place)))
    shown = [entry["resource"] for page in parts for entry in page["entry"]]
    assert all(any(tag["code"] == "SUBSETTED" for tag in each["meta"]["tag"]) for each in shown)
    assert {"Practitioner", "Observation"} <= {each["resourceType"] for each in shown}
    assert not {"effectiveDateTime", "performer", "address", "telecom", "participant"} & {n for e in shown for n in e}
    body = {"resourceType": "Parameters", "parameter": [{"name": "_elements", "valueString": "gender"}]}
    posted = hosp.ask("POST", f"{case.patient}/$everything", body)
    assert posted.entries[0].keys() == {"resourceType", "id", "meta", "active", "gender"}
    assert set(hosp.read(made[1])) >= {"performer"}


@pytest.mark.parametrize("asked", ["_summary=count", "_summary=x", "_elements=colour", "_summary=true&_elements=name"])
def test_a_part_that_there_is_not_is_no_part_of_everything(roles: Roles, asked: str) -> None:
    hosp, _, case, _ = roles
    assert hosp.get(f"{case.patient}/$everything?{asked}").status == 400


def test_a_page_that_takes_too_long_ends_and_leads_on(monkeypatch: pytest.MonkeyPatch, roles: Roles) -> None:
    hosp, _, case, _ = roles
    for about in (case.patient, case.plan):
        whole = named(pages(hosp, f"{about}/$everything"))
        with monkeypatch.context() as hurried:
            hurried.setattr(gathering, "SECONDS", -1.0)
            parts = list(pages(hosp, f"{about}/$everything"))
        assert len(parts) > 10
        assert named(parts) == whole


def test_a_plan_shows_what_lies_in_it_alone(world: World, roles: Roles) -> None:
    hosp, _, case, _ = roles
    other = world.case(hosp, world.party())

    told = named(pages(hosp, f"{case.plan}/$everything"))

    assert not set(told) & {other.plan, other.task, other.patient, other.condition}


def test_goals_and_the_outputs_of_tasks_are_part_of_a_plan(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    for status in ("accepted", "in-progress"):
        assert home.move(case.task, status).status == 200
    about = {"subject": {"reference": case.patient}}

    def made(party: Party, type_name: str, **elements: Any) -> str:
        reply = party.post(minimal(type_name, references={"Patient": case.patient}, **{**about, **elements}))
        assert reply.status == 201, reply.body
        return f"{type_name}/{reply.body['id']}"

    goal = made(home, "Goal", description={"text": "walk"}, lifecycleStatus="active")
    seen, report = made(home, "Observation"), made(home, "DiagnosticReport")
    answered = made(home, "QuestionnaireResponse")
    document = made(home, "DocumentReference")
    output = [{"type": {"text": "result"}, "valueReference": {"reference": each}} for each in (seen, report, answered)]
    assert home.move(case.task, "completed", output=output).status == 200

    for place in (case.plan, case.patient):
        told = set(named(pages(hosp, f"{place}/$everything?_count=4")))
        assert {goal, seen, report, answered, document, case.task, case.order, case.team, case.plan} <= told


def test_only_the_asked_types_and_only_what_is_new(roles: Roles) -> None:
    hosp, home, case, made = roles
    for place in (f"{case.patient}/$everything", f"{case.plan}/$everything"):
        assert set(named(pages(hosp, f"{place}?_type=Observation,Task&_count=2"))) == {*made[1:], case.task}
        people = list(pages(hosp, f"{place}?_type=Practitioner&_count=3"))
        assert (named(people), set(named(people, "include"))) == ([], {made[0]})
    moment = now().isoformat().replace("+00:00", "Z")
    assert home.change(made[1], note=[{"text": moment}]).status == 200
    for place in (f"{case.patient}/$everything", f"{case.plan}/$everything"):
        for written in (moment, moment.replace("Z", "+00:00")):
            assert named(pages(hosp, f"{place}?_since={written}")) == [made[1]]


def test_a_parameters_body_asks_the_same(roles: Roles) -> None:
    hosp, _, case, made = roles
    asked = [{"name": "_type", "valueCode": "Observation"}, {"name": "_count", "valueInteger": 2}]

    reply = hosp.ask("POST", f"{case.patient}/$everything", {"resourceType": "Parameters", "parameter": asked})
    links = {link["relation"]: link["url"] for link in reply.body["link"]}
    rest = pages(hosp, links["next"].partition("/fhir/")[2])

    assert sorted([*named([reply.body]), *named(rest)]) == sorted(made[1:])


def test_an_outsider_is_told_what_a_stranger_is_told(world: World, roles: Roles) -> None:
    _, _, case, _ = roles
    outsider = world.party()
    for reference in (case.patient, case.plan):
        hidden = outsider.get(f"{reference}/$everything")
        absent = outsider.get(f"{reference.partition('/')[0]}/never-there/$everything")
        assert (hidden.status, hidden.raw) == (absent.status, absent.raw) == (404, absent.raw)


def test_who_waits_for_consent_gets_nothing_of_plan_or_chart(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home, with_consent=False)
    assert home.move(case.task, "accepted").status == 200

    assert home.get(f"{case.plan}/$everything").status == 404
    assert home.get(f"{case.patient}/$everything").status == home.get(case.patient).status


def test_who_left_the_team_keeps_plan_team_and_its_own_tasks_alone(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    for status in ("accepted", "in-progress", "completed"):
        assert home.move(case.task, status).status == 200

    told = named(pages(home, f"{case.plan}/$everything"))

    assert set(told) == {case.plan, case.team, case.task, case.order}
    assert home.get(f"{case.patient}/$everything").status == 404


def test_an_owner_before_acceptance_gets_no_chart(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)

    assert home.get(f"{case.plan}/$everything").status == 404
    reply = home.get(f"{case.patient}/$everything")
    shown = set(named([reply.body])) if reply.status == 200 else set()
    assert shown <= {case.patient, case.task, case.order}


def test_what_the_token_may_not_read_is_left_out(world: World, roles: Roles) -> None:
    hosp, _, case, _ = roles
    narrow = world.party("system/CarePlan.r", "system/Task.r", organization=hosp.reference)

    assert set(named(pages(narrow, f"{case.plan}/$everything"))) == {case.plan, case.task}
    refused = narrow.get(f"{case.patient}/$everything")
    assert (refused.status, refused.rules) == (403, {"scope"})


def test_every_disclosed_resource_is_in_the_audit(world: World, roles: Roles) -> None:
    hosp, _, case, _ = roles
    known = {event["id"] for event in _events(world, case.plan)}
    reply = hosp.get(f"{case.plan}/$everything?_count=7")
    shown = {*named([reply.body]), *named([reply.body], "include")}

    [event] = [event for event in _events(world, case.plan) if event["id"] not in known]
    assert b"_count=7" in _query(event)

    assert {entity["what"]["reference"] for entity in event["entity"] if "what" in entity} == shown | {case.patient}
    assert [coding["code"] for coding in event["subtype"]] == ["operation", "CarePlan-everything"]
    assert event["agent"][0]["who"]["reference"] == hosp.reference


@pytest.mark.parametrize(
    "asked",
    [
        "_type=Nothing",
        "_since=yesterday",
        "_count=0",
        "_count=x",
        "_cursor=Nothing:",
        "start=spring",
        "end=2026-02-30",
        "start=2026-03&end=2026-02",
        "start=2020&start=2021",
        "_count=1&_count=2",
    ],
)
def test_what_cannot_be_understood_is_refused(roles: Roles, asked: str) -> None:
    hosp, _, case, _ = roles
    for place in (case.patient, case.plan):
        assert hosp.get(f"{place}/$everything?{asked}").status == 400, asked


def test_a_made_up_cursor_shows_nothing_more(world: World, roles: Roles) -> None:
    hosp, _, case, _ = roles
    assert hosp.get(f"{case.patient}/$everything?_cursor=Observation:abc").status == 400
    assert hosp.get(f"{case.plan}/$everything?_cursor=Observation:0").status == 200
    outsider = world.party()
    assert outsider.get(f"{case.plan}/$everything?_cursor=Observation:0").status == 404


def test_other_types_have_no_everything(roles: Roles) -> None:
    hosp, _, case, _ = roles

    assert hosp.get(f"{case.task}/$everything").status == 404


def _events(world: World, plan: str) -> list[Resource]:
    told = world.parts.store.in_plan(plan.partition("/")[2], "AuditEvent")
    return [event.resource() for event in told]


def _query(event: dict[str, Any]) -> bytes:
    return b"".join(base64.b64decode(entity["query"]) for entity in event.get("entity", []) if "query" in entity)
