"""The questions that nearly every request asks; threads that ask the same kind at the same moment ask it together.

What does not fit into one answer, or takes long, everybody asks again alone.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import pymongo
from pymongo.errors import OperationFailure

from fhir_server.store.mongo.connection import Connection, MoreToCome, Pipeline, asking, union
from fhir_server.store.mongo.documents import CIRCLES, Document
from fhir_server.store.mongo.logic import one_of
from fhir_server.store.together import Together, TogetherByKind, in_own_time

_MANY_CIRCLES = 500
_ALONE: Document = {}
"""Instead of an answer: it did not fit among the others."""

# Both halve what MongoDB spends: the empty pipeline keeps the join from being planned anew each time by its other
# engine, and what only searches need is quicker sent than left out.
_CIRCLES_OF_IT = {
    "$lookup": {"from": CIRCLES, "localField": "plans", "foreignField": "_id", "pipeline": [], "as": "circles"}
}


# Who asks together may make the others wait so long, not longer.
_SHARED_MS = 500
_BESIDE = 100
_NUMBER = "asked"


@dataclass(frozen=True)
class PageAsked:
    """A page of one type, so many documents at most, about a person whose circles are asked for after it."""

    type: str
    stages: Pipeline
    most: int
    patient: str


Found: TypeAlias = tuple[list[Document], list[Document]]


class Questions:
    """Asked of the database by this process, outside of transactions; each raises Unavailable within `seconds`, or
    twice that for who waited for the question before."""

    def __init__(self, connection: Connection, *, seconds: float, search_ms: int) -> None:
        self._connection = connection
        self._seconds = seconds
        self._search_ms = search_ms
        self._of_types = TogetherByKind(self._with_circles)
        self._of_people = Together(in_own_time(partial(self._circles, "patient")))
        self._of_plans = Together(in_own_time(partial(self._circles, "_id")))
        self._of_pages = Together(in_own_time(self._pages))

    def with_circles(self, type_name: str, id: str) -> Document | None:
        """The current document of a resource with the `circles` of its plans; None when there never was one."""
        found = self._of_types.ask(type_name, id)
        return self._with_circles(type_name, [id])[0] if found is _ALONE else found

    def circles_about(self, patient: str) -> list[Document] | None:
        """All circles about a person; None when they are too many for one answer."""
        return self._found_circles(self._of_people, "patient", [patient])

    def circles_of(self, plans: Sequence[str]) -> list[Document] | None:
        """The circles of these plans, those that have one; None when they are too many for one answer."""
        return self._found_circles(self._of_plans, "_id", plans)

    def page(self, asked: PageAsked) -> Found | None:
        """The documents of the page, and the person's circles as they are after it; None when these are too many for
        one answer. Raises the driver's error when the time of searches is over."""
        found = self._of_pages.ask(asked)
        if found is not None:
            return found
        with suppress(MoreToCome):
            return self._pages_within([asked], self._search_ms)[0]
        return None

    def _with_circles(self, type_name: str, ids: Sequence[str]) -> list[Document | None]:
        asked = sorted(set(ids))
        pipeline = [{"$match": {"_id": one_of(asked)}}, _CIRCLES_OF_IT]
        command = {"aggregate": type_name, "pipeline": pipeline, "cursor": {"batchSize": len(asked) + 1}}
        try:
            with asking(self._seconds):
                found = {each["_id"]: each for each in self._connection.first_batch(command)}
        except MoreToCome:
            if len(asked) == 1:
                raise
            return [_ALONE] * len(ids)
        return [found.get(id) for id in ids]

    def _found_circles(
        self, together: Together[Sequence[str], list[Document] | None], field: str, values: Sequence[str]
    ) -> list[Document] | None:
        found = together.ask(values)
        return found if found is not None else self._circles(field, [values])[0]

    def _circles(self, field: str, asked: Sequence[Sequence[str]]) -> list[list[Document] | None]:
        values = sorted({value for each in asked for value in each})
        command = {"find": CIRCLES, "filter": {field: one_of(values)}, "batchSize": _MANY_CIRCLES}
        with asking(self._seconds), suppress(MoreToCome):
            found = self._connection.first_batch(command)
            return [[document for document in found if document[field] in each] for each in asked]
        return [None] * len(asked)

    def _pages(self, asked: Sequence[PageAsked]) -> Sequence[Found | None]:
        # MongoDB ends it; the driver's own limit would take the place of this one.
        with asking(self._seconds), suppress(MoreToCome, OperationFailure), pymongo.timeout(None):
            return self._pages_within(asked, min(_SHARED_MS, self._search_ms))
        return [None] * len(asked)

    def _pages_within(self, asked: Sequence[PageAsked], max_time_ms: int) -> Sequence[Found]:
        first, stages = union([*map(_numbered, range(len(asked)), asked), _circles_of_people(asked)])
        most = sum(each.most + _BESIDE for each in asked)
        command: Document = {"aggregate": first, "pipeline": stages, "cursor": {"batchSize": most}}
        pages: list[list[Document]] = [[] for _ in asked]
        circles: dict[str, list[Document]] = {each.patient: [] for each in asked}
        for document in self._connection.first_batch({**command, "maxTimeMS": max_time_ms}):
            if "body" in document:
                pages[document.pop(_NUMBER, 0)].append(document)
            else:
                circles[document["patient"]].append(document)
        return [(page, circles[each.patient]) for page, each in zip(pages, asked, strict=True)]


def _numbered(number: int, asked: PageAsked) -> tuple[str, Pipeline]:
    """The question, its documents marked by its number, but for the first."""
    return asked.type, [*asked.stages, *([{"$set": {_NUMBER: {"$literal": number}}}] if number else [])]


def _circles_of_people(asked: Sequence[PageAsked]) -> tuple[str, Pipeline]:
    return CIRCLES, [{"$match": {"patient": one_of(sorted({each.patient for each in asked}))}}]
