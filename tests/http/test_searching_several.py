"""Searches of the system and of all that is about a person, over HTTP: parameters, links, parts, refusals."""

import uuid
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
        ("_type=,", "_type"),
        ("_type=Task,CarePlan&_include=Observation:subject", "CarePlan:encounter"),
        ("_type=Task,CarePlan&_include=Task:colour", "Task:focus"),
        ("_include=Colour:subject", "'Colour:subject'"),
        ("_type=Task,CarePlan&_revinclude=Observation:performer", "refers to Task, CarePlan"),
        ("_type=Task,CarePlan&_include=*&_summary=text", "_summary=text"),
        ("_type=Task,CarePlan&_elements=colour", "colour"),
        ("_contained=both", "at most 8"),
        ("_type=Task,CarePlan&_contained=maybe", "_contained"),
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


def brought(reply: Reply) -> list[str]:
    assert reply.status == 200, reply.body
    return [reference_to(e["resource"]) for e in reply.body.get("entry", []) if e["search"]["mode"] == "include"]


def test_what_matches_of_several_types_refer_to_comes_with_them(hosp: Party, person: str) -> None:
    asked = f"?_type=Observation,Flag&patient={person}"

    assert brought(hosp.get(f"{asked}&_include=Flag:patient")) == [person]
    assert brought(hosp.get(f"{asked}&_include=Flag:patient&_include=Observation:patient:Patient")) == [person]
    assert brought(hosp.get(f"{asked}&_include=Flag:encounter")) == []
    assert brought(hosp.get(f"?_type=Flag,Patient&_id={person.partition('/')[2]}&_include=Flag:patient")) == []
    wild = hosp.get(f"{person}/*?_type=Flag,Observation&_include=*")
    assert person in brought(wild)
    assert set(types(wild)) == {"Flag", "Observation"}


def test_what_refers_to_matches_of_several_types_comes_with_them(hosp: Party, person: str) -> None:
    asked = f"?_type=Patient,Flag&_id={person.partition('/')[2]}"

    seen = brought(hosp.get(f"{asked}&_revinclude=Observation:patient"))
    wild = brought(hosp.get(f"{asked}&_revinclude=*"))

    assert [each.partition("/")[0] for each in seen] == ["Observation"] * 3
    assert {*seen, *found(hosp.get(f"Flag?patient={person}"))} <= set(wild)


def test_what_refers_to_matches_of_one_type_comes_by_naming_it(hosp: Party, person: str) -> None:
    asked = f"{person}/*?_type=Patient,Flag"
    [flag] = found(hosp.get(f"Flag?patient={person}"))

    def provenance(target: str) -> str:
        told = minimal("Provenance", target=[{"reference": target}], agent=[{"who": {"reference": hosp.reference}}])
        return f"Provenance/{hosp.post(told).body['id']}"

    of_person, of_flag = provenance(person), provenance(flag)

    assert set(brought(hosp.get(f"{asked}&_revinclude=Provenance:target"))) == {of_person, of_flag}
    assert brought(hosp.get(f"{asked}&_revinclude=Provenance:target:Patient")) == [of_person]
    assert brought(hosp.get(f"{asked}&_revinclude=Provenance:target:Flag")) == [of_flag]
    assert brought(hosp.get(f"{asked}&_revinclude=Provenance:target:Goal")) == []


def test_includes_of_several_types_go_on_with_iterate(hosp: Party, person: str) -> None:
    asked = f"?_type=Flag,Goal&patient={person}&_include=Flag:patient&_revinclude:iterate=Observation:patient"

    assert [each.partition("/")[0] for each in brought(hosp.get(asked))] == ["Patient"] + ["Observation"] * 3


def test_each_page_of_several_types_brings_its_own_beside_it(hosp: Party, person: str) -> None:
    other = f"Patient/{hosp.post(minimal('Patient')).body['id']}"
    assert hosp.post(observation(other, "a")).status == 201
    people = f"{person},{other}"

    reply, shown, beside = hosp.get(f"?_type=Flag,Observation&patient={people}&_count=2&_include=*"), [], []
    while True:
        shown += found(reply)
        beside.append(sorted(each for each in brought(reply) if each.startswith("Patient/")))
        onward = link(reply, "next")
        if onward is None:
            break
        reply = hosp.get(onward)

    assert sorted(shown) == sorted(found(hosp.get(f"?_type=Flag,Observation&patient={people}")))
    assert len(shown) == len(set(shown)) == 5
    assert [person] in beside
    assert {each for page in beside for each in page} == {person, other}


def test_what_is_included_beside_several_types_stays_whole_and_is_not_counted(hosp: Party, person: str) -> None:
    asked = f"?_type=Observation,Flag&patient={person}&_include=Flag:patient"

    cut = hosp.get(f"{asked}&_elements=code&_total=accurate")
    [included] = [e["resource"] for e in cut.body["entry"] if e["search"]["mode"] == "include"]

    assert cut.body["total"] == 4
    assert included == hosp.read(person)
    assert brought(hosp.get(f"{asked}&_summary=count")) == []
    assert brought(hosp.ask("POST", "_search", asked[1:].encode(), **FORM)) == [person]


