"""An issuer's keys are kept for a while, looked for again with restraint, and never trusted for too long."""

import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from fhir_server.auth.jwks import Jwk, KeyRing, KeysUnavailable, fetch_jwks, public_keys
from fhir_server.fhir.errors import Unavailable

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
EC = ECKey.generate_key("P-256", {"kid": "one"}, private=True)
PUBLIC = dict(EC.as_dict(private=False))


class Issuer:
    """An issuer whose keys, and whose absence, can be changed; it counts who asks."""

    def __init__(self, *kids: str) -> None:
        self.kids = kids
        self.absent: Exception | None = None
        self.asked = 0

    def __call__(self) -> Iterable[Jwk]:
        self.asked += 1
        if self.absent:
            raise self.absent
        return [PUBLIC | {"kid": kid} for kid in self.kids]


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_keys_are_fetched_once_for_many_tokens(clock: Clock) -> None:
    issuer = Issuer("one", "two")
    ring = KeyRing(issuer, clock)
    assert [ring.key("one") is not None, ring.key("two") is not None, ring.key("one") is not None] == [True] * 3
    assert issuer.asked == 1


def test_a_new_key_of_the_issuer_is_found(clock: Clock) -> None:
    issuer = Issuer("one")
    ring = KeyRing(issuer, clock)
    ring.key("one")
    issuer.kids = ("one", "two")
    clock.now += MINUTE
    assert ring.key("two")


def test_unknown_keys_do_not_flood_the_issuer(clock: Clock) -> None:
    issuer = Issuer("one")
    ring = KeyRing(issuer, clock)
    assert [ring.key(f"forged-{number}") for number in range(100)] == [None] * 100
    assert issuer.asked == 1
    clock.now += MINUTE
    ring.key("forged")
    assert issuer.asked == 2


def test_a_key_that_the_issuer_withdrew_is_believed_for_ten_minutes_at_most(clock: Clock) -> None:
    issuer = Issuer("one")
    ring = KeyRing(issuer, clock)
    assert ring.key("one")
    issuer.kids = ("two",)
    clock.now += 10 * MINUTE
    assert ring.key("one") is None


def test_a_clock_that_is_set_back_keeps_no_new_key_out_and_no_withdrawn_one_in(clock: Clock) -> None:
    issuer = Issuer("one")
    ring = KeyRing(issuer, clock)
    assert ring.key("one")
    issuer.kids = ("two",)
    clock.now -= timedelta(days=1)

    ring.key("one")
    clock.now += MINUTE
    assert ring.key("two")
    assert ring.key("one") is None


def test_a_clock_that_is_set_back_has_an_absent_issuer_believed_for_an_hour_from_then(clock: Clock) -> None:
    issuer = Issuer("one")
    ring = KeyRing(issuer, clock)
    ring.key("one")
    issuer.absent = KeysUnavailable("gone")
    clock.now -= timedelta(days=1)
    assert ring.key("one")

    clock.now += timedelta(hours=1)
    assert ring.key("one") is None


def test_an_absent_issuer_is_believed_for_an_hour_and_then_no_more(clock: Clock) -> None:
    issuer = Issuer("one")
    ring = KeyRing(issuer, clock)
    ring.key("one")
    issuer.absent = KeysUnavailable("gone")
    clock.now = NOW + 59 * MINUTE
    assert ring.key("one")
    clock.now = NOW + 60 * MINUTE
    assert ring.key("one") is None
    issuer.absent = None
    clock.now += MINUTE
    assert ring.key("one")


def test_our_own_database_failing_is_told_as_that_and_tried_again_at_once(clock: Clock) -> None:
    issuer = Issuer("one")
    issuer.absent = Unavailable("The database does not answer.")
    ring = KeyRing(issuer, clock)
    with pytest.raises(Unavailable):
        ring.key("one")
    issuer.absent = None
    assert ring.key("one")


def test_nobody_waits_behind_a_slow_issuer_once_keys_are_known(clock: Clock) -> None:
    asking, answer = threading.Event(), threading.Event()
    answered: list[bool] = []
    first = True

    def fetch() -> Iterable[Jwk]:
        nonlocal first
        if not first:
            asking.set()
            answered.append(answer.wait(60))
        first = False
        return [PUBLIC]

    ring = KeyRing(fetch, clock)
    ring.key("one")
    clock.now += 20 * MINUTE
    slow = threading.Thread(target=ring.key, args=("one",))
    slow.start()
    try:
        assert asking.wait(60)
        assert ring.key("one")
    finally:
        answer.set()
        slow.join()
    assert answered == [True]  # not given up before somebody who had waited behind it came this far


WEAK_RSA = {"kty": "RSA", "kid": "one", "n": "wQ" * 85, "e": "AQAB"}
UNFIT: dict[str, Any] = {
    "symmetric": dict(OctKey.import_key("a secret of enough length for a key").as_dict()) | {"kid": "one"},
    "nameless": {name: value for name, value in PUBLIC.items() if name != "kid"},
    "for encryption": PUBLIC | {"use": "enc"},
    "1024 bits": WEAK_RSA,
    "gigantic": WEAK_RSA | {"n": "wQ" * 10_000},
    "off the curve": PUBLIC | {"x": PUBLIC["y"]},
    "without numbers": {"kty": "EC", "kid": "one", "crv": "P-256"},
    "of no known kind": PUBLIC | {"kty": "magic"},
    "with a number as kid": PUBLIC | {"kid": 5},
}


@pytest.mark.parametrize("jwk", UNFIT.values(), ids=UNFIT.keys())
def test_an_unfit_key_is_left_out_and_the_others_stay(jwk: Jwk) -> None:
    assert list(public_keys([jwk, PUBLIC | {"kid": "good"}])) == ["good"]


def test_a_private_key_that_was_published_is_only_used_for_its_public_half() -> None:
    rsa = RSAKey.generate_key(2048, {"kid": "rsa"}, private=True)
    found = public_keys([dict(EC.as_dict(private=True)), dict(rsa.as_dict(private=True))])
    assert [key.is_private for key in found.values()] == [False, False]


@pytest.mark.parametrize(
    "url",
    [
        "http://login.example.org/jwks",
        "http://10.0.0.5/jwks",
        "http://localhost.example.org/jwks",
        "ftp://127.0.0.1/jwks",
        "file:///etc/passwd",
        "https://user:secret@login.example.org/jwks",
        "https://",
        "http://[::1",
        "",
    ],
)
def test_keys_are_never_fetched_over_a_channel_that_others_can_change(url: str) -> None:
    with pytest.raises(KeysUnavailable, match="neither https nor on loopback"):
        fetch_jwks(url)
