"""Labels of what was stored before labels were judged: they are put into the stamps of current and past versions.

What the index of terms finds by a label is done before a server answers; the rest by going through the bodies, once
for all documents of a type. The current versions of a type come before the past ones: a version that becomes past
meanwhile then takes its label along. A write that is under way when its resource is labelled starts again.
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from pymongo import UpdateOne
from pymongo.collection import Collection
from pymongo.database import Database

from fhir_server.fhir.json import Resource, decode
from fhir_server.store.mongo.documents import Document
from fhir_server.store.mongo.ledger import LEDGER, beginning

LabelOf: TypeAlias = Callable[[Resource], str | None]
"""How far the labels of a resource restrict it; None when they do not."""

LABELLED = "labelled"

_AT_ONCE = 200
_NONE = {"label": None, "del": False}


def label_found(database: Database[Document], type_names: Iterable[str], label_of: LabelOf) -> int:
    """Label the current versions whose labels have a system or a code; how many. Quick, also when all is done."""
    found = {**_NONE, "t": {"$regex": "^_security="}}
    return sum(_label(database[name], found, label_of) for name in _unlabelled(database, type_names))


def label_all(database: Database[Document], type_names: Iterable[str], label_of: LabelOf) -> int:
    """Label every version of the types, and keep that it was done; how many were. It can be cut off and begun again."""
    labelled = 0
    for name in _unlabelled(database, type_names):
        labelled += _label(database[name], _NONE, label_of)
        past = {"_id": beginning("version", name), **_NONE}
        labelled += _label(database[LEDGER], past, label_of)
        database[LABELLED].update_one({"_id": name}, {"$set": {}}, upsert=True)
    return labelled


def _unlabelled(database: Database[Document], type_names: Iterable[str]) -> list[str]:
    done = {each["_id"] for each in database[LABELLED].find()}
    return [name for name in type_names if name not in done]


def _label(collection: Collection[Document], condition: Document, label_of: LabelOf) -> int:
    """Put labels into the documents; how many have one now. What changes meanwhile is labelled by who changes it."""
    labelled, waiting = 0, list[UpdateOne]()
    for document in collection.find(condition, {"body": 1, "v": 1}):
        body = bytes(document["body"])
        label = label_of(decode(body)) if b'"security"' in body else None
        if label is not None:
            waiting.append(UpdateOne({"_id": document["_id"], "v": document["v"]}, {"$set": {"label": label}}))
        if len(waiting) == _AT_ONCE:
            labelled += _done(collection, waiting)
            waiting = []
    return labelled + _done(collection, waiting)


def _done(collection: Collection[Document], waiting: list[UpdateOne]) -> int:
    return collection.bulk_write(waiting, ordered=False).modified_count if waiting else 0
