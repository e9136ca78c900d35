"""The operator's commands: who may come in, told at a terminal."""

import re
import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest
from click.testing import CliRunner, Result

from fhir_server.auth.clients import hash_of, proven_client
from fhir_server.auth.local_issuer import LocalIssuer
from fhir_server.auth.sessions import Sessions, WrongCredentials
from fhir_server.auth.token_requests import TokenRequest, answer_request
from fhir_server.cli import main
from fhir_server.fhir import dates
from fhir_server.settings import Settings
from fhir_server.store.mongo.connection import Connection
from fhir_server.store.mongo.entrances import CLIENT
from fhir_server.store.mongo.registry import Registry

PASSWORD = "a long enough password"
MINUTE = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}Z"


@pytest.fixture
def environment(mongo_url: str, database_name: str) -> dict[str, str]:
    return {"SAMEN_MONGODB_URL": mongo_url, "SAMEN_DATABASE": database_name}


@pytest.fixture
def registry(mongo_url: str, database_name: str) -> Iterator[Registry]:
    opened = Registry(Connection(mongo_url, database_name))
    yield opened
    opened.close()


@pytest.fixture
def sessions(registry: Registry) -> Sessions:
    return Sessions(registry, lifetime=Settings().session_life, clock=dates.now)


@pytest.fixture
def issuer(registry: Registry) -> LocalIssuer:
    here = "https://here.example"
    return LocalIssuer(registry, issuer=here, audience=f"{here}/fhir", lifetime=timedelta(minutes=5), clock=dates.now)


