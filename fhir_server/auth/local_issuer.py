"""The issuer inside this server: short-lived ES256 access tokens for registered clients.

The key pair is made once and kept in the database, so that every process signs alike.
"""

import secrets
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey

from fhir_server.auth.authenticator import Trust
from fhir_server.auth.issuers import ACCESS_TOKEN_TYPES, ANY_ORGANIZATION, TrustedIssuer
from fhir_server.auth.jwks import Jwk, KeyRing
from fhir_server.auth.scopes import EVERYTHING, OWN_SCOPES
from fhir_server.fhir.json import encode
from fhir_server.store.mongo.registry import Client, Registry

_ALGORITHM = "ES256"
_PUBLISHED_KEYS = 2


class LocalIssuer:
    """Signs access tokens. `issuer` is the server's origin, `audience` the FHIR base address; `lifetime` of a token."""

    def __init__(
        self,
        registry: Registry,
        *,
        issuer: str,
        audience: str,
        lifetime: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._registry = registry
        self.clock = clock
        self.issuer = issuer
        self.audience = audience
        self.lifetime = lifetime

    def access_token(self, client: Client, scopes: Iterable[str], lifetime: timedelta | None = None) -> str:
        """A token that lets `client` act for its organisation; the scopes are taken as already granted."""
        now = self.clock()
        expires = now + (lifetime or self.lifetime)
        key = ECKey.import_key(self._signing_keys()[-1])
        header = {"alg": _ALGORITHM, "kid": str(key.kid), "typ": ACCESS_TOKEN_TYPES[0]}
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": client.id,
            "client_id": client.id,
            "organization": client.organization,
            "scope": " ".join(scopes),
            "iat": int(now.timestamp()),
            "exp": int(expires.timestamp()),
            "jti": secrets.token_urlsafe(16),
        }
        return jws.serialize_compact(header, encode(claims), key, algorithms=[_ALGORITHM])

    def public_jwks(self) -> list[Jwk]:
        """The public keys that check this issuer's tokens, oldest first."""
        return [_public(jwk) for jwk in self._signing_keys()[-_PUBLISHED_KEYS:]]

    def rotate(self) -> None:
        """Sign with a new key from now on; the key before it still checks the tokens it signed, older ones do not."""
        number = self._registry.newest_key_number() + 1
        self._registry.add_signing_key(number, _new_key(), self.clock())
        self._registry.drop_signing_keys(below=number - _PUBLISHED_KEYS + 1)

    def trust(self) -> Trust:
        """What lets an Authenticator believe this issuer, and disbelieve its revoked clients."""
        trusted = TrustedIssuer(
            issuer=self.issuer,
            audience=self.audience,
            organizations=(ANY_ORGANIZATION,),
            scopes=(EVERYTHING, *OWN_SCOPES),
            algorithms=(_ALGORITHM,),
            token_types=ACCESS_TOKEN_TYPES,
        )
        # A key that was given up after a leak must not be believed until the next stranger comes by.
        often = timedelta(seconds=1)
        ring = KeyRing(self.public_jwks, self.clock, name=self.issuer, pause=often, refresh_after=often)
        return Trust(trusted, ring, self._is_active)

    def _is_active(self, client_id: str) -> bool:
        client = self._registry.client(client_id)
        return client is not None and not client.revoked

    def _signing_keys(self) -> list[Jwk]:
        keys = self._registry.signing_keys()
        if keys:
            return keys
        # Whoever comes second finds the key of whoever came first.
        self._registry.add_signing_key(1, _new_key(), self.clock())
        return self._registry.signing_keys()


def _new_key() -> dict[str, Any]:
    key = ECKey.generate_key("P-256", {"use": "sig", "alg": _ALGORITHM}, private=True, auto_kid=True)
    return dict(key.as_dict(private=True))


def _public(jwk: Jwk) -> Jwk:
    return dict(ECKey.import_key(jwk).as_dict(private=False))
