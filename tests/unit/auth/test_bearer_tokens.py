"""A bearer token is believed only when everything about it holds; whoever is refused learns nothing."""

import base64
import hashlib
import hmac
import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, Key, RSAKey

from fhir_server.auth.authenticator import REMEMBERED_FOR, Authenticator, Trust
from fhir_server.auth.issuers import TrustedIssuer
from fhir_server.auth.jwks import KeyRing
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import Unauthenticated

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
ISSUER = "https://login.example.org"
AUDIENCE = "https://care.example.org/fhir"
EC = ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"}, private=True)
EC384 = ECKey.generate_key("P-384", {"kid": "ec384"}, private=True)
RSA = RSAKey.generate_key(2048, {"kid": "rsa"}, private=True)
STRANGER = ECKey.generate_key("P-256", {"kid": "ec"}, private=True)
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "ward-7",
    "organization": "Organization/hosp",
    "scope": "system/*.cruds samen/open-plans openid",
    "iat": int(NOW.timestamp()),
    "exp": int(NOW.timestamp()) + 300,
}


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


class CountedKeys:
    """An issuer's keys, and how often they were asked for."""

    def __init__(self, *keys: Key) -> None:
        self.keys = {str(key.kid): key for key in keys}
        self.asked = 0

    def key(self, kid: str) -> Any:
        self.asked += 1
        return self.keys.get(kid)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys() -> CountedKeys:
    return CountedKeys(EC, EC384, RSA)


def trusted(**changes: Any) -> TrustedIssuer:
    return TrustedIssuer(**{"issuer": ISSUER, "audience": AUDIENCE, "organizations": ("Organization/hosp",)} | changes)


@pytest.fixture
def authenticator(clock: Clock, keys: CountedKeys) -> Authenticator:
    return Authenticator({ISSUER: Trust(trusted(), keys)}, clock)


def token(key: Any = EC, alg: str = "ES256", header: dict[str, Any] | None = None, **changes: Any) -> str:
    """A token whose claims (None takes one away) or header members differ from a good one's."""
    claims = {name: value for name, value in (CLAIMS | changes).items() if value is not None}
    full = {"alg": alg, "kid": key.kid, "typ": "at+jwt"} | (header or {})
    return jws.serialize_compact(full, json.dumps(claims), key, algorithms=[alg])


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_a_good_token_makes_its_actor(authenticator: Authenticator) -> None:
    assert authenticator.authenticate(f"Bearer {token()}") == Actor(
        organization="Organization/hosp", scopes=frozenset({"system/*.cruds"}), client_id=f"{ISSUER}|ward-7"
    )


@pytest.mark.parametrize(
    ("key", "alg"),
    [(EC, "ES256"), (EC384, "ES384"), (RSA, "RS256"), (RSA, "RS384"), (RSA, "PS256"), (RSA, "PS384"), (RSA, "PS512")],
)
def test_every_allowed_algorithm_is_believed(authenticator: Authenticator, key: Any, alg: str) -> None:
    assert authenticator.authenticate(f"bearer {token(key, alg)}").organization == "Organization/hosp"


def test_the_audience_may_be_one_of_several(authenticator: Authenticator) -> None:
    assert authenticator.authenticate(f"Bearer {token(aud=['https://other.example', AUDIENCE])}")


SECOND = int(NOW.timestamp())

