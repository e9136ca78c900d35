"""Number parameters, and the comparing of amounts that quantities share.

https://hl7.org/fhir/R4/search.html#number

A stored value is a range `lo..hi`, for a plain number a point. What is asked without a prefix, or with `ne`, stands
for the range of its significant digits (`100` for 99.5 up to 100.5); with `ap` for a tenth to both sides; the other
prefixes compare with the number itself. Values are compared as IEEE doubles, which is some sixteen digits.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, TypeAlias

from fhir_server.definitions.search_parameters import SearchParameter
from fhir_server.fhir.errors import MalformedRequest
from fhir_server.search.query import Amount

MOST = 1.7976931348623157e308

Range: TypeAlias = tuple[float, float]
Comparison: TypeAlias = tuple[Literal["lo", "hi"], str, Literal["start", "end", "value"]]

COMPARES: Mapping[str, Callable[[float, float], bool]] = {
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}

PREFIXES: Mapping[str, tuple[tuple[Comparison, ...], ...]] = {
    "eq": ((("lo", "ge", "start"), ("hi", "lt", "end")),),
    "ne": ((("lo", "lt", "start"),), (("hi", "ge", "end"),)),
    "gt": ((("hi", "gt", "value"),),),
    "lt": ((("lo", "lt", "value"),),),
    "ge": ((("hi", "ge", "value"),),),
    "le": ((("lo", "le", "value"),),),
    "sa": ((("lo", "gt", "value"),),),
    "eb": ((("hi", "lt", "value"),),),
    "ap": ((("lo", "le", "end"), ("hi", "ge", "start")),),
}
"""When a stored range meets what was asked: alternatives, each of comparisons that hold together."""

_ASKED = re.compile(
    rf"(?P<prefix>{'|'.join(PREFIXES)})?(?P<number>[-+]?\d{{1,40}}(?:\.\d{{1,40}})?(?P<exponent>[eE][-+]?\d{{1,3}})?)",
    re.ASCII,
)
_HALF = Decimal("0.5")


def parse(text: str, parameter: SearchParameter) -> Amount:
    """A number with its prefix. Raises MalformedRequest."""
    return Amount(*asked(text, parameter, lambda value: value))


def asked(
    text: str, parameter: SearchParameter, in_base: Callable[[Decimal], Decimal]
) -> tuple[str, float, float, float]:
    """Prefix, start, end and value of a number as it was asked, each brought to the base unit."""
    match = _ASKED.fullmatch(text.replace(" ", "+"))  # a plus that nobody encoded has come as a space
    if match is None:
        raise MalformedRequest(
            f"{text!r} is no number for {parameter.code!r}; write one such as 5.40, with one of the prefixes "
            f"{', '.join(PREFIXES)} before it if you wish."
        )
    prefix, value = match["prefix"] or "eq", Decimal(match["number"])
    margin = _precision(value, with_exponent=bool(match["exponent"]))
    if prefix == "ap":
        margin = max(margin, abs(value) / 10)
    start, end, there = (float(in_base(edge)) for edge in (value - margin, value + margin, value))
    # More digits than a double has still stand for the number itself.
    return prefix, start, max(end, math.nextafter(there, math.inf)), there


def range_of(datatype: str, value: Any) -> Range | None:
    """The range that a stored value stands for; None when it states no number."""
    if datatype == "Range":
        low, high = (_number((value.get(end) or {}).get("value")) for end in ("low", "high"))
        return None if low is None and high is None else (_or(low, -MOST), _or(high, MOST))
    number = _number(value)
    return None if number is None else (number, number)


def sorted_by(lo: float, hi: float) -> float:
    """The number by which a stored range is sorted: where it begins, or ends when it has no beginning."""
    return lo if lo > -MOST else hi


def meets(amount: Amount, lo: float, hi: float) -> bool:
    """Whether the stored range meets what was asked."""
    stored = {"lo": lo, "hi": hi}
    edges = {"start": amount.start, "end": amount.end, "value": amount.value}
    return any(
        all(COMPARES[compare](stored[bound], edges[edge]) for bound, compare, edge in together)
        for together in PREFIXES[amount.prefix]
    )


def decimal(value: Any) -> Decimal | None:
    """A stored number with its digits; None for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def bounded(value: Decimal) -> float:
    """The nearest double that is finite."""
    return min(max(float(value), -MOST), MOST)


def _number(value: Any) -> float | None:
    found = decimal(value)
    return None if found is None else bounded(found)


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _precision(value: Decimal, *, with_exponent: bool) -> Decimal:
    """Half of the last significant digit; one digit with an exponent counts as two, as in R4's example `1e2`."""
    _, digits, exponent = value.as_tuple()
    last = int(exponent) - (with_exponent and len(digits) == 1)
    return _HALF.scaleb(last)
