"""One turn of one Subscription: the handshake it asks for, then its pending events in their order.

Told at least once: an event is acknowledged after its endpoint accepted it, so a worker that dies in between leaves it
pending, and it is told again with the same number.
"""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from fhir_server.fhir.dates import now
from fhir_server.fhir.faults import raised_at
from fhir_server.fhir.json import Resource, encode
from fhir_server.store.contract import Store
from fhir_server.store.mongo.delivery.deliveries import Claim, Deliveries
from fhir_server.store.values import Stored
from fhir_server.subscriptions.channel import Channel, channel_of, has_ended
from fhir_server.subscriptions.payload import EVENT, HANDSHAKE, HEARTBEAT, Event, notification
from fhir_server.subscriptions.rest_hook import Answer, Post
from fhir_server.subscriptions.retry import Retry
from fhir_server.subscriptions.status import settle
from fhir_server.subscriptions.topics import PAYLOAD, topic_of, unserved

logger = logging.getLogger(__name__)

LONGEST_TIMEOUT = 10
MOST_IN_A_TURN = 200
UNDECIDED = (
    "This server cannot decide from this Subscription what is to be told, and keeps nothing for it meanwhile. Put its "
    "criteria, end or channel right, ask with status 'requested' again, and read what changed until then."
)

MayRead = Callable[[str, str], bool]


class Settle(Protocol):
    """Writes the status of a Subscription, as `status.settle` does."""

    def __call__(
        self, store: Store, subscription: str, *, version: int, status: str, reason: str | None, moment: datetime
    ) -> int | None:
        """The new version, or None when the Subscription is not at `version` any more."""


@dataclass(frozen=True)
class _Served:
    """A Subscription as it stands in this step, and the right to serve it."""

    stored: Stored
    resource: Resource
    channel: Channel
    claim: Claim

    @property
    def id(self) -> str:
        return self.stored.id

    @property
    def attempts(self) -> int:
        """Failures in a row of this very version."""
        return self.claim.attempts if self.claim.version == self.stored.version else 0

    def next_heartbeat(self, moment: datetime) -> datetime | None:
        return moment + timedelta(seconds=self.channel.heartbeat) if self.channel.heartbeat else None


