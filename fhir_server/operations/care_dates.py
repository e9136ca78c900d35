"""When the care was that a resource tells of: what `start` and `end` of `$everything` ask.

https://hl7.org/fhir/R4/operation-patient-everything.html
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from fhir_server.definitions.search_parameters import parameters_of
from fhir_server.fhir.json import Resource
from fhir_server.search.elements import values_of
from fhir_server.search.types.date import OPEN_END, Range, microseconds, range_of


@dataclass(frozen=True)
class CareDates:
    """The date parameters that tell it: care lasts from the earliest of `during` to the latest.

    What begins and stays, such as a condition, begins with the first of `since` that is stated, and lasts until the
    latest of `until`, or on.
    """

    during: tuple[str, ...] = ()
    since: tuple[str, ...] = ()
    until: tuple[str, ...] = ()


CARE_DATES: Mapping[str, CareDates] = {
    "Appointment": CareDates(("date",)),
    "CarePlan": CareDates(("date",)),
    "CareTeam": CareDates(("date",)),
    "Claim": CareDates(("created",)),
    "Communication": CareDates(("sent", "received")),
    "CommunicationRequest": CareDates(("authored", "occurrence")),
    "Condition": CareDates(since=("onset-date", "recorded-date"), until=("abatement-date",)),
    "Consent": CareDates(since=("date",), until=("period",)),
    "DetectedIssue": CareDates(("identified",)),
    "DeviceRequest": CareDates(("authored-on", "event-date")),
    "DiagnosticReport": CareDates(("date",)),
    "DocumentReference": CareDates(("date", "period")),
    "Encounter": CareDates(("date",)),
    "EpisodeOfCare": CareDates(("date",)),
    "ExplanationOfBenefit": CareDates(("created",)),
    "Flag": CareDates(("date",)),
    "Goal": CareDates(since=("start-date",)),
    "ImagingStudy": CareDates(("started",)),
    "Immunization": CareDates(("date",)),
    "List": CareDates(("date",)),
    "MeasureReport": CareDates(("period",)),
    "MedicationRequest": CareDates(("authoredon", "date")),
    "MedicationStatement": CareDates(("effective",)),
    "NutritionOrder": CareDates(("datetime",)),
    "Observation": CareDates(("date",)),
    "Procedure": CareDates(("date",)),
    "Provenance": CareDates(("when", "recorded")),
    "QuestionnaireResponse": CareDates(("authored",)),
    "RequestGroup": CareDates(("authored",)),
    "RiskAssessment": CareDates(("date",)),
    "ServiceRequest": CareDates(("authored", "occurrence")),
    "Task": CareDates(("authored-on", "period", "due")),
}
"""By type; a type that is not here has no date of care. An allergy is not of the day on which it was recorded."""


@dataclass(frozen=True)
class CareTime:
    """A time of care that is asked for; None is open."""

    start: datetime | None = None
    end: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether nothing is asked."""
        return self.start is None and self.end is None

    def holds(self, resource: Resource) -> bool:
        """Whether the care that the resource tells of touches this time; what has no date is always part of it."""
        found = care_of(resource)
        if found is None:
            return True
        begins_in_time = self.end is None or found[0] < microseconds(self.end)
        return begins_in_time and (self.start is None or found[1] > microseconds(self.start))


def care_of(resource: Resource) -> Range | None:
    """From when to when the care lasted, in microseconds since 1970; None when the resource does not say."""
    dates = CARE_DATES.get(resource["resourceType"], CareDates())
    if dates.during:
        ranges = list(_ranges(resource, dates.during))
        return (min(lo for lo, _ in ranges), max(hi for _, hi in ranges)) if ranges else None
    begun = next((found for name in dates.since for found in _ranges(resource, (name,))), None)
    ended = max((hi for _, hi in _ranges(resource, dates.until)), default=OPEN_END)
    return (begun[0], max(ended, begun[1])) if begun else None


def _ranges(resource: Resource, names: tuple[str, ...]) -> Iterator[Range]:
    parameters = parameters_of(resource["resourceType"])
    for name in names:
        for datatype, value in values_of(resource, parameters[name]):
            found = range_of(datatype, value)
            if found is not None:
                yield found
