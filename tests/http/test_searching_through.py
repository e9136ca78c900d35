"""Searches through other resources over HTTP: chains, `_has`, `_list`, and what is included forwards and backwards."""

import uuid
from typing import Any
from urllib.parse import quote

import pytest

from fhir_server.store.mongo.search import including
from tests.http.test_searching import ids, observation, pages
from tests.minimal import minimal
from tests.world import Case, Party, World


def made(party: Party, type_name: str, **elements: Any) -> str:
    """The id of a small resource that the party creates."""
    reply = party.post(minimal(type_name, **elements))
    assert reply.status == 201, reply.body
    return str(reply.body["id"])


def person(party: Party, unique: str, **elements: Any) -> str:
    """The id of a Patient with an identifier and a family name of its own."""
    identifier = [{"system": "urn:ids", "value": unique}]
    return made(party, "Patient", identifier=identifier, name=[{"family": f"F{unique}"}], **elements)


@pytest.fixture
def unique() -> str:
    """A value that no other test has."""
    return uuid.uuid4().hex


def test_a_chain_asks_what_is_referred_to(hosp: Party, unique: str) -> None:
    patient = person(hosp, unique, birthDate="1961-04-05")
    other = person(hosp, uuid.uuid4().hex)
    seen = hosp.post(observation(f"Patient/{patient}")).body["id"]
    hosp.post(observation(f"Patient/{other}"))

    assert ids(hosp.get(f"Observation?patient.identifier=urn:ids|{unique}")) == [seen]
    assert ids(hosp.get(f"Observation?subject:Patient.family=F{unique}")) == [seen]
    assert ids(hosp.get(f"Observation?subject.name:exact=F{unique}")) == [seen]
    assert ids(hosp.get(f"Observation?patient.identifier={unique}&patient.birthdate=lt1962")) == [seen]
    assert ids(hosp.get(f"Observation?patient.identifier={unique}&patient.birthdate=gt1962")) == []
    assert ids(hosp.get(f"Observation?patient.identifier={unique}&code=other")) == []
    assert ids(hosp.get("Observation?patient.identifier=nobody-has-it")) == []
    assert ids(hosp.get(f"Observation?patient._id={patient}")) == [seen]


def test_a_chain_goes_on_as_far_as_it_is_told(hosp: Party, unique: str) -> None:
    patient = person(hosp, unique)
    first = hosp.post(observation(f"Patient/{patient}")).body["id"]
    second = hosp.post(observation(f"Patient/{patient}", derivedFrom=[{"reference": f"Observation/{first}"}])).body[
        "id"
    ]
    third = hosp.post(observation(f"Patient/{patient}", derivedFrom=[{"reference": f"Observation/{second}"}])).body[
        "id"
    ]

    asked = f"derived-from:Observation.derived-from:Observation.patient.identifier={unique}"
    assert ids(hosp.get(f"Observation?{asked}")) == [third]


def test_has_asks_what_refers_to_the_resource(hosp: Party, unique: str) -> None:
    patient, other = person(hosp, unique), person(hosp, uuid.uuid4().hex)
    hosp.post(observation(f"Patient/{patient}", unique))
    hosp.post(observation(f"Patient/{other}", "another"))

    assert ids(hosp.get(f"Patient?_has:Observation:patient:code={unique}")) == [patient]
    assert ids(hosp.get(f"Patient?_has:Observation:patient:code={unique}&identifier=x")) == []
    assert ids(hosp.get(f"Patient?_has:Observation:patient:code=nothing-{unique}")) == []


def test_has_goes_on_through_chains_and_others(hosp: Party, unique: str) -> None:
    patient = person(hosp, unique)
    seen = hosp.post(observation(f"Patient/{patient}", unique)).body["id"]
    hosp.post(observation(f"Patient/{patient}", f"after-{unique}", derivedFrom=[{"reference": f"Observation/{seen}"}]))

    nested = f"_has:Observation:patient:_has:Observation:derived-from:code=after-{unique}"
    assert ids(hosp.get(f"Patient?{nested}")) == [patient]
    chained = f"_has:Observation:patient:derived-from:Observation.code={unique}"
    assert ids(hosp.get(f"Patient?{chained}")) == [patient]
    assert ids(hosp.get(f"Observation?_id={seen}&patient._has:Observation:patient:code=after-{unique}")) == [seen]


