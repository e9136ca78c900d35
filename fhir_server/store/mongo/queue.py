"""What a delivery worker works on: the outbox and the deliveries, under one owner's leases."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from pymongo.database import Database

from fhir_server.store.mongo.deliveries import Deliveries
from fhir_server.store.mongo.outbox import Outbox


@dataclass(frozen=True)
class Queue:
    """One worker's share of the queue."""

    outbox: Outbox
    deliveries: Deliveries


def queue_in(database: Database[dict[str, Any]]) -> Queue:
    """The queue in `database`, for a new worker."""
    owner = uuid4().hex
    return Queue(Outbox(database, owner), Deliveries(database, owner))
