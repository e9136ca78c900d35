"""Clients, users, sessions and keys are kept, found again, and ended; several processes at once agree."""

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from fhir_server.auth.clients import hash_of, proven_client, register_client
from fhir_server.auth.local_issuer import LocalIssuer
from fhir_server.auth.sessions import Sessions, SignInRefused, TooManyAttempts, WrongCredentials
from fhir_server.auth.throttle import LIMITS, WINDOW, network_of
from fhir_server.auth.users import change_password, register_user
from fhir_server.fhir import dates
from fhir_server.fhir.errors import Unavailable
from fhir_server.store.mongo.connection import Connection
from fhir_server.store.mongo.registry import AlreadyRegistered, Registry, Session

# Ahead of every real clock: MongoDB itself removes what has expired, whenever it looks.
NOW = datetime(2126, 5, 4, 12, 1, tzinfo=UTC)
PASSWORD = "a long enough password"
PER_PAIR, PER_ADDRESS, PER_USER = (limit for _, limit in LIMITS)


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(scope="module")
def registry(mongo_url: str, database_name: str) -> Iterator[Registry]:
    opened = Registry(Connection(mongo_url, database_name))
    opened.prepare()
    yield opened
    opened.close()


@pytest.fixture
def empty_registry(mongo_url: str, database: Database[dict[str, Any]]) -> Iterator[Registry]:
    """A registry in which nothing was registered yet."""
    name = f"{database.name}_{uuid.uuid4().hex[:8]}"
    opened = Registry(Connection(mongo_url, name))
    yield opened
    opened.close()
    database.client.drop_database(name)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(registry: Registry, clock: Clock) -> Sessions:
    return Sessions(registry, lifetime=timedelta(hours=10), clock=clock)


@pytest.fixture
def username(registry: Registry) -> str:
    """A registered user."""
    name = f"els-{uuid.uuid4().hex[:8]}"
    register_user(
        registry,
        username=name,
        password=PASSWORD,
        organization="Organization/cm",
        person="Practitioner/3",
        name="Els Peeters",
        language="fr",
        now=NOW,
    )
    return name


@pytest.fixture
def address() -> str:
    """An address that no other test comes from."""
    return str(uuid.uuid4())


def test_a_client_proves_itself_with_its_secret_only(registry: Registry) -> None:
    client, secret = register_client(registry, organization="Organization/7", scopes=["system/*.cruds"], now=NOW)
    assert proven_client(registry, client.id, secret) == client == registry.client(client.id)
    assert proven_client(registry, client.id, secret + "x") is None
    assert proven_client(registry, client.id, "") is None
    assert proven_client(registry, "client-unknown", secret) is None
    assert proven_client(registry, "client-unknown", "") is None


def test_a_secret_is_kept_as_its_hash_only(registry: Registry, database: Database[dict[str, Any]]) -> None:
    client, secret = register_client(registry, organization="Organization/7", scopes=["samen/import"], now=NOW)
    kept = database["clients"].find_one({"_id": client.id})
    assert kept is not None
    assert kept["secret_hash"] == hash_of(secret)
    assert secret not in str(kept)


def test_a_revoked_client_proves_nothing(registry: Registry) -> None:
    client, secret = register_client(registry, organization="Organization/7", scopes=["system/*.cruds"], now=NOW)
    assert registry.revoke_client(client.id)
    assert proven_client(registry, client.id, secret) is None
    assert registry.client(client.id) == replace(client, revoked=True)
    assert not registry.revoke_client("client-unknown")


@pytest.mark.parametrize("organization", ["7", "Practitioner/7", "Organization/7/_history/1", ""])
def test_a_client_acts_for_an_organisation(registry: Registry, organization: str) -> None:
    with pytest.raises(ValueError, match="reference to an organisation"):
        register_client(registry, organization=organization, scopes=["system/*.cruds"], now=NOW)


@pytest.mark.parametrize("scopes", [[], ["everything"], ["system/*.cruds", "samen/al"]])
def test_a_client_has_known_scopes(registry: Registry, scopes: list[str]) -> None:
    with pytest.raises(ValueError, match="unknown scope"):
        register_client(registry, organization="Organization/7", scopes=scopes, now=NOW)


def test_a_user_is_registered_once(registry: Registry, username: str) -> None:
    user = registry.user(username)
    assert user is not None
    with pytest.raises(AlreadyRegistered):
        registry.add_user(user)


