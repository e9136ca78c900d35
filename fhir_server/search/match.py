"""The question of a Query asked of one resource in memory, as `store/mongo/queries.py` asks the database."""

from typing import Any

from fhir_server.definitions.search_parameters import parameters_of
from fhir_server.fhir.json import Resource
from fhir_server.search.extract import search_values
from fhir_server.search.query import Clause, Moment, Query, Text, Token
from fhir_server.search.terms import TERM_TYPES, asked_terms
from fhir_server.search.types import date, string


def matches(query: Query, resource: Resource) -> bool:
    """Whether the resource is of the query's type and meets every clause; paging and sorting play no part."""
    if resource["resourceType"] != query.type:
        return False
    values = search_values(resource) if query.clauses else {}
    return all(_meets(clause, query.type, resource, values) for clause in query.clauses)


def _meets(clause: Clause, type_name: str, resource: Resource, values: dict[str, Any]) -> bool:
    if clause.missing is not None:
        return (clause.parameter in values["has"]) is not clause.missing
    return _has_value(clause, type_name, resource, values) is not (clause.modifier == "not")


def _has_value(clause: Clause, type_name: str, resource: Resource, values: dict[str, Any]) -> bool:
    if clause.parameter == "_id":
        return any(isinstance(asked, Token) and asked.code == resource.get("id") for asked in clause.values)
    if clause.parameter == "_lastUpdated":
        updated = resource.get("meta", {}).get("lastUpdated")
        return updated is not None and _overlaps(clause, [date.last_updated(updated)])
    if clause.type in TERM_TYPES:
        return not set(values["t"]).isdisjoint(asked_terms(parameters_of(type_name)[clause.parameter], clause))
    if clause.type == "date":
        return _overlaps(clause, [(each["lo"], each["hi"]) for each in values["d"].get(clause.parameter, ())])
    texts = values["s"].get(clause.parameter, {"f": [], "x": []})
    return any(
        isinstance(asked, Text) and string.meets(clause.modifier, asked, texts["f"], texts["x"])
        for asked in clause.values
    )


def _overlaps(clause: Clause, ranges: list[date.Range]) -> bool:
    return any(isinstance(asked, Moment) and date.meets(asked, lo, hi) for asked in clause.values for lo, hi in ranges)
