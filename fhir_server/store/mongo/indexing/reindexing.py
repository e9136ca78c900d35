"""What is stored is indexed by the search parameters that were defined since, or that a later version ships.

A pass goes through the resources of a type by their ids and leaves out those that carry the mark of its parameters
already; at its end it goes through those that contain one of the type. How far it came is kept after each batch, so a
pass that was cut off goes on there. A resource that somebody changes meanwhile is left alone: its writer indexes it. A
pass begins when every writer knows the parameters.
"""

import logging
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from pymongo import ReturnDocument
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError

from fhir_server.definitions.search_parameters import Own, using
from fhir_server.definitions.structures import RESOURCE_TYPES
from fhir_server.fhir.faults import raised_at
from fhir_server.store.mongo.connection import Connection, asking
from fhir_server.store.mongo.documents import Document
from fhir_server.store.mongo.indexing import own_parameters
from fhir_server.store.mongo.indexing.indexed_by import agree, finish
from fhir_server.store.mongo.indexing.own_parameters import AGE, REINDEXING, SETTLED, mark_of, own
from fhir_server.store.mongo.indexing.renewing import SECONDS, index_behind, index_containing
from fhir_server.store.values import OwnParameter

log = logging.getLogger(__name__)

PAUSE = 0.01
LEASE = timedelta(seconds=10)
AGAIN = 600.0
"""Seconds after which a type is gone through again of which something was too large to be indexed."""


@dataclass(frozen=True)
class Progress:
    """How far the pass through a type is; `begins_in` are the seconds until it may begin."""

    type: str
    done: int
    total: int
    begins_in: float = 0.0


