"""A small house with subscribers: a fresh database, its store, and workers on it, with a clock that can be turned."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

from pymongo import MongoClient
from pymongo.database import Database

from fhir_server.fhir.dates import now
from fhir_server.fhir.json import encode
from fhir_server.search.grant import Stamp
from fhir_server.store.mongo.delivery.deliveries import Deliveries
from fhir_server.store.mongo.delivery.outbox import BATCH, Outbox, Subscribes
from fhir_server.store.mongo.store import MongoStore
from fhir_server.store.values import Stored
from fhir_server.subscriptions.delivery import Delivery, MayRead
from fhir_server.subscriptions.payload import STATUS_PROFILE
from fhir_server.subscriptions.rest_hook import rest_hook
from fhir_server.subscriptions.topics import PARTY_TO_INSTANCE, check_subscription, subscribes
from fhir_server.subscriptions.worker import Worker
from tests.patience import patiently

BASE = "https://samen.example/fhir"
BACKPORT = STATUS_PROFILE.rpartition("/")[0] + "/"
HOSP, HOME = "Organization/hosp", "Organization/home"


class PatientOutbox(Outbox):
    """Numbers as a running worker does, which asks again."""

    def sequence(self, subscribes: Subscribes, moment: datetime, *, most: int = BATCH, **how: Any) -> int:
        return patiently(partial(super().sequence, subscribes, moment, most=most, **how))


class House:
    """What the write gate and the clients would do, and the workers."""

    def __init__(self, url: str, database: Database[dict[str, Any]], store: MongoStore) -> None:
        self.url, self.database, self.store = url, database, store
        self.ahead = timedelta()
        self._stopped: datetime | None = None
        self._entries = 0

    def clock(self) -> datetime:
        """Now, and what the test has turned it ahead."""
        return (self._stopped or now()) + self.ahead

    def stop_clock(self) -> None:
        """From now on only the test turns the clock, however long anything takes."""
        self._stopped = now()

    def outbox(self, owner: str = "a") -> Outbox:
        """The outbox as one worker sees it."""
        return PatientOutbox(self.database, owner)

    def worker(
        self,
        owner: str = "a",
        *,
        may_read: MayRead = lambda party, reference: True,
        outbox: Outbox | None = None,
        **how: Any,
    ) -> Worker:
        """A worker; events may be read by everyone unless the test says otherwise."""
        deliveries = Deliveries(self.database, owner)
        delivery = Delivery(
            self.store,
            deliveries,
            base_url=BASE,
            may_read=may_read,
            post=rest_hook(http_endpoints=True),
            http_endpoints=True,
            clock=self.clock,
            jitter=lambda: 0.0,
        )
        return Worker(outbox or self.outbox(owner), deliveries, delivery, clock=self.clock, **how)

    def sequence(self, owner: str = "a") -> int:
        """Number what is in the outbox."""
        moment = self.clock()
        return self.outbox(owner).sequence(lambda resource, entry: subscribes(resource, entry, moment), moment)

    def subscribe(self, party: str, endpoint: str, *, status: str = "requested", id: str = "", **channel: Any) -> str:
        """A Subscription of the party as the gate would keep it; its id."""
        id = id or uuid4().hex
        content = {"url": BACKPORT + "backport-payload-content", "valueCode": channel.pop("content", "id-only")}
        resource = {
            "resourceType": "Subscription",
            "id": id,
            "meta": {"versionId": "1"},
            "status": status,
            "reason": "To hear of what concerns us",
            "criteria": PARTY_TO_INSTANCE.url,
            "channel": {
                "type": "rest-hook",
                "endpoint": endpoint,
                "payload": "application/fhir+json",
                "_payload": {"extension": [content]},
                **channel,
            },
        }
        assert not check_subscription({**resource, "status": "requested"}, http_endpoints=True)
        self._save(id, 1, resource, party)
        return id

    def change(self, id: str, **elements: Any) -> None:
        """A client's PUT of its Subscription."""
        stored = self.store.read("Subscription", id)
        assert stored is not None
        resource = {**stored.resource(), **elements}
        self._save(id, stored.version + 1, resource, stored.stamp.author)

    def delete(self, id: str) -> None:
        """A client's DELETE of its Subscription."""
        stored = self.store.read("Subscription", id)
        assert stored is not None
        tombstone = Stored(
            "Subscription", id, stored.version + 1, now(), b"", stored.stamp, deleted=True, method="DELETE"
        )
        self.store.transact(lambda transaction: transaction.save(tombstone))

    def subscription(self, id: str) -> dict[str, Any]:
        """The Subscription as a client would read it."""
        stored = self.store.read("Subscription", id)
        assert stored is not None
        return stored.resource()

    def heartbeat_every(self, seconds: int) -> list[dict[str, Any]]:
        """The channel extension that asks for heartbeats."""
        return [{"url": BACKPORT + "backport-heartbeat-period", "valueUnsignedInt": seconds}]

    def announce(self, focus: str, *parties: str, version: int = 1, event: str = "create") -> None:
        """A committed write, as the gate announces it."""
        self.store.transact(
            lambda transaction: transaction.announce([self.entry(focus, *parties, version=version, event=event)])
        )

    def entry(self, focus: str, *parties: str, version: int = 1, event: str = "create") -> dict[str, Any]:
        """One outbox entry, later than the one before."""
        self._entries += 1
        return {
            "at": datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=self._entries),
            "commit": uuid4().hex,
            "focus": focus,
            "type": focus.partition("/")[0],
            "version": version,
            "event": event,
            "plan": "plan",
            "recipients": list(parties),
        }

    def events_of(self, id: str) -> list[dict[str, Any]]:
        """The numbered events of a Subscription, by number."""
        return list(self.database["events"].find({"subscription": id}).sort("number", 1))

    def _save(self, id: str, version: int, resource: dict[str, Any], author: str | None) -> None:
        stored = Stored("Subscription", id, version, now(), encode(resource), Stamp(author=author))
        self.store.transact(lambda transaction: transaction.save(stored))


@contextmanager
def house(url: str) -> Iterator[House]:
    """A house on a database of its own, dropped at the end."""
    name = f"test_{uuid4().hex[:12]}"
    with MongoClient[dict[str, Any]](url, tz_aware=True) as client, MongoStore(url, name, secret=b"for tests") as store:
        store.prepare(["Subscription"])
        built = House(url, client[name], store)
        built.outbox().prepare()
        try:
            yield built
        finally:
            client.drop_database(name)


def eventually(condition: Any, seconds: float = 60.0) -> None:
    """Wait until `condition()` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)
