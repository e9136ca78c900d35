"""Everything that can be set from outside, in one place: environment variables that begin with SAMEN_.

`docs/configuration.md` lists them for the reader; a test holds it equal to this file.
"""

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from marshmallow import RAISE, Schema, ValidationError

from fhir_server import setting_kinds as kinds
from fhir_server.auth.addresses import is_loopback
from fhir_server.auth.issuers import TrustedIssuer
from fhir_server.auth.trust_list import trusted_issuers
from fhir_server.auth.users import LANGUAGES

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


def _cores() -> int:
    """The processors that this process may use; a container is often given fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _setting(kind: kinds.Kind, default: Any, doc: str) -> Any:
    metadata = {"kind": kind, "doc": doc}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """The settings of one process. `Settings.read(os.environ)` reads them, or raises SettingsError."""

    mongodb_url: str = _setting(
        kinds.Read(kinds.mongodb_url),
        "",
        "Address of a MongoDB replica set. Empty: an embedded MongoDB is started under SAMEN_DATA.",
    )
    database: str = _setting(kinds.database_name(), "samen", "Name of the database.")
    data: Path = _setting(  # noqa: RUF009 - the rule does not know that a Path cannot change
        kinds.Read(kinds.folder),
        Path("var"),
        "Folder for what this machine keeps itself: the embedded MongoDB, the demo's file.",
    )
    base_url: str = _setting(
        kinds.Read(kinds.base_url),
        "",
        "Public address of the FHIR interface, as clients see it; tokens are made for it. Empty: "
        "http://SAMEN_HOST:SAMEN_PORT/fhir, which only a loopback host may have.",
    )
    host: str = _setting(kinds.Read(kinds.listening_address), "127.0.0.1", "IP address to listen on.")
    port: int = _setting(kinds.whole(1, 65535), 8080, "Port to listen on.")
    workers: int = _setting(kinds.whole(1, 256), _cores, "Server processes. Unset: one per processor core.")
    proxies: int = _setting(
        kinds.whole(0, 5), 0, "Reverse proxies in front that are trusted to name the client's address and scheme."
    )
    audit_reads: str = _setting(
        kinds.one_of("local", "journaled", "acknowledged"),
        "local",
        "When the audit record of a read counts as kept, before the answer is given: local (on this machine's disk, in "
        "SAMEN_AUDIT_FOLDER; in the database within about a second), journaled (on disk at a majority of the database) "
        "or acknowledged (in the memory of its primary; a crash may lose the last moments).",
    )
    audit_folder: Path | None = _setting(  # noqa: RUF009 - as above
        kinds.Read(kinds.folder_if_any),
        None,
        "Folder of the local audit journal, on a disk that outlives the server's process and container. "
        "Empty: the folder audit under SAMEN_DATA.",
    )
    max_body: int = _setting(kinds.whole(1024, 100 * _MEBIBYTE), 20 * _MEBIBYTE, "Largest request body, in bytes.")
    issuers: tuple[TrustedIssuer, ...] = _setting(
        kinds.Read(trusted_issuers),
        (),
        "Other issuers whose access tokens are believed: a JSON list of objects with issuer, jwks_url, audience, "
        "organizations (references that it may speak for, or *), and optionally organization_claim and scopes.",
    )
    token_lifetime: int = _setting(
        kinds.whole(30, 86_400), 300, "Life of an access token that this server issues, in seconds."
    )
    referential_integrity: bool = _setting(
        kinds.yes_or_no(), True, "Whether a resource that others refer to is kept from being deleted."
    )
    full_text: tuple[str, ...] = _setting(
        kinds.Read(kinds.resource_types),
        FULL_TEXT,
        "Resource types between commas whose words _text and _content search; empty for none. A write of such a type "
        "takes up to a fifth longer. The words of what is stored already are gathered after the start.",
    )
    max_deletes: int = _setting(
        kinds.whole(1, 1000),
        1,
        "How many resources one delete under a condition may match; with 1 a condition that matches more is refused.",
    )
    search_seconds: int = _setting(
        kinds.whole(1, 12),
        5,
        "How long MongoDB may look for the answer of one search, in seconds; one that needs longer is refused as "
        "too-costly.",
    )
    http_endpoints: bool = _setting(
        kinds.yes_or_no(), False, "Whether subscriptions may name http:// endpoints on loopback; for development."
    )
    secure_cookies: bool = _setting(
        kinds.yes_or_no(), True, "Whether the sign-in cookie travels over https only; false only on loopback."
    )
    events_days: int = _setting(
        kinds.whole(1, 36_500),
        90,
        "Days after which an event of a Subscription that was told is forgotten; what is still to be told never is.",
    )
    session_hours: int = _setting(kinds.whole(1, 24), 10, "Hours after which a sign-in ends.")
    time_zone: str = _setting(kinds.Read(kinds.time_zone), "Europe/Brussels", "Time zone that decides which day it is.")
    languages: tuple[str, ...] = _setting(
        kinds.Read(kinds.languages),
        LANGUAGES,
        "Languages of the viewer between commas, the first for whoever states none.",
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
