"""Histories of a resource, a type and the system: what happened, by pages, to whoever may see it."""

import time
from email.utils import format_datetime
from typing import Any

import pytest
from pymongo import MongoClient

from fhir_server.fhir.dates import time_range
from fhir_server.fhir.json import Resource
from tests.minimal import minimal
from tests.world import Party, Reply, World


def told(reply: Reply) -> list[tuple[str, str, str]]:
    """Method, `Type/id` and version of each entry."""
    assert reply.status == 200, reply.body
    return [
        (
            entry["request"]["method"],
            "/".join(entry["fullUrl"].split("/")[-2:]),
            entry["response"]["etag"].strip('W/"'),
        )
        for entry in reply.body.get("entry", [])
    ]


def pages(party: Party, place: str) -> list[tuple[str, str, str]]:
    """All entries, page by page."""
    found = []
    while True:
        reply = party.get(place)
        found += told(reply)
        following = [link["url"] for link in reply.body["link"] if link["relation"] == "next"]
        if not following:
            return found
        place = following[0].split("/fhir/", 1)[1]


def group(party: Party, **elements: Any) -> str:
    """A new Group, which only its author sees."""
    return f"Group/{party.post(minimal('Group', **elements)).body['id']}"


def begun_on(day: str, times: list[str]) -> list[str]:
    """The versions made at these times that began on the day, newest first: midnight may pass while a test runs."""
    return [str(version) for version, at in enumerate(times, start=1) if at.startswith(day)][::-1]


def changed(party: Party) -> tuple[str, str]:
    """Two Groups: one changed twice and deleted, one changed once."""
    one, two = group(party), group(party)
    for quantity in (1, 2):
        assert party.change(one, quantity=quantity).status == 200
    assert party.change(two, quantity=1).status == 200
    assert party.ask("DELETE", one).status == 204
    return one, two


def test_the_history_of_a_type_tells_all_versions_newest_first(hosp: Party) -> None:
    one, two = changed(hosp)
    assert hosp.post(minimal("Patient")).status == 201

    found = told(hosp.get("Group/_history"))

    assert found == [
        ("DELETE", one, "4"),
        ("PUT", two, "2"),
        ("PUT", one, "3"),
        ("PUT", one, "2"),
        ("POST", two, "1"),
        ("POST", one, "1"),
    ]
    [deletion, *others] = hosp.get("Group/_history").body["entry"]
    assert "resource" not in deletion
    assert all(entry["resource"]["meta"]["versionId"] for entry in others)


def test_the_history_of_the_system_tells_of_every_type(hosp: Party) -> None:
    one, two = changed(hosp)
    patient = f"Patient/{hosp.post(minimal('Patient')).body['id']}"

    found = [entry for entry in told(hosp.get("_history?_count=500")) if entry[1] in {one, two, patient}]

    assert [entry[1] for entry in found] == [patient, one, two, one, one, two, one]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_pages_lose_and_repeat_nothing_within_one_moment(hosp: Party, count: int) -> None:
    entries = [{"resource": minimal("Group"), "request": {"method": "POST", "url": "Group"}} for _ in range(7)]
    made = hosp.transact({"resourceType": "Bundle", "type": "transaction", "entry": entries}).body["entry"]
    places = ["/".join(entry["response"]["location"].split("/")[-4:-2]) for entry in made]
    again = [
        {"resource": {**hosp.read(place), "quantity": 1}, "request": {"method": "PUT", "url": place}}
        for place in places
    ]
    assert hosp.transact({"resourceType": "Bundle", "type": "transaction", "entry": again}).status == 200
    since = hosp.read(f"{places[0]}/_history/1")["meta"]["lastUpdated"]

    for place in ("Group/_history", "_history"):
        found = [entry for entry in pages(hosp, f"{place}?_count={count}&_since={since}") if entry[1] in places]
        assert len(found) == len(set(found)) == 14
        assert {entry[2] for entry in found[:7]} == {"2"}


@pytest.mark.parametrize("of", ["instance", "type", "system"])
def test_pages_lose_and_repeat_nothing_while_others_write(hosp: Party, of: str) -> None:
    one, two = changed(hosp)
    three = group(hosp)
    for quantity in range(1, 5):
        assert hosp.change(three, quantity=quantity).status == 200
    place: str | None = {"instance": f"{three}/_history", "type": "Group/_history", "system": "_history"}[of]
    before = {three: 5} if of == "instance" else {one: 4, two: 2, three: 5}
    expected = {(name, str(version)) for name, last in before.items() for version in range(1, last + 1)}

    found: list[tuple[str, str]] = []
    since = hosp.read(f"{one}/_history/1")["meta"]["lastUpdated"]
    place = f"{place}?_count=2&_since={since}"
    while place:
        reply = hosp.get(place)
        found += [(name, version) for _, name, version in told(reply)]
        assert hosp.change(three, quantity=len(found) + 10).status == 200
        group(hosp)
        following = [link["url"] for link in reply.body["link"] if link["relation"] == "next"]
        place = following[0].split("/fhir/", 1)[1] if following else None

    assert len(found) == len(set(found))
    assert set(found) == expected


