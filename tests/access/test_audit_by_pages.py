"""The custodian goes through the audit page by page, while each of its pages leaves a record of its own."""

import pytest

from fhir_server.fhir.dates import instant, now
from tests.world import Party, World


@pytest.mark.parametrize("sort", ["_lastUpdated", "-_lastUpdated", "date", "-date"])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_every_page_but_the_last_is_full_and_together_they_are_all(world: World, sort: str, size: int) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    for _ in range(6):
        assert hosp.get(case.condition).status == 200
        assert world.custodian.get(f"AuditEvent?patient={case.patient}&_count=1").status == 200
    until = instant(now())
    asked = f"AuditEvent?patient={case.patient}&_lastUpdated=lt{until}&_sort={sort}"

    pages = _pages(world.custodian, f"{asked}&_count={size}", most=60)

    whole = world.custodian.get(f"{asked}&_count=500").entries
    assert [event["id"] for page in pages for event in page] == [event["id"] for event in whole]
    assert len(whole) > 12
    assert {len(page) for page in pages[:-1]} == {size}
    assert pages[-1]


@pytest.mark.parametrize(
    ("place", "sort"),
    [
        *(("AuditEvent?", sort) for sort in ("_lastUpdated", "-_lastUpdated", "date", "action", "_id")),
        *(("?_type=Consent,AuditEvent&", sort) for sort in ("_lastUpdated", "-_lastUpdated", "_id", "")),
    ],
)
@pytest.mark.parametrize("size", [1, 3])
def test_whoever_goes_through_the_audit_meets_each_record_once_and_comes_to_an_end(
    world: World, sort: str, place: str, size: int
) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    for _ in range(4):
        assert hosp.get(case.condition).status == 200
    asked = f"{place}patient={case.patient}&_sort={sort}"
    whole = {each["id"] for each in world.custodian.get(f"{asked}&_count=500").entries}

    pages = _pages(world.custodian, f"{asked}&_count={size}", most=60)

    met = [each["id"] for page in pages for each in page]
    assert len(met) == len(set(met))
    assert set(met) >= whole
    assert len(set(met) - whole) <= 1 + size, "the search before, and what the first page may show of itself"


def test_the_way_back_through_the_audit_leads_to_the_same_pages(world: World) -> None:
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    place = f"AuditEvent?patient={case.patient}&_sort=-_lastUpdated&_count=2"
    first = world.custodian.get(place)
    links = {link["relation"]: link["url"].split("/fhir/", 1)[1] for link in first.body["link"]}
    second = world.custodian.get(links["next"])

    [back] = [link["url"].split("/fhir/", 1)[1] for link in second.body["link"] if link["relation"] == "previous"]
    again = world.custodian.get(back)

    assert [each["id"] for each in again.entries] == [each["id"] for each in first.entries]
    assert not [link for link in again.body["link"] if link["relation"] == "previous"], "nothing came since"


def _pages(party: Party, place: str, most: int) -> list[list[dict[str, str]]]:
    """The resources of each page until there is no next one."""
    pages = []
    following = [place]
    while following:
        assert len(pages) < most, "there is always a next page"
        reply = party.get(following[0])
        assert reply.status == 200, reply.body
        pages.append(reply.entries)
        links = [link["url"] for link in reply.body["link"] if link["relation"] == "next"]
        following = [url.split("/fhir", 1)[1].lstrip("/") for url in links]
    return pages
