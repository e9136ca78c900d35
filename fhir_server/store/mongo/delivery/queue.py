"""What a delivery worker works on: the outbox and the deliveries under one owner's leases, and its signs of life."""

import socket
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from pymongo.database import Database

from fhir_server.store.mongo.delivery.deliveries import Deliveries
from fhir_server.store.mongo.delivery.heartbeats import Heartbeats
from fhir_server.store.mongo.delivery.outbox import Outbox, durable


@dataclass(frozen=True)
class Queue:
    """One worker's share of the queue."""

    outbox: Outbox
    deliveries: Deliveries
    heartbeats: Heartbeats


def queue_in(database: Database[dict[str, Any]]) -> Queue:
    """The queue in `database`, for a new worker."""
    owner = uuid4().hex
    heartbeats = Heartbeats(durable(database), owner, socket.gethostname())
    return Queue(Outbox(database, owner), Deliveries(database, owner), heartbeats)