def test_a_signed_in_user_acts_as_a_person_of_an_organisation(sessions: Sessions, username: str, address: str) -> None:
    found = sessions.actor_of_session(sessions.sign_in(f" {username.upper()}", PASSWORD, address))
    assert found is not None
    actor, user = found
    assert (actor.organization, actor.person, actor.roles) == (
        "Organization/cm",
        "Practitioner/3",
        frozenset({"case-manager"}),
    )
    assert (user.name, user.language) == ("Els Peeters", "fr")


def test_a_session_is_kept_as_its_hash_only(
    sessions: Sessions, username: str, address: str, database: Database[dict[str, Any]]
) -> None:
    session_id = sessions.sign_in(username, PASSWORD, address)
    kept = database["sessions"].find_one({"username": username})
    assert kept is not None
    assert session_id not in str(kept)
    assert sessions.actor_of_session(kept["_id"]) is None


def test_signing_out_ends_the_session(sessions: Sessions, username: str, address: str) -> None:
    one, other = (sessions.sign_in(username, PASSWORD, address) for _ in range(2))
    sessions.sign_out(one)
    assert sessions.actor_of_session(one) is None
    assert sessions.actor_of_session(other) is not None


def test_a_session_ends_by_itself(sessions: Sessions, username: str, address: str, clock: Clock) -> None:
    session_id = sessions.sign_in(username, PASSWORD, address)
    clock.now = NOW + timedelta(hours=10)
    assert sessions.actor_of_session(session_id) is None


@pytest.mark.parametrize("session_id", [None, "", "guessed"])
def test_no_session_is_nobody(sessions: Sessions, session_id: str | None) -> None:
    assert sessions.actor_of_session(session_id) is None


def test_a_new_password_ends_the_sessions_of_the_old(
    registry: Registry, sessions: Sessions, username: str, address: str
) -> None:
    session_id = sessions.sign_in(username, PASSWORD, address)
    assert change_password(registry, username, "another long password")
    assert sessions.actor_of_session(session_id) is None
    with pytest.raises(WrongCredentials):
        sessions.sign_in(username, PASSWORD, address)
    assert sessions.sign_in(username, "another long password", address)


def test_a_deactivated_user_is_signed_out_and_stays_out(
    registry: Registry, sessions: Sessions, username: str, address: str
) -> None:
    session_id = sessions.sign_in(username, PASSWORD, address)
    assert registry.deactivate_user(username)
    assert sessions.actor_of_session(session_id) is None
    with pytest.raises(WrongCredentials):
        sessions.sign_in(username, PASSWORD, address)


def test_an_unknown_user_and_a_wrong_password_read_the_same(sessions: Sessions, username: str, address: str) -> None:
    refusals = []
    for name in (username, "nobody-at-all"):
        with pytest.raises(WrongCredentials) as refused:
            sessions.sign_in(name, "a wrong password", address)
        refusals.append(str(refused.value))
    assert refusals[0] == refusals[1]


def _fail(sessions: Sessions, username: str, address: str, times: int) -> list[type[SignInRefused]]:
    """The kind of each refusal."""
    kinds = []
    for _ in range(times):
        with pytest.raises(SignInRefused) as refused:
            sessions.sign_in(username, "a wrong password", address)
        kinds.append(type(refused.value))
    return kinds


def test_guessing_at_one_user_is_stopped_even_for_the_right_password(
    sessions: Sessions, username: str, address: str, clock: Clock
) -> None:
    kinds = _fail(sessions, username, address, PER_PAIR + 1)
    assert kinds == [WrongCredentials] * PER_PAIR + [TooManyAttempts]
    with pytest.raises(TooManyAttempts):
        sessions.sign_in(username, PASSWORD, address)
    clock.now = NOW + WINDOW
    assert sessions.sign_in(username, PASSWORD, address)


def test_a_user_who_is_guessed_at_elsewhere_signs_in_from_her_own_place(
    sessions: Sessions, username: str, address: str
) -> None:
    _fail(sessions, username, address, PER_PAIR + 1)
    assert sessions.sign_in(username, PASSWORD, "192.0.2.7")


