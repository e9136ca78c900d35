"""`_summary` and `_elements` go with every interaction, as R4's general parameters do: what comes back is cut.

https://hl7.org/fhir/R4/http.html#parameters
"""

import uuid

import pytest

from fhir_server.fhir.json import Resource
from tests.minimal import minimal
from tests.world import Party, Reply

PATCH = {"Content_Type": "application/json-patch+json"}


@pytest.fixture
def person(hosp: Party) -> Resource:
    """A Patient with a name and a gender, in two versions."""
    named = {"name": [{"family": "Maes"}], "identifier": [{"system": "urn:parts", "value": uuid.uuid4().hex}]}
    made: Resource = hosp.post(minimal("Patient", photo=[{"title": "p"}], **named)).body
    return hosp.put({**made, "gender": "female"}).body  # type: ignore[no-any-return]


def elements(resource: Resource) -> set[str]:
    """The elements of a resource, without those that none may go without."""
    return set(resource.keys() - {"resourceType", "id", "meta"})


def tags(resource: Resource) -> list[str]:
    """The codes of its tags."""
    return [tag["code"] for tag in resource["meta"].get("tag", ())]


@pytest.mark.parametrize("place", ["Patient/{id}/_history", "Patient/_history", "_history"])
@pytest.mark.parametrize(
    ("asked", "told"), [("_elements=name", {"name"}), ("_summary=true", {"name", "gender", "identifier"})]
)
def test_a_history_shows_the_parts_that_are_asked_for(
    hosp: Party, person: Resource, place: str, asked: str, told: set[str]
) -> None:
    reply = hosp.get(f"{place.format(id=person['id'])}?{asked}&_count=2")

    [newest, first] = [each for each in reply.entries if each["id"] == person["id"]]
    assert [elements(newest), elements(first)] == [told, told - {"gender"}]
    assert tags(newest) == tags(first) == ["SUBSETTED"]
    assert asked in reply.body["link"][0]["url"]


@pytest.mark.parametrize("place", ["Patient/{id}/_history", "Patient/_history", "_history"])
def test_a_history_that_asks_for_no_summary_is_whole(hosp: Party, person: Resource, place: str) -> None:
    reply = hosp.get(f"{place.format(id=person['id'])}?_summary=false&_count=2")

    assert next(each for each in reply.entries if each["id"] == person["id"]) == person


def test_the_pages_of_a_history_show_the_same_parts(hosp: Party, person: Resource) -> None:
    for place in (f"Patient/{person['id']}/_history", "Patient/_history"):
        links = {link["relation"]: link["url"] for link in hosp.get(f"{place}?_elements=name&_count=1").body["link"]}
        [shown] = hosp.get(links["next"].partition("/fhir/")[2]).entries
        assert elements(shown) == {"name"}


def test_what_was_deleted_stays_in_a_history_of_parts(hosp: Party) -> None:
    id = hosp.post(minimal("List", title="t")).body["id"]
    assert hosp.ask("DELETE", f"List/{id}").status == 204

    gone, made = hosp.get(f"List/{id}/_history?_summary=true").body["entry"]

    assert ("resource" in gone, tags(made["resource"])) == (False, ["SUBSETTED"])


def test_a_write_returns_the_part_that_is_asked_for_and_stores_the_whole(hosp: Party, person: Resource) -> None:
    place, value = f"Patient/{person['id']}", person["identifier"][0]["value"]
    patch = [{"op": "add", "path": "/birthDate", "value": "1970"}]
    replies: list[Reply] = [
        hosp.ask("PUT", f"{place}?_elements=name", {**person, "gender": "male"}),
        hosp.ask("PATCH", f"{place}?_elements=name", patch, **PATCH),
        hosp.ask("PUT", f"Patient?identifier=urn:parts|{value}&_elements=name", {**person, "gender": "other"}),
        hosp.ask("POST", "Patient?_elements=name", person),
    ]

    assert [reply.status for reply in replies] == [200, 200, 200, 201]
    for reply in replies:
        assert (elements(reply.body), tags(reply.body)) == ({"name"}, ["SUBSETTED"])
        whole = hosp.read(f"Patient/{reply.body['id']}")
        assert (tags(whole), elements(whole) >= {"name", "gender", "photo"}) == ([], True)


@pytest.mark.parametrize(
    "asked", ["_summary=count", "_summary=some", "_elements=colour", "_summary=true&_elements=name"]
)
def test_a_part_that_cannot_be_shown_refuses_the_write(hosp: Party, person: Resource, asked: str) -> None:
    place = f"Patient/{person['id']}"
    entry = {"resource": {**person, "gender": "male"}, "request": {"method": "PUT", "url": f"{place}?{asked}"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}

    for reply in (
        hosp.ask("PUT", f"{place}?{asked}", {**person, "gender": "male"}),
        hosp.ask("POST", f"Patient?{asked}", person),
        hosp.transact(bundle),
        hosp.get(f"{place}/_history?{asked}"),
    ):
        assert reply.status == 400, reply.body
    assert hosp.read(place) == person


@pytest.mark.parametrize("kind", ["transaction", "batch"])
def test_the_entries_of_a_bundle_return_the_parts_that_they_ask_for(hosp: Party, person: Resource, kind: str) -> None:
    place = f"Patient/{person['id']}"
    asked = [
        {"resource": {**person, "gender": "male"}, "request": {"method": "PUT", "url": f"{place}?_elements=name"}},
        {"request": {"method": "GET", "url": f"{place}/_history?_elements=name"}},
    ]

    reply = hosp.ask(
        "POST",
        "?_summary=false",
        {"resourceType": "Bundle", "type": kind, "entry": asked},
        Prefer="return=representation",
    )

    put, history = (entry["resource"] for entry in reply.body["entry"])
    assert elements(put) == {"name"}
    assert {frozenset(elements(entry["resource"])) for entry in history["entry"]} == {frozenset({"name"})}


def test_a_delete_takes_them_and_has_nothing_to_show(hosp: Party) -> None:
    id = hosp.post(minimal("List")).body["id"]

    assert hosp.ask("DELETE", f"List/{id}?_summary=true").status == 204


def test_the_capabilities_show_the_elements_that_are_asked_for(hosp: Party) -> None:
    told = hosp.get("metadata?_elements=software,format").body

    assert {"software", "format", "fhirVersion"} <= told.keys()
    assert "rest" not in told
    assert hosp.get("metadata?_elements=colour").status == hosp.get("metadata?_summary=count").status == 400


def test_a_search_for_parts_is_still_no_condition(hosp: Party, person: Resource) -> None:
    assert hosp.ask("PUT", "Patient?_summary=true", person).status == 400
    assert hosp.ask("DELETE", "List?_elements=title").status == 400