def test_a_cursor_belongs_to_its_question(hosp: Party) -> None:
    changed(hosp)
    [following] = [
        link["url"] for link in hosp.get("Group/_history?_count=1").body["link"] if link["relation"] == "next"
    ]
    cursor = following.partition("_cursor=")[2]

    assert hosp.get(f"Group/_history?_count=2&_cursor={cursor}").status == 200
    assert hosp.get(f"List/_history?_cursor={cursor}").status == 400
    assert hosp.get(f"Group/_history?_since=2020&_cursor={cursor}").status == 400
    assert hosp.get(f"Group/_history?_cursor=x{cursor}").status == 400


@pytest.mark.parametrize("level", ["", "Group/", "one"])
def test_the_links_of_a_lenient_history_leave_out_what_was_left_out(hosp: Party, level: str) -> None:
    one, _ = changed(hosp)
    place = f"{one}/" if level == "one" else level

    page = hosp.get(f"{place}_history?nonsense=1&_count=1&_pretty=true", Prefer="handling=lenient")

    links = {link["relation"]: link["url"].partition("/fhir/")[2] for link in page.body["link"]}
    assert links["self"] == f"{place}_history?_count=1&_pretty=true"
    assert hosp.get(links["next"]).status == 200


@pytest.mark.parametrize("of_one", [True, False])
def test_since_and_at_narrow_a_history(hosp: Party, of_one: bool) -> None:
    place = group(hosp)
    history = f"{place}/_history" if of_one else "Group/_history"
    times = [hosp.read(place)["meta"]["lastUpdated"]]
    for quantity in (1, 2):
        time.sleep(0.02)
        times.append(hosp.change(place, quantity=quantity).body["meta"]["lastUpdated"])

    def versions(asked: str) -> list[str]:
        return [entry[2] for entry in told(hosp.get(f"{history}?{asked}"))]

    assert versions(f"_since={times[1]}") == ["3", "2"]
    assert versions(f"_at={times[1]}") == ["2"]
    assert versions("_at=2020") == []
    assert versions(f"_at={times[0][:10]}") == begun_on(times[0][:10], times)
    assert versions(f"_since={times[2]}&_at={times[1]}") == []
    assert [entry[2] for entry in pages(hosp, f"{history}?_since={times[1]}&_count=1")] == ["3", "2"]


@pytest.mark.parametrize("of_one", [True, False])
def test_the_plus_of_a_zone_need_not_be_encoded(hosp: Party, of_one: bool) -> None:
    place = group(hosp)
    history = f"{place}/_history" if of_one else "Group/_history"
    assert hosp.change(place, quantity=1).status == 200
    moment = hosp.read(place)["meta"]["lastUpdated"].replace("Z", "+00:00")

    for name in ("_since", "_at"):
        assert [entry[2] for entry in pages(hosp, f"{history}?{name}={moment}&_count=1")] == ["2"], name


def test_what_was_there_at_a_time_stands_on_the_first_page(hosp: Party) -> None:
    place = group(hosp)
    times = [hosp.read(place)["meta"]["lastUpdated"]]
    times += [hosp.change(place, quantity=number).body["meta"]["lastUpdated"] for number in range(1, 8)]
    assert hosp.ask("DELETE", place).status == 204

    for version, at in enumerate(times, start=1):
        page = hosp.get(f"{place}/_history?_count=1&_at={at}")

        assert [entry[2] for entry in told(page)] == [str(version)]
        assert [link["relation"] for link in page.body["link"]] == ["self"]
    [deletion] = hosp.get(f"{place}/_history?_count=1").body["entry"]
    times.append(deletion["response"]["lastModified"])
    of_a_day = pages(hosp, f"{place}/_history?_count=2&_at={times[0][:10]}")
    assert [entry[2] for entry in of_a_day] == begun_on(times[0][:10], times)
    assert [entry[2] for entry in told(hosp.get(f"{place}/_history?_at=2100"))] == ["9"]


@pytest.mark.parametrize("place", ["Group", "Group/_history", "_history", "{group}/_history", "{group}/$everything"])
def test_a_number_that_is_too_long_is_refused_by_its_length(hosp: Party, place: str) -> None:
    made = group(hosp) if "everything" not in place else f"Patient/{hosp.post(minimal('Patient')).body['id']}"

    refused = hosp.get(f"{place.format(group=made)}?_count={'1' * 16}")

    assert refused.status == 400
    assert "'_count'" in refused.issues[0]["diagnostics"]
    assert "a whole number of at most" in refused.issues[0]["diagnostics"]


