"""Who reads the audit: the custodian of the plan that an AuditEvent tells of, and nobody else."""

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from fhir_server.app import web
from fhir_server.demo.referral import Person
from fhir_server.fhir.dates import instant, now
from fhir_server.fhir.json import Resource, decode
from fhir_server.fhir.reference import references_in
from fhir_server.store.mongo.documents import NAMED
from tests.access.actors import AUTHOR, CUSTODIAN, KINDS, MEMBER, NOBODY, OFFERED, OPERATOR, OUTSIDER
from tests.access.asking import batch
from tests.access.circle import Matrix, made, second_custodian
from tests.access.samples import unagreed_alone
from tests.minimal import minimal
from tests.world import Party, Reply


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in {NOBODY, CUSTODIAN}])
def test_nobody_but_the_custodian_finds_audit_events_of_the_plan(matrix: Matrix, kind: str) -> None:
    """The custodian that waits for consent is the same organisation: it finds none of that other plan."""
    told, party = matrix.circle(kind).events, matrix.parties[kind]
    assert told

    assert {party.get(event).status for event in told[:3]} == {404}
    ids = ",".join(event.partition("/")[2] for event in told)
    assert party.get(f"AuditEvent?_id={ids}&_total=accurate").body["total"] == 0
    if party is not matrix.parties[CUSTODIAN]:
        assert party.get("AuditEvent?_total=accurate&_count=1").body["total"] == 0


def test_the_custodian_finds_who_read_the_chart(matrix: Matrix) -> None:
    member, custodian, refs = matrix.parties[MEMBER], matrix.parties[CUSTODIAN], matrix.agreed.refs
    assert member.get(refs["Condition"]).status == 200

    found = custodian.get(f"AuditEvent?entity={refs['Condition']}&_sort=-_lastUpdated&_count=500").entries
    assert any(
        event["agent"][0]["who"]["reference"] == member.reference and event["subtype"][0]["code"] == "read"
        for event in found
    )


def test_the_custodian_finds_who_was_shown_a_page_of_the_chart(matrix: Matrix) -> None:
    world = matrix.world
    hosp, member, outsider = world.hospital(), world.party(), world.party()
    case = world.case(hosp, member)
    for status in ("received", "accepted"):
        assert member.move(case.task, status).status == 200
    flags = [made(hosp, minimal("Flag", subject={"reference": case.patient})) for _ in range(6)]
    assert len(member.get(f"Flag?patient={case.patient}").entries) == 6
    assert len(member.get(f"Flag?patient={case.patient}&_count=2").entries) == 2

    pages = {
        flag: [
            event
            for event in world.custodian.get(f"AuditEvent?entity={flag}&subtype=search-type").entries
            if event["agent"][0]["who"]["reference"] == member.reference
        ]
        for flag in flags
    }

    assert sorted(len(events) for events in pages.values()) == [1, 1, 1, 1, 2, 2]
    assert world.audit().count_documents({NAMED: flags[0]}) == 1
    assert outsider.get(f"AuditEvent?entity={flags[0]}").entries == []
    found = world.custodian.get(f"Flag?_id={flags[5][5:]}&_revinclude=AuditEvent:entity&_count=1")
    assert {each["id"] for each in pages[flags[5]]} < {each["id"] for each in found.entries}


def test_the_custodians_audit_tells_of_its_own_plans_alone(matrix: Matrix) -> None:
    """Page by page: nothing that an event names lies in the plan that still waits for consent."""
    hidden = unagreed_alone(matrix)
    custodian = matrix.parties[CUSTODIAN]

    for event in custodian.get("AuditEvent?_sort=-_lastUpdated&_count=200").entries:
        named = {target for _, target in references_in(event.get("entity", []))}
        assert not named & hidden, event


