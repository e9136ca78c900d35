"""Everything that can be set from outside, in one place: environment variables that begin with SAMEN_.

`docs/configuration.md` lists them for the reader; a test holds it equal to this file.
"""

import difflib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from marshmallow import RAISE, Schema, ValidationError
from marshmallow import fields as kinds
from marshmallow.validate import Length, OneOf, Range, Regexp

from fhir_server.auth.addresses import is_loopback
from fhir_server.auth.issuers import TrustedIssuer
from fhir_server.auth.trust_list import trusted_issuers
from fhir_server.auth.users import LANGUAGES
from fhir_server.definitions.structures import RESOURCE_TYPES

PREFIX = "SAMEN_"
_FOR_TESTS = "SAMEN_TEST_"
_MEBIBYTE = 1024 * 1024

FULL_TEXT = (
    "CarePlan",
    "Communication",
    "DiagnosticReport",
    "DocumentReference",
    "Procedure",
    "QuestionnaireResponse",
)
"""Where people write: what is written all day in figures and codes keeps no words."""


class SettingsError(Exception):
    """Variables that are unknown, or whose value the server does not understand; the message lists all of them."""


class _Read(kinds.Field[Any]):
    """A value that a function reads from the text; the function raises ValidationError."""

    def __init__(self, read: Callable[[str], Any]) -> None:
        super().__init__()
        self._read = read

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> Any:
        return self._read(str(value))


def _base_url(text: str) -> str:
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


def _mongodb_url(text: str) -> str:
    if text and not text.startswith(("mongodb://", "mongodb+srv://")):
        raise ValidationError("must begin with mongodb:// or mongodb+srv://, or be empty")
    return text


def _time_zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (OSError, ValueError, KeyError) as error:
        raise ValidationError("must be a time zone such as Europe/Brussels") from error


