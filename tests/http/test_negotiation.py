"""What a request says about itself and its answer: parameters, formats, versions of FHIR, preferences, methods."""

import uuid

import pytest

from fhir_server.fhir.json import Resource
from tests.minimal import minimal
from tests.world import Party, World

JSON, XML = "application/fhir+json; charset=utf-8", "application/fhir+xml; charset=utf-8"


@pytest.fixture
def person(hosp: Party) -> Resource:
    """A Patient with a narrative."""
    narrative = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Els</div>'}
    made = hosp.post(
        minimal("Patient", text=narrative, name=[{"family": "Maes"}], gender="female", photo=[{"title": "p"}])
    )
    resource: Resource = made.body
    return resource


def place_of(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("_elements=name", {"name"}),
        ("_elements=name,gender", {"name", "gender"}),
        ("_summary=text", {"text"}),
        ("_summary=data", {"name", "gender", "photo"}),
        ("_summary=true", {"name", "gender"}),
    ],
)
@pytest.mark.parametrize("version", ["", "/_history/1"])
def test_a_read_shows_the_part_that_is_asked_for(
    hosp: Party, person: Resource, asked: str, told: set[str], version: str
) -> None:
    reply = hosp.get(f"{place_of(person)}{version}?{asked}")

    assert reply.body.keys() - {"resourceType", "id", "meta"} == told
    assert [tag["code"] for tag in reply.body["meta"]["tag"]] == ["SUBSETTED"]
    assert reply.headers["ETag"] == 'W/"1"'


def test_a_read_that_asks_for_all_is_whole(hosp: Party, person: Resource) -> None:
    assert hosp.get(f"{place_of(person)}?_summary=false&_pretty=true&_format=json").body == person


@pytest.mark.parametrize(
    "asked",
    ["_summary=count", "_summary=some", "_elements=colour", "_summary=true&_elements=name", "name=Maes", "_id=1"],
)
def test_a_read_has_no_other_parameters(hosp: Party, person: Resource, asked: str) -> None:
    for version in ("", "/_history/1"):
        assert hosp.get(f"{place_of(person)}{version}?{asked}").status == 400


def test_no_parameter_of_a_write_is_taken_for_a_condition(hosp: Party, person: Resource) -> None:
    value = uuid.uuid4().hex
    group = minimal("Group", identifier=[{"system": "urn:neg", "value": value}])
    asked = f"identifier=urn:neg|{value}"
    patch = [{"op": "add", "path": "/active", "value": False}]

    for reply in (
        hosp.ask("POST", f"Group?{asked}", group),
        hosp.ask("PUT", f"{place_of(person)}?{asked}", {**person, "active": False}),
        hosp.ask("PATCH", f"{place_of(person)}?{asked}", patch, Content_Type="application/json-patch+json"),
        hosp.ask("DELETE", f"{place_of(person)}?{asked}"),
        hosp.ask("POST", f"?{asked}", {"resourceType": "Bundle", "type": "batch"}),
        hosp.transact(entry_of("POST", f"Group?{asked}", group)),
        hosp.transact(entry_of("GET", f"{place_of(person)}?{asked}")),
    ):
        assert (reply.status, reply.rules) == (400, {"unknown-parameter"})
    assert hosp.get(f"Group?{asked}").entries == []
    assert hosp.read(place_of(person)) == person


def test_who_is_lenient_may_say_more_than_is_understood(hosp: Party, person: Resource) -> None:
    lenient = {"Prefer": "handling=lenient"}

    assert hosp.get(f"{place_of(person)}?colour=red", **lenient).body == person
    assert hosp.ask("POST", "Group?colour=red", minimal("Group"), **lenient).status == 201
    asked = entry_of("GET", f"{place_of(person)}?colour=red", kind="batch")
    asked["entry"] += entry_of("GET", f"Patient?_id={person['id']}&colour=red")["entry"]
    told = hosp.ask("POST", "", asked, **lenient).body["entry"]
    assert [entry["response"]["status"] for entry in told] == ["200 OK", "200 OK"]
    assert [each["search"]["mode"] for each in told[1]["resource"]["entry"]] == ["match", "outcome"]


def entry_of(method: str, url: str, resource: Resource | None = None, kind: str = "transaction") -> Resource:
    """A Bundle of one entry."""
    entry = {**({"resource": resource} if resource else {}), "request": {"method": method, "url": url}}
    return {"resourceType": "Bundle", "type": kind, "entry": [entry]}


@pytest.mark.parametrize(
    ("accepted", "given"),
    [
        ("application/fhir+json; fhirVersion=4.0", JSON),
        ('application/fhir+xml; fhirVersion="4.0"', XML),
        ("application/fhir+json; fhirVersion=3.0, application/fhir+xml; fhirVersion=4.0; q=0.1", XML),
        ("application/*;q=0.2, text/xml;q=0.1", JSON),
        ("application/*;q=.2, application/fhir+xml", XML),
        ("application/fhir+json;q=.5, application/fhir+xml;q=0.6", XML),
        ("application/fhir+xml;q=0.60000, application/fhir+json;q=0.7", JSON),
        ("image/gif, *; q=.2", JSON),
        ("*", JSON),
        ("application/json;q=0.1, application/fhir+json, application/fhir+xml;q=0.5", JSON),
        ("application/json;q=0, application/fhir+json", JSON),
        ("application/fhir+json;q=0, */*", XML),
        ("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", JSON),
        ("text/html, application/fhir+json;q=0.9", JSON),
        ("text/html;q=0.5, application/fhir+xml", XML),
        ("APPLICATION/FHIR+XML", XML),
    ],
)
def test_the_answer_comes_in_what_is_accepted_most(hosp: Party, person: Resource, accepted: str, given: str) -> None:
    reply = hosp.get(place_of(person), Accept=accepted)

    assert (reply.status, reply.headers["Content-Type"]) == (200, given)


