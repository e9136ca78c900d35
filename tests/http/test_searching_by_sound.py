"""People and organisations are found by how their names sound, over HTTP."""

import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from fhir_server.fhir.actor import OPERATE
from tests.http.test_searching import ids, observation
from tests.minimal import minimal
from tests.world import EVERYTHING, Party, World


@pytest.fixture
def tag() -> str:
    """A tag that no other test has."""
    return uuid.uuid4().hex


def person(party: Party, tag: str, family: str, *given: str, **elements: Any) -> str:
    """The id of a Patient of this name."""
    about: dict[str, Any] = {"meta": {"tag": [{"system": "urn:tags", "code": tag}]}, "name": [{"family": family}]}
    about["name"][0] |= {"given": list(given)} if given else {}
    reply = party.post(minimal("Patient", **about | elements))
    assert reply.status == 201, reply.body
    return str(reply.body["id"])


def test_a_person_is_found_by_how_the_name_sounds(hosp: Party, tag: str) -> None:
    janssen = person(hosp, tag, "Janssens", "Marie-Louise")
    smet = person(hosp, tag, "De Smet", "An")
    desmedt = person(hosp, tag, "Desmedt", "Koen")
    ivanov = person(hosp, tag, "Иванов")
    nobody = person(hosp, tag, "...", name=[{"given": ["'"]}])

    def found(asked: str) -> set[str]:
        return set(ids(hosp.get(f"Patient?_tag={tag}&{quote(asked, safe='=&')}")))

    assert found("phonetic=Jansen") == found("phonetic=JANSSEN marielouise") == {janssen}
    assert found("phonetic=mari louisa") == set()  # not heard alike at their ends
    assert found("phonetic=louise janssen marie") == {janssen}
    assert found("phonetic=De Smedt") == found("phonetic=desmet") == {smet, desmedt}
    assert found("phonetic=an desmet") == found("phonetic=De Smet An") == {smet}
    assert found("phonetic=jans") == found("phonetic=janssens koen") == set()
    assert found("phonetic=иванов") == {ivanov}
    assert found("phonetic=jansen,smit") == {janssen, smet}
    assert found("phonetic=smedt&phonetic=an") == {smet}
    assert found("phonetic=Иванов\\,Jansen") == set()
    assert found("phonetic:missing=true") == set()
    assert found("phonetic:missing=false") == {janssen, smet, desmedt, ivanov, nobody}
    assert found('_filter=phonetic eq "de smet" and given sw k') == {desmedt}
    assert found("_filter=phonetic ne jansen") == {smet, desmedt, ivanov, nobody}
    assert ids(hosp.get(f"Patient?_tag={tag}&_sort=phonetic"))[-1] == nobody


def test_names_lead_through_other_resources_by_their_sound(hosp: Party, tag: str) -> None:
    patient = person(hosp, tag, "Meyer")
    seen = hosp.post(observation(f"Patient/{patient}")).body["id"]
    relative = minimal("RelatedPerson", patient={"reference": f"Patient/{patient}"}, name=[{"text": "Filip Maier"}])
    related = hosp.post(relative).body["id"]

    assert ids(hosp.get(f"Observation?patient.phonetic=Maier&patient._tag={tag}")) == [seen]
    assert ids(hosp.get(f"Observation?patient.phonetic=Maria&patient._tag={tag}")) == []
    assert ids(hosp.get(f"RelatedPerson?patient=Patient/{patient}&phonetic=philippe meijer")) == [related]
    assert ids(hosp.get(f"Patient?_tag={tag}&_has:RelatedPerson:patient:phonetic=phillip")) == [patient]


def test_organisations_and_practitioners_are_found_by_their_sound(world: World, hosp: Party, tag: str) -> None:
    marked = {"meta": {"tag": [{"system": "urn:tags", "code": tag}]}}
    named = minimal("Organization", id=f"o-{tag}", name="Woonzorgcentrum De Linde", **marked)
    doctor = minimal("Practitioner", id=f"p-{tag}", name=[{"family": "Vanden Broecke", "prefix": ["Dr."]}], **marked)
    assert [world.operator.put(each).status for each in (named, doctor)] == [201, 201]

    assert ids(hosp.get(f"Organization?_tag={tag}&phonetic=delinde")) == [f"o-{tag}"]
    assert ids(hosp.get(f"Practitioner?_tag={tag}&phonetic=Van den Brouck")) == [f"p-{tag}"]
    assert ids(hosp.get(f"Practitioner?_tag={tag}&phonetic=dr")) == []


