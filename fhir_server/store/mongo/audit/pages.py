"""AuditEvents of pages: whoever was shown twenty resources about one person is told of with one term, not twenty.

An AuditEvent of a search names everything on the page, and each name would be a key in the index of terms, which is
most of what such an AuditEvent costs. So the names of a page about one person lie in a field without an index, and a
term for each type among them says of whom they are:

    named   ["Observation/1", "Observation/2"]
    t       ["_shown=Patient/1/Observation", ...]

A question for one of the names asks of whom that resource is, which never changes, and then for both. What is not about
a person, or about several, has a term for each name, as what was written by an earlier build has.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pymongo.client_session import ClientSession
from pymongo.database import Database

from fhir_server.definitions.structures import RESOURCE_TYPES
from fhir_server.fhir.reference import parse_reference
from fhir_server.search.types.term import term
from fhir_server.store.mongo.documents import NAMED, Document
from fhir_server.store.mongo.logic import Filter, either

NAMES = "entity"
"""The parameter whose terms lie in NAMED."""
_OF_NAMES = f"{NAMES}="


def page_term(person: str, type_name: str) -> str:
    """The term of an AuditEvent that names resources of the type which are about the person."""
    return term("_shown", f"{person}/{type_name}")


def terms_of(document: Document) -> Iterator[str]:
    """The terms of a document of any type, those among them that an AuditEvent keeps as NAMED."""
    yield from document["t"]
    yield from (f"{_OF_NAMES}{each}" for each in document.get(NAMED, ()))


def found_by_terms(database: Database[Document], terms: Sequence[str], session: ClientSession | None) -> Filter:
    """The AuditEvents that have one of the terms, none of which a kind stands for."""
    return either([{"t": {"$in": terms}}, *pages_asked(database, terms, session).naming(terms)])


def stage() -> dict[str, Any]:
    """What gives each document the terms that it keeps as NAMED."""
    names = {"$map": {"input": {"$ifNull": [f"${NAMED}", []]}, "as": "name", "in": {"$concat": [_OF_NAMES, "$$name"]}}}
    return {"$set": {"t": {"$concatArrays": ["$t", names]}}}


@dataclass(frozen=True)
class Pages:
    """Of whom the resources are that a question names, by their `Type/id`."""

    people: Mapping[str, str] = field(default_factory=dict)

    def naming(self, terms: Iterable[str]) -> list[Filter]:
        """The pages on which one of the terms lies among what was shown; nothing when none can.

        A page names nothing of anybody else, so all people are asked for at once.
        """
        names = [reference for reference in _named(terms) if reference in self.people]
        of_people = {page_term(self.people[each], each.partition("/")[0]) for each in names}
        return [{"t": {"$in": sorted(of_people)}, NAMED: {"$in": names}}] if names else []


def pages_asked(database: Database[Document], terms: Iterable[str], session: ClientSession | None) -> Pages:
    """What is known of whom the resources are that these terms name; what was never there is on no page."""
    ids: dict[str, list[str]] = defaultdict(list)
    for reference in _named(terms):
        type_name, _, id = reference.partition("/")
        ids[type_name].append(id)
    return Pages(
        {
            f"{type_name}/{each['_id']}": each["patient"]
            for type_name, some in ids.items()
            for each in database[type_name].find({"_id": {"$in": some}}, {"patient": 1}, session=session)
            if each["patient"]
        }
    )


def terms_in(asked: Filter) -> Iterator[str]:
    """The terms that a filter asks for, or denies."""
    for name, condition in asked.items():
        if name in {"$and", "$or", "$nor"}:
            for each in condition:
                yield from terms_in(each)
        elif name == "t" and isinstance(condition, dict):
            yield from condition.get("$in") or condition.get("$nin") or ()


def _named(terms: Iterable[str]) -> Iterator[str]:
    """The `Type/id` of those of the terms that name a resource of this server, not a version of it."""
    for each in terms:
        if each.startswith(_OF_NAMES):
            reference = parse_reference(each.removeprefix(_OF_NAMES))
            if reference and reference.version is None and reference.type in RESOURCE_TYPES:
                yield str(reference)