def test_a_search_over_two_custodians_plans_tells_each_of_its_own_alone(matrix: Matrix) -> None:
    world = matrix.world
    other = second_custodian(world)
    hosp, home = world.hospital(), world.party()
    ours = world.case(hosp, home)
    theirs = world.case(hosp, home, Person("Uwe", "Maes", "male", 61, "Eupen", "4700", "de"))
    assert hosp.read(theirs.team)["managingOrganization"] == [{"reference": other.reference}]

    assert hosp.get(f"Task?_id={ours.task[5:]},{theirs.task[5:]}&_total=accurate").body["total"] == 2

    for custodian, own, foreign in ((world.custodian, ours, theirs), (other, theirs, ours)):
        named = _named_in_searches(custodian, hosp)
        assert own.task in named
        assert foreign.task not in named


def test_a_custodian_reads_a_question_only_when_it_names_nobody_but_its_own_person(matrix: Matrix) -> None:
    """Page by page, and of a refusal: what was asked about another custodian's person is the operator's to read."""
    world = matrix.world
    other, hosp, home, out = second_custodian(world), world.hospital(), world.party(), world.party()
    ours = world.case(hosp, home)
    theirs = world.case(hosp, home, Person("Uwe", "Maes", "male", 61, "Eupen", "4700", "de"))
    number = hosp.read(ours.patient)["identifier"][0]["value"]
    plain = [
        f"Condition?patient={ours.patient}&_count=20&_sort=-_lastUpdated",
        f"Condition?patient={ours.patient[8:]}&clinical-status=active&recorded-date=ge2020-01-01",
        f"Condition?subject:Patient={ours.patient[8:]}&_include=Condition:subject&_total=accurate",
        f"Task?_id={ours.task[5:]}&owner={home.reference},Organization/8&owner:missing=false",
        f"Task?focus={ours.order}&based-on={ours.plan}&status=requested&_include=Task:focus",
        f"Patient?_id={ours.patient[8:]}",
        f"{ours.patient}/Condition?_elements=code",
    ]
    naming = [
        f"Condition?patient={ours.patient},{theirs.patient}&_count=1&_sort=_lastUpdated",
        f"Condition?patient={ours.patient[8:]},{theirs.patient[8:]}&_count=1&_sort=_lastUpdated",
        f"Patient?_id={ours.patient[8:]},{theirs.patient[8:]}&_count=1&_sort=_lastUpdated",
        f"Patient?identifier={number},1234567",
        f"Patient?_id={ours.patient[8:]}&name=M,Maes",
        f"Patient?_id={ours.patient[8:]}&birthdate=gt1900-01-01",
        f"Condition?patient={ours.patient}&patient.name=M",
        f"Condition?patient={ours.patient}&_has:Provenance:target:agent:missing=true",
        f"Condition?patient={ours.patient}&_id:not={theirs.condition[10:]}",
        f"Task?_filter=_id eq {ours.task[5:]} or _id eq 7",
    ]
    for place in (*plain, *naming):
        reply = hosp.get(place.replace(" ", "%20"))
        assert reply.status == 200, (place, reply.body)
    matches = {place: hosp.get(place.replace(" ", "%20")).entries for place in plain}
    assert all(matches.values()), [place for place, found in matches.items() if not found]
    assert out.get(f"{ours.patient}/Condition?subject={theirs.patient}").status in {403, 404, 200}

    told = _questions(world.custodian, hosp)

    assert {place for place in plain if place not in told} == set()
    assert not {place for place in naming if place in told}
    shown = _named_in_searches(world.custodian, hosp)
    assert {ours.condition, ours.patient} <= shown
    for question in (*told, *_questions(world.custodian, out)):
        assert theirs.patient[8:] not in question, question
    world.parts.store.settle_audit()
    whole = {
        base64.b64decode(entity["query"]).decode()
        for event in world.audit().find({"body": {"$exists": True}})
        for entity in decode(event["body"]).get("entity", [])
        if "query" in entity
    }
    assert set(naming) <= whole
    assert _questions(other, hosp) == set()


def test_a_custodian_reads_of_a_refusal_without_what_may_name_somebody_else(matrix: Matrix) -> None:
    world = matrix.world
    out, case = world.party(), matrix.agreed.case

    for place in ("_elements=code", "_elements=0199-another", "unheard-of=another"):
        assert out.get(f"{case.condition}?{place}").status in {400, 404}

    told = refused(world.custodian, out, case.condition)
    questions = [base64.b64decode(each["query"]).decode() for e in told for each in e["entity"] if "query" in each]
    assert set(questions) <= {"_elements=code"}


