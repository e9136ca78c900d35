"""How the database would answer a search: the filter that it is asked, the plan that won, and what that examined."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bson import json_util
from pymongo.database import Database

from fhir_server.search.grant import Grant
from fhir_server.search.query import Query
from fhir_server.store.mongo.audit.kinds import known_kinds
from fhir_server.store.mongo.contained import check_contained
from fhir_server.store.mongo.documents import AUDIT_EVENTS, Document
from fhir_server.store.mongo.indexing.full_text import check_words
from fhir_server.store.mongo.logic import both
from fhir_server.store.mongo.search.asked import asked_filter
from fhir_server.store.mongo.search.queries import grant_filter
from fhir_server.store.mongo.search.sorting import order_of, pipeline
from fhir_server.store.mongo.time_limit import MAX_TIME_MS, Within, costly
from fhir_server.store.values import Explained


def explained(
    database: Database[Document],
    asked: Sequence[tuple[Query, Sequence[Grant]]],
    moment: datetime,
    *,
    max_time_ms: int = MAX_TIME_MS,
) -> list[Explained]:
    """The first page of each query as the database sees it.

    Raises TooCostly when they take longer than a search may, Unavailable while what they ask for is being gathered.
    """
    for query, _ in asked:
        check_words(database, query)
        check_contained(database, query)
    within = Within(None, max_time_ms, ",".join(query.type for query, _ in asked))
    return [_explained(database, query, grants, moment, within.left()) for query, grants in asked]


def _explained(
    database: Database[Document], query: Query, grants: Sequence[Grant], moment: datetime, max_time_ms: int
) -> Explained:
    condition = both(asked_filter(database, query, None), grant_filter(grants, moment))
    order = order_of(query)
    sort, limit = dict(order.keys), query.count + 1
    asked: dict[str, Any] = {"find": query.type, "filter": condition, "sort": sort, "limit": limit}
    if order.made:
        alike = known_kinds(database, None).stages() if query.type == AUDIT_EVENTS else ()
        stages = pipeline(order, condition, None, limit, alike)
        asked = {"aggregate": query.type, "pipeline": stages, "cursor": {}}
    with costly(query.type):
        told = database.command("explain", asked, verbosity="executionStats", maxTimeMS=max_time_ms)
    first = told["stages"][0]["$cursor"] if "stages" in told else told
    stats = first["executionStats"]
    return Explained(
        filter=_json(condition),
        sort=_json({"sort": sort, "made": order.made} if order.made else sort),
        plan=_json(told["stages"] if "stages" in told else told["queryPlanner"]["winningPlan"]),
        keys=stats["totalKeysExamined"],
        documents=stats["totalDocsExamined"],
        returned=min(stats["nReturned"], limit),
    )


def _json(value: Any) -> str:
    return json_util.dumps(value, json_options=json_util.RELAXED_JSON_OPTIONS)