FORGED: dict[str, str] = {
    "another issuer": token(iss="https://evil.example"),
    "an issuer that is no string": token(iss=[ISSUER]),
    "no issuer": token(iss=None),
    "another audience": token(aud="https://other.example/fhir"),
    "an audience that only begins alike": token(aud=AUDIENCE + "/"),
    "no audience": token(aud=None),
    "no subject": token(sub=None),
    "an empty subject": token(sub=""),
    "expired this second": token(exp=SECOND),
    "no expiry": token(exp=None),
    "an expiry that is text": token(exp="9999999999"),
    "an expiry that is true": token(exp=True),
    "an expiry without end": token(exp=1e300),
    "valid for longer than a day": token(exp=SECOND + 86_401),
    "not valid yet": token(nbf=SECOND + 31),
    "made in the future": token(iat=SECOND + 31),
    "nbf that is no time": token(nbf="soon"),
    "another's key under our kid": token(STRANGER),
    "an unknown kid": token(header={"kid": "unknown"}),
    "a kid that is no string": ".".join([part({"alg": "ES256", "kid": 7}), part(CLAIMS), part(b"x" * 64)]),
    "an algorithm of another key": token(header={"kid": "rsa"}),
    "a strong algorithm that is not on the list": token(RSA, "RS512"),
    "a refresh token": token(header={"typ": "refresh+jwt"}),
    "a key in the header": token(header={"jwk": EC.as_dict(private=False)}),
    "the address of a key in the header": token(header={"jku": "https://evil.example/jwks"}),
    "a critical extension": token(header={"crit": ["cty"], "cty": "x"}),
    "no organisation": token(organization=None),
    "an organisation that is no reference": token(organization="hosp"),
    "a person as organisation": token(organization="Practitioner/hosp"),
    "a version of an organisation": token(organization="Organization/hosp/_history/1"),
    "another organisation": token(organization="Organization/home"),
    "claims that are a list": jws.serialize_compact({"alg": "ES256", "kid": "ec"}, "[1]", EC, algorithms=["ES256"]),
    "claims that are no JSON": jws.serialize_compact({"alg": "ES256", "kid": "ec"}, "{", EC, algorithms=["ES256"]),
    "a changed claim": ".".join(
        [token().split(".")[0], part(CLAIMS | {"scope": "samen/operate"}), token().split(".")[2]]
    ),
    "no signature": ".".join([*token().split(".")[:2], ""]),
    "two parts": ".".join(token().split(".")[:2]),
    "words": "let me in",
    "nothing": "",
    "not ASCII": token() + "é",
    "endless": "a" * 10_000,
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
def test_a_token_with_anything_wrong_is_refused(authenticator: Authenticator, forged: str) -> None:
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(f"Bearer {forged}")


@pytest.mark.parametrize("alg", ["none", "None", "nOnE", "NONE"])
@pytest.mark.parametrize("signature", ["", part(b"x" * 64)])
def test_an_unsigned_token_is_refused(authenticator: Authenticator, alg: str, signature: str) -> None:
    forged = ".".join([part({"alg": alg, "kid": "ec", "typ": "at+jwt"}), part(CLAIMS), signature])
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(f"Bearer {forged}")


@pytest.mark.parametrize("key", [EC, RSA], ids=["EC", "RSA"])
@pytest.mark.parametrize("form", ["pem", "der", "jwk"])
@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_a_public_key_used_as_a_shared_secret_is_refused(
    authenticator: Authenticator, key: Any, form: str, alg: str
) -> None:
    secret = json.dumps(key.as_dict(private=False)).encode() if form == "jwk" else _public_bytes(key, form)
    signed = ".".join([part({"alg": alg, "kid": key.kid, "typ": "at+jwt"}), part(CLAIMS)])
    digest = hmac.new(secret, signed.encode(), getattr(hashlib, alg.replace("HS", "sha"))).digest()
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(f"Bearer {signed}.{part(digest)}")


def _public_bytes(key: Any, form: str) -> bytes:
    return bytes(key.as_pem(private=False) if form == "pem" else key.as_der(private=False))


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Basic dTpw", token(), f"Bearer  {token()}", f"Bearer {token()} x"],
    ids=["none", "empty", "scheme only", "space", "basic", "token only", "two spaces", "two tokens"],
)
def test_a_header_that_is_no_bearer_token_is_refused(authenticator: Authenticator, header: str | None) -> None:
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(header)


def test_every_refusal_reads_the_same(authenticator: Authenticator) -> None:
    refusals = set()
    for forged in [*FORGED.values(), None]:
        with pytest.raises(Unauthenticated) as refused:
            authenticator.authenticate(None if forged is None else f"Bearer {forged}")
        refusals.add((str(refused.value), refused.value.issues[0]))
        assert refused.value.__cause__ is None
    assert len(refusals) == 1


def test_the_log_tells_the_reason_and_nothing_of_the_token(
    authenticator: Authenticator, caplog: pytest.LogCaptureFixture
) -> None:
    forged = token(aud="https://other.example/fhir", sub="a-secret-name")
    with caplog.at_level(logging.INFO), pytest.raises(Unauthenticated):
        authenticator.authenticate(f"Bearer {forged}")
    assert "wrong audience" in caplog.text
    assert "a-secret-name" not in caplog.text
    assert not any(piece in caplog.text for piece in forged.split("."))