def test_a_list_finds_its_items(hosp: Party, unique: str) -> None:
    patient, other = person(hosp, unique), person(hosp, uuid.uuid4().hex)
    entry = [{"item": {"reference": f"Patient/{each}"}} for each in (patient, other)]
    listed = made(hosp, "List", subject={"reference": f"Patient/{patient}"}, entry=entry)

    assert sorted(ids(hosp.get(f"Patient?_list={listed}"))) == sorted([patient, other])
    assert ids(hosp.get(f"Patient?_list={listed}&identifier={unique}")) == [patient]
    assert ids(hosp.get(f"Observation?_list={listed}")) == []
    assert ids(hosp.get("Patient?_list=there-is-none")) == []


def test_words_are_asked_of_what_refers_and_of_what_is_referred_to(hosp: Party, world: World, unique: str) -> None:
    patient = person(hosp, unique)
    about = {"references": {"Patient": f"Patient/{patient}"}, "subject": {"reference": f"Patient/{patient}"}}
    said = made(hosp, "Procedure", note=[{"text": f"{unique} ramp"}], **about)
    part = made(hosp, "Procedure", partOf=[{"reference": f"Procedure/{said}"}], **about)
    seen = made(hosp, "Observation", partOf=[{"reference": f"Procedure/{said}"}], **about)

    assert ids(hosp.get(f'Patient?_has:Procedure:patient:_content="{unique} ramp"')) == [patient]
    assert ids(hosp.get(f"Patient?_has:Procedure:patient:_text={unique}")) == []
    assert ids(hosp.get(f'Patient?_has:Procedure:patient:_content="ramp {unique}"')) == []
    assert ids(hosp.get(f"Procedure?part-of:Procedure._content={unique}")) == [part]
    assert ids(hosp.get(f"Observation?part-of._content={unique}")) == [seen]
    assert ids(world.party().get(f"Patient?_has:Procedure:patient:_content={unique}")) == []
    refused = hosp.get(f"Patient?_has:Observation:patient:_content={unique}")
    assert (refused.status, "SAMEN_FULL_TEXT" in refused.issues[0]["diagnostics"]) == (400, True)
    nowhere = hosp.get(f"Observation?encounter._content={unique}")
    assert (nowhere.status, "has a search parameter '_content'" in nowhere.issues[0]["diagnostics"]) == (400, True)


def test_pages_of_a_chain_hold_everything_once(hosp: Party, unique: str) -> None:
    patient = person(hosp, unique)
    seen = [hosp.post(observation(f"Patient/{patient}")).body["id"] for _ in range(5)]

    found = pages(hosp, f"Observation?patient.identifier={unique}&_count=2")

    assert [len(page) for page in found] == [2, 2, 1]
    assert sorted(id for page in found for id in page) == sorted(seen)


def test_what_refers_to_a_match_comes_with_it(hosp: Party, unique: str) -> None:
    patient = person(hosp, unique)
    seen = hosp.post(observation(f"Patient/{patient}")).body["id"]
    hosp.post(observation(f"Patient/{person(hosp, uuid.uuid4().hex)}"))

    reply = hosp.get(f"Patient?identifier={unique}&_revinclude=Observation:patient")

    assert (ids(reply), ids(reply, "include")) == ([patient], [seen])
    wild = hosp.get(f"Patient?_id={patient}&_revinclude=Observation:*")
    assert ids(wild, "include") == [seen]
    none = hosp.get(f"Patient?_id={patient}&_revinclude=Condition:patient")
    assert ids(none, "include") == []


def test_a_wildcard_includes_by_every_reference(hosp: Party, unique: str) -> None:
    patient = person(hosp, unique)
    first = hosp.post(observation(f"Patient/{patient}")).body["id"]
    second = hosp.post(observation(f"Patient/{patient}", derivedFrom=[{"reference": f"Observation/{first}"}])).body[
        "id"
    ]

    for asked in ("*", "Observation:*"):
        assert sorted(ids(hosp.get(f"Observation?_id={second}&_include={asked}"), "include")) == sorted(
            [patient, first]
        )


