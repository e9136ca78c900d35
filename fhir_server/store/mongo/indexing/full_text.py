"""The words of documents: which types have them, and gathering those of documents that were stored without.

A document that lacks its words was stored while its type kept none, or by a build that kept no phrases, or parted
words by another rule. The index on words finds these at once, so that a search never answers from some of the
documents: while one lacks its words the search is refused, and gathering goes on from where it was, however often it
is interrupted.
"""

from collections.abc import Iterable, Sequence

from pymongo import UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database

from fhir_server.fhir.errors import Unavailable
from fhir_server.fhir.json import decode
from fhir_server.search.join_answers import conditions_of
from fhir_server.search.query import AllOf, AnyOf, Clause, Condition, Contained, Not, Query
from fhir_server.search.texts import wording_of
from fhir_server.search.words import PHRASE, WORDS
from fhir_server.store.mongo.contained import contains, with_contained
from fhir_server.store.mongo.documents import Document
from fhir_server.store.mongo.wording import BY_WORD, NO_WORDING, WORDING, kept_wording

_WITHOUT: Document = {BY_WORD: {"$exists": False}}
_EARLIER = {"w": ""}
_AT_ONCE = 200


def check_words(database: Database[Document], query: Query, session: ClientSession | None = None) -> None:
    """Raise Unavailable when the query asks for words, and documents of its type lack them, or what these contain."""
    asked = _asked(conditions_of(query), None)
    lacking = [
        *([_WITHOUT] if None in asked else ()),
        *([_without_inside(sorted(filter(None, asked)))] if asked - {None} else ()),
    ]
    if any(database[query.type].find_one(each, {"_id": 1}, session=session) is not None for each in lacking):
        raise Unavailable(f"The words of the stored {query.type} resources are still being gathered. Ask again later.")


def asks_for_words(query: Query) -> bool:
    """Whether the query asks for words at all."""
    return bool(_asked(conditions_of(query), None))


def gather_words(database: Database[Document], type_names: Iterable[str]) -> int:
    """Give every document of the types its words; the number of documents that lacked them.

    A document that changes meanwhile gets them from whoever changes it.
    """
    gathered = 0
    for type_name in type_names:
        collection = database[type_name]
        while found := list(collection.find(_WITHOUT, {"body": 1, "v": 1, "del": 1}, limit=_AT_ONCE)):
            collection.bulk_write(
                [UpdateOne({"_id": each["_id"], "v": each["v"], **_WITHOUT}, _gathered(each)) for each in found],
                ordered=False,
            )
            gathered += len(found)
    return gathered


def gather_words_inside(database: Database[Document], type_names: Iterable[str], full_text: frozenset[str]) -> int:
    """Give what the documents of the types contain its words where it is of a type in `full_text`; the number of
    documents that lacked them."""
    gathered, without = 0, _without_inside(sorted(full_text))
    for type_name in type_names if full_text else ():
        collection = database[type_name]
        while found := list(collection.find(without, {"body": 1, "v": 1}, limit=_AT_ONCE)):
            collection.bulk_write([with_contained(each, full_text) for each in found], ordered=False)
            gathered += len(found)
    return gathered


def _without_inside(type_names: Sequence[str]) -> Document:
    """The documents that contain what lacks its words, of these types."""
    lacking = {"is": {"$in": type_names}, **_WITHOUT}
    return {"t": {"$in": [contains(each) for each in type_names]}, "c": {"$elemMatch": lacking}}


def _gathered(document: Document) -> Document:
    """The change of a document to one with its words, without what an earlier build kept."""
    wording = NO_WORDING if document["del"] else kept_wording(wording_of(decode(bytes(document["body"]))))
    return {"$set": {WORDING: wording}, "$unset": _EARLIER}


def _asked(conditions: Iterable[Condition], type_name: str | None) -> set[str | None]:
    """Of which types words are asked: None stands for that of the query, others for what is contained."""
    return {found for each in conditions for found in _types_in(each, type_name)}


def _types_in(condition: Condition, type_name: str | None) -> set[str | None]:
    if isinstance(condition, AllOf | AnyOf):
        return _asked(condition.conditions, type_name)
    if isinstance(condition, Not):
        return _types_in(condition.condition, type_name)
    if isinstance(condition, Contained):
        return _asked(condition.conditions, condition.type)
    return {type_name} if isinstance(condition, Clause) and condition.type in {WORDS, PHRASE} else set()
