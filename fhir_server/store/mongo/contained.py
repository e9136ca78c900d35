"""What documents contain: the search values of contained resources, and gathering those of older documents.

A document with contained resources has `c`, for each its type as `is`, the parameters that refer to it as `by` and its
search values, with its wording where its type keeps words, and the term `_contains=TYPE`, by which the index of terms
finds it. What a contained resource refers to beside it stands below it in the same form, as its own `c`: so one filter
follows a chain within the container. Nobody sorts by that, so it has no keys. A document that contains nothing has
nothing of this, so that it costs nothing. That a type is gathered is kept once for all its documents: an empty
collection is, and one that was gone through.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from pymongo import UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database

from fhir_server.definitions.search_parameters import contents_lag
from fhir_server.definitions.structures import RESOURCE_TYPES
from fhir_server.fhir.errors import Unavailable
from fhir_server.fhir.json import Resource, decode
from fhir_server.search.containers import Inner, inner_of
from fhir_server.search.extract import search_values
from fhir_server.search.query import AllOf, AnyOf, Condition, Contained, Not, Query
from fhir_server.store.mongo.wording import WORDING, kept_wording

GATHERED = "contained_with_keys"

_Document: TypeAlias = dict[str, Any]
_AT_ONCE = 200


def contained_values(resource: Resource, full_text: Container[str]) -> list[_Document]:
    """The search values of each contained resource that can be searched, and of what each refers to beside it.

    Those of a type in `full_text` keep their words.
    """
    inner = inner_of(resource)
    values = {each.at: {**search_values(each.seen), **_said(each, full_text)} for each in inner}
    below = {
        key: {name: value for name, value in each.items() if value and name != "k"} for key, each in values.items()
    }

    def kept(each: Inner, of: Mapping[int, _Document]) -> _Document:
        further = {"c": [kept(one, below) for one in each.inner]} if each.inner else {}
        return {"is": each.resource["resourceType"], "by": list(each.by), **of[each.at], **further}

    return [kept(each, values) for each in inner]


def _said(inner: Inner, full_text: Container[str]) -> _Document:
    return {WORDING: kept_wording(inner.wording)} if inner.resource["resourceType"] in full_text else {}


def with_contained(document: _Document, full_text: Container[str]) -> UpdateOne:
    """The change of a document (`body` and `v`) to the search values that what it contains has now, unless somebody
    changes it first."""
    values = contained_values(decode(bytes(document["body"])), full_text)
    return UpdateOne({"_id": document["_id"], "v": document["v"]}, {"$set": {"c": values}})


def contains(type_name: str) -> str:
    """The term of a resource that contains one of the type; no search parameter has this name."""
    return f"_contains={type_name}"


def contained_terms(values: Sequence[_Document]) -> list[str]:
    """The terms for what `contained_values` found."""
    return sorted({contains(each["is"]) for each in values})


def is_contained(database: Database[_Document], type_name: str, contained: str, session: ClientSession | None) -> bool:
    """Whether some resource of the type contains one of the other type. Raises Unavailable as `check_contained`."""
    _check_gathered(database, type_name, session)
    found = database[type_name].find_one({"t": contains(contained)}, {"_id": 1}, session=session)
    return found is not None


def is_contained_anywhere(database: Database[_Document], type_name: str) -> bool:
    """Whether some resource of any type contains one of this type."""
    asked = {"t": contains(type_name)}
    return any(database[each].find_one(asked, {"_id": 1}) is not None for each in sorted(RESOURCE_TYPES))


def check_contained(database: Database[_Document], query: Query, session: ClientSession | None = None) -> None:
    """Raise Unavailable when the query asks for what is contained, and that is not known of all documents yet."""
    if any(map(_about_contained, query.filters)):
        _check_gathered(database, query.type, session)


def _check_gathered(database: Database[_Document], type_name: str, session: ClientSession | None) -> None:
    if contents_lag(type_name) or database[GATHERED].find_one({"_id": type_name}, session=session) is None:
        raise Unavailable(f"What the stored {type_name} resources contain is still being gathered. Ask again later.")


def mark_empty(database: Database[_Document], type_names: Iterable[str]) -> None:
    """Keep of the types that have no document that nothing is missing of them; quick when that is known."""
    known = {each["_id"] for each in database[GATHERED].find()}
    empty = [each for each in type_names if each not in known and database[each].find_one({}, {"_id": 1}) is None]
    _mark(database, empty)


def gather_contained(database: Database[_Document], type_names: Iterable[str], full_text: Container[str] = ()) -> int:
    """Go through the types of which it is not known what they contain; the number of documents that lacked it.

    What is of a type in `full_text` keeps its words.
    """
    known, gathered = {each["_id"] for each in database[GATHERED].find()}, 0
    for type_name in [each for each in type_names if each not in known]:
        lacking = {"del": False, "c.k": {"$exists": False}}
        waiting: list[UpdateOne] = []
        for document in database[type_name].find(lacking, {"body": 1, "v": 1}):
            body = bytes(document["body"])
            values = contained_values(decode(body), full_text) if b'"contained"' in body else []
            if values:
                change = {"$set": {"c": values}, "$addToSet": {"t": {"$each": contained_terms(values)}}}
                waiting.append(UpdateOne({"_id": document["_id"], "v": document["v"]}, change))
                gathered += 1
            if len(waiting) == _AT_ONCE:
                database[type_name].bulk_write(waiting, ordered=False)
                waiting = []
        if waiting:
            database[type_name].bulk_write(waiting, ordered=False)
        _mark(database, [type_name])
    return gathered


def _mark(database: Database[_Document], type_names: Sequence[str]) -> None:
    if type_names:
        database[GATHERED].bulk_write([UpdateOne({"_id": each}, {"$set": {}}, upsert=True) for each in type_names])


def _about_contained(condition: Condition) -> bool:
    if isinstance(condition, AllOf | AnyOf):
        return any(map(_about_contained, condition.conditions))
    if isinstance(condition, Not):
        return _about_contained(condition.condition)
    return isinstance(condition, Contained)
