"""Settings are read whole or not at all, every mistake is named, and the manual says what the code does."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from fhir_server.auth.issuers import TrustedIssuer
from fhir_server.settings import Settings, SettingsError, variable

MANUAL = Path(__file__).parents[2] / "docs" / "configuration.md"
ISSUER = (
    '{"issuer": "https://login.example.org", "jwks_url": "https://login.example.org/jwks", '
    '"audience": "https://care.example.org/fhir", "organizations": ["Organization/7"]}'
)


def test_without_any_variable_there_is_a_server_for_this_machine_only() -> None:
    settings = Settings.read({"PATH": "/bin", "HOME": "/"})
    assert (settings.host, settings.port, settings.public_url) == ("127.0.0.1", 8080, "http://127.0.0.1:8080/fhir")
    assert (settings.mongodb_url, settings.mongodb_folder) == ("", Path("var/mongodb"))
    assert (settings.secure_cookies, settings.http_endpoints, settings.issuers) == (True, False, ())
    assert settings.workers >= 1


def test_the_public_address_follows_host_and_port_until_it_is_named() -> None:
    assert Settings.read({"SAMEN_PORT": "9090"}).public_url == "http://127.0.0.1:9090/fhir"
    assert Settings.read({"SAMEN_HOST": "::1"}).public_url == "http://[::1]:8080/fhir"
    named = Settings.read({"SAMEN_HOST": "0.0.0.0", "SAMEN_BASE_URL": "https://care.example.org/r4"})
    assert (named.public_url, named.origin) == ("https://care.example.org/r4", "https://care.example.org")


def test_values_become_what_they_stand_for() -> None:
    settings = Settings.read(
        {
            "SAMEN_SECURE_COOKIES": "false",
            "SAMEN_HTTP_ENDPOINTS": "true",
            "SAMEN_LANGUAGES": "fr, nl",
            "SAMEN_TOKEN_LIFETIME": "60",
            "SAMEN_SESSION_HOURS": "8",
            "SAMEN_ISSUERS": f"[{ISSUER}]",
        }
    )
    assert (settings.secure_cookies, settings.http_endpoints, settings.languages) == (False, True, ("fr", "nl"))
    assert (settings.token_life.total_seconds(), settings.session_life.total_seconds()) == (60, 8 * 3600)
    assert settings.issuers == (
        TrustedIssuer(
            issuer="https://login.example.org",
            jwks_url="https://login.example.org/jwks",
            audience="https://care.example.org/fhir",
            organization_claim="organization",
            organizations=("Organization/7",),
            scopes=("system/*.cruds",),
        ),
    )


BROKEN = {
    "FULL_TEXT": ["Nothing", "CarePlan,AuditEvent", "careplan"],
    "PORT": ["0", "65536", "http", "", "80.5"],
    "WORKERS": ["0", "many"],
    "BASE_URL": [
        "care.example.org/fhir",
        "ftp://care.example.org/fhir",
        "https://care.example.org",
        "https://care.example.org/fhir/",
        "https://care.example.org/fhir?x=1",
        "https://user:pass@care.example.org/fhir",
        "http://[::1/fhir",
    ],
    "MONGODB_URL": [
        "http://db:27017",
        "db:27017",
        "mongodb://",
        "mongodb://db:99999/",
        "mongodb://samen:pass@word@db/",
        "mongodb://db/?replicaZet=samen",
        "mongodb://db/?replicaSet=samen&replicaSet=other",
        "mongodb://db/?tls=true&tlsCAFile=/nowhere/ca.pem",
    ],
    "DATABASE": ["", "a.b", "a b", "x" * 39],
    "DATA": [""],
    "HOST": ["", "localhost", "care.example.org", "999.1.1.1", "[::1]", "fe80::1%eth0"],
    "AUDIT_READS": ["", "never"],
    "AUDIT_FOLDER": [],  # any name may be a folder's; whether it can be written shows at the start
    "MAX_DELETES": ["0", "all"],
    "SEARCH_SECONDS": ["0", "60", "soon"],
    "REFERENTIAL_INTEGRITY": ["perhaps"],
    "MAX_BODY": ["0", "20MB"],
    "TOKEN_LIFETIME": ["0", "86401"],
    "HTTP_ENDPOINTS": ["", "perhaps"],
    "SECURE_COOKIES": ["", "sometimes"],
    "EVENTS_DAYS": ["0", "40000"],
    "SESSION_HOURS": ["0", "25"],
    "TIME_ZONE": ["Mars/Olympus", "../../etc/passwd", "/etc/localtime", ""],
    "LANGUAGES": ["", "nl,xx", ","],
    "PROXIES": ["-1", "6"],
    "ISSUERS": [
        "{",
        "{}",
        "[1]",
        "[{}]",
        f"[{ISSUER}, {ISSUER}]",
        f"[{ISSUER}]".replace("https://login.example.org/jwks", "http://login.example.org/jwks"),
        f"[{ISSUER}]".replace("Organization/7", "Practitioner/7"),
        f"[{ISSUER}]".replace('["Organization/7"]', "[]"),
        f"[{ISSUER}]".replace("}", ', "scopes": ["everything"]}'),
        f"[{ISSUER}]".replace("}", ', "secret": "x"}'),
        f"[{ISSUER}]".replace('https://login.example.org"', 'http://127.0.0.1:8080"'),
    ],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in BROKEN.items() for text in texts])
def test_a_value_that_is_not_understood_is_refused_by_its_name(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"SAMEN_{name}"):
        Settings.read({f"SAMEN_{name}": text})


def test_every_setting_with_rules_has_a_broken_example() -> None:
    assert {known.name.upper() for known in fields(Settings)} == set(BROKEN)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.read({"SAMEN_PORT": "x", "SAMEN_TIME_ZONE": "x", "SAMEN_PROT": "8080"})
    assert str(refused.value).splitlines() == [
        "SAMEN_PORT: must be a whole number from 1 to 65535",
        "SAMEN_PROT: there is no such setting; did you mean SAMEN_PORT?",
        "SAMEN_TIME_ZONE: must be a time zone such as Europe/Brussels",
    ]


def test_a_refused_secret_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.read({"SAMEN_MONGODB_URL": "postgres://samen:hunter2@db"})
    assert "hunter2" not in str(refused.value)
    with pytest.raises(SettingsError) as refused:
        Settings.read({"SAMEN_MONGODB_URL": "mongodb://samen:hunter2@x@db/"})
    assert "hunter2" not in str(refused.value)


def test_the_world_is_served_under_a_named_address_only() -> None:
    with pytest.raises(SettingsError, match="SAMEN_BASE_URL: must be given when SAMEN_HOST is not loopback"):
        Settings.read({"SAMEN_HOST": "0.0.0.0"})


def test_cookies_travel_unprotected_on_loopback_only() -> None:
    with pytest.raises(SettingsError, match="SAMEN_SECURE_COOKIES"):
        Settings.read({"SAMEN_BASE_URL": "http://care.example.org/fhir", "SAMEN_SECURE_COOKIES": "false"})


def test_variables_for_tests_are_not_settings() -> None:
    assert Settings.read({"SAMEN_TEST_ANYTHING": "x"})


@pytest.mark.parametrize("known", fields(Settings), ids=lambda known: known.name)
def test_the_manual_tells_each_setting_as_the_code_does(known: Any) -> None:
    assert manual_row(known) in MANUAL.read_text().splitlines()


def test_the_manual_tells_of_no_setting_that_is_gone() -> None:
    rows = [line for line in MANUAL.read_text().splitlines() if line.startswith("| `SAMEN_")]
    assert rows == [manual_row(known) for known in fields(Settings)]


def manual_row(known: Any) -> str:
    """The line of the table in docs/configuration.md."""
    default = known.default
    if default is None:
        shown = "(empty)"
    elif not isinstance(default, (str, int, Path, tuple)):
        shown = "(see text)"
    elif isinstance(default, bool):
        shown = f"`{str(default).lower()}`"
    elif isinstance(default, tuple):
        shown = f"`{','.join(default)}`" if default else "(empty)"
    else:
        shown = f"`{default}`" if str(default) else "(empty)"
    return f"| `{variable(known.name)}` | {shown} | {known.metadata['doc']} |"