def test_one_address_that_tries_many_users_is_stopped(sessions: Sessions, username: str, address: str) -> None:
    for number in range(PER_ADDRESS):
        _fail(sessions, f"nobody-{number}", address, 1)
    with pytest.raises(TooManyAttempts):
        sessions.sign_in(username, PASSWORD, address)


def test_many_addresses_that_guess_at_one_user_are_stopped(sessions: Sessions, registry: Registry) -> None:
    name = f"guessed-{uuid.uuid4()}"
    kinds = [_fail(sessions, name, str(uuid.uuid4()), 1)[0] for _ in range(PER_USER + 1)]
    assert kinds == [WrongCredentials] * PER_USER + [TooManyAttempts]


def test_success_forgives_the_failures_before_it(sessions: Sessions, username: str, address: str) -> None:
    for _ in range(3):
        assert set(_fail(sessions, username, address, PER_PAIR - 1)) == {WrongCredentials}
        assert sessions.sign_in(username, PASSWORD, address)


def test_guesses_at_the_same_moment_are_all_counted(sessions: Sessions, username: str, address: str) -> None:
    together = threading.Barrier(4 * PER_PAIR)

    def guess(_: int) -> type[SignInRefused]:
        together.wait(30)
        return _fail(sessions, username, address, 1)[0]

    with ThreadPoolExecutor(4 * PER_PAIR) as guessers:
        kinds = list(guessers.map(guess, range(4 * PER_PAIR)))
    assert kinds.count(WrongCredentials) == PER_PAIR


def test_the_addresses_of_one_ipv6_subscriber_count_as_one() -> None:
    assert network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert network_of("2001:db8:1:3::1") != network_of("2001:db8:1:2::1")
    assert network_of("::ffff:192.0.2.7") == network_of("192.0.2.7") == "192.0.2.7"


def test_processes_that_start_together_make_one_signing_key(empty_registry: Registry) -> None:
    together = threading.Barrier(8)

    def first_keys(_: int) -> str:
        issuer = local_issuer(empty_registry)
        together.wait(30)
        (key,) = issuer.public_jwks()
        return str(key["kid"])

    with ThreadPoolExecutor(8) as processes:
        assert len(set(processes.map(first_keys, range(8)))) == 1
    assert len(empty_registry.signing_keys()) == 1


def test_processes_that_start_together_share_one_secret(empty_registry: Registry) -> None:
    proposals = [f"proposal {number}".encode() for number in range(8)]
    with ThreadPoolExecutor(8) as processes:
        kept = set(processes.map(lambda proposed: empty_registry.secret("cursors", proposed), proposals))
    assert len(kept) == 1
    assert kept <= set(proposals)
    assert empty_registry.secret("another", b"x") == b"x"


def test_a_rotated_key_still_checks_its_tokens_until_the_next_rotation(empty_registry: Registry) -> None:
    issuer = local_issuer(empty_registry)
    (first,) = issuer.public_jwks()
    issuer.rotate()
    assert issuer.public_jwks()[0]["kid"] == first["kid"]
    issuer.rotate()
    kids = [key["kid"] for key in issuer.public_jwks()]
    assert len(set(kids)) == 2
    assert first["kid"] not in kids
    assert len(empty_registry.signing_keys()) == 2


def test_public_keys_hold_nothing_private(empty_registry: Registry) -> None:
    (key,) = local_issuer(empty_registry).public_jwks()
    assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}


def test_expired_sessions_and_counters_are_removed_by_the_database(
    registry: Registry, database: Database[dict[str, Any]]
) -> None:
    for name in ("sessions", "sign_in_attempts"):
        ends = [index for index in database[name].index_information().values() if "expireAfterSeconds" in index]
        assert [index["key"] for index in ends] == [[("expires", 1)]]


def test_a_registry_that_does_not_answer_is_unavailable(
    registry: Registry, failing_command: Callable[..., AbstractContextManager[None]]
) -> None:
    with failing_command("find", "clients", errorCode=50), pytest.raises(Unavailable):
        registry.client("client-1")
    with failing_command("insert", "sessions", errorCode=50), pytest.raises(Unavailable):
        registry.add_session(Session(uuid.uuid4().hex, "els", NOW, NOW))


def local_issuer(registry: Registry) -> LocalIssuer:
    return LocalIssuer(
        registry,
        issuer="https://care.example.org",
        audience="https://care.example.org/fhir",
        lifetime=timedelta(minutes=5),
        clock=dates.now,
    )