class Delivery:
    """Serves one Subscription at a time; `take_turn` is safe to call from several threads.

    `may_read(party, reference)` is asked just before an event is told; a party that may no longer read the focus gets
    the bare event. `http_endpoints` is the development setting of `endpoints.endpoint_faults`.
    """

    def __init__(
        self,
        store: Store,
        deliveries: Deliveries,
        *,
        base_url: str,
        may_read: MayRead,
        post: Post,
        http_endpoints: bool = False,
        settle: Settle = settle,
        retry: Retry | None = None,
        clock: Callable[[], datetime] = now,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._store, self._deliveries, self._post, self._settle = store, deliveries, post, settle
        self._base_url = base_url.rstrip("/")
        self._may_read, self._http_endpoints = may_read, http_endpoints
        self._retry = retry or Retry()
        self._clock, self._jitter = clock, jitter

    def take_turn(self, subscription: str, stopping: Callable[[], bool] = lambda: False) -> int:
        """Tell the Subscription what waits for it, until nothing does, it fails, or others should have their turn.

        Returns how many notifications were accepted; 0 also when another worker serves it. Raises Unavailable.
        """
        told = 0
        claim = self._deliveries.claim(subscription, self._clock())
        if claim is None:
            return told
        try:
            while told < MOST_IN_A_TURN and not stopping() and self._step(claim):
                told += 1
                claim = Claim(subscription)
                if not self._deliveries.renew(subscription, self._clock()):
                    break
        finally:
            self._deliveries.release(subscription)
        return told

    def set_aside(self, subscription: str, version: int) -> None:
        """Say in the Subscription at `version` that it cannot be served as it stands; once, until its owner asks again.

        Raises Unavailable, and whatever a content raises that cannot be read.
        """
        stored = self._store.read("Subscription", subscription)
        if stored is None or stored.deleted or stored.version != version:
            return
        if stored.resource()["status"] != "error":
            self._settled(stored, "error", UNDECIDED)

    def _step(self, claim: Claim) -> bool:
        """Tell one thing; whether it was accepted, so that a next step makes sense."""
        stored = self._store.read("Subscription", claim.subscription)
        if stored is None or stored.deleted:
            self._deliveries.drop(claim.subscription)
            return False
        resource = stored.resource()
        as_it_came = resource["status"] == "requested" and topic_of(resource) is None  # imported, never served
        if as_it_came or resource["status"] not in ("requested", "active"):
            self._deliveries.park(stored.id, version=stored.version)
            return False
        try:
            ended = has_ended(resource, self._clock())
            issues = unserved(resource, http_endpoints=self._http_endpoints)
        except Exception as error:
            logger.error("Subscription/%s: not served because of %s", stored.id, raised_at(error))
            return self._stop(stored, "error", UNDECIDED)
        if ended:
            return self._stop(stored, "off", None)
        if issues:
            return self._stop(stored, "error", issues[0].diagnostics)
        served = _Served(stored, resource, channel_of(resource), claim)
        return self._handshake(served) if resource["status"] == "requested" else self._tell_next(served)

    def _handshake(self, served: _Served) -> bool:
        answer = self._send(served, HANDSHAKE)
        if not answer.accepted:
            self._failed(served, "the handshake", answer)
            return False
        version = self._settled(served.stored, "active", None)
        if version is not None:
            self._deliveries.resume(served.id, version=version, heartbeat=served.next_heartbeat(self._clock()))
        return version is not None

    def _tell_next(self, served: _Served) -> bool:
        pending = self._deliveries.next_pending(served.id)
        if pending is None:
            return self._beat(served)
        event = Event(pending.number, pending.at, pending.focus, pending.change)
        told = event if self._may_read(pending.recipient, pending.focus) else event.bare()
        answer = self._send(served, EVENT, told)
        if not answer.accepted:
            self._failed(served, f"event {pending.number}", answer)
            return False
        self._deliveries.acknowledge(served.id, pending.number)
        self._alive(served)
        return True

    def _beat(self, served: _Served) -> bool:
        due = served.claim.heartbeat
        if due is None or due > self._clock():
            return False
        answer = self._send(served, HEARTBEAT)
        if answer.accepted:
            self._alive(served)
        else:
            self._failed(served, "the heartbeat", answer)
        return False

    def _alive(self, served: _Served) -> None:
        heartbeat = served.next_heartbeat(self._clock())
        if served.claim.attempts:
            self._deliveries.resume(served.id, version=served.stored.version, heartbeat=heartbeat)
        elif heartbeat is not None:
            self._deliveries.beat(served.id, heartbeat)

    def _stop(self, stored: Stored, status: str, reason: str | None) -> bool:
        """Tell nothing more until the client asks again; what is pending stays."""
        version = self._settled(stored, status, reason)
        if version is not None:
            self._deliveries.park(stored.id, version=version)
        return False

    def _send(self, served: _Served, type_name: str, *events: Event) -> Answer:
        body = notification(
            type_name,
            served.resource,
            base_url=self._base_url,
            content=served.channel.content,
            count=self._deliveries.count(served.id),
            moment=self._clock(),
            events=events,
        )
        timeout = min(served.channel.timeout or LONGEST_TIMEOUT, LONGEST_TIMEOUT)
        headers = {**dict(served.channel.headers), "Content-Type": PAYLOAD}
        return self._post(served.channel.endpoint, headers, encode(body), timeout)

    def _failed(self, served: _Served, what: str, answer: Answer) -> None:
        moment = self._clock()
        attempts = served.attempts + 1
        since = (served.claim.failing_since if served.attempts else None) or moment
        logger.warning("Subscription/%s: %s failed, time %d: it %s", served.id, what, attempts, answer.reason)
        if self._retry.is_spent(served.resource["status"], attempts, since, moment):
            tried = f"The endpoint {answer.reason}: {what} was tried {attempts} times and given up."
            self._stop(served.stored, "error", f"{tried} Put that right, then ask with status 'requested' again.")
            return
        pause = self._retry.pause(attempts, self._jitter())
        self._deliveries.postpone(
            served.id, version=served.stored.version, attempts=attempts, failing_since=since, due=moment + pause
        )

    def _settled(self, stored: Stored, status: str, reason: str | None) -> int | None:
        moment = self._clock()
        version = self._settle(
            self._store, stored.id, version=stored.version, status=status, reason=reason, moment=moment
        )
        if version is not None:
            logger.info("Subscription/%s is now %s", stored.id, status)
        return version
