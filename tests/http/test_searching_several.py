"""Searches of the system and of all that is about a person, over HTTP: parameters, links, parts, refusals."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo import MongoClient

from fhir_server.app import web
from fhir_server.demo.referral import Person
from fhir_server.fhir.json import Resource, decode
from fhir_server.fhir.reference import reference_to
from tests.http.test_searching import observation
from tests.minimal import minimal
from tests.world import Party, Reply, World

FORM = {"Content_Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def hosp(world: World) -> Party:
    """A hospital."""
    return world.hospital()


@pytest.fixture
def person(hosp: Party) -> str:
    """A Patient of the hospital with three Observations and a Flag."""
    patient = f"Patient/{hosp.post(minimal('Patient', name=[{'family': 'Peeters'}])).body['id']}"
    for code in "abc":
        assert hosp.post(observation(patient, code)).status == 201
    flag = minimal("Flag", references={"Patient": patient}, subject={"reference": patient})
    assert hosp.post(flag).status == 201
    return patient


def found(reply: Reply) -> list[str]:
    assert reply.status == 200, reply.body
    return [reference_to(e["resource"]) for e in reply.body.get("entry", []) if e["search"]["mode"] == "match"]


def types(reply: Reply) -> list[str]:
    return [reference.partition("/")[0] for reference in found(reply)]


def link(reply: Reply, relation: str) -> str | None:
    urls = [each["url"] for each in reply.body["link"] if each["relation"] == relation]
    if not urls:
        return None
    parts = urlsplit(urls[0])
    return f"{parts.path.removeprefix('/fhir').lstrip('/')}?{parts.query}"


def test_a_person_comes_with_all_that_is_about_them(hosp: Party, person: str) -> None:
    reply = hosp.get(f"{person}/*?_total=accurate")

    assert types(reply) == ["Flag", "Observation", "Observation", "Observation", "Patient"]
    assert person in found(reply)
    assert reply.body["total"] == 5
    assert types(hosp.get(f"{person}/*?_type=Flag,Patient")) == ["Flag", "Patient"]


def test_searches_of_several_types_may_be_posted(hosp: Party, person: str) -> None:
    at_once = found(hosp.get(f"{person}/*"))

    assert found(hosp.ask("POST", f"{person}/_search", b"", **FORM)) == at_once
    assert found(hosp.ask("POST", f"{person}/*/_search?_type=Flag", b"", **FORM)) == at_once[:1]
    assert types(hosp.ask("POST", "_search", f"_type=Flag,Observation&patient={person}".encode(), **FORM)) == [
        "Flag",
        "Observation",
        "Observation",
        "Observation",
    ]
    assert types(hosp.ask("POST", f"{person}/Observation/_search", b"code=urn:codes|b", **FORM)) == ["Observation"]


def test_the_system_is_searched_by_what_its_types_have_in_common(hosp: Party, person: str) -> None:
    asked = f"_type=Observation,Flag&patient={person}"

    assert types(hosp.get(f"?{asked}")) == ["Observation"] * 3 + ["Flag"]
    assert found(hosp.get(f"?_id={person.partition('/')[2]}")) == [person]
    assert types(hosp.get(f"?{asked}&patient.name=peeters")) == ["Observation"] * 3 + ["Flag"]
    assert types(hosp.get(f"?{asked}&patient.name=janssens")) == []


def test_pages_of_several_types_lead_there_and_back(hosp: Party, person: str) -> None:
    first = hosp.get(f"{person}/*?_count=2&_sort=-_lastUpdated")
    second = hosp.get(str(link(first, "next")))
    third = hosp.get(str(link(second, "next")))

    assert [len(found(each)) for each in (first, second, third)] == [2, 2, 1]
    assert sorted(found(first) + found(second) + found(third)) == sorted(found(hosp.get(f"{person}/*")))
    assert link(third, "next") is None
    assert link(first, "previous") is None
    assert found(hosp.get(str(link(second, "previous")))) == found(first)
    assert found(hosp.get(str(link(third, "first")))) == found(first)
    assert str(link(first, "self")).startswith(f"{person}/*?")


def test_parts_of_several_types(hosp: Party, person: str) -> None:
    asked = f"?_type=Patient,Observation&_id={person.partition('/')[2]}"
    assert hosp.get(f"{asked}&_summary=count").body["total"] == 1
    [cut] = hosp.get(f"{asked}&_elements=identifier").entries
    assert "name" not in cut
    assert cut["meta"]["tag"][-1]["code"] == "SUBSETTED"
    [data] = hosp.get(f"{asked}&_summary=data").entries
    assert data["name"] == [{"family": "Peeters"}]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("_type=Task,CarePlan&due=2026", "have in common"),
        ("_type=Task,CarePlan&_sort=due", "sorted together"),
        ("name=peeters", "have in common"),
        ("_type=Task,Nothing", "'Nothing'"),
        ("_type=Task&_type=CarePlan", "given once"),
        ("_type=", "_type"),
        ("_type=Task,CarePlan&_include=Task:focus", "includes nothing"),
        ("_type=Task,CarePlan&_revinclude=Provenance:target", "includes nothing"),
        ("_type=Task,CarePlan&_elements=restriction", "restriction"),
        ("_type=Task,CarePlan&_contained=both", "contained"),
        ("_lastUpdated=yesterday", "yesterday"),
        ("_cursor=abc", "_cursor"),
    ],
)
def test_what_several_types_cannot_be_asked_is_refused(hosp: Party, asked: str, told: str) -> None:
    refused = hosp.get(f"?{asked}")

    assert refused.status == 400
    assert told in refused.issues[0]["diagnostics"]


def test_what_is_not_about_a_person_is_no_type_of_their_compartment(hosp: Party, person: str) -> None:
    refused = hosp.get(f"{person}/*?_type=Organization")
    assert refused.status == 400
    assert "Organization" in refused.issues[0]["diagnostics"]


def test_a_lenient_search_of_several_types_leaves_out_what_they_have_not_in_common(hosp: Party, person: str) -> None:
    reply = hosp.get(f"?_type=Observation,Flag&patient={person}&code=x&_sort=status", Prefer="handling=lenient")

    assert len(found(reply)) == 4
    [outcome] = [e["resource"] for e in reply.body["entry"] if e["search"]["mode"] == "outcome"]
    assert [issue["diagnostics"].partition(" ")[0] for issue in outcome["issue"]] == ["code", "_sort"]
    assert "code=" not in str(link(reply, "self"))


def test_scopes_decide_which_types_are_searched(world: World, hosp: Party, person: str) -> None:
    narrow = world.party("system/Observation.rs", organization=hosp.reference)

    assert types(narrow.get(f"{person}/*")) == ["Observation"] * 3
    refused = narrow.get("?_type=Observation,Flag")
    assert (refused.status, refused.rules) == (403, {"scope"})
    assert world.party("system/Observation.r", organization=hosp.reference).get(f"{person}/*").status == 403


def test_a_bundle_may_search_several_types_and_sees_what_it_wrote(hosp: Party, person: str) -> None:
    flag = minimal("Flag", references={"Patient": person}, subject={"reference": person})
    entries: list[Resource] = [
        {"resource": flag, "request": {"method": "POST", "url": "Flag"}},
        {"request": {"method": "GET", "url": f"{person}/*?_type=Flag,Observation"}},
        {"request": {"method": "GET", "url": f"?_type=Flag,Observation&patient={person}"}},
    ]
    reply = hosp.transact({"resourceType": "Bundle", "type": "transaction", "entry": entries})

    assert reply.status == 200, reply.body
    for entry in reply.body["entry"][1:]:
        assert sorted(e["resource"]["resourceType"] for e in entry["resource"]["entry"]) == [
            "Flag",
            "Flag",
            "Observation",
            "Observation",
            "Observation",
        ]


def test_the_audit_tells_what_was_asked_and_shown(
    world: World, hosp: Party, person: str, mongo_client: MongoClient[dict[str, Any]]
) -> None:
    hosp.get(f"{person}/*?_type=Flag")

    world.parts.store.settle_audit()
    events = mongo_client[world.parts.settings.database]["AuditEvent"].find({"patient": person}, {"body": 1})
    told = [decode(each["body"]) for each in events]

    [search] = [each for each in told if each["subtype"][0]["code"] == "search-system"]
    assert any("Flag/" in entity.get("what", {}).get("reference", "") for entity in search["entity"])


def test_a_filter_is_asked_of_each_type(hosp: Party, person: str) -> None:
    asked = f"_type=Observation,Flag&_filter=patient%20re%20{person}%20and%20not%20(identifier%20pr%20true)"

    assert types(hosp.get(f"?{asked}")) == ["Observation"] * 3 + ["Flag"]
    refused = hosp.get("?_type=Observation,Flag&_filter=value-string%20eq%20b")
    assert (refused.status, "Flag has no search parameter" in refused.issues[0]["diagnostics"]) == (400, True)


def test_a_search_of_several_types_finds_the_audit_of_what_was_read_just_now(world: World, hosp: Party) -> None:
    case = world.case(hosp, world.party())
    version = world.custodian.read(case.order)["meta"]["versionId"]

    events = world.custodian.get("?_type=AuditEvent&_sort=-_lastUpdated&_count=5").entries

    named = [entity.get("what", {}).get("reference") for event in events for entity in event.get("entity", [])]
    assert any(each in {case.order, f"{case.order}/_history/{version}"} for each in named)


def test_who_cares_for_too_many_people_finds_all_of_one_person_all_the_same(world: World, hosp: Party) -> None:
    """Also what names the person and is about another one; with the circles of a few plans at most."""
    home = world.party()
    cases = [world.case(hosp, home, Person("Lea", f"Claes {number}")) for number in range(3)]
    for case in cases:
        assert home.move(case.task, "received").status == home.move(case.task, "accepted").status == 200
    person, other = cases[0].patient, cases[1].patient
    for about in (person, other):
        seen = observation(about, performer=[{"reference": person}])
        assert hosp.post(seen).status == 201
    services = replace(world.parts.services, max_circles=2)
    limited = web(replace(world.parts, services=services)).test_client()
    few = Party(limited, world.base_path, home.reference, home.token)

    for place in (f"{person}/*?_count=100", f"{person}/Observation?", f"{person}/_search", f"{other}/Observation?"):
        ask = ("POST", place, b"_count=100") if place.endswith("_search") else ("GET", place)
        shown = found(few.ask(*ask, **(FORM if len(ask) == 3 else {})))
        assert shown == found(home.ask(*ask, **(FORM if len(ask) == 3 else {}))), place
        assert shown
    assert len(found(few.get(f"{person}/Observation?"))) == 2
    assert few.get("Observation?status=final").issues[0]["code"] == "too-costly"
    assert found(Party(limited, world.base_path, "", world.party().token).get(f"{person}/*")) == []
