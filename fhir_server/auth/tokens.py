"""Access tokens: what one must prove before anybody believes it.

https://www.rfc-editor.org/rfc/rfc7519, https://www.rfc-editor.org/rfc/rfc8725, https://www.rfc-editor.org/rfc/rfc9068
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry, deserialize_compact, extract_compact

from fhir_server.auth.issuers import TrustedIssuer
from fhir_server.auth.jwks import PublicKey
from fhir_server.fhir.json import NotJson, decode

Claims: TypeAlias = dict[str, Any]

# The clocks of two machines differ a little; an expiry is never stretched.
CLOCK_DIFFERENCE = timedelta(seconds=30)
LONGEST_LIFE = timedelta(hours=24)

_UNDERSTOOD = frozenset({"alg", "kid", "typ", "cty", "x5t", "x5t#S256"})
_UNREADABLE = (JoseError, NotJson, ValueError, TypeError, KeyError, AttributeError)


class Disbelieved(Exception):
    """The token proves nothing. The message is for the log: it names the failed check and nothing of the token."""


@dataclass(frozen=True)
class Unproven:
    """What a token says of itself before its signature is checked: only good for choosing a key."""

    issuer: str
    kid: str
    algorithm: str
    type: str


def peek(token: str) -> Unproven:
    """Who claims to have signed `token`, with which key. Raises Disbelieved."""
    try:
        parsed = extract_compact(token.encode("ascii"))
        header, claims = parsed.headers(), decode(parsed.payload)
        unproven = Unproven(claims["iss"], header["kid"], header["alg"], header.get("typ", ""))
    except _UNREADABLE as error:
        raise Disbelieved("not a signed token with iss, alg and kid") from error
    if not all(isinstance(text, str) for text in (unproven.issuer, unproven.kid, unproven.algorithm, unproven.type)):
        raise Disbelieved("iss, alg, kid or typ is not a string")
    if not header.keys() <= _UNDERSTOOD:
        raise Disbelieved("a header parameter that is not understood")
    return unproven


def proven_claims(token: str, key: PublicKey, algorithm: str) -> Claims:
    """The claims of `token` once `key` has confirmed its signature by `algorithm`. Raises Disbelieved."""
    registry = JWSRegistry(algorithms=[algorithm])
    try:
        claims = decode(deserialize_compact(token.encode("ascii"), key, registry=registry).payload)
    except _UNREADABLE as error:
        raise Disbelieved("the signature is wrong") from error
    if not isinstance(claims, dict):
        raise Disbelieved("the claims are not an object")
    return claims


def check_claims(claims: Claims, issuer: TrustedIssuer, now: datetime) -> datetime:
    """When the claims expire, once they were made by `issuer` for this server and hold now. Raises Disbelieved."""
    if claims.get("iss") != issuer.issuer:
        raise Disbelieved("wrong issuer")
    if issuer.audience not in _audiences(claims):
        raise Disbelieved("wrong audience")
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise Disbelieved("no subject")
    return _check_times(claims, now)


def _check_times(claims: Claims, now: datetime) -> datetime:
    expires = _time(claims, "exp")
    if expires is None:
        raise Disbelieved("no expiry")
    if expires <= now:
        raise Disbelieved("expired")
    if expires > now + LONGEST_LIFE:
        raise Disbelieved("valid for longer than a day")
    for name in ("nbf", "iat"):
        moment = _time(claims, name)
        if moment is not None and moment > now + CLOCK_DIFFERENCE:
            raise Disbelieved(f"{name} lies in the future")
    return expires


def _audiences(claims: Claims) -> tuple[str, ...]:
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    return tuple(name for name in named if isinstance(name, str))


def _time(claims: Claims, name: str) -> datetime | None:
    if name not in claims:
        return None
    try:
        seconds = float(claims[name]) if not isinstance(claims[name], (bool, str)) else math.nan
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError, TypeError) as error:
        raise Disbelieved(f"{name} is not a time") from error