def test_iterate_goes_five_rounds_far(hosp: Party, unique: str) -> None:
    patient, chain = person(hosp, unique), list[str]()
    for _ in range(8):
        derived = [{"reference": f"Observation/{chain[-1]}"}] if chain else []
        more = {"derivedFrom": derived} if derived else {}
        chain.append(hosp.post(observation(f"Patient/{patient}", **more)).body["id"])

    forwards = hosp.get(f"Observation?_id={chain[-1]}&_include:iterate=Observation:derived-from")
    backwards = hosp.get(f"Observation?_id={chain[0]}&_revinclude:iterate=Observation:derived-from")

    assert sorted(ids(forwards, "include")) == sorted(chain[2:7])
    assert sorted(ids(backwards, "include")) == sorted(chain[1:6])


def test_what_brings_too_much_beside_its_matches_is_refused(
    hosp: Party, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = person(hosp, unique)
    for _ in range(4):
        hosp.post(observation(f"Patient/{patient}"))
    asked = f"Patient?_id={patient}&_revinclude=Observation:patient"

    monkeypatch.setattr(including, "MOST_INCLUDED", 4)
    assert len(ids(hosp.get(asked), "include")) == 4
    monkeypatch.setattr(including, "MOST_INCLUDED", 3)
    refused = hosp.get(asked)

    assert (refused.status, refused.issues[0]["code"]) == (403, "too-costly")
    assert "smaller pages" in refused.issues[0]["diagnostics"]


def test_iterate_follows_what_was_included(hosp: Party, unique: str) -> None:
    patient, last = person(hosp, unique), ""
    chain = []
    for _ in range(4):
        earlier: dict[str, Any] = {"derivedFrom": [{"reference": f"Observation/{last}"}]} if last else {}
        last = hosp.post(observation(f"Patient/{patient}", **earlier)).body["id"]
        chain.append(last)

    once = hosp.get(f"Observation?_id={last}&_include=Observation:derived-from")
    on = hosp.get(f"Observation?_id={last}&_include:iterate=Observation:derived-from")
    back = hosp.get(f"Observation?_id={chain[0]}&_revinclude:iterate=Observation:derived-from")
    then = hosp.get(f"Observation?_id={last}&_include=Observation:patient&_revinclude:iterate=Observation:patient")

    assert ids(once, "include") == [chain[2]]
    assert ids(on, "include") == [chain[2], chain[1], chain[0]]
    assert ids(back, "include") == chain[1:]
    assert sorted(ids(then, "include")) == sorted([patient, *chain[:3]])


def test_a_questionnaire_is_included_by_its_url(hosp: Party, unique: str) -> None:
    url = f"https://samen.example/{unique}"
    form = made(hosp, "Questionnaire", url=url, status="active")
    patient = person(hosp, unique)
    subject = {"reference": f"Patient/{patient}"}
    answers = made(hosp, "QuestionnaireResponse", questionnaire=f"{url}|1.0", subject=subject)

    reply = hosp.get(f"QuestionnaireResponse?_id={answers}&_include=QuestionnaireResponse:questionnaire")

    assert ids(reply, "include") == [form]


def test_a_chain_needs_the_scope_of_each_type_that_it_goes_through(world: World) -> None:
    reader = world.party("system/Observation.rs")

    assert reader.get("Observation?patient.identifier=x").status == 403
    assert reader.get("Observation?_has:Observation:derived-from:code=x").status == 200


def test_the_worklist_of_a_person_is_found_by_the_identifier(world: World, hosp: Party) -> None:
    home = world.party()
    case: Case = world.case(hosp, home)
    identifier = hosp.read(case.patient)["identifier"][0]
    value = f"{identifier['system']}|{identifier['value']}"

    asked = (
        f"Task?patient.identifier={value}&_id={case.task.partition('/')[2]}&_include=Task:focus&_revinclude=Task:focus"
    )
    assert ids(hosp.get(asked)) == [case.task.partition("/")[2]]
    assert ids(hosp.get(asked), "include") == [case.order.partition("/")[2]]


def test_worklists_are_found_by_what_r4_has_no_parameter_for(world: World, hosp: Party, unique: str) -> None:
    operator = world.operator
    patient = f"Patient/{operator.post(minimal('Patient')).body['id']}"

    def stored(type_name: str, value: str, **elements: Any) -> str:
        named = {"reference": patient, "identifier": {"system": "urn:ids", "value": value}}
        reply = operator.post(minimal(type_name, **{"for" if type_name == "Task" else "subject": named, **elements}))
        assert reply.status == 201, reply.body
        return str(reply.body["id"])

    early, late = (
        stored("Task", unique, restriction={"period": {"end": f"2026-0{month}-15"}}, status="requested")
        for month in (3, 4)
    )
    stored("Task", f"{unique}-other", restriction={"period": {"end": "2026-03-15"}})
    plan = stored("CarePlan", unique)
    stored("CarePlan", f"{unique}-other")

    for name in ("subject-identifier", "patient:identifier", "subject:identifier"):
        assert ids(operator.get(f"CarePlan?{name}=urn:ids|{unique}")) == [plan], name
        assert sorted(ids(operator.get(f"Task?{name}={unique}"))) == sorted([early, late]), name
    mine = f"Task?subject-identifier=urn:ids|{unique}"
    assert ids(operator.get(f"{mine}&due=lt2026-04")) == [early]
    assert ids(operator.get(f"{mine}&due=2026-04-15&status=requested")) == [late]
    assert ids(operator.get(f"{mine}&_sort=-due")) == [late, early]
    assert ids(operator.get(f"Task?subject-identifier=urn:others|{unique}")) == []
    assert ids(hosp.get(mine)) == []


def test_in_asks_for_the_codes_of_a_stored_value_set(world: World, hosp: Party, unique: str) -> None:
    url = f"https://samen.example/ValueSet/{unique}"
    include = [{"system": "urn:codes", "concept": [{"code": "a"}, {"code": "b"}]}]
    kept: dict[str, Any] = {"id": f"vs-{unique}", "url": url, "status": "active", "compose": {"include": include}}
    assert world.operator.put(minimal("ValueSet", **kept)).status == 201
    patient = person(hosp, unique)
    made = {code: hosp.post(observation(f"Patient/{patient}", code)).body["id"] for code in "abc"}

    assert sorted(ids(hosp.get(f"Observation?patient={patient}&code:in={url}"))) == sorted([made["a"], made["b"]])
    assert ids(hosp.get(f"Observation?patient={patient}&code:not-in=ValueSet/vs-{unique}")) == [made["c"]]
    assert ids(hosp.get(f"Patient?_has:Observation:patient:code:in={url}")) == [patient]
    assert hosp.get(f"Observation?code:in={url}-unknown").status == 400


def test_what_is_about_a_person_is_found_below_it(hosp: Party, unique: str) -> None:
    patient, other = person(hosp, unique), person(hosp, uuid.uuid4().hex)
    seen = [hosp.post(observation(f"Patient/{patient}", code)).body["id"] for code in "aab"]
    hosp.post(observation(f"Patient/{other}", "a"))

    assert sorted(ids(hosp.get(f"Patient/{patient}/Observation"))) == sorted(seen)
    assert ids(hosp.get(f"Patient/{patient}/Observation?code=b")) == [seen[2]]
    assert ids(hosp.get(f"Patient/{patient}/Condition")) == []
    assert ids(hosp.get("Patient/nobody/Observation")) == []
    first = hosp.get(f"Patient/{patient}/Observation?_count=2")
    onward = next(link["url"] for link in first.body["link"] if link["relation"] == "next")
    assert f"/Patient/{patient}/Observation?" in onward
    rest = hosp.get(onward.partition("/fhir/")[2])
    assert sorted(ids(first) + ids(rest)) == sorted(seen)


def test_a_batch_searches_below_a_person_too(hosp: Party, unique: str) -> None:
    patient = person(hosp, unique)
    seen = hosp.post(observation(f"Patient/{patient}")).body["id"]
    entry = [{"request": {"method": "GET", "url": f"Patient/{patient}/Observation"}}]
    reply = hosp.transact({"resourceType": "Bundle", "type": "batch", "entry": entry})
    [found] = reply.body["entry"][0]["resource"]["entry"]
    assert found["resource"]["id"] == seen


@pytest.mark.parametrize(
    ("place", "status"),
    [
        ("Patient/1/Organization", 400),
        ("Patient/1/Colour", 404),
        ("Task/1/Observation", 404),
        ("Patient/1/Observation?colour=red", 400),
        ("Patient/1/observation", 404),
    ],
)
def test_what_is_not_about_a_person_is_not_found_below_it(hosp: Party, place: str, status: int) -> None:
    assert hosp.get(place).status == status


def test_nothing_is_written_below_a_person(hosp: Party) -> None:
    reply = hosp.ask("POST", "Patient/1/Observation", minimal("Observation"))
    assert (reply.status, reply.headers["Allow"]) == (405, "GET, HEAD")


def test_what_refers_to_a_match_needs_the_scopes_to_search_and_to_read_it(
    world: World, hosp: Party, unique: str
) -> None:
    patient = person(hosp, unique)
    seen = hosp.post(observation(f"Patient/{patient}")).body["id"]
    place = f"Patient?_id={patient}&_revinclude=Observation:patient"

    for scopes, found in (("rs", [seen]), ("r", []), ("s", [])):
        party = world.party("system/Patient.rs", f"system/Observation.{scopes}", organization=hosp.reference)
        assert ids(party.get(place), "include") == found, scopes


def test_a_filter_goes_through_others_and_says_not(hosp: Party, unique: str) -> None:
    patient, other = person(hosp, unique), person(hosp, uuid.uuid4().hex)
    mine = hosp.post(observation(f"Patient/{patient}", unique)).body["id"]
    theirs = hosp.post(observation(f"Patient/{other}", unique)).body["id"]

    def found(expression: str) -> list[str]:
        return sorted(ids(hosp.get(f"Observation?code={unique}&_filter={quote(expression)}")))

    assert found(f"patient.identifier eq {unique}") == [mine]
    assert found(f"not (patient.identifier eq {unique})") == [theirs]
    assert found(f"subject:Patient.identifier eq {unique} or subject re Patient/{other}") == sorted([mine, theirs])
    assert found(f"patient.identifier eq {unique} and subject re Patient/{other}") == []
    assert found(f"patient[identifier eq {unique}].family eq F{unique}") == [mine]
    assert found(f"patient[not (identifier eq {unique})].family eq F{unique}") == []
    assert found(f'patient.family gt "F{unique}a" or patient.family lt "F{unique}a" and code eq {unique}') != []
    pages_of_both = pages(hosp, f"Observation?code={unique}&_filter={quote('not (status eq draft)')}&_count=1")
    assert sorted(id for page in pages_of_both for id in page) == sorted([mine, theirs])


def test_a_filter_asks_for_the_codes_of_a_value_set(hosp: Party, world: World, unique: str) -> None:
    url = f"https://example.org/ValueSet/{unique}"
    include = [{"system": "urn:codes", "concept": [{"code": unique}]}]
    value_set = minimal("ValueSet", id=f"of-{unique}", url=url, status="active", compose={"include": include})
    assert world.operator.put(value_set).status == 201
    patient = person(hosp, unique)
    inside = hosp.post(observation(f"Patient/{patient}", unique)).body["id"]
    outside = hosp.post(observation(f"Patient/{patient}", "another")).body["id"]

    assert ids(hosp.get(f"Observation?patient={patient}&_filter={quote(f'code in {url}')}")) == [inside]
    assert ids(hosp.get(f"Observation?patient={patient}&_filter={quote(f'code ni {url}')}")) == [outside]


def coded(party: Party, patient: str, code: str, system: str) -> str:
    """The id of an Observation of a code."""
    body = observation(f"Patient/{patient}")
    body["code"] = {"coding": [{"system": system, "code": code}]}
    return str(party.post(body).body["id"])


def test_codes_stand_above_and_below_each_other_as_a_stored_code_system_says(
    world: World, hosp: Party, unique: str
) -> None:
    system = f"https://samen.example/CodeSystem/{unique}"
    concept = [
        {"code": "finding", "concept": [{"code": "weight", "concept": [{"code": "sitting"}]}, {"code": "height"}]},
        {"code": "measured", "property": [{"code": "parent", "valueCode": "weight"}]},
    ]
    kept = {"id": f"cs-{unique}", "url": system, "status": "active", "content": "complete", "concept": concept}
    assert world.operator.put(minimal("CodeSystem", **kept)).status == 201
    patient = person(hosp, unique)
    codes = ("finding", "weight", "sitting", "height", "measured")
    made = {code: coded(hosp, patient, code, system) for code in codes}
    coded(hosp, patient, "weight", "urn:another")

    def found(asked: str) -> set[str]:
        seen = ids(hosp.get(f"Observation?patient={patient}&{asked}"))
        return {code for code in codes if made[code] in seen} if set(seen) <= set(made.values()) else {"another"}

    assert found(f"code:below={system}|weight") == {"weight", "sitting", "measured"}
    assert found(f"code:above={system}|sitting") == {"sitting", "weight", "finding"}
    assert found(f"code:above={system}|measured") == {"measured", "weight", "finding"}
    assert found(f"code:below={system}|height,{system}|measured") == {"height", "measured"}
    assert found(f"_filter={quote(f'code ss {system}|weight')}") == {"weight", "sitting", "measured"}
    assert found(f"_filter={quote(f'code sb {system}|weight and not (code eq finding)')}") == {"weight"}
    assert ids(hosp.get(f"Patient?_has:Observation:patient:code:below={system}|finding&_id={patient}")) == [patient]
    assert found(f"patient.identifier={unique}&code:below={system}|sitting") == {"sitting"}


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("code:below=weight", "takes codes with their system"),
        ("code:below=urn:s|", "takes codes with their system"),
        ("code:below=urn:nobody-has-it|a", "no CodeSystem of this server has the url"),
        ("subject:below=Patient/1", "takes references such as Device/1 or Location/1"),
        ("performer:below=Organization/1,Practitioner/1", "takes references such as Organization/1"),
        ("patient:below=1", "has no modifier ':below'"),
        ("identifier:below=a|b", "has no modifier ':below'"),
    ],
)
def test_what_stands_nowhere_is_refused(hosp: Party, asked: str, says: str) -> None:
    reply = hosp.get(f"Observation?{asked}")
    assert (reply.status, says in reply.issues[0]["diagnostics"]) == (400, True), reply.body


