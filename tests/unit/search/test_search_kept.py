"""Elements that come again are found by what was kept of them, and by nothing of another resource."""

from typing import Any

import pytest

from fhir_server.fhir.json import Resource
from fhir_server.search.extract import Extraction, search_values, searched

_CODE = {"coding": [{"system": "http://loinc.org", "code": "29463-7", "display": "Body weight"}], "text": "Gewicht"}
_WEIGHT: Resource = {
    "resourceType": "Observation",
    "id": "1",
    "status": "final",
    "code": _CODE,
    "subject": {"reference": "Patient/1"},
    "performer": [{"reference": "Practitioner/1"}, {"reference": "Organization/2/_history/3"}],
    "effectiveDateTime": "2026-03-01T10:00:00+01:00",
    "valueQuantity": {"value": 61.5, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    "component": [{"code": _CODE, "valueQuantity": {"value": 3, "unit": "kg"}}],
}


def anew(resource: Resource) -> dict[str, Any]:
    """The values of a resource of which nothing was ever seen before."""
    return Extraction(resource["resourceType"], searched(resource["resourceType"])).values_of(resource)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"status": "amended"},
        {"code": {**_CODE, "text": "Poids"}},
        {"subject": {"reference": "Patient/2"}},
        {"subject": {"reference": "Group/1"}},
        {"subject": {"identifier": {"system": "urn:x", "value": "7"}}},
        {"performer": []},
        {"code": {"extension": [{"url": "http://example.org/none", "valueBoolean": True}]}},
        {"code": {"text": "x" * 600}},
    ],
)
def test_what_a_resource_is_found_by_is_the_same_whatever_was_seen_before(change: Resource) -> None:
    for before in (_WEIGHT, {**_WEIGHT, **change}):
        search_values(before)

    assert search_values({**_WEIGHT, **change}) == anew({**_WEIGHT, **change})


def test_a_reference_to_what_is_contained_is_found_by_what_this_one_contains() -> None:
    named = {**_WEIGHT, "subject": {"reference": "#who"}}
    person = {**named, "contained": [{"resourceType": "Patient", "id": "who"}]}
    herd = {**named, "contained": [{"resourceType": "Group", "id": "who"}]}

    assert "patient" not in search_values(named)["has"]
    assert "patient" in search_values(person)["has"]
    assert "patient" not in search_values(herd)["has"]
    assert "patient" in search_values(person)["has"]


def test_what_two_paths_of_a_parameter_find_goes_together() -> None:
    allergy = {
        "resourceType": "AllergyIntolerance",
        "id": "1",
        "code": {"coding": [{"system": "urn:s", "code": "b"}], "text": "Nuts"},
        "reaction": [{"substance": {"coding": [{"system": "urn:s", "code": "a"}], "text": "Peanut"}}],
    }

    found = search_values(allergy)
    assert [term for term in found["t"] if term.startswith("code=urn:s|") and term[-1] != "|"] == [
        "code=urn:s|b",
        "code=urn:s|a",
    ]
    assert found["s"]["code:text"] == {"f": ["nuts", "peanut"]}
    assert [code for code in found["has"] if code == "code"] == ["code"]


def test_of_what_two_paths_of_a_parameter_find_the_key_is_as_wide_as_both() -> None:
    measured = {**_WEIGHT, "effectivePeriod": {"start": "2026-04-01"}}  # one too many, as an import may bring it

    values = search_values(measured)

    assert len(values["d"]["date"]) == 2
    assert values["k"]["date"]["lo"] == min(each["lo"] for each in values["d"]["date"])
    assert values["k"]["date"]["hi"] == max(each["lo"] for each in values["d"]["date"])
