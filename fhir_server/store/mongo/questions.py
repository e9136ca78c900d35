"""The questions that nearly every request asks; threads that ask the same kind at the same moment ask it together."""

import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from fhir_server.store.mongo.connection import Connection, MoreToCome, asking
from fhir_server.store.mongo.documents import CIRCLES, Document
from fhir_server.store.mongo.logic import one_of
from fhir_server.store.together import Together

_MANY_CIRCLES = 500

# Both halve what MongoDB spends: the empty pipeline keeps the join from being planned anew each time by its other
# engine, and what only searches need is quicker sent than left out.
_CIRCLES_OF_IT = {
    "$lookup": {"from": CIRCLES, "localField": "plans", "foreignField": "_id", "pipeline": [], "as": "circles"}
}


class Questions:
    """Asked of the database by this process, outside of transactions; each raises Unavailable within `seconds`, or
    twice that for who waited for the question before."""

    def __init__(self, connection: Connection, seconds: float) -> None:
        self._connection = connection
        self._seconds = seconds
        self._making = threading.Lock()
        self._by_type: dict[str, Together[str, Document | None]] = {}
        self._of_people = Together(partial(self._circles, "patient"))
        self._of_plans = Together(partial(self._circles, "_id"))

    def with_circles(self, type_name: str, id: str) -> Document | None:
        """The current document of a resource with the `circles` of its plans; None when there never was one."""
        together = self._by_type.get(type_name)
        if together is None:
            with self._making:
                together = self._by_type.setdefault(type_name, Together(partial(self._with_circles, type_name)))
        return together.ask(id)

    def circles_about(self, patient: str) -> list[Document] | None:
        """All circles about a person; None when they are too many for one answer."""
        return self._of_people.ask((patient,))

    def circles_of(self, plans: Sequence[str]) -> list[Document] | None:
        """The circles of these plans, those that have one; None when they are too many for one answer."""
        return self._of_plans.ask(plans)

    def _with_circles(self, type_name: str, ids: Sequence[str]) -> list[Document | None]:
        asked = sorted(set(ids))
        pipeline = [{"$match": {"_id": one_of(asked)}}, _CIRCLES_OF_IT]
        command = {"aggregate": type_name, "pipeline": pipeline, "cursor": {"batchSize": len(asked) + 1}}
        with asking(self._seconds):
            try:
                found = {each["_id"]: each for each in self._connection.first_batch(command)}
            except MoreToCome:
                if len(asked) == 1:
                    raise
                found = {id: each for id in asked if (each := self._with_circles(type_name, [id])[0]) is not None}
        return [found.get(id) for id in ids]

    def _circles(self, field: str, asked: Sequence[Sequence[str]]) -> list[list[Document] | None]:
        values = sorted({value for each in asked for value in each})
        command = {"find": CIRCLES, "filter": {field: one_of(values)}, "batchSize": _MANY_CIRCLES}
        with asking(self._seconds), suppress(MoreToCome):
            found = self._connection.first_batch(command)
            return [[document for document in found if document[field] in each] for each in asked]
        return [self._circles(field, [each])[0] for each in asked] if len(asked) > 1 else [None]
