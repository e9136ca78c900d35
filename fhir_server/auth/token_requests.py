"""A request for an access token, by the client credentials grant: read, judged, answered or refused.

https://www.rfc-editor.org/rfc/rfc6749#section-4.4
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from fhir_server.auth.clients import proven_client
from fhir_server.auth.local_issuer import LocalIssuer
from fhir_server.auth.scopes import covers
from fhir_server.fhir.errors import Unavailable
from fhir_server.store.mongo.entrances import CLIENT
from fhir_server.store.mongo.registry import Client, Registry

GRANT_TYPE = "client_credentials"
_PARAMETERS = ("grant_type", "scope", "client_id", "client_secret")
_LONGEST_PARAMETER = 4096


class TokenRefused(Exception):
    """No token; `error` is the code of RFC 6749 section 5.2, `status` the HTTP status that goes with it."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status


@dataclass(frozen=True)
class TokenRequest:
    """What the client sent, once it is well-formed."""

    client_id: str
    client_secret: str
    scopes: tuple[str, ...] = ()


def read_request(form: Mapping[str, Sequence[str]], authorization: str | None) -> TokenRequest:
    """The request that a form (every value of each parameter) and an Authorization header make.

    Raises TokenRefused: a parameter twice, another grant type, no credentials, or credentials in two places.
    """
    given = {name: _single(name, form.get(name, ())) for name in _PARAMETERS}
    if given["grant_type"] != GRANT_TYPE:
        code = "unsupported_grant_type" if given["grant_type"] else "invalid_request"
        raise TokenRefused(code, f"grant_type must be {GRANT_TYPE}.")
    if authorization is not None:
        if given["client_secret"]:
            raise TokenRefused("invalid_request", "Send the secret in the header or in the form, not in both.")
        client_id, secret = _basic(authorization)
        if given["client_id"] not in ("", client_id):
            raise TokenRefused("invalid_request", "The header and the form name different clients.")
    else:
        client_id, secret = given["client_id"], given["client_secret"]
    if not client_id or not secret:
        raise _unproven()
    return TokenRequest(client_id, secret, tuple(given["scope"].split()))


def answer_request(request: TokenRequest, registry: Registry, issuer: LocalIssuer) -> dict[str, Any]:
    """The token response for a client that proves itself. No scope asked: all that the client was given.

    Raises TokenRefused, with the same words for an unknown, a revoked and a wrongly proven client.
    """
    client = proven_client(registry, request.client_id, request.client_secret)
    if client is None:
        raise _unproven()
    scopes = _granted(client, request.scopes)
    with suppress(Unavailable):  # who may come in is not kept out because it could not be noted
        registry.entrances.note(CLIENT, client.id, issuer.clock())
    return {
        "access_token": issuer.access_token(client, scopes),
        "token_type": "Bearer",
        "expires_in": int(issuer.lifetime.total_seconds()),
        "scope": " ".join(scopes),
    }


def _granted(client: Client, asked: Sequence[str]) -> tuple[str, ...]:
    refused = [scope for scope in asked if not covers(client.scopes, scope)]
    if refused:
        raise TokenRefused("invalid_scope", "The client was not given every scope that it asks for.")
    return tuple(dict.fromkeys(asked)) or client.scopes


def _single(name: str, values: Sequence[str]) -> str:
    if len(values) > 1:
        raise TokenRefused("invalid_request", f"The parameter {name} may be given once.")
    if values and len(values[0]) > _LONGEST_PARAMETER:
        raise TokenRefused("invalid_request", f"The parameter {name} is too long.")
    return values[0] if values else ""


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    try:
        user, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise _unproven() from None
    if scheme.lower() != "basic" or not colon:
        raise _unproven()
    # RFC 6749 section 2.3.1: both are form-encoded before they are joined.
    return unquote_plus(user), unquote_plus(secret)


def _unproven() -> TokenRefused:
    return TokenRefused("invalid_client", "The client is unknown, or its secret is wrong.", 401)