def run(environment: dict[str, str], *words: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(main, words, input=typed, env=environment)


def register_client(environment: dict[str, str]) -> tuple[str, str]:
    done = run(environment, "register-client", "--organization", "Organization/7", "--scope", "samen/import")
    assert done.exit_code == 0, done.output
    lines = dict(line.split(": ") for line in done.output.splitlines())
    return lines["client_id"], lines["client_secret"]


def register_user(environment: dict[str, str], username: str, typed: str = PASSWORD + "\n") -> Result:
    return run(environment, "register-user", username, "--organization", "Organization/7", typed=typed)


def test_a_client_is_registered_and_revoked(environment: dict[str, str], registry: Registry) -> None:
    client_id, secret = register_client(environment)
    client = proven_client(registry, client_id, secret)
    assert client is not None
    assert (client.organization, client.scopes) == ("Organization/7", ("samen/import",))
    assert run(environment, "revoke-client", client_id).exit_code == 0
    assert proven_client(registry, client_id, secret) is None


def test_a_user_is_registered_and_deactivated(environment: dict[str, str], sessions: Sessions) -> None:
    name = f"els-{uuid.uuid4().hex[:8]}"
    assert register_user(environment, name).exit_code == 0
    assert sessions.actor_of_session(sessions.sign_in(name, PASSWORD, "192.0.2.1")) is not None
    assert run(environment, "deactivate-user", name).exit_code == 0
    with pytest.raises(WrongCredentials):
        sessions.sign_in(name, PASSWORD, "192.0.2.1")


def test_a_password_is_changed(environment: dict[str, str], sessions: Sessions) -> None:
    name = f"els-{uuid.uuid4().hex[:8]}"
    register_user(environment, name)
    assert run(environment, "change-password", name, typed="another long password\n").exit_code == 0
    assert sessions.sign_in(name, "another long password", "192.0.2.2")


def test_a_deactivated_user_gets_no_new_password(environment: dict[str, str]) -> None:
    name = f"els-{uuid.uuid4().hex[:8]}"
    register_user(environment, name)
    run(environment, "deactivate-user", name)
    refused = run(environment, "change-password", name, typed="another long password\n")
    assert refused.exit_code == 1
    assert f"there is no user {name} who may sign in" in refused.output


def test_the_clients_of_an_organisation_are_listed_without_their_secrets(
    environment: dict[str, str], registry: Registry, issuer: LocalIssuer
) -> None:
    place = f"Organization/{uuid.uuid4().hex}"
    scope = ("--scope", "system/Task.r", "--scope", "samen/open-plans")
    made = [
        dict(line.split(": ") for line in done.output.splitlines())
        for name in ("the ward's\x1b[2J program", "another")
        if (done := run(environment, "register-client", "--organization", place, "--name", name, *scope))
    ]
    kept, gone = (each["client_id"] for each in made)
    assert answer_request(TokenRequest(kept, made[0]["client_secret"]), registry, issuer)
    assert run(environment, "revoke-client", gone).exit_code == 0

    listed = run(environment, "list-clients", "--organization", place)
    active = run(environment, "list-clients", "--organization", place, "--active")

    head, first, second = listed.output.splitlines()
    assert head.split()[:4] == ["CLIENT", "ORGANIZATION", "STATE", "REGISTERED"]
    assert re.fullmatch(
        rf"{kept} +{place} +active +{MINUTE} +{MINUTE} +system/Task.r samen/open-plans +the ward's\?\[2J program", first
    )
    assert re.fullmatch(
        rf"{gone} +{place} +revoked {MINUTE} +{MINUTE} +- +system/Task.r samen/open-plans +another", second
    )
    assert [line.split()[0] for line in active.output.splitlines()] == ["CLIENT", kept]
    for each in made:
        assert each["client_secret"] not in listed.output
        assert hash_of(each["client_secret"]) not in listed.output


def test_the_users_of_an_organisation_are_listed_without_their_passwords(
    environment: dict[str, str], registry: Registry, sessions: Sessions
) -> None:
    place, names = f"Organization/{uuid.uuid4().hex}", [f"{name}-{uuid.uuid4().hex[:8]}" for name in ("els", "jan")]
    for name in names:
        more = ("--person", "Practitioner/3", "--name", "Els Peeters")
        assert (
            run(environment, "register-user", name, "--organization", place, *more, typed=f"{PASSWORD}\n").exit_code
            == 0
        )
    assert sessions.sign_in(names[0], PASSWORD, "192.0.2.7")
    assert run(environment, "deactivate-user", names[1].upper()).exit_code == 0

    listed = run(environment, "list-users", "--organization", place)

    _, first, second = listed.output.splitlines()
    about = "case-manager +Practitioner/3 +Els Peeters"
    assert re.fullmatch(rf"{names[0]} +{place} +active +{MINUTE} +{MINUTE} +{about}", first)
    assert re.fullmatch(rf"{names[1]} +{place} +deactivated {MINUTE} +{MINUTE} +- +{about}", second)
    assert "argon2" not in listed.output
    assert len(run(environment, "list-users", "--organization", place, "--active").output.splitlines()) == 2
    assert len(run(environment, "list-users").output.splitlines()) > 2


def test_a_client_that_comes_again_and_again_is_noted_once_an_hour(registry: Registry) -> None:
    id, begun = f"client-{uuid.uuid4().hex}", dates.now()

    noted = []
    for minutes in (0, 30, 59, 61):
        registry.entrances.note(CLIENT, id, begun + timedelta(minutes=minutes))
        noted.append(registry.entrances.of(CLIENT)[id].came)

    assert noted == [noted[0]] * 3 + [(noted[0] or begun) + timedelta(minutes=61)]


def test_who_was_revoked_stays_revoked_since_the_first_time(environment: dict[str, str], registry: Registry) -> None:
    id, _ = register_client(environment)
    run(environment, "revoke-client", id)
    ended = registry.entrances.of(CLIENT)[id].ended

    assert run(environment, "revoke-client", id).exit_code == 0
    assert registry.entrances.of(CLIENT)[id].ended == ended


def test_the_signing_key_is_rotated(environment: dict[str, str], registry: Registry) -> None:
    before = registry.newest_key_number()
    assert run(environment, "rotate-signing-key").exit_code == 0
    assert registry.newest_key_number() == before + 1


def test_a_refusal_is_one_sentence(environment: dict[str, str]) -> None:
    name = f"els-{uuid.uuid4().hex[:8]}"
    register_user(environment, name)
    refusals = {
        "is already registered": register_user(environment, name),
        "12 to 1024 characters": register_user(environment, f"{name}-2", "short\n"),
        "there is no client": run(environment, "revoke-client", "client-unknown"),
        "there is no user": run(environment, "deactivate-user", "nobody"),
        "unknown scope everything": run(
            environment, "register-client", "--organization", "Organization/7", "--scope", "everything"
        ),
        "'7' is not a reference to an organisation": run(environment, "list-clients", "--organization", "7"),
        "not a reference to an organisation": run(environment, "register-client", "--organization", "7"),
        "SAMEN_PORT: must be": run(environment | {"SAMEN_PORT": "x"}, "check-settings"),
    }
    for words, refused in refusals.items():
        assert refused.exit_code == 1, words
        assert words in refused.output
        assert len(refused.output.splitlines()) == 1


def test_check_settings_shows_what_holds_without_the_database_address(environment: dict[str, str]) -> None:
    shown = run(environment | {"SAMEN_PORT": "9090"}, "check-settings")
    assert "SAMEN_PORT = 9090" in shown.output
    assert "http://127.0.0.1:9090/fhir" in shown.output
    assert environment["SAMEN_MONGODB_URL"] not in shown.output


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_explains_itself_with_an_example(name: str) -> None:
    shown = CliRunner().invoke(main, [name, "--help"])
    assert shown.exit_code == 0
    assert "Example" in shown.output
    assert f"fhir-server {name}" in shown.output


def test_the_list_of_commands_says_of_each_the_whole_of_what_it_is_for() -> None:
    _, _, listed = CliRunner().invoke(main, ["--help"]).output.partition("Commands:")
    assert [line.split()[0] for line in listed.splitlines() if line] == sorted(main.commands)
    assert "..." not in listed