def test_clocks_may_differ_by_half_a_minute_but_no_expiry_is_stretched(authenticator: Authenticator) -> None:
    assert authenticator.authenticate(f"Bearer {token(nbf=SECOND + 30, iat=SECOND + 30)}")
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(f"Bearer {token(exp=SECOND - 1)}")


def test_a_scope_that_the_issuer_may_not_give_is_dropped(clock: Clock, keys: CountedKeys) -> None:
    narrow = Authenticator({ISSUER: Trust(trusted(scopes=("system/Task.rs",)), keys)}, clock)
    actor = narrow.authenticate(f"Bearer {token(scope='system/Task.rs system/Task.cruds samen/operate samen/import')}")
    assert actor.scopes == {"system/Task.rs"}


@pytest.mark.parametrize("scope", [None, "", 5, ["system/*.cruds"]])
def test_a_token_without_readable_scopes_may_nothing(authenticator: Authenticator, scope: Any) -> None:
    assert authenticator.authenticate(f"Bearer {token(scope=scope)}").scopes == frozenset()


def test_an_issuer_may_speak_for_any_organisation_only_when_the_operator_says_so(
    clock: Clock, keys: CountedKeys
) -> None:
    nobody = Authenticator({ISSUER: Trust(trusted(organizations=()), keys)}, clock)
    anybody = Authenticator({ISSUER: Trust(trusted(organizations=("*",)), keys)}, clock)
    foreign = f"Bearer {token(organization='Organization/home')}"
    assert anybody.authenticate(foreign).organization == "Organization/home"
    with pytest.raises(Unauthenticated):
        nobody.authenticate(foreign)


def test_the_key_of_one_issuer_cannot_sign_for_another(clock: Clock) -> None:
    other = "https://other-login.example"
    authenticator = Authenticator(
        {
            ISSUER: Trust(trusted(), CountedKeys(EC)),
            other: Trust(trusted(issuer=other, organizations=("*",)), CountedKeys(STRANGER)),
        },
        clock,
    )
    assert authenticator.authenticate(f"Bearer {token(STRANGER, iss=other)}")
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(f"Bearer {token(STRANGER)}")


def test_a_verified_token_is_remembered_but_never_beyond_its_expiry(
    authenticator: Authenticator, clock: Clock, keys: CountedKeys
) -> None:
    header = f"Bearer {token(exp=SECOND + 20)}"
    first = authenticator.authenticate(header)
    assert authenticator.authenticate(header) is first
    assert keys.asked == 1
    clock.now = NOW + timedelta(seconds=20)
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(header)


def test_a_remembered_token_with_another_signature_is_refused(authenticator: Authenticator) -> None:
    good = token()
    authenticator.authenticate(f"Bearer {good}")
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(f"Bearer {good[:-4]}AAAA")


def test_a_client_of_ours_that_is_revoked_is_refused_within_a_minute(clock: Clock, keys: CountedKeys) -> None:
    revoked: set[str] = set()
    authenticator = Authenticator({ISSUER: Trust(trusted(), keys, lambda id: id not in revoked)}, clock)
    header = f"Bearer {token()}"
    assert authenticator.authenticate(header).client_id == "ward-7"
    revoked.add("ward-7")
    clock.now = NOW + REMEMBERED_FOR
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(header)


def test_a_revoked_client_is_not_remembered_for_longer_when_the_clock_is_set_back(
    clock: Clock, keys: CountedKeys
) -> None:
    revoked: set[str] = set()
    authenticator = Authenticator({ISSUER: Trust(trusted(), keys, lambda id: id not in revoked)}, clock)
    header = f"Bearer {token()}"
    authenticator.authenticate(header)
    revoked.add("ward-7")
    clock.now = NOW - timedelta(seconds=20)
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(header)


def test_an_issuer_whose_keys_cannot_be_had_is_not_believed(clock: Clock) -> None:
    ring = KeyRing(lambda: [], clock)
    with pytest.raises(Unauthenticated):
        Authenticator({ISSUER: Trust(trusted(), ring)}, clock).authenticate(f"Bearer {token()}")
