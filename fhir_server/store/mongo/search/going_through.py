"""What searches, operations and rules go through without showing it as a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database

from fhir_server.fhir.errors import TooCostly
from fhir_server.search.grant import Grant
from fhir_server.search.query import Query
from fhir_server.store.mongo.documents import STORED_FIELDS, TERMS_SENT, Document, stored_from
from fhir_server.store.mongo.indexing.full_text import check_words
from fhir_server.store.mongo.logic import Filter, both
from fhir_server.store.mongo.search.asked import asked_filter
from fhir_server.store.mongo.search.including import named
from fhir_server.store.mongo.search.queries import grant_filter
from fhir_server.store.mongo.search.sorting import LAST_UPDATED
from fhir_server.store.mongo.time_limit import MAX_TIME_MS, costly, too_costly
from fhir_server.store.values import Stored


def linked(
    database: Database[Document],
    query: Query,
    grants: Sequence[Grant],
    moment: datetime,
    *,
    parameter: str | None,
    limit: int,
    session: ClientSession | None = None,
    max_time_ms: int = MAX_TIME_MS,
) -> list[str]:
    """`Type/id` of what the query asks and a grant admits, or of what these refer to by `parameter`, with urls.

    Raises TooCostly when they are more than `limit`, which only counts what a grant admits, Unavailable when documents
    lack the words that are asked for.
    """
    check_words(database, query, session)
    condition = both(asked_filter(database, query, session), grant_filter(grants, moment))
    kept = {"_id": 1} if parameter is None else TERMS_SENT
    with costly(query.type):
        found = database[query.type].find(condition, kept, limit=limit + 1, session=session, max_time_ms=max_time_ms)
        documents = list(found)
    if len(documents) > limit:
        raise TooCostly(
            f"This search goes through more than {limit} resources of the type {query.type}; "
            "narrow what it says of them."
        )
    if parameter is None:
        return [f"{query.type}/{each['_id']}" for each in documents]
    return list(dict.fromkeys(each for document in documents for each in named(document, parameter)))


def plans_beside(
    database: Database[Document],
    query: Query,
    patient: str,
    limit: int,
    *,
    session: ClientSession | None = None,
    max_time_ms: int = MAX_TIME_MS,
) -> list[str]:
    """The plans of what the query finds that is about somebody else, whoever may read it. Raises TooCostly."""
    asked = both(asked_filter(database, query, session), {"patient": {"$ne": patient}})
    with costly(query.type):
        kept = {"_id": 0, "plans": 1}
        found = list(database[query.type].find(asked, kept, limit=limit + 1, session=session, max_time_ms=max_time_ms))
    if len(found) > limit:
        raise too_costly(query.type)
    return sorted({plan for each in found for plan in each["plans"]})


@dataclass(frozen=True)
class Slice:
    """At most `count` resources of a plan: those behind the id `after`, updated `since` then."""

    plan: str
    after: str | None
    since: datetime | None
    count: int


def lying_in(
    collection: Collection[Document],
    part: Slice,
    grants: Sequence[Grant],
    moment: datetime,
    *,
    session: ClientSession | None = None,
    max_time_ms: int = MAX_TIME_MS,
) -> list[Stored]:
    """What lies in a plan and a grant admits, by id. Raises TooCostly like a search."""
    lying: Filter = {"plans": part.plan, "del": False}
    if part.after is not None:
        lying["_id"] = {"$gt": part.after}
    if part.since is not None:
        lying[LAST_UPDATED] = {"$gte": part.since}
    asked, type_name = both(lying, grant_filter(grants, moment)), collection.name
    with costly(type_name):
        found = collection.find(
            asked, STORED_FIELDS, sort=[("_id", 1)], limit=part.count, session=session, max_time_ms=max_time_ms
        )
        return [stored_from(type_name, each["_id"], each) for each in found]
