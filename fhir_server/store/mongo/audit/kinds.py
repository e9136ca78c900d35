"""What is alike in nearly all AuditEvents, kept once for each kind of them.

Most terms by which an AuditEvent is found say what thousands of others say as well: a read, done, of the type `rest`.
Each would be a key in the index of terms. So an AuditEvent that is carried on has one term that names its kind, and the
collection `audit_kinds` says which terms each kind stands for:

    _id   "_alike=6f1c...", a hash of the terms, so that every process gives a kind the same name
    t     the terms, sorted

A kind is kept durably before the first AuditEvent that names it. There are some tens of kinds. Beyond MOST_KINDS, and
in what was written in another way or by an earlier build, the terms stand in the document itself. So a search for a
term asks for it and for the kinds that stand for it.
"""

import hashlib
from collections.abc import Collection as SomeOf
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pymongo import UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database

from fhir_server.fhir.json import encode
from fhir_server.search.types.term import term
from fhir_server.store.mongo.audit.pages import Pages, stage
from fhir_server.store.mongo.connection import Connection
from fhir_server.store.mongo.documents import Document
from fhir_server.store.mongo.logic import Filter, both, either

AUDIT_KINDS = "audit_kinds"
MOST_KINDS = 150
"""An index is read in its order from at most 200 beginnings at once."""

ALIKE = frozenset({"action", "agent-role", "entity-role", "entity-type", "outcome", "site", "subtype", "type"})
"""The token parameters that say what kind of event it is; no reference is among them, for these are included by."""

_PREFIX = "_alike="


@dataclass(frozen=True)
class Kind:
    """The name of a kind, which is a term as well, and the terms that it stands for."""

    name: str
    terms: frozenset[str]


def kind_of(terms: Iterable[str]) -> Kind:
    """The kind of an AuditEvent that is found by these terms."""
    alike = frozenset(each for each in terms if each.partition("=")[0] in ALIKE)
    return Kind(term("_alike", hashlib.sha256(encode(sorted(alike))).hexdigest()[:16]), alike)


def kept_kinds(connection: Connection, kinds: SomeOf[Kind]) -> frozenset[str]:
    """The names of those of the kinds that may be written: they are kept now, or were. Asked for each batch anew."""
    collection = connection.collection(AUDIT_KINDS)
    there = {each["_id"] for each in collection.find({"_id": {"$in": [kind.name for kind in kinds]}}, {"_id": 1})}
    new = [kind for kind in kinds if kind.name not in there]
    if new and collection.count_documents({}) + len(new) <= MOST_KINDS:
        puts = [UpdateOne({"_id": kind.name}, {"$set": {"t": sorted(kind.terms)}}, upsert=True) for kind in new]
        collection.bulk_write(puts, ordered=False)
        there |= {kind.name for kind in new}
    return frozenset(there)


def known_kinds(database: Database[Document], session: ClientSession | None) -> "Kinds":
    """All kinds that are there now; of what is asked about later, none is missing that was there when it was kept."""
    return Kinds({each["_id"]: each["t"] for each in database[AUDIT_KINDS].find(session=session)})


@dataclass(frozen=True)
class Kinds:
    """Kinds by their names, and what they mean for a filter and for an order; `pages` are those that a filter asks
    for."""

    terms: Mapping[str, Sequence[str]]
    pages: Pages = field(default_factory=Pages)

    def widened(self, asked: Filter) -> Filter:
        """The filter with, beside each term, the kinds that stand for it and the pages that name it.

        A condition that denies also leaves out the kinds that are not among these: they came after the question, so
        nobody knows here what they stand for.
        """
        parts = [self._widened(name, condition) for name, condition in asked.items()]
        return both(*parts) if parts else {}

    def stages(self) -> list[dict[str, Any]]:
        """What gives each document the terms that its kind stands for."""
        names = list(self.terms)
        alike = [*self.terms.values(), []]  # the last one, at -1, is that of no kind
        own = {"$first": {"$setIntersection": ["$t", {"$literal": names}]}}
        found = {"$arrayElemAt": [{"$literal": alike}, {"$indexOfArray": [{"$literal": names}, own]}]}
        return [{"$set": {"t": {"$concatArrays": ["$t", found]}}}, stage()]

    def _widened(self, name: str, condition: Any) -> Filter:
        if name in {"$and", "$or"}:
            return {name: [self.widened(each) for each in condition]}
        if name == "$nor":
            return self._of_these({name: [self.widened(each) for each in condition]})
        of_terms = name == "t" and isinstance(condition, dict)  # else one term that no parameter has
        return self._of_terms(condition) if of_terms else {name: condition}

    def _of_terms(self, condition: Mapping[str, Any]) -> Filter:
        """A condition on the terms, of those that `conditions.py` makes."""
        [(operator, asked)] = condition.items()
        if operator == "$in":
            return either([{"t": {"$in": [*asked, *self._standing_for(asked)]}}, *self.pages.naming(asked)])
        if operator == "$nin":
            denied: Filter = {"t": {"$nin": [*asked, *self._standing_for(asked)]}}
            pages = self.pages.naming(asked)
            return self._of_these(both(denied, {"$nor": pages}) if pages else denied)
        if operator == "$elemMatch":
            least, end = asked["$gte"], asked["$lt"]
            among = [name for name, terms in self.terms.items() if any(least <= each < end for each in terms)]
            return either([{"t": condition}, {"t": {"$in": among}}])
        raise ValueError(f"terms of AuditEvents are not asked by {operator}")

    def _standing_for(self, asked: Sequence[str]) -> list[str]:
        return [name for name, terms in self.terms.items() if not set(asked).isdisjoint(terms)]

    def _of_these(self, denied: Filter) -> Filter:
        others = {"$regex": f"^{_PREFIX}", "$nin": list(self.terms)}
        return both(denied, {"$nor": [{"t": {"$elemMatch": others}}]})
