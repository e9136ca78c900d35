"""How the database would answer a search: the filter that it is asked, the plan that won, and what that examined."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pymongo
from bson import json_util
from pymongo.database import Database
from pymongo.errors import OperationFailure

from fhir_server.fhir.errors import TooCostly
from fhir_server.search.grant import Grant
from fhir_server.search.query import Query
from fhir_server.store.contract import Explained
from fhir_server.store.mongo.documents import Document
from fhir_server.store.mongo.queries import both, grant_filter, query_filter
from fhir_server.store.mongo.searching import MAX_TIME_MS
from fhir_server.store.mongo.sorting import order_of, pipeline

_TIME_IS_UP = 50


def explained(database: Database[Document], query: Query, grants: Sequence[Grant], moment: datetime) -> Explained:
    """The first page of the query as the database sees it. Raises TooCostly when it takes longer than a search may."""
    condition, order = both(query_filter(query), grant_filter(grants, moment)), order_of(query)
    sort, limit = dict(order.keys), query.count + 1
    asked: dict[str, Any] = {"find": query.type, "filter": condition, "sort": sort, "limit": limit}
    if order.made:
        stages = pipeline(order, condition, None, limit)
        asked = {"aggregate": query.type, "pipeline": stages, "cursor": {}}
    try:
        with pymongo.timeout(None):
            told = database.command("explain", {**asked, "maxTimeMS": MAX_TIME_MS}, verbosity="executionStats")
    except OperationFailure as error:
        if error.code != _TIME_IS_UP:
            raise
        raise TooCostly(f"This search of {query.type} takes longer than {MAX_TIME_MS} ms.") from error
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
