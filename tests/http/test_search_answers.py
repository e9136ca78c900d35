"""How a search is answered: parts of resources, totals, links there and back."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.http.test_preconditions import clock_at
from tests.http.test_searching import ids, observation
from tests.minimal import minimal
from tests.world import Party, Reply, World

SUBSETTED = "SUBSETTED"


@pytest.fixture
def person(hosp: Party) -> str:
    """The id of a Patient of the hospital with a text, a name, a contact and a photo."""
    return str(
        hosp.post(
            minimal(
                "Patient",
                text={"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">An</div>'},
                meta={"tag": [{"system": "urn:tags", "code": "kept"}]},
                active=True,
                name=[{"family": "Peeters", "given": ["An"]}],
                birthDate="1961-04-05",
                _birthDate={"extension": [{"url": "urn:x", "valueString": "y"}]},
                maritalStatus={"text": "married"},
                contact=[{"name": {"family": "Janssens"}}],
                link=[{"other": {"display": "another"}, "type": "seealso"}],
                deceasedBoolean=False,
            )
        ).body["id"]
    )


def asked(party: Party, place: str) -> dict[str, Any]:
    """The one match of a search."""
    [resource] = party.get(place).entries
    return resource


def tags(resource: dict[str, Any]) -> list[str]:
    return [tag["code"] for tag in resource["meta"]["tag"]]


def link(reply: Reply, relation: str) -> str | None:
    """The place that a link leads to."""
    urls = [each["url"] for each in reply.body["link"] if each["relation"] == relation]
    if not urls:
        return None
    parts = urlsplit(urls[0])
    return f"{parts.path.rpartition('/')[2]}?{parts.query}"


def relations(reply: Reply) -> list[str]:
    return [each["relation"] for each in reply.body["link"]]


def way(reply: Reply, relation: str) -> str:
    """Where a link leads that must be there, below the base."""
    [url] = [each["url"] for each in reply.body["link"] if each["relation"] == relation]
    return str(url).partition("/fhir")[2].lstrip("/")


def test_a_summary_has_what_r4_counts_to_it(hosp: Party, person: str) -> None:
    found = asked(hosp, f"Patient?_id={person}&_summary=true")

    assert set(found) == {
        *("resourceType", "id", "meta", "active", "name", "birthDate", "_birthDate", "link", "deceasedBoolean")
    }
    assert tags(found) == ["kept", SUBSETTED]
    assert found["link"] == [{"other": {"display": "another"}, "type": "seealso"}]


def test_a_summary_cuts_inside_elements_too(hosp: Party, person: str) -> None:
    made = hosp.post(
        observation(f"Patient/{person}", component=[{"code": {"text": "a"}, "dataAbsentReason": {"text": "b"}}])
    )
    found = asked(hosp, f"Observation?_id={made.body['id']}&_summary=true")
    assert found["component"] == [{"code": {"text": "a"}}]


def test_a_text_summary_has_the_text_and_what_must_be_there(hosp: Party, person: str) -> None:
    found = asked(hosp, f"Patient?_id={person}&_summary=text")
    assert {"resourceType", "id", "meta", "text", "active"} <= set(found)
    assert {"name", "birthDate", "maritalStatus"}.isdisjoint(found)


def test_a_data_summary_has_all_but_the_text(hosp: Party, person: str) -> None:
    whole = hosp.read(f"Patient/{person}")
    found = asked(hosp, f"Patient?_id={person}&_summary=data")
    assert set(whole) - set(found) == {"text"}
    assert tags(found) == ["kept", SUBSETTED]


def test_no_summary_is_the_whole_resource(hosp: Party, person: str) -> None:
    assert asked(hosp, f"Patient?_id={person}&_summary=false") == hosp.read(f"Patient/{person}")


@pytest.mark.parametrize(
    ("elements", "kept"),
    [("birthDate", {"birthDate", "_birthDate"}), ("name,maritalStatus", {"name", "maritalStatus"})],
)
def test_elements_are_those_that_are_named(hosp: Party, person: str, elements: str, kept: set[str]) -> None:
    found = asked(hosp, f"Patient?_id={person}&_elements={elements}")
    modifiers = {"active", "deceasedBoolean", "link"}
    assert set(found) - modifiers == {"resourceType", "id", "meta", *kept}
    assert tags(found) == ["kept", SUBSETTED]


def test_elements_of_a_choice_are_named_without_their_type(hosp: Party, person: str) -> None:
    made = hosp.post(observation(f"Patient/{person}", valueString="x", effectiveDateTime="2026-01-01"))
    found = asked(hosp, f"Observation?_id={made.body['id']}&_elements=value[x]")
    assert set(found) == {"resourceType", "id", "meta", "status", "code", "valueString"}


def test_what_is_included_stays_whole(hosp: Party, person: str) -> None:
    made = hosp.post(observation(f"Patient/{person}"))
    reply = hosp.get(f"Observation?_id={made.body['id']}&_elements=code&_include=Observation:patient")
    [included] = [e["resource"] for e in reply.body["entry"] if e["search"]["mode"] == "include"]
    assert included == hosp.read(f"Patient/{person}")


@pytest.mark.parametrize(("total", "told"), [("accurate", 3), ("estimate", 3), ("none", None)])
def test_the_total_is_told_when_it_is_asked(hosp: Party, person: str, total: str, told: int | None) -> None:
    for _ in range(3):
        hosp.post(observation(f"Patient/{person}"))
    assert hosp.get(f"Observation?patient={person}&_count=2&_total={total}").body.get("total") == told


def test_links_lead_there_and_back(hosp: Party, person: str) -> None:
    for _ in range(5):
        hosp.post(observation(f"Patient/{person}"))
    first = hosp.get(f"Observation?patient={person}&_count=2")
    second = hosp.get(str(link(first, "next")))
    third = hosp.get(str(link(second, "next")))

    assert [link(first, each) is None for each in ("previous", "next", "first")] == [True, False, False]
    assert [link(third, each) is None for each in ("previous", "next", "first")] == [False, True, False]
    assert ids(hosp.get(str(link(third, "previous")))) == ids(second)
    assert ids(hosp.get(str(link(second, "previous")))) == ids(first)
    assert ids(hosp.get(str(link(third, "first")))) == ids(first)
    assert ids(hosp.get(str(link(second, "self")))) == ids(second)


@pytest.mark.parametrize("place", ["Observation", "Patient/{person}/Observation", "Patient/{person}/*"])
@pytest.mark.parametrize("sort", ["", "&_sort=-_lastUpdated"])
def test_a_page_on_which_nothing_is_left_leads_to_what_is(hosp: Party, person: str, place: str, sort: str) -> None:
    tag = uuid.uuid4().hex
    for _ in range(6):
        assert hosp.post({**observation(f"Patient/{person}"), "meta": {"tag": [{"code": tag}]}}).status == 201
    first = hosp.get(f"{place.format(person=person)}?_tag={tag}&_count=2{sort}")
    second = hosp.get(way(first, "next"))
    last = hosp.get(way(second, "next"))

    for resource in first.entries + last.entries:
        assert hosp.put({**resource, "meta": {**resource["meta"], "tag": [{"code": "another"}]}}).status == 200
    before, behind = hosp.get(way(second, "previous")), hosp.get(way(second, "next"))

    assert ids(before) == ids(behind) == []
    assert ids(hosp.get(way(before, "next"))) == ids(hosp.get(way(behind, "previous"))) == ids(second)
    assert ids(hosp.get(way(before, "first"))) == ids(second)
    assert {relation for page in (before, behind) for relation in relations(page)} >= {"self", "first"}
    assert "previous" not in relations(before)
    assert "next" not in relations(behind)


@pytest.mark.parametrize("place", ["Observation", "Patient/{person}/Observation", "Patient/{person}/*", ""])
def test_a_link_may_be_posted_as_well(hosp: Party, person: str, place: str) -> None:
    for _ in range(3):
        hosp.post(observation(f"Patient/{person}"))
    about = "" if "{person}" in place else f"&patient={person}{'' if place else '&_type=Observation,Condition'}"
    form = f"_count=1{about}".encode()
    address, kind = f"{place.format(person=person)}/_search".lstrip("/"), "application/x-www-form-urlencoded"

    first = hosp.ask("POST", address, form, Content_Type=kind)
    following = way(first, "next").partition("?")
    second = hosp.ask("POST", f"{following[0]}/_search".lstrip("/"), following[2].encode(), Content_Type=kind)

    assert second.raw == hosp.get("".join(following)).raw
    assert len({*ids(first), *ids(second)}) == 2


@pytest.mark.parametrize("asked", ["age=ge60", "birthdate=ap1950", "_filter=birthdate+ap+1950"])
@pytest.mark.parametrize("place", ["Patient?", "?_type=Patient&"])
def test_a_link_is_good_for_a_day_though_midnight_passes(world: World, hosp: Party, place: str, asked: str) -> None:
    name, midnight = uuid.uuid4().hex, datetime(2026, 3, 2, tzinfo=UTC)
    for _ in range(3):
        hosp.post(minimal("Patient", name=[{"family": name}], birthDate="1950-01-01"))
    with clock_at(world, midnight - timedelta(minutes=1)):
        first = hosp.get(f"{place}family={name}&{asked}&_count=2")

    with clock_at(world, midnight + timedelta(minutes=1)):
        second = hosp.get(way(first, "next"))

    assert second.status == 200, second.body
    assert [len(page.entries) for page in (first, second)] == [2, 1]


def test_a_cursor_of_one_type_is_refused_among_several_and_the_other_way_round(hosp: Party, person: str) -> None:
    for _ in range(3):
        hosp.post(observation(f"Patient/{person}"))
    alone, among = f"Observation?patient={person}", f"?_type=Observation&patient={person}"
    for there, here in ((alone, among), (among, alone)):
        cursor = way(hosp.get(f"{there}&_count=1"), "next").partition("_cursor=")[2]

        assert hosp.get(f"{here}&_cursor={cursor}").status == 400
        assert len(ids(hosp.get(f"{there}&_cursor={cursor}"))) == 2


def test_one_page_leads_nowhere_else(hosp: Party, person: str) -> None:
    hosp.post(observation(f"Patient/{person}"))
    reply = hosp.get(f"Observation?patient={person}")
    assert [each["relation"] for each in reply.body["link"]] == ["self"]
