"""The conditions of dates: over the ranges `d`, which decide, and over the keys `k`, which an index can use."""

from collections.abc import Mapping, Sequence

from fhir_server.definitions.search_parameters import SearchParameter
from fhir_server.search.query import Clause, Moment
from fhir_server.search.types import date
from fhir_server.store.mongo.logic import OPERATORS, Filter, both, either

_HI_OF_A_POINT = {"le": "$lt", "gt": "$gte"}
_FROM_OR_UNTIL = {"ge": ("$gte", "start"), "le": ("$lt", "end")}
"""The prefixes of which a point meets either half when it lies on one side: one range, as an index needs it."""
_NARROWER: Mapping[str, tuple[date.Comparison, ...]] = {
    "eq": (("lo", "lt", "end"), ("hi", "ge", "start")),
    "lt": (("lo", "lt", "start"),),
    "le": (("lo", "lt", "end"),),
    "sa": (("hi", "ge", "end"),),
    "eb": (("lo", "lt", "start"),),
    "ap": (("lo", "lt", "end"),),
}
"""What follows for the least and greatest start when a range meets a prefix: the bounds that an index can use."""

_POINTS = frozenset({"date", "dateTime", "instant"})
_LONGEST_DATE = 366 * 24 * 3600 * 1_000_000
"""A date is a year long at most, so what reaches beyond a moment began less than a year before it."""


def updated(asked: Moment) -> Filter:
    """`lu` is one millisecond long, and what is asked of it lies on whole milliseconds."""
    edges = {"start": asked.start, "end": asked.end}
    if asked.prefix in _FROM_OR_UNTIL:
        operator, side = _FROM_OR_UNTIL[asked.prefix]
        return {"lu": {operator: edges[side]}}
    return either(
        [
            both(
                *(
                    {"lu": {(_HI_OF_A_POINT if bound == "hi" else OPERATORS)[compare]: edges[edge]}}
                    for bound, compare, edge in together
                )
            )
            for together in date.PREFIXES[asked.prefix]
        ]
    )


def dated(parameter: SearchParameter, clause: Clause) -> Filter:
    """One of the ranges meets one of the values."""
    return either(
        [
            {
                f"d.{parameter.code}": {
                    "$elemMatch": {bound: {op: edge} for bound, op, edge in _compared(asked, together)}
                }
            }
            for asked in clause.values
            if isinstance(asked, Moment)
            for together in date.PREFIXES[asked.prefix]
        ]
    )


def narrowed(parameter: SearchParameter, clause: Clause) -> list[Filter]:
    """What follows for the keys when one of the values is met: for each key the widest of the bounds that all have."""
    bounds = [_bounds_of(parameter, value) for value in clause.values if isinstance(value, Moment)]
    if len(bounds) < len(clause.values):
        return []
    common = [at for at in bounds[0] if all(at in others for others in bounds)]
    widest = {at: (min if at[1].startswith("$g") else max)(each[at] for each in bounds) for at in common}
    return [{f"k.{parameter.code}.{bound}": {op: edge}} for (bound, op), edge in widest.items()]


def _bounds_of(parameter: SearchParameter, asked: Moment) -> dict[tuple[str, str], int]:
    """The bounds of the least and greatest start, each by its operator; of what stands at one place both are one."""
    found = {(bound, op): edge for bound, op, edge in _compared(asked, _NARROWER.get(asked.prefix, ()))}
    if not parameter.single or len(parameter.paths) > 1:
        return found
    if asked.prefix in {"ge", "gt"} and all(path.datatype in _POINTS for path in parameter.paths):
        found = {("lo", "$gte"): date.microseconds(asked.start) - _LONGEST_DATE}
    return {(bound, op): edge for (_, op), edge in found.items() for bound in ("lo", "hi")}


def _compared(asked: Moment, together: Sequence[date.Comparison]) -> list[tuple[str, str, int]]:
    edges = {"start": date.microseconds(asked.start), "end": date.microseconds(asked.end)}
    return [(bound, OPERATORS[compare], edges[edge]) for bound, compare, edge in together]
