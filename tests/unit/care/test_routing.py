"""Which service takes the case: by region and language, the same each time."""

import random

import pytest
from als_case import als

from fhir_server.care.routing import language_of, region_of, route
from fhir_server.fhir.json import Resource

PARTS = "urn:iso:std:iso:3166:-2"
LOCATIONS: dict[str, Resource] = {
    f"Location/{code.lower()}": {"resourceType": "Location", "identifier": [{"system": PARTS, "value": code}]}
    for code in ("BE-VLG", "BE-BRU", "BE-WAL")
}


def service(id: str, languages: str, regions: str, **more: object) -> Resource:
    return {
        "resourceType": "HealthcareService",
        "id": id,
        "type": [als().service_type.concept()],
        "communication": [{"coding": [{"code": language}]} for language in languages.split()],
        "coverageArea": [{"reference": f"Location/be-{region}"} for region in regions.split()],
        **more,
    }


NORTH, SOUTH = service("north", "nl", "vlg bru"), service("south", "fr", "wal bru")


def person(postal_code: str | None = None, *languages: str, preferred: str | None = None) -> Resource:
    spoken: list[Resource] = [{"language": {"coding": [{"code": language}]}} for language in languages]
    for entry in spoken:
        if entry["language"]["coding"][0]["code"] == preferred:
            entry["preferred"] = True
    addresses = [{"use": "home", "country": "BE", "postalCode": postal_code}] if postal_code else []
    return {"resourceType": "Patient", "id": "p", "address": addresses, "communication": spoken}


@pytest.mark.parametrize(
    ("who", "goes_to"),
    [
        (person("3000", "nl"), "north"),
        (person("3000", "fr"), "north"),
        (person("4000", "fr"), "south"),
        (person("4780", "de"), "south"),
        (person("1000", "nl-BE"), "north"),
        (person("1050", "fr"), "south"),
        (person("1080", "nl", "fr", preferred="fr"), "south"),
        (person("1080"), "north"),
        (person(None, "fr"), "south"),
        (person(None), "north"),
    ],
)
def test_region_decides_before_language(who: Resource, goes_to: str) -> None:
    found = route(als(), who, [NORTH, SOUTH], LOCATIONS)

    assert found is not None
    assert found["id"] == goes_to


def test_a_service_for_all_takes_whom_no_regional_one_covers() -> None:
    everywhere = service("all", "en", "")

    assert route(als(), person("4000", "it"), [NORTH, everywhere], LOCATIONS) == everywhere
    assert route(als(), person("3000", "en"), [NORTH, everywhere], LOCATIONS) == NORTH


def test_nothing_fits_when_neither_region_nor_language_does() -> None:
    assert route(als(), person("4000", "fr"), [NORTH], LOCATIONS) is None
    assert route(als(), person("3000", "nl"), [], LOCATIONS) is None


def test_only_active_services_of_the_programmes_type_are_asked() -> None:
    closed = {**NORTH, "active": False}
    other = {**NORTH, "type": [{"coding": [{"system": als().service_type.system, "code": "other"}]}]}

    assert route(als(), person("3000", "nl"), [closed, other], LOCATIONS) is None


def test_the_order_of_the_directory_does_not_matter() -> None:
    services = [service(f"s{n}", "nl fr", "vlg wal bru") for n in range(6)]

    for seed in range(10):
        shuffled = random.Random(seed).sample(services, 6)
        assert route(als(), person("3000", "nl"), shuffled, LOCATIONS) == services[0]


@pytest.mark.parametrize(
    ("codes", "region"),
    [
        ("1000 1299", "BE-BRU"),
        ("1300 1499 4000 7999", "BE-WAL"),
        ("1500 1999 2000 3999 8000 9999", "BE-VLG"),
        ("0999 10000 B-3000", None),
    ],
)
def test_postal_codes_lie_in_their_region(codes: str, region: str | None) -> None:
    assert {region_of(person(code), als()) for code in codes.split()} == {region}


def test_the_home_address_counts_and_foreign_or_former_ones_do_not() -> None:
    moved = {
        "address": [{"use": "old", "postalCode": "3000"}, {"postalCode": "4000"}, {"use": "home", "postalCode": "1000"}]
    }
    abroad = {"address": [{"use": "home", "country": "NL", "postalCode": "3000"}]}
    named = {"address": [{"country": "België", "postalCode": "3000"}]}

    assert [region_of(patient, als()) for patient in (moved, abroad, named)] == ["BE-BRU", None, "BE-VLG"]


def test_the_language_is_the_preferred_the_first_or_the_packs() -> None:
    assert language_of(person(None, "fr", "de", preferred="de"), als()) == "de"
    assert language_of(person(None, "fr-BE", "de"), als()) == "fr"
    assert language_of(person(None), als()) == "nl"
