"""Filters of MongoDB, and how several become one."""

from collections.abc import Sequence
from typing import Any, TypeAlias

Filter: TypeAlias = dict[str, Any]

NOTHING: Filter = {"_id": {"$in": []}}

OPERATORS = {"lt": "$lt", "le": "$lte", "gt": "$gt", "ge": "$gte"}


def both(*conditions: Filter) -> Filter:
    """All of the conditions."""
    return conditions[0] if len(conditions) == 1 else {"$and": list(conditions)}


def either(alternatives: Sequence[Filter]) -> Filter:
    """Any of the alternatives; of none, nothing."""
    if not alternatives:
        return NOTHING
    return alternatives[0] if len(alternatives) == 1 else {"$or": list(alternatives)}


def one_of(values: Sequence[str]) -> Filter | str:
    """The condition on a field; MongoDB finds one id by a shorter way than several."""
    return values[0] if len(values) == 1 else {"$in": list(values)}
