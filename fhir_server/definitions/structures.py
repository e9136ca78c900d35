"""What R4 4.0.1 says about the structure of each resource and datatype.

The table `structures.json.gz` is made by `tools/reduce_definitions.py`. It holds every resource type of R4, also those
that this server does not store: a stored resource may contain one (a MedicationRequest its Medication).
"""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

RESOURCE_TYPES = frozenset(
    """
    ActivityDefinition AllergyIntolerance Appointment AuditEvent Binary CapabilityStatement CarePlan CareTeam Claim
    CodeSystem Communication CommunicationRequest ConceptMap Condition Consent DetectedIssue Device DeviceRequest
    DeviceUseStatement DiagnosticReport DocumentReference Encounter Endpoint EpisodeOfCare ExplanationOfBenefit Flag
    Goal Group HealthcareService ImagingStudy Immunization Library List Location Measure MeasureReport
    MedicationRequest MedicationStatement NamingSystem NutritionOrder Observation OperationDefinition Organization
    Patient PlanDefinition Practitioner PractitionerRole Procedure Provenance Questionnaire QuestionnaireResponse
    RelatedPerson RequestGroup RiskAssessment SearchParameter ServiceRequest StructureDefinition Subscription Task
    ValueSet
    """.split()  # noqa: SIM905  (a page of words reads better than sixty quoted ones)
)
"""The resource types that this server stores."""

MESSAGE_TYPES = frozenset({"Bundle", "OperationOutcome", "Parameters"})
"""The resource types that requests and answers carry and that nobody stores."""

_BARE = frozenset({("Extension", "url"), ("Narrative", "div")})

RESOURCE = "Resource"
"""The type of an element that holds a whole resource of any type."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a resource or datatype.

    `name` is the JSON name without `[x]`; `choice` says that a type name follows it (`value` + `Quantity`). A type is
    the name of a datatype, or `#` and the path of the element whose children it has (`#Task.restriction`).
    `targets` are the resource types that a Reference may point to, none means any. `value_set` is the canonical url
    of a required binding.
    """

    name: str
    required: bool
    repeats: bool
    choice: bool
    types: tuple[str, ...]
    targets: frozenset[str] = frozenset()
    value_set: str | None = None

    def json_names(self) -> dict[str, str]:
        """The names that this element may have in JSON, each with its type."""
        if not self.choice:
            return {self.name: self.types[0]}
        return {self.name + _suffix(type_name): type_name for type_name in self.types}


class Structures:
    """The table, read element by element as it is asked for."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.fhir_version: str = table["fhirVersion"]
        self.primitives: Mapping[str, str] = table["primitives"]
        self._types: Mapping[str, Any] = table["types"]
        self._value_sets: Mapping[str, dict[str, list[str]] | None] = table["valueSets"]
        self.resource_types = frozenset(n for n, t in self._types.items() if t["kind"] == "resource")

    def is_resource(self, type_name: str) -> bool:
        """True for every resource type of R4, stored here or not."""
        return type_name in self.resource_types

    def is_bare(self, path: str, name: str) -> bool:
        """True for the values that carry no id and no extensions of their own: an element's id (a resource's is an
        element like others), an extension's url, the narrative. XML writes the first two as attributes."""
        return (name == "id" and not self.is_resource(path)) or (path, name) in _BARE

    def paths(self, type_name: str) -> tuple[str, ...]:
        """The type itself and the paths of its elements that have children: `Task`, `Task.restriction`, ..."""
        return tuple(self._types[type_name]["paths"])

    def elements(self, path: str) -> tuple[Element, ...]:
        """The child elements at a path, in the order of R4. Raises KeyError for a path that R4 does not have."""
        rows, _ = self._types[path.partition(".")[0]]["paths"][path]
        return tuple(_element(*row) for row in rows)

    def invariants(self, path: str) -> tuple[str, ...]:
        """The keys of the error invariants that R4 states at a path."""
        _, keys = self._types[path.partition(".")[0]]["paths"][path]
        return tuple(keys)

    def codes(self, value_set: str) -> Mapping[str, list[str]] | None:
        """The codes of a required value set by system; None when the set cannot be enumerated (MIME types)."""
        return self._value_sets[value_set]


@cache
def load() -> Structures:
    """The table of R4, read once per process (about 10 ms)."""
    packed = files(__package__).joinpath("structures.json.gz").read_bytes()
    return Structures(msgspec.json.decode(gzip.decompress(packed)))


def _element(name: str, cardinality: str, types: str, targets: str = "", value_set: str = "") -> Element:
    return Element(
        name=name.removesuffix("[x]"),
        required=not cardinality.startswith("0"),
        repeats=cardinality.endswith("*"),
        choice=name.endswith("[x]"),
        types=tuple(types.split("|")),
        targets=frozenset(targets.split("|")) if targets else frozenset(),
        value_set=value_set or None,
    )


def _suffix(type_name: str) -> str:
    """The type as it ends a choice element's name: a SimpleQuantity is spelt `valueQuantity`."""
    return "Quantity" if type_name == "SimpleQuantity" else type_name[0].upper() + type_name[1:]
