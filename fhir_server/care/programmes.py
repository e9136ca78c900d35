"""A programme: what a pack under `profiles/programmes` says about whom it takes in and how its plans work.

The files are read by the application; `programme_from` checks a document and makes the value.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate

from fhir_server.care.parties import CUSTODIAN, MEMBER, OWNER, REQUESTER, SUBJECT
from fhir_server.care.task_states import PRESETS
from fhir_server.definitions.structures import load
from fhir_server.fhir.json import Resource

_PRESENT = frozenset({"active", "recurrence", "relapse"})
_NOT_MEANT = frozenset({"refuted", "entered-in-error"})
_NOT_SHOWN_BEFORE = frozenset({"id", "meta", "text", "contained", "extension", "modifierExtension"})
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


class UnreadableProgramme(ValueError):
    """A programme document breaks its own rules; the message says where."""


def programme_from(document: Mapping[str, Any]) -> Programme:
    """The Programme that a `programme.json` describes. Raises UnreadableProgramme with every finding and its path."""
    try:
        programme: Programme = _ProgrammeSchema().load(document)
    except ValidationError as error:
        raise UnreadableProgramme(f"programme {document.get('id', '(no id)')!r}: {error.messages}") from error
    return programme


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


def _is_of_patient(path: str) -> None:
    """Refuse what is no path of Patient's own elements, such as `gender` or `address.city`."""
    at = "Patient"
    for name in path.split("."):
        if at in load().primitives:
            raise ValidationError(f"{path!r} leads below an element that has no elements.")
        known = {json: type_name for each in load().elements(at) for json, type_name in each.json_names().items()}
        if name not in known or name in _NOT_SHOWN_BEFORE:
            raise ValidationError(f"{path!r} is no path of elements of Patient that may be shown.")
        at = known[name].removeprefix("#")


class _CodingSchema(Schema):
    system = fields.String(required=True, validate=validate.Regexp(r"(https?://|urn:)\S+$"))
    code = fields.String(required=True, validate=validate.Length(min=1))
    display = fields.String(load_default=None)
    names = fields.Dict(keys=fields.String(), values=fields.String(), load_default=dict)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Coding:
        return Coding(**data)


class _RegionSchema(Schema):
    code = fields.String(required=True, validate=validate.Regexp(r"[A-Z]{2}-[A-Z0-9]{1,3}$"))
    ranges = fields.List(fields.Tuple((fields.Integer(), fields.Integer())), required=True)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Region:
        if any(first > last for first, last in data["ranges"]):
            raise ValidationError("A range of postal codes starts with the lower one.", "ranges")
        return Region(data["code"], tuple(data["ranges"]))


class _ProgrammeSchema(Schema):
    id = fields.String(required=True, validate=validate.Regexp(r"[A-Za-z0-9.-]{1,64}$"))
    canonical = fields.String(required=True, validate=validate.Regexp(r"https?://[^\s|]+$"))
    version = fields.String(required=True)
    titles = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    default_language = fields.String(required=True, data_key="defaultLanguage")
    enrolment = fields.List(fields.Nested(_CodingSchema), required=True, validate=validate.Length(min=1))
    consent_required = fields.Boolean(required=True, data_key="consentRequired")
    task_table = fields.String(required=True, data_key="taskTable", validate=validate.OneOf(sorted(PRESETS)))
    read_after_end_days = fields.Integer(required=True, data_key="readAfterEndDays", validate=validate.Range(min=0))
    offer_demographics = fields.List(
        fields.String(validate=_is_of_patient), required=True, data_key="offerDemographics"
    )
    roles = fields.Dict(keys=fields.String(), values=fields.List(fields.Nested(_CodingSchema)), required=True)
    service_type = fields.Nested(_CodingSchema, required=True, data_key="custodianServiceType")
    countries = fields.List(fields.String(), load_default=list)
    national_identifiers = fields.List(
        fields.String(validate=validate.Regexp(r"(https?://|urn:)\S+$")),
        load_default=list,
        data_key="nationalIdentifiers",
    )
    regions = fields.List(fields.Nested(_RegionSchema), load_default=list)
    categories = fields.List(fields.Nested(_CodingSchema), load_default=list)
    team_categories = fields.List(fields.Nested(_CodingSchema), load_default=list, data_key="teamCategories")

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Programme:
        if data["default_language"] not in data["titles"]:
            raise ValidationError("The default language has no title.", "titles")
        missing = {SUBJECT, CUSTODIAN, REQUESTER, OWNER, MEMBER} - {
            role for role, codes in data["roles"].items() if codes
        }
        if missing:
            raise ValidationError(f"No code for the roles {', '.join(sorted(missing))}.", "roles")
        data["roles"] = {role: tuple(codings) for role, codings in data["roles"].items()}
        data["read_after_end"] = timedelta(days=data.pop("read_after_end_days"))
        lists = {name: tuple(value) for name, value in data.items() if isinstance(value, list)}
        return Programme(**{**data, **lists})
