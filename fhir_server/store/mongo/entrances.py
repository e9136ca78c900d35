"""When a client or a user last came in, and when it was ended: for the operator who looks at who may come in.

It lies beside the collections `clients` and `users`, which a server of another version reads as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from fhir_server.store.mongo.connection import Connection, asking

CLIENT, USER = "client", "user"

NOTED_EVERY = timedelta(hours=1)
"""A client comes for a token every few minutes; one write an hour tells as much, and so of a sign-in."""

_COLLECTION = "entrances"
_SECONDS = 5.0


@dataclass(frozen=True)
class Entrance:
    """What is known of one client or user."""

    came: datetime | None = None
    ended: datetime | None = None


class Entrances:
    """The entrances of one database. Every question may raise Unavailable."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._noted: dict[str, datetime] = {}

    def note(self, kind: str, id: str, now: datetime) -> None:
        """Keep that it came in, unless this process has within the hour."""
        key = _key(kind, id)
        noted = self._noted.get(key)
        if noted is None or now - noted >= NOTED_EVERY:
            self._set(key, {"$max": {"came": now}})
            self._noted[key] = now

    def end(self, kind: str, id: str, now: datetime) -> None:
        """Keep that it was ended; the first time counts."""
        self._set(_key(kind, id), {"$min": {"ended": now}})

    def of(self, kind: str) -> Mapping[str, Entrance]:
        """Those of all clients, or of all users, by their ids; of whom nothing is known none."""
        with asking(_SECONDS):
            found = list(self._connection.database[_COLLECTION].find({"_id": {"$regex": f"^{_key(kind, '')}"}}))
        return {
            each["_id"].removeprefix(_key(kind, "")): Entrance(each.get("came"), each.get("ended")) for each in found
        }

    def _set(self, key: str, change: dict[str, dict[str, datetime]]) -> None:
        with asking(_SECONDS):
            self._connection.database[_COLLECTION].update_one({"_id": key}, change, upsert=True)


def _key(kind: str, id: str) -> str:
    return f"{kind} {id}"