def test_several_types_are_sorted_by_a_composite_that_they_have_in_common(hosp: Party) -> None:
    told = uuid.uuid4().hex
    for type_name, code in (("Questionnaire", "b"), ("Questionnaire", "a"), ("Group", "")):
        uses = [{"code": {"code": "venue"}, "valueCodeableConcept": {"coding": [{"code": code}]}}]
        made = minimal(type_name, **({"useContext": uses, "name": told} if code else {}))
        assert hosp.post(made).status == 201

    asked = f"?_type=Questionnaire,PlanDefinition&name={told}&_sort="
    shown = [
        each["useContext"][0]["valueCodeableConcept"]["coding"][0]["code"]
        for sort in ("context-type-value", "-context-type-value")
        for each in hosp.get(asked + sort).entries
    ]

    assert shown == ["a", "b", "b", "a"]
    assert hosp.get("?_type=Observation,DocumentReference&_sort=relationship").status == 400


def test_scopes_decide_what_several_types_bring(world: World, hosp: Party, person: str) -> None:
    narrow = world.party("system/Observation.rs", "system/Flag.rs", organization=hosp.reference)
    reads = world.party("system/Flag.rs", "system/Patient.r", "system/Observation.r", organization=hosp.reference)

    assert brought(narrow.get(f"{person}/*?_include=Flag:patient")) == []
    assert brought(reads.get(f"{person}/*?_include=Flag:patient")) == [person]
    assert brought(reads.get(f"{person}/*?_include=Flag:patient&_revinclude:iterate=Observation:patient")) == [person]


def test_a_lenient_search_of_several_types_leaves_out_an_include_that_none_of_them_has(
    hosp: Party, person: str
) -> None:
    asked = f"?_type=Observation,Flag&patient={person}&_include=Task:focus&_revinclude=Provenance:target"
    reply = hosp.get(asked, Prefer="handling=lenient")

    assert len(found(reply)) == 4
    [outcome] = [e["resource"] for e in reply.body["entry"] if e["search"]["mode"] == "outcome"]
    assert [issue["diagnostics"].partition(" ")[0] for issue in outcome["issue"]] == ["_include"]
    assert "_include=" not in str(link(reply, "self"))


def test_a_bundle_may_search_several_types_and_sees_what_it_wrote(hosp: Party, person: str) -> None:
    flag = minimal("Flag", references={"Patient": person}, subject={"reference": person})
    entries: list[Resource] = [
        {"resource": flag, "request": {"method": "POST", "url": "Flag"}},
        {"request": {"method": "GET", "url": f"{person}/*?_type=Flag,Observation"}},
        {"request": {"method": "GET", "url": f"?_type=Flag,Observation&patient={person}"}},
        {"request": {"method": "GET", "url": f"?_type=Patient&_id={person[8:]}&_revinclude=Flag:patient"}},
    ]
    reply = hosp.transact({"resourceType": "Bundle", "type": "transaction", "entry": entries})

    assert reply.status == 200, reply.body
    assert len(reply.body["entry"][3]["resource"]["entry"]) == 3
    for entry in reply.body["entry"][1:3]:
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

    events = world.custodian.get(f"?_type=AuditEvent&patient={case.patient}&_sort=-_lastUpdated&_count=5").entries

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
    assert few.get(f"{person}/Device?_contained=true&_include=*").status == 200
    assert few.get("Device?_contained=true").issues[0]["code"] == "too-costly"
    for asked in (f"{person}/*?_count=100", f"?_type=Observation,Flag&patient={person}"):
        around = brought(few.get(f"{asked}&_include=Observation:performer&_revinclude=Provenance:target"))
        assert person in around or "*" in asked
        assert set(around) <= set(brought(home.get(f"{asked}&_include=*&_revinclude=Provenance:target")))
    assert found(Party(limited, world.base_path, "", world.party().token).get(f"{person}/*")) == []


def test_words_are_searched_in_several_types_that_keep_them(hosp: Party, person: str) -> None:
    word = f"w{uuid.uuid4().hex}"
    about = {"references": {"Patient": person}, "subject": {"reference": person}}
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{word} ramp</p></div>'
    told = f"Procedure/{hosp.post(minimal('Procedure', **about, text={'status': 'generated', 'div': div})).body['id']}"
    noted = [{"text": f"ramp {word}"}]
    said = f"Communication/{hosp.post(minimal('Communication', **about, note=noted)).body['id']}"

    both = "_type=Procedure,Communication"
    assert sorted(found(hosp.get(f"?{both}&_content={word}"))) == sorted([told, said])
    assert found(hosp.get(f"?{both}&_text={word}")) == [told]
    assert found(hosp.get(f'?{both}&_content="ramp {word}"&_total=accurate')) == [said]
    assert sorted(found(hosp.get(f"{person}/*?{both}&_content={word}&_sort=-_lastUpdated"))) == sorted([told, said])
    assert found(hosp.get(f'{person}/*?{both}&_content="{word} ramp"')) == [told]


@pytest.mark.parametrize("parameter", ["_text", "_content"])
def test_words_of_several_types_are_refused_where_one_keeps_none(hosp: Party, person: str, parameter: str) -> None:
    for place, lacking in (
        ("?_type=Procedure,Task,Goal&", "no words of Task, Goal. The setting SAMEN_FULL_TEXT names"),
        (f"{person}/*?", " more types. The setting SAMEN_FULL_TEXT names"),
        ("?", " more types. The setting SAMEN_FULL_TEXT names"),
    ):
        reply = hosp.get(f"{place}{parameter}=ramp")
        [told] = [each["diagnostics"] for each in reply.issues]
        assert (reply.status, lacking in told, "Name some of these by '_type'" in told) == (400, True, True), told
