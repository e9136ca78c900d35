"""The Authorization header of a request -> the Actor that it speaks for.

https://www.rfc-editor.org/rfc/rfc6750
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from fhir_server.auth.issuers import TrustedIssuer
from fhir_server.auth.jwks import KeyRing, PublicKey, fetch_jwks
from fhir_server.auth.scopes import covers
from fhir_server.auth.tokens import Claims, Disbelieved, check_claims, peek, proven_claims
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import Unauthenticated
from fhir_server.fhir.reference import parse_reference

log = logging.getLogger(__name__)

_LONGEST_HEADER = 8192
REMEMBERED_FOR = timedelta(seconds=60)
REMEMBERED_TOKENS = 10_000


class Keys(Protocol):
    """Where an issuer's public keys come from."""

    def key(self, kid: str) -> PublicKey | None:
        """The key named `kid`, or None."""


@dataclass(frozen=True)
class Trust:
    """A trusted issuer with its keys; `is_active(client_id)`, where known, says whether a client may still act."""

    issuer: TrustedIssuer
    keys: Keys
    is_active: Callable[[str], bool] | None = None


def trust_in(issuer: TrustedIssuer, clock: Callable[[], datetime]) -> Trust:
    """Trust in another issuer, with the keys that it publishes at its `jwks_url`."""
    return Trust(issuer, KeyRing(lambda: fetch_jwks(issuer.jwks_url), clock, name=issuer.issuer))


class Authenticator:
    """Turns bearer tokens into Actors; anybody else is refused, always with the same words.

    A verified token is remembered for a minute at most and never beyond its expiry, so that a request costs
    microseconds. That minute is also the longest that a revoked client of our own issuer keeps working; a client of
    another issuer works until its token expires.
    """

    def __init__(self, trusted: Mapping[str, Trust], clock: Callable[[], datetime]) -> None:
        self._trusted = dict(trusted)
        self._clock = clock
        self._remembered: dict[bytes, tuple[Actor, datetime, datetime]] = {}
        self._lock = threading.Lock()

    def authenticate(self, authorization_header: str | None) -> Actor:
        """The Actor that the header's bearer token proves.

        Raises Unauthenticated, with one constant text whatever is wrong, and Unavailable when the registry of our own
        issuer does not answer. The reason goes into the log, without the token.
        """
        if not authorization_header:
            raise _refusal()
        try:
            return self._actor(authorization_header)
        except Disbelieved as reason:
            log.info("an access token was refused: %s", reason)
            raise _refusal() from None

    def _actor(self, header: str) -> Actor:
        if len(header) > _LONGEST_HEADER or not header.isascii():
            raise Disbelieved("the header is too long or not ASCII")
        fingerprint = hashlib.sha256(header.encode()).digest()
        now = self._clock()
        actor, since, until = self._remembered.get(fingerprint, (None, now, now))
        if actor is not None and since <= now < until:  # not before it either, when the clock is set back
            return actor
        actor, expires = self._verify(_bearer_token(header), now)
        self._remember(fingerprint, (actor, now, min(expires, now + REMEMBERED_FOR)))
        return actor

    def _verify(self, token: str, now: datetime) -> tuple[Actor, datetime]:
        unproven = peek(token)
        trust = self._trusted.get(unproven.issuer)
        if trust is None:
            raise Disbelieved("an issuer that is not trusted")
        if unproven.algorithm not in trust.issuer.algorithms:
            raise Disbelieved("an algorithm that is not allowed")
        if unproven.type.lower() not in trust.issuer.token_types:
            raise Disbelieved("a token of another type")
        key = trust.keys.key(unproven.kid)
        if key is None:
            raise Disbelieved("an unknown key")
        claims = proven_claims(token, key, unproven.algorithm)
        expires = check_claims(claims, trust.issuer, now)
        if trust.is_active is not None and not trust.is_active(claims["sub"]):
            raise Disbelieved("a client that is revoked")
        return _actor_of(claims, trust), expires

    def _remember(self, fingerprint: bytes, proven: tuple[Actor, datetime, datetime]) -> None:
        with self._lock:
            self._remembered.pop(fingerprint, None)
            while len(self._remembered) >= REMEMBERED_TOKENS:
                self._remembered.pop(next(iter(self._remembered)))
            self._remembered[fingerprint] = proven


def _bearer_token(header: str) -> str:
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token or token != token.strip() or " " in token:
        raise Disbelieved("not a bearer token")
    return token


def _actor_of(claims: Claims, trust: Trust) -> Actor:
    issuer = trust.issuer
    organization = claims.get(issuer.organization_claim)
    reference = parse_reference(organization) if isinstance(organization, str) else None
    if reference is None or reference.type != "Organization" or reference.version is not None:
        raise Disbelieved("no organisation")
    if not issuer.vouches_for(str(reference)):
        raise Disbelieved("an organisation that its issuer may not speak for")
    scope = claims.get("scope", "")
    asked = scope.split() if isinstance(scope, str) else []
    return Actor(
        organization=str(reference),
        scopes=frozenset(name for name in asked if covers(issuer.scopes, name)),
        # Clients of another issuer are named with it, so that they are never taken for one of ours.
        client_id=claims["sub"] if trust.is_active is not None else f"{issuer.issuer}|{claims['sub']}",
    )


def _refusal() -> Unauthenticated:
    return Unauthenticated("A valid access token is needed: Authorization: Bearer <token>.")