class Reindexing:
    """One worker at the passes of a database; any number of them may run beside each other.

    `settled` is how long a writer may work with what it knew before; 0 where no server runs. What is contained keeps
    its words where it is of a type in `full_text`.
    """

    def __init__(self, connection: Connection, *, settled: float = SETTLED, full_text: Iterable[str] = ()) -> None:
        self._connection = connection
        self._full_text = frozenset(full_text)
        self._settled = settled
        self._name = uuid.uuid4().hex
        self._seen: dict[tuple[str, str], float] = {}
        self._again: dict[str, float] = {}
        self._left_out: defaultdict[str, set[str]] = defaultdict(set)

    @property
    def too_large(self) -> set[str]:
        """`Type/id` of what cannot be stored with its new values: until somebody divides it, the type waits for which
        it was gone through."""
        return set[str]().union(*self._left_out.values())

    def run(self, stop: Callable[[], bool] = lambda: False) -> Iterator[Progress]:
        """Do what there is to do, and tell of it after each batch; waits for passes that others have begun.

        Raises Unavailable when the database does not answer.
        """
        while not stop():
            known = self._known()
            waiting = {
                name: turn
                for name, turn in self._waiting(known).items()
                if self._again.get(name, 0.0) <= time.monotonic()
            }
            if not waiting:
                return
            for type_name in waiting:  # all are seen now, so that they wait together and not one after another
                self._seen.setdefault((type_name, mark_of(type_name, known)), time.monotonic())
            for type_name in sorted(waiting):
                yield from self._pass(type_name, known, waiting[type_name], stop)

    def waiting(self) -> bool:
        """Whether there is anything to do."""
        return bool(self._waiting(self._known()))

    def keep_up(self, stop: threading.Event) -> None:
        """Do what there is to do, whenever there is, until told to stop; for the worker."""
        while not stop.is_set():
            try:
                for progress in self.run(stop.is_set):
                    log.info("indexing %s: %d of %d", progress.type, progress.done, progress.total)
            except Exception as error:  # whatever it is, the worker goes on
                log.warning("indexing waits: %s", raised_at(error))
            stop.wait(AGE)

    def _known(self) -> list[OwnParameter]:
        with asking(SECONDS):
            return own_parameters.stored_in(self._connection)

    def _waiting(self, known: Sequence[OwnParameter]) -> dict[str, int]:
        """The types to go through, each with the turn of what is said of it."""
        with asking(SECONDS):
            indexed = agree(self._connection, sorted(RESOURCE_TYPES))
        defined = {name for each in known for name in each.rows if name not in each.indexed}
        return {name: indexed.turn_of(name) for name in {*defined, *indexed.lagging()}}

    def _pass(
        self, type_name: str, known: Sequence[OwnParameter], turn: int, stop: Callable[[], bool]
    ) -> Iterator[Progress]:
        """As much of a type's pass as can be done while its parameters are these and nobody else is at it."""
        mark, defined = mark_of(type_name, known), own(known, {}, {})
        self._left_out[type_name].clear()
        yield from self._settle(type_name, mark, stop)
        place = self._take(type_name, mark, turn)
        if place is None:
            time.sleep(1.0)
            return
        while not stop():
            yield Progress(type_name, place["done"], place["total"])
            if mark_of(type_name, self._known()) != mark:
                return
            with using(defined):
                batch = index_behind(self._connection, type_name, mark, place["after"], self._full_text)
            self._left_out[type_name] |= batch.too_large
            if batch.last is None:
                if self._containers(place, defined, stop):
                    self._end(type_name, mark, turn)
                return
            place = {**place, "after": batch.last, "done": place["done"] + batch.done}
            if not self._keep(place):
                return
            time.sleep(PAUSE)

    def _settle(self, type_name: str, mark: str, stop: Callable[[], bool]) -> Iterator[Progress]:
        """Wait until every writer knows the parameters, counted from when they were first seen here."""
        with asking(SECONDS):
            begun = self._places.find_one({"_id": type_name, "mark": mark})
        seen = self._seen[type_name, mark]
        while begun is None and not stop():
            left = seen + self._settled - time.monotonic()
            if left <= 0:
                return
            yield Progress(type_name, 0, 0, left)
            time.sleep(min(left, 0.5))

    def _take(self, type_name: str, mark: str, turn: int) -> Document | None:
        """The place where the pass goes on, now ours; None while another worker is at it."""
        now = datetime.now(UTC)
        with asking(SECONDS):
            unmarked = {"del": False, "own": {"$ne": mark}}
            total = self._connection.collection(type_name).count_documents(unmarked)
            of_now = {"mark": mark, "turn": turn}
            fresh = {**of_now, "after": "", "done": 0, "total": total}
            others = {"_id": type_name, "$nor": [of_now]}
            with suppress(DuplicateKeyError):  # the place is there, and of this mark and turn
                self._places.update_one(others, {"$set": {**fresh, "until": now}}, upsert=True)
            ours = {"$or": [{"until": {"$lte": now}}, {"owner": self._name}]}
            change = {"$set": {"owner": self._name, "until": now + LEASE}}
            return self._places.find_one_and_update(
                {"_id": type_name, **of_now, **ours}, change, return_document=ReturnDocument.AFTER
            )

    def _keep(self, place: Document) -> bool:
        """Keep how far the pass is; whether it is still ours."""
        with asking(SECONDS):
            ours = {"_id": place["_id"], "mark": place["mark"], "owner": self._name}
            change = {"after": place["after"], "done": place["done"], "until": datetime.now(UTC) + LEASE}
            return bool(self._places.update_one(ours, {"$set": change}).matched_count)

    def _end(self, type_name: str, mark: str, turn: int) -> None:
        """Finish the pass, unless something could not be indexed, by us or by whom we went on for."""
        with asking(SECONDS):
            unmarked = {"del": False, "own": {"$ne": mark}}
            left = self._connection.collection(type_name).find_one(unmarked, {"_id": 1})
            if left is None and not self._left_out[type_name]:
                self._finish(type_name, mark, turn)
                return
            self._places.delete_one({"_id": type_name, "mark": mark, "owner": self._name})
        if self._left_out[type_name]:
            self._again[type_name] = time.monotonic() + AGAIN

    def _containers(self, place: Document, defined: Own, stop: Callable[[], bool]) -> bool:
        """Index what contains a resource of the type; whether that came to its end and the pass is still ours."""
        for container in sorted(RESOURCE_TYPES):
            after: str | None = ""
            while after is not None:
                if stop():
                    return False
                with using(defined):
                    batch = index_containing(self._connection, container, place["_id"], after, self._full_text)
                self._left_out[place["_id"]] |= batch.too_large
                after = batch.last
                if after is not None and not self._keep(place):
                    return False
        return True

    def _finish(self, type_name: str, mark: str, turn: int) -> None:
        """Let searches use the parameters of the type; when another version wrote meanwhile, the next pass does."""
        with asking(SECONDS):
            if finish(self._connection, type_name, turn):
                self._give(type_name, mark)
            self._places.delete_one({"_id": type_name, "mark": mark})

    def _give(self, type_name: str, mark: str) -> None:
        """Let searches use the operator's parameters of the type, if they are still those of the mark."""
        while True:
            version, known = own_parameters.version_in(self._connection)
            defined = [each for each in known if type_name in each.rows]
            if not defined or mark_of(type_name, known) != mark:
                return
            done = [
                replace(each, indexed=tuple(sorted({*each.indexed, type_name}))) if each in defined else each
                for each in known
            ]
            if own_parameters.exchange(self._connection, version, done):
                return

    @property
    def _places(self) -> Collection[Document]:
        return self._connection.collection(REINDEXING)
