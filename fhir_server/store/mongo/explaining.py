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
from fhir_server.store.mongo.searching import MAX_TIME_MS, sort_keys

_TIME_IS_UP = 50


def explained(database: Database[Document], query: Query, grants: Sequence[Grant], moment: datetime) -> Explained:
    """The first page of the query as the database sees it. Raises TooCostly when it takes longer than a search may."""
    condition, sort = both(query_filter(query), grant_filter(grants, moment)), dict(sort_keys(query))
    find = {"find": query.type, "filter": condition, "sort": sort, "limit": query.count + 1, "maxTimeMS": MAX_TIME_MS}
    try:
        with pymongo.timeout(None):
            told = database.command("explain", find, verbosity="executionStats")
    except OperationFailure as error:
        if error.code != _TIME_IS_UP:
            raise
        raise TooCostly(f"This search of {query.type} takes longer than {MAX_TIME_MS} ms.") from error
    stats = told["executionStats"]
    return Explained(
        filter=_json(condition),
        sort=_json(sort),
        plan=_json(told["queryPlanner"]["winningPlan"]),
        keys=stats["totalKeysExamined"],
        documents=stats["totalDocsExamined"],
        returned=stats["nReturned"],
    )


def _json(value: Any) -> str:
    return json_util.dumps(value, json_options=json_util.RELAXED_JSON_OPTIONS)