@pytest.mark.parametrize("place", ["_history", "Group/_history"])
@pytest.mark.parametrize("asked", ["_count=0", "_count=x", "_since=soon", "_at=13", "nonsense=1", "_before=3"])
def test_what_a_history_does_not_know_is_refused(hosp: Party, place: str, asked: str) -> None:
    assert hosp.get(f"{place}?{asked}").status == 400
    assert hosp.get(f"Spaceship/{place}").status == 404


def test_nobody_sees_in_a_history_what_a_vread_hides(world: World, hosp: Party) -> None:
    home, stranger = world.party(), world.hospital()
    case = world.case(hosp, home)
    hosp.post(minimal("Observation", subject={"reference": case.patient}))
    assert home.move(case.task, "accepted").status == 200

    for party in (hosp, home, stranger, world.custodian):
        for place in ("Task", "CarePlan", "CareTeam", "Observation", "Patient", "ServiceRequest"):
            for _, reference, version in told(party.get(f"{place}/_history?_count=50"))[:20]:
                assert party.get(f"{reference}/_history/{version}").status in {200, 410}, (place, version)
    for party in (hosp, home, world.custodian):
        seen = [entry for entry in told(party.get("Task/_history?_count=500")) if entry[1] == case.task]
        assert [version for _, _, version in seen] == ["2", "1"]
    assert told(stranger.get("Task/_history")) == []
    about = {case.patient, case.plan, case.team, case.task, case.order, case.condition}
    assert not {entry[1] for entry in pages(stranger, "_history?_count=500")} & about


def test_the_history_of_the_system_holds_the_types_of_the_token_alone(world: World, hosp: Party) -> None:
    group(hosp)
    patient = hosp.post(minimal("Patient")).body["id"]
    narrow = world.party("system/Patient.rs", organization=hosp.reference)

    assert {entry[1] for entry in told(narrow.get("_history"))} == {f"Patient/{patient}"}
    assert narrow.get("Group/_history").status == 403


def test_histories_in_a_bundle_see_its_writes(hosp: Party) -> None:
    entries: list[Resource] = [
        {"request": {"method": "GET", "url": "Group/_history"}},
        {"resource": minimal("Group"), "request": {"method": "POST", "url": "Group"}},
    ]

    reply = hosp.transact({"resourceType": "Bundle", "type": "transaction", "entry": entries})

    assert reply.status == 200, reply.body
    assert len(reply.body["entry"][0]["resource"]["entry"]) == 1


def test_if_modified_since(hosp: Party) -> None:
    place = group(hosp)
    current = hosp.get(place)
    at = time_range(current.body["meta"]["lastUpdated"])[0]

    assert hosp.get(place, If_Modified_Since=current.headers["Last-Modified"]).status == 304
    earlier = format_datetime(at.replace(year=2020), usegmt=True)
    assert hosp.get(place, If_Modified_Since=earlier).status == 200
    assert hosp.get(place, If_Modified_Since="yesterday").status == 200
    assert hosp.get(place, If_Modified_Since=current.headers["Last-Modified"], If_None_Match='W/"7"').status == 200
    assert hosp.ask("HEAD", place, If_Modified_Since=current.headers["Last-Modified"]).status == 304
    assert hosp.ask("HEAD", "Group/_history").status == 200


def test_head_answers_every_address_like_get(hosp: Party) -> None:
    patient = f"Patient/{hosp.post(minimal('Patient')).body['id']}"
    seen = hosp.post(minimal("Observation", subject={"reference": patient})).body["id"]
    places = (
        patient,
        f"{patient}/_history/1",
        f"{patient}/_history",
        "Patient/_history",
        "_history",
        f"Observation?_id={seen}&_include=Observation:subject",
        f"{patient}/Observation",
        f"{patient}/*",
        f"?_type=Patient,Observation&_id={seen}",
        "metadata",
        f"{patient}/$everything",
        f"{patient}/$meta",
        "$versions",
    )

    for place in places:
        head, got = hosp.ask("HEAD", place), hosp.get(place)
        assert (head.status, head.raw, bool(got.raw)) == (200, b"", True), place
        assert head.headers == got.headers, place
    assert [hosp.ask("HEAD", place).status for place in ("Colour", "Patient?colour=1", "Patient/x")] == [404, 400, 404]


def test_no_history_scans_a_collection(
    world: World, hosp: Party, mongo_client: MongoClient[dict[str, Any]], database_name: str
) -> None:
    """The past versions of a page come from an index, in its order."""
    changed(hosp)
    history = mongo_client[f"{database_name}_w"]["ledger"]
    asked = {"see": {"$in": [f"a:{hosp.reference}", "*"]}, "o": {"$gte": "Group ", "$lt": "Group!"}}

    plan = repr(history.find(asked).sort([("lu", -1), ("o", -1)]).limit(3).explain()["queryPlanner"]["winningPlan"])

    assert "IXSCAN" in plan
    assert "COLLSCAN" not in plan
    assert "'SORT'" not in plan