def test_an_index_finds_what_sounds_alike(world: World, tag: str) -> None:
    operator = world.party(EVERYTHING, OPERATE)
    family = "".join(random.choices("bfgklmnprt", k=9))
    for name in (f"De {family}a", f"De{family}a", "De Smet"):
        person(operator, tag, name)

    told = operator.read(f"$explain?_type=Patient&phonetic=De {family}a")["parameter"]
    values = {each["name"]: next(each[name] for name in each if name.startswith("value")) for each in told}

    assert "COLLSCAN" not in values["plan"]
    assert (values["returned"], values["keysExamined"] <= 6) == (2, True), values


def test_nobody_hears_of_whom_they_may_not_read(world: World, hosp: Party, tag: str) -> None:
    person(hosp, tag, "Janssens")

    other = world.hospital()

    assert ids(other.get(f"Patient?phonetic=Jansen&_tag={tag}")) == []
    assert other.get(f"Patient?phonetic=Jansen&_tag={tag}&_total=accurate").body["total"] == 0


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("phonetic:exact=Janssens", "has no modifier ':exact'; it takes :missing"),
        ("phonetic:contains=Janssens", "has no modifier ':contains'"),
        ("phonetic:not=Janssens", "has no modifier ':not'"),
        ("phonetic=...", "takes one to 6 words"),
        ("phonetic=a b c d e f g", "takes one to 6 words"),
        ("phonetic=jansen,", "needs a value"),
        (f"phonetic={','.join(['a b c d e f'] * 4)}", "takes fewer names at once"),
        ("_filter=phonetic co jans", "has no 'co'; it has eq, ne, pr"),
    ],
)
def test_what_cannot_be_heard_is_refused(hosp: Party, asked: str, says: str) -> None:
    reply = hosp.get(f"Patient?{asked}")
    assert (reply.status, says in reply.issues[0]["diagnostics"]) == (400, True), reply.body


def test_the_statement_calls_it_a_string(world: World) -> None:
    resources = world.operator.read("metadata")["rest"][0]["resource"]
    declared = {each["type"]: {p["name"]: p["type"] for p in each["searchParam"]} for each in resources}
    assert {name for name, each in declared.items() if "phonetic" in each} == {
        *("Organization", "Patient", "Practitioner", "RelatedPerson")
    }
    assert {each["phonetic"] for each in declared.values() if "phonetic" in each} == {"string"}


def test_contained_people_are_heard_and_have_an_age_too(hosp: Party, tag: str) -> None:
    born = (datetime.now(UTC).date() - timedelta(days=round(365.25 * 70) + 100)).isoformat()  # no birthday meanwhile
    relative = {
        "resourceType": "RelatedPerson",
        "id": "r",
        "patient": {"display": "?"},
        "name": [{"text": "Filip Thys"}],
    }
    other = {"resourceType": "Patient", "id": "p", "name": [{"family": "Renaud"}], "birthDate": born}
    patient = f"Patient/{person(hosp, tag, 'Peeters')}"
    entry = [{"item": {"reference": reference}} for reference in ("#r", "#p")]
    made = minimal("List", subject={"reference": patient}, entry=entry, contained=[relative, other])
    reply = hosp.post(made)
    assert reply.status == 201, reply.body

    def found(asked: str) -> list[str]:
        return ids(hosp.get(f"{asked}&_contained=true"))

    assert reply.body["id"] in found("RelatedPerson?phonetic=philippe tijs")
    assert reply.body["id"] in found("Patient?phonetic=reno&age=70")
    assert reply.body["id"] not in found("Patient?phonetic=reno&age=69")
    assert reply.body["id"] not in found("Patient?phonetic=reno&age:missing=true")
