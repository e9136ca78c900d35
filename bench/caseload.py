"""Worklists of any size, written directly: the store's own documents, inserted without the gate.

The gate would need an hour for a million Tasks. What lies in the database afterwards is what it would have left there:
the same body with meta, the same search values, a stamp with the author, an owner and the national case manager.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from pymongo import WriteConcern

from bench.ground import Ground
from fhir_server.access.types import TYPES
from fhir_server.care.tasks import TASK_CODES
from fhir_server.fhir.dates import instant, now
from fhir_server.fhir.json import Resource, encode
from fhir_server.search.grant import Reader, Stamp
from fhir_server.store.mongo.connection import Connection
from fhir_server.store.mongo.contained import mark_empty
from fhir_server.store.mongo.documents import Document, current_document
from fhir_server.store.mongo.indexing.indexed_by import agree
from fhir_server.store.values import Stored

NATIONAL = "Organization/bench-national"
LARGE = "Organization/bench-large"
SMALL = "Organization/bench-small"
_HOSPITALS = 40
_TASKS_PER_PATIENT = 10
_BATCH = 2_000
_STATUSES = ("requested", "received", "accepted", "in-progress", "on-hold", *("completed",) * 4, "cancelled")
_DONE = "bench_built"


@dataclass(frozen=True)
class Share:
    """How many people the large and the small organisation care for; the rest is spread over forty others."""

    large: int
    small: int

    def owner(self, patient: int) -> str:
        """Who cares for the person of that number."""
        if patient < self.small:
            return SMALL
        return LARGE if patient < self.small + self.large else f"Organization/bench-{patient % _HOSPITALS}"


def ensure(ground: Ground, tasks: int, share: Share) -> str:
    """The database with so many Tasks, built if it is not there yet; indexes are made at the end, as it is quicker."""
    name = f"samen_bench_{tasks}"
    database = ground.database(name)
    built = {"_id": "tasks", "tasks": tasks, "large": share.large, "small": share.small}
    if database[_DONE].find_one(built):
        return name
    ground.client.drop_database(name)
    # As the server does before it writes the first one: what follows is indexed by this version.
    agree(Connection(ground.url, name), ["Task"])
    mark_empty(database, ["Task"])
    collection = database.get_collection("Task", write_concern=WriteConcern(w=1))
    documents = _documents(tasks, share)
    while batch := list(islice(documents, _BATCH)):
        collection.insert_many(batch, ordered=False)
    ground.parts(name).store.prepare(sorted(TYPES))
    database[_DONE].insert_one(built)
    return name


def _documents(tasks: int, share: Share) -> Iterator[Document]:
    chance = random.Random(tasks)
    moment = now()
    for number in range(tasks):
        owner = share.owner(number // _TASKS_PER_PATIENT)
        yield current_document(_stored(number, owner, moment, chance))


def _stored(number: int, owner: str, moment: datetime, chance: random.Random) -> Stored:
    person = number // _TASKS_PER_PATIENT
    author = f"Organization/bench-{person % _HOSPITALS}"
    updated = (moment - timedelta(minutes=chance.randrange(500_000))).replace(microsecond=0)
    id = f"{chance.getrandbits(128):032x}"
    body = encode(_task(id, person, author, owner, updated, chance))
    readers = tuple(Reader(party) for party in sorted({author, owner, NATIONAL}))
    stamp = Stamp(f"Patient/p{person}", (f"plan-{person}",), readers, author)
    return Stored("Task", id, 3, updated, body, stamp, method="PUT")


def _task(id: str, person: int, author: str, owner: str, updated: datetime, chance: random.Random) -> Resource:
    due = (updated + timedelta(days=chance.randrange(-30, 60))).date().isoformat()
    task: dict[str, Any] = {
        "resourceType": "Task",
        "id": id,
        "meta": {"versionId": "3", "lastUpdated": instant(updated)},
        "basedOn": [{"reference": f"CarePlan/plan-{person}"}],
        "status": chance.choice(_STATUSES),
        "intent": "order",
        "code": {"coding": [{"system": TASK_CODES, "code": "fulfill"}]},
        "description": "Thuisverpleging: hulp bij ADL, tweemaal per week",
        "focus": {"reference": f"ServiceRequest/order-{person}"},
        "for": {"reference": f"Patient/p{person}"},
        "authoredOn": instant(updated - timedelta(days=2)),
        "lastModified": instant(updated),
        "requester": {"reference": author},
        "owner": {"reference": owner},
        "restriction": {"period": {"end": due}},
    }
    return task
