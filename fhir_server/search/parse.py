"""The parameters of a search request become a Query.

https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from fhir_server.definitions.search_parameters import parameters_of
from fhir_server.definitions.structures import RESOURCE_TYPES
from fhir_server.fhir.errors import MalformedRequest, UnknownType
from fhir_server.fhir.outcome import Issue
from fhir_server.search.clauses import Asking, NotServed, clause
from fhir_server.search.keys import sortable
from fhir_server.search.query import Include, Query, Sort

DEFAULT_COUNT = 50
MAX_COUNT = 200

READ_BY_THE_DOOR = frozenset({"_format", "_pretty"})
"""Parameters that say how the answer is written, not what is asked."""

_TOTALS = ("none", "accurate")
_MOST_DIGITS = 9


def parse(
    type_name: str,
    pairs: Sequence[tuple[str, str]],
    *,
    base_url: str,
    default_count: int = DEFAULT_COUNT,
    max_count: int = MAX_COUNT,
    lenient: bool = False,
    moment: datetime | None = None,
) -> Query:
    """The Query that a request's parameters ask, in their order.

    `base_url` is this server's address, so that absolute references to it are known as its own; `moment` is the time
    that `ap` counts from. Raises UnknownType, and MalformedRequest with an issue for each parameter, modifier,
    include or sort key that is not served and each value that cannot be read. With `lenient` what is not served is
    left out and named in `Query.skipped`; a value that cannot be read is refused all the same.
    """
    if type_name not in RESOURCE_TYPES:
        raise UnknownType(type_name)
    query, issues = Query(type_name, count=min(default_count, max_count)), list[Issue]()
    asking = Asking(type_name, base_url, moment)
    for name, text in pairs:
        try:
            query = _with(query, asking, name, text)
        except NotServed as refusal:
            query = replace(query, skipped=(*query.skipped, name))
            issues += [] if lenient else refusal.issues
        except MalformedRequest as refusal:
            issues += refusal.issues
    issues += _repeated(pairs)
    if issues:
        raise MalformedRequest(issues=issues)
    return replace(query, count=min(query.count, max_count))


def _with(query: Query, asking: Asking, name: str, text: str) -> Query:
    if name in READ_BY_THE_DOOR:
        return query
    if name in _CONTROLS:
        return _CONTROLS[name](query, text)
    return replace(query, clauses=(*query.clauses, clause(asking, name, text)))


def _repeated(pairs: Sequence[tuple[str, str]]) -> list[Issue]:
    names = [name for name, _ in pairs if name in _CONTROLS and name != "_include"]
    repeated = sorted({name for name in names if names.count(name) > 1})
    return [Issue("invalid", f"The search parameter {name!r} may be given once.") for name in repeated]


def _count(query: Query, text: str) -> Query:
    if not (text.isascii() and text.isdigit()) or len(text) > _MOST_DIGITS:
        raise MalformedRequest(f"'_count' takes a whole number of resources for a page, not {text!r}.")
    return replace(query, count=int(text)) if int(text) else replace(query, summary="count")


def _sort(query: Query, text: str) -> Query:
    keys = [Sort(each.removeprefix("-"), each.startswith("-")) for each in text.split(",")]
    served = sortable(query.type)
    for key in keys:
        if key.parameter not in served:
            raise NotServed(f"{query.type} cannot be sorted by {key.parameter!r}; it can by {', '.join(served)}.")
    if len({key.parameter for key in keys}) < len(keys):
        raise MalformedRequest(f"'_sort' takes each parameter once, it was {text!r}.")
    return replace(query, sort=tuple(keys))


def _include(query: Query, text: str) -> Query:
    type_name, parameter, target = [*text.split(":"), "", ""][:3]
    served = {code: each for code, each in parameters_of(query.type).items() if each.type == "reference"}
    if type_name != query.type or text.count(":") > 2 or parameter not in served:
        paths = ", ".join(f"{query.type}:{code}" for code in served)
        raise NotServed(f"A search of {query.type} cannot include {text!r}; it can include {paths or 'nothing'}.")
    if target and not served[parameter].may_point_to(target):
        targets = ", ".join(served[parameter].targets)
        raise NotServed(f"{type_name}:{parameter} does not refer to {target!r}, but to {targets}.")
    return replace(query, includes=(*query.includes, Include(type_name, parameter, target or None)))


def _total(query: Query, text: str) -> Query:
    if text not in _TOTALS:
        raise NotServed(f"'_total' takes {' or '.join(_TOTALS)}, not {text!r}.")
    return replace(query, total=text)


def _summary(query: Query, text: str) -> Query:
    if text not in {"count", "false"}:
        raise NotServed(f"'_summary' takes count or false, not {text!r}.")
    return replace(query, summary="count") if text == "count" else query


def _cursor(query: Query, text: str) -> Query:
    return replace(query, cursor=text)


_CONTROLS: Mapping[str, Callable[[Query, str], Query]] = {
    "_count": _count,
    "_sort": _sort,
    "_include": _include,
    "_total": _total,
    "_summary": _summary,
    "_cursor": _cursor,
}
"""The parameters that say how to answer, each with what it changes in the Query."""