def _questions(custodian: Party, by: Party) -> set[str]:
    """The questions of `by` that the custodian reads."""
    events = custodian.get(f"AuditEvent?agent={by.reference}&_count=200").entries
    entities = [entity for event in events for entity in event.get("entity", [])]
    return {base64.b64decode(entity["query"]).decode() for entity in entities if "query" in entity}


def _named_in_searches(custodian: Party, by: Party) -> set[str]:
    """What the events of searches of `by` name that the custodian reads."""
    events = custodian.get(f"AuditEvent?agent={by.reference}&_count=200").entries
    searches = [event for event in events if event["subtype"][0]["code"] == "search-type"]
    return {target for event in searches for _, target in references_in(event.get("entity", []))}


def refused(party: Party, by: Party, *places: str) -> list[Resource]:
    """The refusals of `by` about one of `places` in the audit that `party` reads."""
    return [
        event
        for event in party.get(f"AuditEvent?outcome=4&agent={by.reference}&_count=200").entries
        if event["agent"][0]["who"]["reference"] == by.reference
        and {each["what"]["reference"] for each in event.get("entity", []) if "what" in each} & set(places)
    ]


def test_the_custodian_reads_who_was_refused_what_of_its_plan(matrix: Matrix) -> None:
    world, case = matrix.world, matrix.agreed.case
    out = world.party()
    absent = out.get("Observation/never-there").raw
    observation = matrix.agreed.refs["Observation"]

    replies = {
        "read": out.get(observation),
        "history-instance": out.get(f"{case.task}/_history"),
        "update": out.put({"resourceType": "Patient", "id": case.patient[8:]}),
        "delete": out.ask("DELETE", case.plan),
        "transaction": out.transact(batch([("GET", case.condition)], "transaction")),
    }

    assert {reply.status for reply in replies.values()} == {404}
    assert replies["read"].raw == absent
    asked = (observation, case.task, case.patient, case.plan, case.condition)
    told = {event["subtype"][0]["code"]: event for place in asked for event in refused(world.custodian, out, place)}
    assert set(told) == set(replies)
    for event in told.values():
        assert event["outcome"] == "4"
        assert case.patient in {each["what"]["reference"] for each in event["entity"] if "what" in each}
    for kind in (OUTSIDER, MEMBER, AUTHOR, OFFERED, OPERATOR):
        assert refused(matrix.parties[kind], out, *asked) == [], kind


def test_a_refusal_about_a_plan_that_waits_for_consent_is_not_for_its_custodian(matrix: Matrix) -> None:
    out, case = matrix.world.party(), matrix.unagreed.case

    assert out.get(case.condition).status == 404

    told = matrix.world.custodian.get(f"AuditEvent?agent={out.reference}&_total=accurate")
    assert (told.body["total"], told.entries) == (0, [])


def test_a_refused_transaction_over_two_custodians_plans_tells_each_of_its_own_alone(matrix: Matrix) -> None:
    world = matrix.world
    other, hosp, out = second_custodian(world), world.hospital(), world.party()
    ours = world.case(hosp, world.party())
    theirs = world.case(hosp, world.party(), Person("Uwe", "Maes", "male", 61, "Eupen", "4700", "de"))
    assert hosp.read(theirs.team)["managingOrganization"] == [{"reference": other.reference}]

    assert out.transact(batch([("GET", ours.task), ("GET", theirs.task)], "transaction")).status == 404

    for custodian, own, foreign in ((world.custodian, ours, theirs), (other, theirs, ours)):
        events = custodian.get(f"AuditEvent?outcome=4&agent={out.reference}&_count=200").entries
        named = {target for event in events for _, target in references_in(event)}
        assert {own.task, own.patient, out.reference} <= named
        assert not {foreign.task, foreign.patient} & named