@pytest.mark.parametrize(
    ("accepted", "named"),
    [
        ("application/json", "application/json"),
        ("text/json", "text/json"),
        ("Application/XML", "application/xml"),
        ("text/xml; q=0.9", "text/xml"),
        ("application/json, text/plain, */*", "application/json"),
        ("application/*;q=0.2, text/xml", "text/xml"),
        ("application/fhir+json, application/json", "application/fhir+json"),
        ("application/fhir+json;q=0, application/json", "application/json"),
        ("application/json+fhir", "application/fhir+json"),
    ],
)
def test_a_generic_type_is_answered_by_its_name(
    world: World, hosp: Party, person: Resource, accepted: str, named: str
) -> None:
    for reply in (
        hosp.get(place_of(person), Accept=accepted),
        hosp.get("Patient/none", Accept=accepted),
        world.nobody().get("metadata", Accept=accepted),
    ):
        assert reply.headers["Content-Type"] == f"{named}; charset=utf-8"


def test_a_format_without_a_value_is_not_asked_for(hosp: Party, person: Resource) -> None:
    for place in (place_of(person), f"{place_of(person)}/_history/1"):
        reply = hosp.get(f"{place}?_format=&_pretty=", Accept="application/fhir+xml")
        assert (reply.status, reply.headers["Content-Type"]) == (200, XML)
    assert hosp.get("Patient?_count=1&_format=&_pretty=").body["link"][0]["url"].endswith("/Patient?_count=1")


@pytest.mark.parametrize(
    "accepted", ["application/fhir+json; fhirVersion=3.0", "application/fhir+turtle", "*/*;q=0", "image/*"]
)
def test_what_is_not_spoken_is_not_acceptable(hosp: Party, person: Resource, accepted: str) -> None:
    assert (hosp.get(place_of(person), Accept=accepted).status) == 406


def test_another_version_of_fhir_is_not_spoken_either_way(hosp: Party, person: Resource) -> None:
    for version, status in (("4.0", 201), ("4.0.1", 201), ("3.0", 415), ("5.0", 415)):
        kind = f"application/fhir+json; fhirVersion={version}"
        assert hosp.post(minimal("Group"), Content_Type=kind).status == status, version
        patched = hosp.ask("PATCH", place_of(person), [], Content_Type=kind.replace("fhir+json", "json-patch+json"))
        assert patched.status == (200 if status == 201 else status), version
    place = place_of(person)
    assert hosp.get(f"{place}?_format=application/fhir%2Bxml;fhirVersion=4.0").headers["Content-Type"] == XML
    assert hosp.get(f"{place}?_format=application/fhir%2Bxml;fhirVersion=5.0").status == 406


@pytest.mark.parametrize(
    "preferred",
    [
        "return=minimal",
        'return="minimal"',
        "Return=Minimal",
        "return = minimal",
        "respond-async, return=minimal; wait=9",
    ],
)
def test_a_preference_is_understood_however_it_is_spelt(hosp: Party, preferred: str) -> None:
    reply = hosp.post(minimal("Group"), Prefer=preferred)

    assert (reply.status, reply.raw) == (201, b"")


def test_the_first_of_two_preferences_counts(hosp: Party) -> None:
    reply = hosp.post(minimal("Group"), Prefer="return=OperationOutcome, return=minimal")

    assert reply.body["resourceType"] == "OperationOutcome"


def test_what_r4_does_not_know_is_no_preference(hosp: Party) -> None:
    assert hosp.post(minimal("Group"), Prefer="return=everything, handling=gently").body["resourceType"] == "Group"


@pytest.mark.parametrize("method", ["PROPFIND", "TRACE", "CONNECT", "FOO", "OPTIONS"])
def test_a_method_of_no_fhir_is_refused_in_its_words(world: World, hosp: Party, method: str) -> None:
    for place, allowed in (
        ("Patient/1", "DELETE, GET, HEAD, PATCH, PUT"),
        ("metadata", "GET, HEAD"),
        ("Patient/_search", "POST"),
        ("", "GET, HEAD, POST"),
    ):
        reply = hosp.ask(method, place)
        assert (reply.status, reply.headers["Allow"]) == (405, allowed)
        assert reply.issues[0]["code"] == "not-supported"
    assert hosp.ask(method, "Spaceship/1").status == 404
    assert world.nobody().ask(method, "Patient/1").status == 401


def test_other_addresses_refuse_a_method_in_their_own_way(world: World) -> None:
    assert world.app.test_client().open("/livez", method="PROPFIND").status_code == 405


def test_a_patch_in_another_format_is_told_those_that_there_are(hosp: Party, person: Resource) -> None:
    reply = hosp.ask("PATCH", place_of(person), {"active": False}, Content_Type="application/merge-patch+json")

    declared = hosp.get("metadata").body["patchFormat"]
    assert (reply.status, reply.headers["Accept-Patch"].split(", ")) == (415, declared)
    assert "application/json-patch+json" in reply.issues[0]["diagnostics"]


def test_a_version_has_one_address(hosp: Party, person: Resource) -> None:
    for version in ("01", "0", "1.0", "4294967297", "x"):
        assert hosp.get(f"{place_of(person)}/_history/{version}").status == 404


def test_each_parameter_of_a_history_is_stated_once(hosp: Party, person: Resource) -> None:
    for place in (place_of(person), "Patient"):
        reply = hosp.get(f"{place}/_history?_since=2020&_since=2999")
        assert (reply.status, reply.rules) == (400, {"parameter-value"})
