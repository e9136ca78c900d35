"""Who may come in: clients, users, sign-in sessions and signing keys, kept in MongoDB beside the resources.

Secrets are never kept as they were given: client secrets and session ids as SHA-256 (256 random bits need no slow
hash), passwords as argon2id. Only the private signing keys are kept whole; whoever reads the database can sign.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from pymongo import ASCENDING, DESCENDING, ReturnDocument
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError

from fhir_server.fhir.errors import Unavailable
from fhir_server.store.mongo.connection import Connection, asking
from fhir_server.store.mongo.documents import Document
from fhir_server.store.mongo.entrances import Entrances

_SECONDS = 5.0


@dataclass(frozen=True)
class Client:
    """A program of an organisation that may ask for access tokens."""

    id: str
    organization: str
    scopes: tuple[str, ...]
    secret_hash: str
    created: datetime
    name: str = ""
    revoked: bool = False


@dataclass(frozen=True)
class User:
    """A person who signs in to the viewer; `organization` and `person` are references, `language` a BCP 47 tag."""

    username: str
    password_hash: str
    organization: str
    person: str | None
    name: str
    role: str
    language: str
    created: datetime
    active: bool = True


@dataclass(frozen=True)
class Session:
    """A sign-in that lasts until `expires`; `id_hash` is the SHA-256 of what the browser holds."""

    id_hash: str
    username: str
    created: datetime
    expires: datetime


class AlreadyRegistered(Exception):
    """A client or user of that name exists."""


class Registry:
    """The registry in one database. Every question may raise Unavailable; times are timezone-aware."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.entrances = Entrances(connection)

    def close(self) -> None:
        """Close this process's connections."""
        self._connection.close()

    def prepare(self) -> None:
        """Create the indexes: what has expired disappears by itself."""
        with asking(_SECONDS):
            for name in ("sessions", "sign_in_attempts"):
                self._kept(name).create_index([("expires", ASCENDING)], expireAfterSeconds=0)
            self._kept("sessions").create_index([("username", ASCENDING)])

    # Clients

    def add_client(self, client: Client) -> None:
        """Keep a new client. Raises AlreadyRegistered."""
        self._add("clients", client.id, {**vars(client), "scopes": list(client.scopes)}, key="id")

    def client(self, id: str) -> Client | None:
        """The client, revoked ones included."""
        found = self._get("clients", id)
        return _client(found) if found else None

    def clients(self) -> list[Client]:
        """All clients, revoked ones included."""
        return [_client(each) for each in self._all("clients")]

    def revoke_client(self, id: str) -> bool:
        """Let the client get no more tokens; False when there is no such client."""
        return self._set("clients", id, {"revoked": True})

    # Users

    def add_user(self, user: User) -> None:
        """Keep a new user. Raises AlreadyRegistered."""
        self._add("users", user.username, dict(vars(user)), key="username")

    def user(self, username: str) -> User | None:
        """The user, inactive ones included."""
        found = self._get("users", username)
        return User(**_fields(found, key="username")) if found else None

    def users(self) -> list[User]:
        """All users, inactive ones included."""
        return [User(**_fields(each, key="username")) for each in self._all("users")]

    def set_password(self, username: str, password_hash: str) -> bool:
        """Replace the hash of a user's password; False when there is no such user."""
        return self._set("users", username, {"password_hash": password_hash})

    def deactivate_user(self, username: str) -> bool:
        """End the user's sessions and admit no new ones; False when there is no such user."""
        known = self._set("users", username, {"active": False})
        self.end_sessions(username)
        return known

    # Sessions

    def add_session(self, session: Session) -> None:
        """Keep a new session."""
        self._add("sessions", session.id_hash, dict(vars(session)), key="id_hash")

    def session(self, id_hash: str, now: datetime) -> Session | None:
        """The session, unless it has ended or expired."""
        found = self._get("sessions", id_hash)
        return Session(**_fields(found, key="id_hash")) if found and found["expires"] > now else None

    def end_session(self, id_hash: str) -> None:
        """End one session."""
        with asking(_SECONDS):
            self._kept("sessions").delete_one({"_id": id_hash})

    def end_sessions(self, username: str) -> None:
        """End all sessions of a user."""
        with asking(_SECONDS):
            self._kept("sessions").delete_many({"username": username})

    # Attempts to sign in

    def count_attempt(self, key: str, expires: datetime) -> int:
        """How many attempts are now counted under `key`, this one included; the count ends at `expires`."""
        with asking(_SECONDS):
            counted = self._kept("sign_in_attempts").find_one_and_update(
                {"_id": key},
                {"$inc": {"count": 1}, "$setOnInsert": {"expires": expires}},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        return int(counted["count"]) if counted else 1

    def forget_attempts(self, keys: Sequence[str]) -> None:
        """Count from nought again."""
        with asking(_SECONDS):
            self._kept("sign_in_attempts").delete_many({"_id": {"$in": list(keys)}})

    def take_back_attempt(self, key: str) -> None:
        """Uncount one attempt."""
        with asking(_SECONDS):
            self._kept("sign_in_attempts").update_one({"_id": key}, {"$inc": {"count": -1}})

    # Keys

    def signing_keys(self) -> list[Document]:
        """The private signing keys as JWKs, oldest first."""
        with asking(_SECONDS):
            return [kept["jwk"] for kept in self._kept("signing_keys").find().sort("_id", ASCENDING)]

    def add_signing_key(self, number: int, jwk: Document, created: datetime) -> bool:
        """Keep the signing key number `number` (from 1); False when another process was first."""
        try:
            self._add("signing_keys", number, {"jwk": jwk, "created": created})
        except AlreadyRegistered:
            return False
        return True

    def newest_key_number(self) -> int:
        """The number of the newest signing key; 0 when there is none."""
        with asking(_SECONDS):
            newest = self._kept("signing_keys").find_one({}, {"_id": 1}, sort=[("_id", DESCENDING)])
        return int(newest["_id"]) if newest else 0

    def drop_signing_keys(self, below: int) -> None:
        """Forget the signing keys numbered below `below`."""
        with asking(_SECONDS):
            self._kept("signing_keys").delete_many({"_id": {"$lt": below}})

    def secret(self, name: str, proposed: bytes) -> bytes:
        """The secret that all processes share under `name`: `proposed` when nobody proposed one before."""
        with suppress(AlreadyRegistered):
            self._add("secrets", name, {"value": proposed})
        kept = self._get("secrets", name)
        if kept is None:
            raise Unavailable(f"The shared secret {name!r} was removed while it was being read.")
        return bytes(kept["value"])

    def _kept(self, collection: str) -> Collection[Document]:
        return self._connection.database[collection]

    def _add(self, collection: str, id: str | int, document: Document, key: str | None = None) -> None:
        kept = {"_id": id} | {name: value for name, value in document.items() if name != key}
        with asking(_SECONDS):
            try:
                self._kept(collection).insert_one(kept)
            except DuplicateKeyError as error:
                raise AlreadyRegistered(f"{id!r} is already registered") from error

    def _get(self, collection: str, id: str) -> Document | None:
        with asking(_SECONDS):
            return self._kept(collection).find_one({"_id": id})

    def _all(self, collection: str) -> list[Document]:
        with asking(_SECONDS):
            return list(self._kept(collection).find())

    def _set(self, collection: str, id: str, fields: Document) -> bool:
        with asking(_SECONDS):
            return self._kept(collection).update_one({"_id": id}, {"$set": fields}).matched_count == 1


def _client(document: Document) -> Client:
    return Client(**_fields(document, key="id") | {"scopes": tuple(document["scopes"])})


def _fields(document: Document, key: str) -> Document:
    return {key if name == "_id" else name: value for name, value in document.items()}
