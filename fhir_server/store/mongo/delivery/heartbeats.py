"""Signs of life of the workers, for whoever asks from outside whether one still works.

`workers` {_id: owner, host, at}: a document for each worker, forgotten a day after its last sign.
"""

from datetime import datetime, timedelta

from pymongo import ASCENDING, DESCENDING
from pymongo.database import Database

from fhir_server.store.mongo.delivery.outbox import answering
from fhir_server.store.mongo.documents import Document

_FORGOTTEN = timedelta(days=1)


class Heartbeats:
    """The signs of life in one database. Every question may raise Unavailable."""

    def __init__(self, database: Database[Document], owner: str, host: str) -> None:
        self._workers = database["workers"]
        self._owner = owner
        self._host = host

    def prepare(self) -> None:
        """Create the index that forgets workers that are gone."""
        with answering():
            self._workers.create_index([("at", ASCENDING)], expireAfterSeconds=int(_FORGOTTEN.total_seconds()))

    def beat(self, moment: datetime) -> None:
        """This worker works."""
        with answering():
            self._workers.update_one({"_id": self._owner}, {"$set": {"host": self._host, "at": moment}}, upsert=True)

    def last(self, moment: datetime) -> datetime | None:
        """When a worker of this machine last gave a sign until then; None when none did within a day.

        A sign that lies ahead is of before the clock was set back: whoever works gives another.
        """
        with answering():
            found = self._workers.find_one({"host": self._host, "at": {"$lte": moment}}, sort=[("at", DESCENDING)])
        return found["at"] if found else None
