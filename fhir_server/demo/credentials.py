"""What lets one into the demo: clients, tokens for twelve hours, the case manager's sign-in; kept in `demo.json`."""

import os
import secrets
from datetime import timedelta
from pathlib import Path

from fhir_server.app import Parts
from fhir_server.auth.clients import proven_client, register_client
from fhir_server.auth.users import change_password, register_user
from fhir_server.demo.directory import CASE_MANAGER, CASEMANAGER, PARTIES, Party
from fhir_server.fhir import dates
from fhir_server.fhir.json import NotJson, Resource, decode
from fhir_server.store.mongo.registry import AlreadyRegistered, Client

TOKEN_LIFE = timedelta(hours=12)
USERNAME = "lotte"


def credentials(parts: Parts, earlier: Resource) -> Resource:
    """The content of `demo.json`; clients and passwords of an `earlier` one are kept while they still work."""
    return {
        "fhir": parts.settings.public_url,
        "viewer": f"{parts.settings.origin}/",
        "parties": {party.key: _party(parts, party, earlier) for party in PARTIES},
        "users": [_case_manager(parts, earlier)],
    }


def read_file(path: Path) -> Resource:
    """The credentials of an earlier start; empty when there are none that can be read."""
    try:
        found = decode(path.read_bytes())
    except (OSError, NotJson):
        return {}
    return found if isinstance(found, dict) else {}


def write_file(path: Path, content: bytes) -> None:
    """Put `content` where only this user reads it; the file is never half written."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    fresh.replace(path)


def _party(parts: Parts, party: Party, earlier: Resource) -> Resource:
    known = earlier.get("parties", {}).get(party.key, {})
    client, secret = _client(parts, party, known)
    return {
        "organization": party.reference,
        "name": party.name,
        "token_endpoint": f"{parts.settings.origin}/oauth/token",
        "client_id": client.id,
        "client_secret": secret,
        "token": parts.issuer.access_token(client, client.scopes, TOKEN_LIFE),
    }


def _client(parts: Parts, party: Party, known: Resource) -> tuple[Client, str]:
    if "client_id" in known and "client_secret" in known:
        client = proven_client(parts.registry, known["client_id"], known["client_secret"])
        if client is not None:
            return client, known["client_secret"]
    return register_client(
        parts.registry,
        organization=party.reference,
        scopes=party.scopes,
        name=f"demo: {party.name}",
        now=dates.now(),
    )


def _case_manager(parts: Parts, earlier: Resource) -> Resource:
    known: Resource = next((user for user in earlier.get("users", []) if user.get("username") == USERNAME), {})
    password = known.get("password") or secrets.token_urlsafe(9)
    try:
        register_user(
            parts.registry,
            username=USERNAME,
            password=password,
            organization=CASEMANAGER.reference,
            person=f"Practitioner/{CASE_MANAGER}",
            name="Lotte Peeters",
            now=dates.now(),
        )
    except AlreadyRegistered:
        if not known:
            change_password(parts.registry, USERNAME, password)
    return {"username": USERNAME, "password": password, "role": "case-manager"}