def test_places_stand_above_and_below_each_other_by_what_they_are_part_of(
    world: World, hosp: Party, unique: str
) -> None:
    def place(name: str, above: str | None = None) -> str:
        part_of = {"partOf": {"reference": f"Location/{above}-{unique}"}} if above else {}
        assert world.operator.put(minimal("Location", id=f"{name}-{unique}", **part_of)).status == 201
        service = {"id": f"s-{name}-{unique}", "location": [{"reference": f"Location/{name}-{unique}"}]}
        assert world.operator.put(minimal("HealthcareService", **service)).status == 201
        return f"Location/{name}-{unique}"

    place("house")
    for name, above in (("floor", "house"), ("room", "floor"), ("garden", "house")):
        place(name, above)
    # a circle, which must end
    assert (
        world.operator.put(
            minimal("Location", id=f"house-{unique}", partOf={"reference": f"Location/room-{unique}"})
        ).status
        == 200
    )

    def found(asked: str) -> set[str]:
        return {id.split("-")[1] for id in ids(hosp.get(f"HealthcareService?{asked}"))}

    assert found(f"location:below=Location/floor-{unique}") == {"floor", "room", "house", "garden"}
    assert found(f"location:above=Location/garden-{unique}") == {"garden", "house", "room", "floor"}
    assert found(f"location:below=Location/garden-{unique}") == {"garden"}
    assert found(f"location:below=garden-{unique},room-{unique}") == {"garden", "room", "house", "floor"}
    assert found(f"location:below=Location/nothing-{unique}") == set()