WAYS: Mapping[str, Callable[[Party, str, str, str], Reply]] = {
    "a search": lambda party, of, *_: party.get(f"AuditEvent?entity={of}&subtype=read"),
    "a count": lambda party, of, *_: party.get(f"AuditEvent?entity={of}&subtype=read&_summary=count"),
    "a history": lambda party, of, _, since: party.get(f"AuditEvent/_history?_count=500&_since={since}"),
    "a reverse include": lambda party, of, *_: party.get(f"{_asked(of)}&_revinclude=AuditEvent:entity"),
    "_has": lambda party, of, _, since: party.get(f"{_asked(of)}&_has:AuditEvent:entity:date=ge{since}"),
    "everything": lambda party, of, about, since: party.get(
        f"{about}/$everything?_type=AuditEvent&_count=500&_since={since}"
    ),
    "a transaction": lambda party, of, *_: party.transact(
        batch([("GET", f"Audit%45vent?entity={of}&subtype=read")], "transaction")
    ),
    "_has in a transaction": lambda party, of, _, since: party.transact(
        batch([("GET", f"{_asked(of)}&_has:AuditEvent:entity:date=ge{since}")], "transaction")
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_was_answered_is_found_at_once_by_every_way_to_ask(matrix: Matrix, way: str) -> None:
    member, custodian, refs = matrix.parties[MEMBER], matrix.parties[CUSTODIAN], matrix.agreed.refs
    content = {name: value for name, value in member.read(refs["Condition"]).items() if name not in {"id", "meta"}}
    fresh = made(member, content)
    time.sleep(0.002)
    since = instant(
        now()
    )  # after all that was told before: so a question goes through little, however long the audit is
    before = told_of(WAYS[way](custodian, fresh, refs["Patient"], since))

    assert member.get(fresh).status == 200

    after = WAYS[way](custodian, fresh, refs["Patient"], since)
    assert after.status == 200, after.body
    assert told_of(after) > before


def told_of(reply: Reply) -> int:
    """How much an answer holds, in whatever it is wrapped."""
    inner = [resource for resource in reply.entries if resource["resourceType"] == "Bundle"]
    bundle = inner[0] if inner else reply.body
    return int(bundle.get("total", len(bundle.get("entry", ()))))


def _asked(reference: str) -> str:
    type_name, _, id = reference.partition("/")
    return f"{type_name}?_id={id}"


def test_who_keeps_more_plans_than_a_question_brings_reads_of_one_person_all_the_same(matrix: Matrix) -> None:
    custodian, patient = matrix.parties[CUSTODIAN], matrix.agreed.refs["Patient"]
    parts = matrix.world.parts
    about_one = len(parts.store.circles_about(patient))
    others = [Person(name, "Peeters", "female", 60) for name in ("Ann", "Bea", "Cis")]
    for other in others[:about_one]:
        matrix.world.case(matrix.world.hospital(), matrix.world.party(), other)
    few = web(replace(parts, services=replace(parts.services, max_circles=about_one)))
    many = Party(few.test_client(), matrix.world.base_path, custodian.reference, custodian.token)

    refused = many.get("AuditEvent?_count=1")
    assert (refused.status, refused.issues[0]["code"]) == (403, "too-costly")
    asked = f"AuditEvent?patient={patient}&_sort=_lastUpdated&_count=5"
    assert many.get(asked).entries == custodian.get(asked).entries != []


@pytest.mark.parametrize("kind", [OUTSIDER, OPERATOR, CUSTODIAN])
def test_nobody_writes_the_audit(matrix: Matrix, kind: str) -> None:
    event = matrix.world.parts.store.read("AuditEvent", matrix.agreed.refs["AuditEvent"].partition("/")[2])
    assert event is not None
    party = matrix.parties[kind]

    for reply in (
        party.post({**event.resource(), "id": "another"}),
        party.put(event.resource()),
        party.ask("DELETE", event.reference),
    ):
        assert reply.status in {403, 404, 422}
    assert matrix.world.parts.store.read("AuditEvent", event.id) == event
