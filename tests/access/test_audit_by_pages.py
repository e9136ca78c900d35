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


def _pages(party: Party, place: str, most: int) -> list[list[dict[str, str]]]:
    """The resources of each page until there is no next one."""
    pages = []
    following = [place]
    while following:
        assert len(pages) < most, "there is always a next page"
        reply = party.get(following[0])
        assert reply.status == 200, reply.body
        pages.append(reply.entries)
        following = [link["url"].split("/fhir/", 1)[1] for link in reply.body["link"] if link["relation"] == "next"]
    return pages
