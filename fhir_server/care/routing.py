"""Which service takes a person's case: by the language that the person speaks and the region where the person lives."""

from collections.abc import Iterable, Mapping
from typing import Any

from fhir_server.care.programmes import Programme
from fhir_server.fhir.json import Resource

COUNTRY_PARTS = "urn:iso:std:iso:3166:-2"
_NOT_A_HOME = frozenset({"old", "billing"})


def route(
    programme: Programme,
    patient: Resource,
    healthcare_services: Iterable[Resource],
    locations: Mapping[str, Resource],
) -> Resource | None:
    """The HealthcareService that takes this person's case, or None when none fits by region or by language.

    Considered are active services of the programme's custodian type. One that covers the person's region goes before
    one that states no area, that before the rest; then the one that speaks the person's language; then the lowest id.
    `locations` are the services' coverage areas by reference; a Location names its region in an identifier of the
    system `urn:iso:std:iso:3166:-2`.
    """
    language, region = language_of(patient, programme), region_of(patient, programme)
    ranked = [
        (_covers(service, region, locations), _speaks(service, language), service)
        for service in sorted(healthcare_services, key=lambda service: str(service["id"]))
        if _offers(service, programme)
    ]
    fitting = [entry for entry in ranked if entry[0] or entry[1]]
    return max(fitting, key=lambda entry: entry[:2])[2] if fitting else None


def language_of(patient: Resource, programme: Programme) -> str:
    """The primary subtag of the language to speak with the person: the preferred, else the first, else the pack's."""
    spoken = patient.get("communication", [])
    ordered = [c for c in spoken if c.get("preferred")] + list(spoken)
    return next((tag for entry in ordered for tag in _tags(entry.get("language", {}))), programme.default_language)


def region_of(patient: Resource, programme: Programme) -> str | None:
    """The region where the person lives, by postal code: the home address first; None when no address says it."""
    addresses = [address for address in patient.get("address", []) if _is_a_home(address, programme)]
    postal_codes = [
        str(address.get("postalCode", "")).strip()
        for address in sorted(addresses, key=lambda address: address.get("use") != "home")
    ]
    found = (region.code for code in postal_codes for region in programme.regions if _within(code, region.ranges))
    return next(found, None)


def _is_a_home(address: Resource, programme: Programme) -> bool:
    """An address in the programme's country, which is also meant where none is stated."""
    countries = {name.casefold() for name in programme.countries}
    return address.get("use") not in _NOT_A_HOME and address.get("country", "").casefold() in {"", *countries}


def _within(digits: str, ranges: Iterable[tuple[int, int]]) -> bool:
    return digits.isascii() and digits.isdigit() and any(first <= int(digits) <= last for first, last in ranges)


def _offers(service: Resource, programme: Programme) -> bool:
    return service.get("active", True) is True and any(
        programme.service_type.is_in(concept) for concept in service.get("type", [])
    )


def _covers(service: Resource, region: str | None, locations: Mapping[str, Resource]) -> int:
    """2: it covers the region; 1: it states no area, so it is there for all; 0: neither."""
    areas = service.get("coverageArea", [])
    if not areas:
        return 1
    found = [locations.get(area.get("reference", ""), {}) for area in areas]
    return 2 if any(region is not None and region in _regions(location) for location in found) else 0


def _regions(location: Resource) -> list[Any]:
    return [i.get("value") for i in location.get("identifier", []) if i.get("system") == COUNTRY_PARTS]


def _speaks(service: Resource, language: str) -> bool:
    return any(language in _tags(concept) for concept in service.get("communication", []))


def _tags(concept: Resource) -> list[str]:
    return [str(coding["code"]).partition("-")[0].lower() for coding in concept.get("coding", []) if "code" in coding]
