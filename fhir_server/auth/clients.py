"""Clients: programs of an organisation that prove themselves with a secret.

https://www.rfc-editor.org/rfc/rfc6749#section-2.3
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime

from fhir_server.auth.scopes import OWN_SCOPES, is_scope
from fhir_server.fhir.reference import parse_reference
from fhir_server.store.mongo.registry import Client, Registry


def register_client(
    registry: Registry, *, organization: str, scopes: Sequence[str], name: str = "", now: datetime
) -> tuple[Client, str]:
    """Register a new client of `organization` (`Organization/7`): the client, and its secret that is kept nowhere.

    Raises ValueError when the organisation is no reference to one, or a scope is unknown.
    """
    check_organization(organization)
    check_scopes(scopes)
    secret = secrets.token_urlsafe(32)
    client = Client(
        id=f"client-{secrets.token_hex(8)}",
        organization=organization,
        scopes=tuple(dict.fromkeys(scopes)),
        secret_hash=hash_of(secret),
        created=now,
        name=name,
    )
    registry.add_client(client)
    return client, secret


def proven_client(registry: Registry, client_id: str, secret: str) -> Client | None:
    """The client, when the secret is its own and it is not revoked."""
    client = registry.client(client_id)
    expected = client.secret_hash if client else hash_of("")
    matches = hmac.compare_digest(hash_of(secret), expected)
    return client if client and matches and not client.revoked else None


def hash_of(secret: str) -> str:
    """SHA-256 of a secret of 256 random bits; a guessable secret such as a password needs a slow hash instead."""
    return hashlib.sha256(secret.encode()).hexdigest()


def check_organization(organization: str) -> None:
    """Raise ValueError unless `organization` is a reference such as `Organization/7`."""
    reference = parse_reference(organization)
    if reference is None or reference.type != "Organization" or reference.version is not None:
        raise ValueError(f"{organization!r} is not a reference to an organisation, such as Organization/7")


def check_scopes(scopes: Sequence[str]) -> None:
    """Raise ValueError unless there are scopes and every one is known."""
    unknown = [scope for scope in scopes if not is_scope(scope)]
    if unknown or not scopes:
        known = ", ".join(OWN_SCOPES)
        raise ValueError(f"unknown scope {', '.join(unknown) or '(none)'}: known are system/TYPE.cruds and {known}")
