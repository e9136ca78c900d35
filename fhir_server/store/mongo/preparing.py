"""What a server does to its database at its start: it makes what is missing, and brings up to date what is stored."""

import logging
from collections.abc import Iterable, Sequence

from pymongo import ASCENDING, IndexModel
from pymongo.database import Database
from pymongo.errors import OperationFailure, PyMongoError

from fhir_server.definitions.search_parameters import using
from fhir_server.fhir.errors import Unavailable
from fhir_server.store.mongo.connection import Connection, asking
from fhir_server.store.mongo.contained import gather_contained, mark_empty
from fhir_server.store.mongo.documents import AUDIT_EVENTS, CIRCLES, Document
from fhir_server.store.mongo.indexing.full_text import gather_words, gather_words_inside
from fhir_server.store.mongo.indexing.indexed_by import agree, tell
from fhir_server.store.mongo.indexing.indexes import ensure_indexes
from fhir_server.store.mongo.indexing.own_parameters import DEFINITIONS, REINDEXING, OwnParameters
from fhir_server.store.mongo.labelling import LabelOf, label_all, label_found
from fhir_server.store.mongo.ledger import INDEXES, LEDGER
from fhir_server.store.mongo.purge_reading import PURGED, PURGES

log = logging.getLogger(__name__)

_OWN_COLLECTIONS = (CIRCLES, DEFINITIONS, LEDGER, PURGED, PURGES, REINDEXING)
_OWN_INDEXES = {
    CIRCLES: [
        IndexModel([("patient", ASCENDING), ("_id", ASCENDING)]),
        IndexModel([("members.p", ASCENDING), ("patient", ASCENDING), ("_id", ASCENDING)]),
        IndexModel([("members.p", ASCENDING), ("_id", ASCENDING)]),
    ],
    LEDGER: INDEXES,
}
# What an unreleased build kept apart, and `ledger` holds now.
_OF_AN_EARLIER_BUILD = frozenset({"guards", "history", "moves", "outbox"})
_SECONDS = 300.0
_NAMESPACE_EXISTS = 48


class OfAnEarlierBuild(ValueError):
    """The database was laid out by a build that was never released; its moves and past versions would not be seen."""


def lay_out(connection: Connection, type_names: Sequence[str], full_text: frozenset[str]) -> None:
    """Create what is missing of the collections and indexes; quick when nothing is.

    Types in `full_text` keep their words. Raises OfAnEarlierBuild, and then nothing is created, Unavailable.
    """
    database = connection.database
    with asking(_SECONDS):
        present = set(database.list_collection_names())
        if present & _OF_AN_EARLIER_BUILD:
            told = f"The database {database.name} was laid out by a build before the first release."
            raise OfAnEarlierBuild(f"{told} Name a new one by SAMEN_DATABASE; the demo begins anew by make demo-reset.")
        for name in {*type_names, AUDIT_EVENTS, *_OWN_COLLECTIONS} - present:
            _create_collection(database, name)
        for name, indexes in _OWN_INDEXES.items():
            connection.collection(name).create_indexes(indexes)
        ensure_indexes(database, type_names, full_text)
        mark_empty(database, type_names)
        tell(agree(connection, type_names), type_names)


def label_quickly(connection: Connection, type_names: Iterable[str], label_of: LabelOf) -> None:
    """Label the current versions of an earlier server whose labels the index of terms finds. Raises Unavailable."""
    with asking(_SECONDS):
        labelled = label_found(connection.database, type_names, label_of)
    if labelled:
        log.info("labelled %d resources of an earlier version", labelled)


def gather(
    connection: Connection,
    type_names: Sequence[str],
    full_text: frozenset[str],
    labelled: Iterable[str],
    label_of: LabelOf,
    own: OwnParameters,
) -> None:
    """Go through what an earlier server stored: for the labels of the `labelled` types, the words of those in
    `full_text`, and what resources contain. What is interrupted is told in the log; the next start goes on."""
    database = connection.database
    try:
        labels = label_all(database, labelled, label_of)
        words = gather_words(database, sorted(full_text))
        with using(own.current()):
            contained = gather_contained(database, type_names, full_text)
            words += gather_words_inside(database, type_names, full_text)
    except (PyMongoError, Unavailable) as error:
        log.warning("not all was gathered: %s; the next start goes on", type(error).__name__)
        return
    if labels or words or contained:
        told = "gathered the labels of %d versions, the words of %d resources, what is contained of %d"
        log.info(told, labels, words, contained)


def _create_collection(database: Database[Document], name: str) -> None:
    try:
        database.create_collection(name, check_exists=False)
    except OperationFailure as error:
        if error.code != _NAMESPACE_EXISTS:  # else another process was first
            raise
