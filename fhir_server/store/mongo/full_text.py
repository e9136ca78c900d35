"""The words of documents: which types have them, and gathering those of documents that were stored without.

A document that lacks its words was stored while its type kept none, or by a build that kept no phrases, or parted
words by another rule. The index on words finds these at once, so that a search never answers from some of the
documents: while one lacks its words the search is refused, and gathering goes on from where it was, however often it
is interrupted.
"""

from collections.abc import Iterable

from pymongo import UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database

from fhir_server.fhir.errors import Unavailable
from fhir_server.fhir.json import decode
from fhir_server.search.join_answers import conditions_of
from fhir_server.search.query import AllOf, AnyOf, Condition, Not, Query
from fhir_server.search.words import PHRASE, WORDS
from fhir_server.store.mongo.documents import Document
from fhir_server.store.mongo.wording import BY_WORD, NO_WORDING, WORDING, kept_wording

_WITHOUT: Document = {BY_WORD: {"$exists": False}}
_EARLIER = {"w": ""}
_AT_ONCE = 200


def check_words(database: Database[Document], query: Query, session: ClientSession | None = None) -> None:
    """Raise Unavailable when the query asks for words, and documents of its type lack them."""
    if not asks_for_words(query):
        return
    if database[query.type].find_one(_WITHOUT, {"_id": 1}, session=session) is not None:
        raise Unavailable(f"The words of the stored {query.type} resources are still being gathered. Ask again later.")


def asks_for_words(query: Query) -> bool:
    """Whether the query asks for words at all."""
    return any(map(_about_words, conditions_of(query)))


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


def _gathered(document: Document) -> Document:
    """The change of a document to one with its words, without what an earlier build kept."""
    wording = NO_WORDING if document["del"] else kept_wording(decode(bytes(document["body"])))
    return {"$set": {WORDING: wording}, "$unset": _EARLIER}


def _about_words(condition: Condition) -> bool:
    if isinstance(condition, AllOf | AnyOf):
        return any(map(_about_words, condition.conditions))
    if isinstance(condition, Not):
        return _about_words(condition.condition)
    return getattr(condition, "type", None) in {WORDS, PHRASE}