def _languages(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names or not set(names) <= set(LANGUAGES):
        raise ValidationError(f"must be languages between commas, out of {','.join(LANGUAGES)}")
    return names


def _types(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not set(names) <= RESOURCE_TYPES - {"AuditEvent"}:
        raise ValidationError("must be resource types between commas, without AuditEvent")
    return names


def _folder(text: str) -> Path:
    if not text:
        raise ValidationError("must be the name of a folder")
    return Path(text)


def _cores() -> int:
    """The processors that this process may use; a container is often given fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _setting(kind: kinds.Field[Any], default: Any, doc: str) -> Any:
    metadata = {"kind": kind, "doc": doc}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def _whole(smallest: int, largest: int) -> kinds.Integer:
    words = f"must be a whole number from {smallest} to {largest}"
    return kinds.Integer(validate=Range(smallest, largest, error=words), error_messages={"invalid": words})


def _one_of(*choices: str) -> kinds.String:
    return kinds.String(validate=OneOf(choices, error=f"must be {' or '.join(choices)}"))


def _yes_or_no() -> kinds.Boolean:
    return kinds.Boolean(error_messages={"invalid": "must be true or false"})


_DATABASE_NAME = Regexp(r"[A-Za-z0-9_-]{1,38}\Z", error="must be 1 to 38 letters, digits, - or _")


@dataclass(frozen=True)
class Settings:
    """The settings of one process. `Settings.read(os.environ)` reads them, or raises SettingsError."""

    mongodb_url: str = _setting(
        _Read(_mongodb_url),
        "",
        "Address of a MongoDB replica set. Empty: an embedded MongoDB is started under SAMEN_DATA.",
    )
    database: str = _setting(kinds.String(validate=_DATABASE_NAME), "samen", "Name of the database.")
    data: Path = _setting(  # noqa: RUF009 - the rule does not know that a Path cannot change
        _Read(_folder),
        Path("var"),
        "Folder for what this machine keeps itself: the embedded MongoDB, the demo's file.",
    )
    base_url: str = _setting(
        _Read(_base_url),
        "",
        "Public address of the FHIR interface, as clients see it; tokens are made for it. Empty: "
        "http://SAMEN_HOST:SAMEN_PORT/fhir, which only a loopback host may have.",
    )
    host: str = _setting(
        kinds.String(validate=Length(min=1, error="must not be empty")), "127.0.0.1", "Address to listen on."
    )
    port: int = _setting(_whole(1, 65535), 8080, "Port to listen on.")
    workers: int = _setting(_whole(1, 256), _cores, "Server processes. Unset: one per processor core.")
    proxies: int = _setting(
        _whole(0, 5), 0, "Reverse proxies in front that are trusted to name the client's address and scheme."
    )
    audit_reads: str = _setting(
        _one_of("local", "journaled", "acknowledged"),
        "local",
        "When the audit record of a read counts as kept, before the answer is given: local (on this machine's disk, in "
        "SAMEN_AUDIT_FOLDER; in the database within about a second), journaled (on disk at a majority of the database) "
        "or acknowledged (in the memory of its primary; a crash may lose the last moments).",
    )
    audit_folder: Path | None = _setting(  # noqa: RUF009 - as above
        _Read(lambda text: Path(text) if text else None),
        None,
        "Folder of the local audit journal, on a disk that outlives the server's process and container. "
        "Empty: the folder audit under SAMEN_DATA.",
    )
    max_body: int = _setting(_whole(1024, 100 * _MEBIBYTE), 20 * _MEBIBYTE, "Largest request body, in bytes.")
    issuers: tuple[TrustedIssuer, ...] = _setting(
        _Read(trusted_issuers),
        (),
        "Other issuers whose access tokens are believed: a JSON list of objects with issuer, jwks_url, audience, "
        "organizations (references that it may speak for, or *), and optionally organization_claim and scopes.",
    )
    token_lifetime: int = _setting(
        _whole(30, 86_400), 300, "Life of an access token that this server issues, in seconds."
    )
    referential_integrity: bool = _setting(
        _yes_or_no(), True, "Whether a resource that others refer to is kept from being deleted."
    )
    full_text: tuple[str, ...] = _setting(
        _Read(_types),
        FULL_TEXT,
        "Resource types between commas whose words _text and _content search; empty for none. A write of such a type "
        "takes up to a fifth longer. The words of what is stored already are gathered after the start.",
    )
    max_deletes: int = _setting(
        _whole(1, 1000),
        1,
        "How many resources one delete under a condition may match; with 1 a condition that matches more is refused.",
    )
    search_seconds: int = _setting(
        _whole(1, 12),
        5,
        "How long MongoDB may look for the answer of one search, in seconds; one that needs longer is refused as "
        "too-costly.",
    )
    http_endpoints: bool = _setting(
        _yes_or_no(), False, "Whether subscriptions may name http:// endpoints on loopback; for development."
    )
    secure_cookies: bool = _setting(
        _yes_or_no(), True, "Whether the sign-in cookie travels over https only; false only on loopback."
    )
    events_days: int = _setting(
        _whole(1, 36_500),
        90,
        "Days after which an event of a Subscription that was told is forgotten; what is still to be told never is.",
    )
    session_hours: int = _setting(_whole(1, 24), 10, "Hours after which a sign-in ends.")
    time_zone: str = _setting(_Read(_time_zone), "Europe/Brussels", "Time zone that decides which day it is.")
    languages: tuple[str, ...] = _setting(
        _Read(_languages), LANGUAGES, "Languages of the viewer between commas, the first for whoever states none."
    )

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Settings":
        """The settings that `environment` names. Raises SettingsError; values are not repeated, they may be secret."""
        given = {
            name: text
            for name, text in environment.items()
            if name.startswith(PREFIX) and not name.startswith(_FOR_TESTS)
        }
        kinds_of = {variable(known.name): known.metadata["kind"] for known in fields(cls)}
        try:
            loaded = Schema.from_dict(kinds_of)(unknown=RAISE).load(given)
        except ValidationError as error:
            raise SettingsError("\n".join(_complaints(error.messages_dict, kinds_of))) from error
        return _consistent(cls(**{name.removeprefix(PREFIX).lower(): value for name, value in loaded.items()}))

    @property
    def public_url(self) -> str:
        """The FHIR base address, without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.base_url or f"http://{host}:{self.port}/fhir"

    @property
    def origin(self) -> str:
        """Scheme, host and port of the public address: the name of the local issuer, and where the viewer lives."""
        parts = urlsplit(self.public_url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def mongodb_folder(self) -> Path:
        """Where the embedded MongoDB keeps its data."""
        return self.data / "mongodb"

    @property
    def journal_folder(self) -> Path:
        """Where the audit records of readings wait for the database."""
        return self.audit_folder or self.data / "audit"

    @property
    def token_life(self) -> timedelta:
        """Life of an access token of the local issuer."""
        return timedelta(seconds=self.token_lifetime)

    @property
    def event_life(self) -> timedelta:
        """How long an event that was told is kept for `$events`."""
        return timedelta(days=self.events_days)

    @property
    def session_life(self) -> timedelta:
        """Life of a sign-in."""
        return timedelta(hours=self.session_hours)


def variable(name: str) -> str:
    """The environment variable of the setting `name`."""
    return PREFIX + name.upper()


def _consistent(settings: Settings) -> Settings:
    if not settings.base_url and not is_loopback(settings.host):
        raise SettingsError(
            "SAMEN_BASE_URL: must be given when SAMEN_HOST is not loopback, such as https://care.example.org/fhir"
        )
    public_host = urlsplit(settings.public_url).hostname or ""
    if not settings.secure_cookies and not is_loopback(public_host):
        raise SettingsError("SAMEN_SECURE_COOKIES: may be false only when the public address is on loopback")
    if any(issuer.issuer == settings.origin for issuer in settings.issuers):
        raise SettingsError(f"SAMEN_ISSUERS: {settings.origin} is this server's own issuer")
    return settings


def _complaints(messages: dict[str, Any], known: Mapping[str, Any]) -> Iterator[str]:
    for name, found in sorted(messages.items()):
        if name in known:
            yield f"{name}: {_in_words(found)}"
        else:
            near = difflib.get_close_matches(name, known, n=1)
            yield f"{name}: there is no such setting" + (f"; did you mean {near[0]}?" if near else "")


def _in_words(found: Any) -> str:
    if isinstance(found, dict):
        return "; ".join(f"{place}: {_in_words(inner)}" for place, inner in found.items())
    if isinstance(found, list):
        return "; ".join(_in_words(inner) for inner in found)
    return str(found).rstrip(".")
