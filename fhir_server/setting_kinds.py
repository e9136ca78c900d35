"""What kinds of value a setting may have: how the text of its variable is read, and what is right where it is wrong.

A text that cannot be read is refused by a ValidationError, which never repeats it: it may be secret.
"""

from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from marshmallow import ValidationError, fields
from marshmallow.validate import OneOf, Range, Regexp

from fhir_server.auth.users import LANGUAGES
from fhir_server.definitions.structures import RESOURCE_TYPES
from fhir_server.store.mongo.connection import is_understood

Kind = fields.Field[Any]


class Read(fields.Field[Any]):
    """A value that a function reads from the text; the function raises ValidationError."""

    def __init__(self, read: Callable[[str], Any]) -> None:
        super().__init__()
        self._read = read

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> Any:
        return self._read(str(value))


def whole(smallest: int, largest: int) -> Kind:
    """A whole number from `smallest` to `largest`."""
    words = f"must be a whole number from {smallest} to {largest}"
    return fields.Integer(validate=Range(smallest, largest, error=words), error_messages={"invalid": words})


def one_of(*choices: str) -> Kind:
    """One of these words."""
    return fields.String(validate=OneOf(choices, error=f"must be {' or '.join(choices)}"))


def yes_or_no() -> Kind:
    """True or false."""
    return fields.Boolean(error_messages={"invalid": "must be true or false"})


def database_name() -> Kind:
    """A name that MongoDB takes for a database."""
    named = Regexp(r"[A-Za-z0-9_-]{1,38}\Z", error="must be 1 to 38 letters, digits, - or _")
    return fields.String(validate=named)


def base_url(text: str) -> str:
    """The public address of the FHIR interface."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise ValidationError("must be an address such as https://care.example.org/fhir") from error
    if not parts.hostname or parts.scheme not in ("http", "https") or parts.query or parts.fragment or parts.username:
        raise ValidationError("must be an address such as https://care.example.org/fhir, without query or user name")
    if not parts.path.strip("/") or text.endswith("/"):
        raise ValidationError("must have a path, such as /fhir, and no slash at its end")
    return text


def mongodb_url(text: str) -> str:
    """The address of a MongoDB; empty for an embedded one."""
    if text and not text.startswith(("mongodb://", "mongodb+srv://")):
        raise ValidationError("must begin with mongodb:// or mongodb+srv://, or be empty")
    if text and not is_understood(text):
        raise ValidationError(
            "must be an address such as mongodb://user:password@db1,db2,db3/?replicaSet=samen, with options that "
            "MongoDB knows and files that are there; in a password, / : @ and % are written %2F %3A %40 and %25"
        )
    return text


def listening_address(text: str) -> str:
    """An IP address of this machine, or of all of its networks; whether it has it shows at the start."""
    words = "must be an IP address: 127.0.0.1 or ::1 for this machine alone, 0.0.0.0 or :: for all of its addresses"
    try:
        address = ip_address(text)
    except ValueError as error:
        raise ValidationError(words) from error
    if "%" in text:
        raise ValidationError(words)
    return str(address)


def time_zone(name: str) -> str:
    """A time zone that this machine knows."""
    try:
        return ZoneInfo(name).key
    except (OSError, ValueError, KeyError) as error:
        raise ValidationError("must be a time zone such as Europe/Brussels") from error


def languages(text: str) -> tuple[str, ...]:
    """Languages of the viewer between commas, at least one, each once."""
    names = _between_commas(text)
    if not names or not set(names) <= set(LANGUAGES):
        raise ValidationError(f"must be languages between commas, out of {','.join(LANGUAGES)}")
    return names


def resource_types(text: str) -> tuple[str, ...]:
    """Resource types between commas, each once, perhaps none."""
    names = _between_commas(text)
    if not set(names) <= RESOURCE_TYPES - {"AuditEvent"}:
        raise ValidationError("must be resource types between commas, without AuditEvent")
    return names


def folder(text: str) -> Path:
    """A folder, which need not exist yet."""
    if not text:
        raise ValidationError("must be the name of a folder")
    return Path(text)


def folder_if_any(text: str) -> Path | None:
    """The same; None for an empty text."""
    return Path(text) if text else None


def _between_commas(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
