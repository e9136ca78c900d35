"""A `programme.json` becomes a Programme, or is refused with all that is wrong with it.

The files are read by the application.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate

from fhir_server.care.parties import CUSTODIAN, MEMBER, OWNER, REQUESTER, SUBJECT
from fhir_server.care.programmes import Coding, Programme, Region
from fhir_server.care.task_states import PRESETS
from fhir_server.definitions.structures import load

_NOT_SHOWN_BEFORE = frozenset({"id", "meta", "text", "contained", "extension", "modifierExtension"})


class UnreadableProgramme(ValueError):
    """A programme document breaks its own rules; each line of the message says where, and what would be right."""


def programme_from(document: Mapping[str, Any]) -> Programme:
    """The Programme that a `programme.json` describes. Raises UnreadableProgramme with every finding and its path."""
    try:
        programme: Programme = _ProgrammeSchema().load(document)
    except ValidationError as error:
        raise UnreadableProgramme("\n".join(_complaints(error.messages))) from error
    return programme


_OTHERWISE = {
    "Missing data for required field.": "must be given",
    "Field may not be null.": "must be given, and is null",
    "Unknown field.": "there is no such element",
    "Not a valid string.": "must be a text",
    "Not a valid boolean.": "must be true or false",
    "Not a valid integer.": "must be a whole number",
    "Not a valid list.": "must be a list",
    "Not a valid tuple.": "must be a list of two numbers, such as [1000, 1299]",
    "Length must be 2.": "must be a list of two numbers, such as [1000, 1299]",
    "Not a valid mapping type.": "must be an object",
    "Invalid input type.": "must be an object",
}
"""What marshmallow says of the form of a value, in our words."""

_OF_NO_ELEMENT = {"_schema", "value"}


def _complaints(found: Any, path: str = "") -> Iterator[str]:
    """Each finding with the path of its element, such as `roles.owner[0].system`."""
    if isinstance(found, Mapping):
        for name, inner in found.items():
            step = f"[{name}]" if isinstance(name, int) else "" if name in _OF_NO_ELEMENT else f".{name}"
            yield from _complaints(inner, f"{path}{step}".removeprefix("."))
    elif isinstance(found, list):
        for each in found:
            yield from _complaints(each, path)
    else:
        yield f"{path or 'the whole'}: {_OTHERWISE.get(found, str(found)).rstrip('.')}"


def _is_of_patient(path: str) -> None:
    """Refuse what is no path of Patient's own elements, such as `gender` or `address.city`."""
    at = "Patient"
    for name in path.split("."):
        if at in load().primitives:
            raise ValidationError(f"{path!r} leads below an element that has no elements")
        known = {json: type_name for each in load().elements(at) for json, type_name in each.json_names().items()}
        if name not in known or name in _NOT_SHOWN_BEFORE:
            raise ValidationError(
                f"{path!r} is no path of elements of Patient that may be shown; such are gender and address.city"
            )
        at = known[name].removeprefix("#")


_IS_URI = validate.Regexp(
    r"(https?://|urn:)\S+$", error="must begin with http://, https:// or urn:, and have no blanks"
)


class _CodingSchema(Schema):
    system = fields.String(required=True, validate=_IS_URI)
    code = fields.String(required=True, validate=validate.Length(min=1, error="must not be empty"))
    display = fields.String(load_default=None)
    names = fields.Dict(keys=fields.String(), values=fields.String(), load_default=dict)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Coding:
        return Coding(**data)


class _RegionSchema(Schema):
    code = fields.String(
        required=True,
        validate=validate.Regexp(r"[A-Z]{2}-[A-Z0-9]{1,3}$", error="must be a region of ISO 3166-2, such as BE-BRU"),
    )
    ranges = fields.List(fields.Tuple((fields.Integer(), fields.Integer())), required=True)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Region:
        if any(first > last for first, last in data["ranges"]):
            raise ValidationError("a range of postal codes must start with the lower one", "ranges")
        return Region(data["code"], tuple(data["ranges"]))


class _ProgrammeSchema(Schema):
    id = fields.String(
        required=True,
        validate=validate.Regexp(r"[A-Za-z0-9.-]{1,64}$", error="must be 1 to 64 letters, digits, dots and hyphens"),
    )
    canonical = fields.String(
        required=True,
        validate=validate.Regexp(
            r"https?://[^\s|]+$", error="must begin with http:// or https://, and have no version behind it"
        ),
    )
    version = fields.String(required=True)
    titles = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    default_language = fields.String(required=True, data_key="defaultLanguage")
    enrolment = fields.List(
        fields.Nested(_CodingSchema), required=True, validate=validate.Length(min=1, error="must have a code")
    )
    consent_required = fields.Boolean(required=True, data_key="consentRequired")
    task_table = fields.String(
        required=True, data_key="taskTable", validate=validate.OneOf(sorted(PRESETS), error="must be one of {choices}")
    )
    read_after_end_days = fields.Integer(
        required=True, data_key="readAfterEndDays", validate=validate.Range(min=0, error="must be at least 0")
    )
    offer_demographics = fields.List(
        fields.String(validate=_is_of_patient), required=True, data_key="offerDemographics"
    )
    roles = fields.Dict(keys=fields.String(), values=fields.List(fields.Nested(_CodingSchema)), required=True)
    service_type = fields.Nested(_CodingSchema, required=True, data_key="custodianServiceType")
    countries = fields.List(fields.String(), load_default=list)
    national_identifiers = fields.List(
        fields.String(validate=_IS_URI),
        load_default=list,
        data_key="nationalIdentifiers",
    )
    regions = fields.List(fields.Nested(_RegionSchema), load_default=list)
    categories = fields.List(fields.Nested(_CodingSchema), load_default=list)
    team_categories = fields.List(fields.Nested(_CodingSchema), load_default=list, data_key="teamCategories")

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Programme:
        if data["default_language"] not in data["titles"]:
            raise ValidationError(f"must have one in the default language, {data['default_language']!r}", "titles")
        missing = {SUBJECT, CUSTODIAN, REQUESTER, OWNER, MEMBER} - {
            role for role, codes in data["roles"].items() if codes
        }
        if missing:
            raise ValidationError(f"must have a code for {', '.join(sorted(missing))}", "roles")
        data["roles"] = {role: tuple(codings) for role, codings in data["roles"].items()}
        data["read_after_end"] = timedelta(days=data.pop("read_after_end_days"))
        lists = {name: tuple(value) for name, value in data.items() if isinstance(value, list)}
        return Programme(**{**data, **lists})
