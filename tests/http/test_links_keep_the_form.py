"""The links of a page lead to pages that are written as it is: who asked by `_format` has no other way to say it."""

import re
from html import unescape

import pytest

from tests.minimal import minimal
from tests.world import Party, Reply

FORM = "_format=xml&_pretty=true"
BEGINNING = b'<?xml version="1.0" encoding="UTF-8"?>\n<Bundle xmlns="http://hl7.org/fhir">\n  '


@pytest.fixture
def patient(hosp: Party) -> str:
    """A person with two conditions, and two versions."""
    made = hosp.post(minimal("Patient", active=True)).body
    place = f"Patient/{made['id']}"
    for _ in range(2):
        assert hosp.post(minimal("Condition", subject={"reference": place})).status == 201
    assert hosp.put({**made, "active": False}).status == 200
    return place


def link(page: Reply, relation: str) -> str:
    """Where a link of an XML page leads, below the base."""
    [address] = re.findall(rf'<relation value="{relation}"/>\s*<url value="([^"]*)"', page.raw.decode())
    return unescape(address).partition("/fhir")[2].removeprefix("/")


@pytest.mark.parametrize(
    "place",
    [
        "Condition?subject={0}&_count=1",
        "{0}/Condition?_count=1",
        "{0}/*?_count=1",
        "?_type=Patient,Condition&_count=1",
        "{0}/_history?_count=1",
        "Patient/_history?_count=1",
        "_history?_count=1",
        "{0}/$everything?_count=1",
    ],
)
def test_the_next_page_is_written_like_the_first(hosp: Party, patient: str, place: str) -> None:
    first = hosp.get(f"{place.format(patient)}&{FORM}")

    following = hosp.get(link(first, "next"))

    assert first.status == following.status == 200
    assert first.raw.startswith(BEGINNING)
    assert following.raw.startswith(BEGINNING)
    assert {FORM} == {re.sub(r".*?(_format=xml&_pretty=true).*", r"\1", link(first, each)) for each in ("self", "next")}


def test_the_next_page_of_a_posted_search_is_written_like_the_first(hosp: Party, patient: str) -> None:
    asked = f"subject={patient}&_count=1&{FORM}".encode()

    first = hosp.ask("POST", "Condition/_search", asked, Content_Type="application/x-www-form-urlencoded")
    following = hosp.get(link(first, "next"))

    assert first.raw.startswith(BEGINNING)
    assert following.raw.startswith(BEGINNING)
    assert hosp.get(link(following, "previous")).raw.startswith(BEGINNING)


def test_the_links_of_a_search_in_a_bundle_keep_its_form(hosp: Party, patient: str) -> None:
    asked = {"request": {"method": "GET", "url": f"Condition?subject={patient}&_count=1&{FORM}"}}

    [page] = hosp.transact({"resourceType": "Bundle", "type": "batch", "entry": [asked]}).entries

    assert all(FORM in each["url"] for each in page["link"])


def test_who_says_no_form_gets_links_without_one(hosp: Party, patient: str) -> None:
    page = hosp.get(f"Condition?subject={patient}&_count=1", Accept="application/fhir+xml")

    assert "_format" not in link(page, "next")
