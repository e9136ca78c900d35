"""What is still to be delivered, who is delivering it, and how often it failed.

Events stay `pending` until their endpoint accepted them. One worker at a time serves a Subscription, by a lease on its
document in `deliveries` {_id: Subscription id, owner, until, attempts, failing_since, due, version, heartbeat}.
`due` and `attempts` hold for the `version` of the Subscription that failed: a client that changes it starts afresh.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pymongo import ASCENDING
from pymongo.database import Database

from fhir_server.store.mongo.delivery.outbox import answering, claimed, durable
from fhir_server.store.mongo.documents import Document

NEVER = datetime(9999, 12, 31, tzinfo=UTC)
MOST_FORGOTTEN = 1000


@dataclass(frozen=True)
class Waiting:
    """A Subscription that has something to be told now; `failing` when its endpoint failed the last time."""

    subscription: str
    failing: bool


@dataclass(frozen=True)
class Claim:
    """The right to serve one Subscription, and how its endpoint did so far."""

    subscription: str
    attempts: int = 0
    failing_since: datetime | None = None
    version: int | None = None
    heartbeat: datetime | None = None


@dataclass(frozen=True)
class PendingEvent:
    """The next event of a Subscription."""

    number: int
    at: datetime
    focus: str
    change: str
    recipient: str


class Deliveries:
    """The deliveries of one database, as the worker `owner` sees them. Every question may raise Unavailable."""

    def __init__(self, database: Database[Document], owner: str, *, lease: timedelta = timedelta(seconds=30)) -> None:
        self._database = durable(database)
        self._owner = owner
        self._lease = lease

    def waiting(self, moment: datetime) -> list[Waiting]:
        """Subscriptions that ask for a handshake, have pending events or a heartbeat to be sent, are not waiting for
        a later try, and are served by nobody."""
        with answering():
            requested = self._requested()
            pending = set(self._database["events"].distinct("subscription", {"pending": True}))
            beating = {d["_id"] for d in self._database["deliveries"].find({"heartbeat": {"$lte": moment}}, {"_id": 1})}
            asked = sorted(pending | beating | requested.keys())
            states = {d["_id"]: d for d in self._database["deliveries"].find({"_id": {"$in": asked}})} if asked else {}
        return [
            Waiting(id, failing=bool(states.get(id, {}).get("attempts")))
            for id in asked
            if _is_free(states.get(id, {}), requested.get(id), moment)
        ]

    def claim(self, subscription: str, moment: datetime) -> Claim | None:
        """Serve the Subscription until the lease ends; None while another worker does."""
        free = {"_id": subscription, "$or": [{"until": None}, {"until": {"$lte": moment}}]}
        with answering():
            held = claimed(self._database, "deliveries", free, self._owner, moment + self._lease)
        if held is None:
            return None
        return Claim(
            subscription, held.get("attempts", 0), held.get("failing_since"), held.get("version"), held.get("heartbeat")
        )

    def renew(self, subscription: str, moment: datetime) -> bool:
        """Serve it for another lease; False when another worker has taken over."""
        return self._set(subscription, {"until": moment + self._lease})

    def release(self, subscription: str) -> None:
        """Let others serve it."""
        self._set(subscription, {"owner": None, "until": None})

    def next_pending(self, subscription: str) -> PendingEvent | None:
        """The pending event with the lowest number."""
        with answering():
            found = self._database["events"].find_one(
                {"pending": True, "subscription": subscription}, sort=[("number", ASCENDING)]
            )
        if found is None:
            return None
        return PendingEvent(found["number"], found["at"], found["focus"], found["event"], found["recipient"])

    def acknowledge(self, subscription: str, number: int) -> None:
        """The endpoint accepted this event."""
        with answering():
            self._database["events"].update_one({"_id": f"{subscription}/{number}"}, {"$unset": {"pending": ""}})

    def forget(self, before: datetime, most: int = MOST_FORGOTTEN) -> int:
        """Remove at most so many events of before then, never one that is still to be told; how many went."""
        told = {"at": {"$lt": before}, "pending": None}
        with answering():
            found = [each["_id"] for each in self._database["events"].find(told, {"_id": 1}, limit=most)]
            return self._database["events"].delete_many({"_id": {"$in": found}}).deleted_count if found else 0

    def count(self, subscription: str) -> int:
        """How many events the Subscription has had since its start."""
        with answering():
            counter = self._database["counters"].find_one({"_id": subscription})
        return int(counter["last"]) if counter else 0

    def postpone(
        self, subscription: str, *, version: int, attempts: int, failing_since: datetime, due: datetime
    ) -> None:
        """The endpoint failed; try again at `due`."""
        failed = {"version": version, "attempts": attempts, "failing_since": failing_since, "due": due}
        self._set(subscription, failed)

    def resume(self, subscription: str, *, version: int, heartbeat: datetime | None) -> None:
        """The endpoint answers; what is pending may go at once, and the heartbeat is due then (None: never)."""
        answers: Document = {"version": version, "attempts": 0, "failing_since": None, "due": None}
        self._set(subscription, {**answers, "heartbeat": heartbeat})

    def beat(self, subscription: str, heartbeat: datetime) -> None:
        """The next heartbeat is due then."""
        self._set(subscription, {"heartbeat": heartbeat})

    def park(self, subscription: str, *, version: int) -> None:
        """Keep what is pending until the client asks for the Subscription again."""
        self._set(subscription, {"version": version, "due": NEVER, "heartbeat": None})

    def drop(self, subscription: str) -> None:
        """The Subscription is gone: nothing of it is pending any more."""
        with answering():
            self._database["events"].update_many(
                {"pending": True, "subscription": subscription}, {"$unset": {"pending": ""}}
            )
        self._set(subscription, {"heartbeat": None})

    def _set(self, subscription: str, fields: Document) -> bool:
        """Write to the document while this worker serves it; a heartbeat of None is taken away, for it is never due."""
        never = fields.get("heartbeat", NEVER) is None
        kept = {name: value for name, value in fields.items() if not (never and name == "heartbeat")}
        update: Document = {"$set": {"owner": self._owner, **kept}}
        if never:
            update["$unset"] = {"heartbeat": ""}
        with answering():
            mine = {"_id": subscription, "owner": self._owner}
            return self._database["deliveries"].update_one(mine, update).matched_count == 1

    def _requested(self) -> dict[str, int]:
        """Subscriptions that ask for a handshake, with their versions."""
        asked = {"t": "status=|requested", "del": {"$ne": True}}
        return {d["_id"]: d["v"] for d in self._database["Subscription"].find(asked, {"v": 1})}


def _is_free(state: Mapping[str, object], requested_version: int | None, moment: datetime) -> bool:
    until, due = state.get("until"), state.get("due")
    if isinstance(until, datetime) and until > moment:
        return False
    changed = requested_version is not None and state.get("version") != requested_version
    return changed or not (isinstance(due, datetime) and due > moment)
