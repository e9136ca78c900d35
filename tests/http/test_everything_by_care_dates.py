"""`start` and `end` of $everything: what care touches that time, and never less than that."""

from typing import TypeAlias

import pytest

from fhir_server.access.types import TYPES
from fhir_server.definitions.search_parameters import parameters_of
from fhir_server.fhir.json import Resource
from fhir_server.operations.care_dates import CARE_DATES, CareTime, care_of
from tests.minimal import minimal
from tests.world import Case, Party, World

Chart: TypeAlias = tuple[Party, Case, dict[str, str]]


@pytest.fixture(scope="module")
def chart(world: World) -> Chart:
    """A case with care of some years, each named."""
    hosp = world.hospital()
    case = world.case(hosp, world.party())
    person = {"reference": case.patient}
    ended = {"start": "2024-11-20", "end": "2025-01-10"}
    status = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    resolved = {"coding": [{"system": status, "code": "resolved"}]}
    resources = {
        "seen in 2024": minimal("Observation", subject=person, effectiveDateTime="2024-06-01"),
        "seen in 2025": minimal("Observation", subject=person, effectiveDateTime="2025-06-01T09:00:00Z"),
        "seen at some time": minimal("Observation", subject=person),
        "a stay over New Year": minimal("Encounter", subject=person, period=ended),
        "a stay that goes on": minimal("Encounter", subject=person, period={"start": "2025-05-01"}),
        "ill since 2020": minimal("Condition", subject=person, onsetDateTime="2020"),
        "ill in 2020": minimal(
            "Condition", subject=person, onsetDateTime="2020", abatementDateTime="2020-12", clinicalStatus=resolved
        ),
        "allergic": minimal("AllergyIntolerance", patient=person, recordedDate="2025-02"),
    }
    made = {}
    for name, resource in resources.items():
        reply = hosp.post(resource)
        assert reply.status == 201, reply.body
        made[f"{resource['resourceType']}/{reply.body['id']}"] = name
    return hosp, case, made


def told(chart: Chart, about: str, asked: str) -> set[str]:
    """The names of what is there, page by page, each page with few."""
    hosp, _, made = chart
    place: str | None = f"{about}/$everything?_count=3&{asked}"
    found: set[str] = set()
    while place:
        reply = hosp.get(place)
        assert reply.status == 200, reply.body
        found |= {f"{each['resourceType']}/{each['id']}" for each in reply.entries}
        links = {link["relation"]: link["url"] for link in reply.body["link"]}
        place = links["next"].partition("/fhir/")[2] if "next" in links else None
    assert about in found
    return {made[reference] for reference in found & made.keys()}


ALWAYS = {"seen at some time", "ill since 2020", "allergic"}


@pytest.mark.parametrize("of", ["patient", "plan"])
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("end=2024", {"seen in 2024", "a stay over New Year", "ill in 2020"}),
        ("start=2024&end=2024", {"seen in 2024", "a stay over New Year"}),
        ("start=2025-01-11", {"seen in 2025", "a stay that goes on"}),
        ("start=2025-01-10&end=2025-01-31", {"a stay over New Year"}),
        ("start=2025-02-28&end=2025-02-28", set()),
        ("start=2025-06-01&end=2025-06-01", {"seen in 2025", "a stay that goes on"}),
        ("start=2020-12-31&end=2020-12-31", {"ill in 2020"}),
    ],
)
def test_what_touches_the_time_is_there_and_nothing_else(chart: Chart, of: str, asked: str, expected: set[str]) -> None:
    assert told(chart, getattr(chart[1], of), asked) == ALWAYS | expected


def test_what_is_not_dated_is_never_left_out(chart: Chart) -> None:
    assert told(chart, chart[1].patient, "end=1990") == {"seen at some time", "allergic"}
    hosp, case, _ = chart
    entries = hosp.get(f"{case.patient}/$everything?end=1990").entries
    assert case.patient in {f"{each['resourceType']}/{each['id']}" for each in entries}


def test_a_time_that_is_asked_goes_on_in_the_next_link(chart: Chart) -> None:
    hosp, case, _ = chart

    [following] = [
        link["url"]
        for link in hosp.get(f"{case.patient}/$everything?_count=1&start=2025&end=2025-12").body["link"]
        if link["relation"] == "next"
    ]

    assert "start=2025&" in following
    assert "end=2025-12" in following


def test_every_type_about_a_person_has_its_dates_or_none() -> None:
    """A type with a date parameter is left without dates only on purpose."""
    undated = {"AllergyIntolerance", "Patient", "RelatedPerson"}
    dated = {
        name
        for name, rule in TYPES.items()
        if rule.patient is not None or name == "Patient"
        for each in parameters_of(name).values()
        if each.type == "date" and each.code != "_lastUpdated"
    }

    assert dated - undated == CARE_DATES.keys()
    for name, dates in CARE_DATES.items():
        assert {*dates.during, *dates.since, *dates.until} <= parameters_of(name).keys()


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Patient", "birthDate": "1960"},
        {"resourceType": "Observation", "effectiveDateTime": "not a date"},
        {"resourceType": "Condition", "abatementDateTime": "2020"},
        {"resourceType": "Encounter", "period": {}},
    ],
)
def test_a_resource_without_a_readable_date_is_always_in_time(resource: Resource) -> None:
    assert care_of(resource) is None
    assert CareTime().holds(resource)
