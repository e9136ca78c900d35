"""A programme: what a pack under `profiles/programmes` says about whom it takes in and how its plans work.

`programme_documents` makes the value of a document.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from fhir_server.fhir.json import Resource

_PRESENT = frozenset({"active", "recurrence", "relapse"})
_NOT_MEANT = frozenset({"refuted", "entered-in-error"})
_WITHDRAWN = frozenset({"revoked", "entered-in-error"})


@dataclass(frozen=True)
class Coding:
    """A code of a code system, with its name as the system gives it, and its names by language."""

    system: str
    code: str
    display: str | None = None
    names: Mapping[str, str] = field(default_factory=dict, compare=False)

    def element(self) -> Resource:
        """As a FHIR Coding."""
        shown = {"display": self.display} if self.display else {}
        return {"system": self.system, "code": self.code, **shown}

    def concept(self) -> Resource:
        """As a FHIR CodeableConcept."""
        return {"coding": [self.element()]}

    def is_in(self, concept: Resource) -> bool:
        """Whether a CodeableConcept carries this code."""
        return any((c.get("system"), c.get("code")) == (self.system, self.code) for c in concept.get("coding", []))


@dataclass(frozen=True)
class Region:
    """An ISO 3166-2 region and the postal codes in it, as inclusive ranges."""

    code: str
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Programme:
    """One programme.

    `titles` are by language. `enrolment` are the conditions that it takes in. `offer_demographics` are the element
    paths of Patient that the owner of a Task may see before it accepts. `read_after_end` is how long a former member
    still reads plan, team and its Tasks. `service_type` marks the HealthcareServices that can be custodian.
    `countries` are the names that an address may give its country. `national_identifiers` are the systems of the
    numbers by which a country knows its people: who has the same one is the same person.
    """

    id: str
    canonical: str
    version: str
    titles: Mapping[str, str]
    default_language: str
    enrolment: tuple[Coding, ...]
    consent_required: bool
    task_table: str
    read_after_end: timedelta
    offer_demographics: tuple[str, ...]
    roles: Mapping[str, tuple[Coding, ...]]
    service_type: Coding
    countries: tuple[str, ...] = ()
    national_identifiers: tuple[str, ...] = ()
    regions: tuple[Region, ...] = ()
    categories: tuple[Coding, ...] = ()
    team_categories: tuple[Coding, ...] = ()

    def title(self, language: str | None = None) -> str:
        """The title in `language`, or in the programme's own."""
        return self.titles.get(language or "", self.titles[self.default_language])

    def role(self, name: str) -> Resource:
        """The CodeableConcept that `CareTeam.participant.role` carries for a role of `care.care_team.ROLES`."""
        return {"coding": [coding.element() for coding in self.roles[name]]}

    @property
    def versioned(self) -> str:
        """The canonical with its version, as `CarePlan.instantiatesCanonical` states it."""
        return f"{self.canonical}|{self.version}"


def enrols(programme: Programme, conditions: Iterable[Resource], orders: Iterable[Resource]) -> bool:
    """Whether the programme takes in a person who has these Conditions, or for whom these orders were placed.

    A Condition counts while it is present; an order by its `reasonCode`, unless it was withdrawn.
    """
    concepts = [c.get("code", {}) for c in conditions if is_present(c)]
    concepts += [reason for o in orders if o.get("status") not in _WITHDRAWN for reason in o.get("reasonCode", [])]
    return any(coding.is_in(concept) for coding in programme.enrolment for concept in concepts)


def is_present(condition: Resource) -> bool:
    """Whether a Condition counts: it is active, and neither refuted nor entered in error."""
    clinical = {coding.get("code") for coding in condition.get("clinicalStatus", {}).get("coding", [])}
    verified = {coding.get("code") for coding in condition.get("verificationStatus", {}).get("coding", [])}
    return bool(clinical & _PRESENT) and not verified & _NOT_MEANT
