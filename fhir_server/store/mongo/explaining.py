"""How the database would answer a search: the filter that it is asked, the plan that won, and what that examined."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bson import json_util
from pymongo.database import Database

from fhir_server.search.grant import Grant
from fhir_server.search.query import Query
from fhir_server.store.mongo.documents import Document
from fhir_server.store.mongo.queries import both, grant_filter, query_filter
from fhir_server.store.mongo.sorting import order_of, pipeline
from fhir_server.store.mongo.time_limit import MAX_TIME_MS, costly
from fhir_server.store.values import Explained


def explained(
    database: Database[Document],
    query: Query,
    grants: Sequence[Grant],
    moment: datetime,
    *,
    max_time_ms: int = MAX_TIME_MS,
) -> Explained:
    """The first page of the query as the database sees it. Raises TooCostly when it takes longer than a search may."""
    condition, order = both(query_filter(query), grant_filter(grants, moment)), order_of(query)
    sort, limit = dict(order.keys), query.count + 1
    asked: dict[str, Any] = {"find": query.type, "filter": condition, "sort": sort, "limit": limit}
    if order.made:
        stages = pipeline(order, condition, None, limit)
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
