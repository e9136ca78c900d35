"""Quantity parameters: an amount, with a unit if one was asked.

https://hl7.org/fhir/R4/search.html#quantity

A stored quantity is kept as a range with the forms of its unit: "" for any, `|code` and `|unit` as they are written,
and `system|code`. A quantity in a common unit of UCUM is also kept in the base unit of its kind, under the form
`=kind`, so that `5.4|http://unitsofmeasure.org|mg` finds 0.0054 g; one too great to be reckoned is not, and is found
by its own unit.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, Overflow
from functools import lru_cache
from typing import Any

from fhir_server.definitions.search_parameters import SearchParameter
from fhir_server.definitions.units import UCUM, Unit, unit
from fhir_server.fhir.errors import MalformedRequest
from fhir_server.search.escaping import escape, split, unescape
from fhir_server.search.query import Amount
from fhir_server.search.types.number import MOST, Range, asked, bounded, decimal

_LONGEST = 200
_PLAIN = ("value", "comparator", "unit", "system", "code", "currency")
_KEPT = frozenset({Decimal, int, str, type(None)})
_CURRENCIES = "urn:iso:std:iso:4217"


def parse(text: str, parameter: SearchParameter) -> Amount:
    """`5.4`, `5.4|system|code` or `5.4||code`, with a prefix; `5.4||` asks for no unit. Raises MalformedRequest."""
    parts = split(text, "|")
    if len(parts) not in {1, 3} or (len(parts) == 3 and parts[1] and not parts[2]):
        raise MalformedRequest(
            f"{text!r} is no quantity for {parameter.code!r}; write NUMBER, NUMBER|SYSTEM|CODE or NUMBER||CODE."
        )
    system, code = (unescape(part) for part in parts[1:]) if len(parts) == 3 else ("", "")
    known = unit(code) if system == UCUM else None
    if known is not None:
        return Amount(*asked(parts[0], parameter, known.in_base), form=_of(known))
    return Amount(*asked(parts[0], parameter, lambda value: value), form=_form(system, code) if code else "")


def ranges_of(datatype: str, value: Any) -> Iterator[tuple[Range, list[str]]]:
    """The ranges under which a stored quantity is found, each with the forms of its unit."""
    if not isinstance(value, dict):
        return
    elements = [value.get(name) for name in _PLAIN]
    if datatype != "Range" and _are_kept(elements):
        yield from ((found, list(forms)) for found, forms in _of_plain(*elements))
    else:
        yield from _ranges(datatype, value)


def _are_kept(elements: list[Any]) -> bool:
    return _KEPT.issuperset(map(type, elements)) and sum(len(each) for each in elements if type(each) is str) < _LONGEST


@lru_cache(maxsize=512, typed=True)
def _of_plain(*parts: Any) -> tuple[tuple[Range, tuple[str, ...]], ...]:
    """The ranges of a quantity by its elements: several parameters ask the same of each."""
    quantity = {name: part for name, part in zip(_PLAIN, parts, strict=True) if part is not None}
    return tuple((found, tuple(forms)) for found, forms in _ranges("Quantity", quantity))


def _ranges(datatype: str, value: dict[str, Any]) -> Iterator[tuple[Range, list[str]]]:
    low, high = (value.get("low"), value.get("high")) if datatype == "Range" else (value, value)
    ends = [each if isinstance(each, dict) else {} for each in (low, high)]
    least, greatest = (decimal(each.get("value")) for each in ends)
    if least is None and greatest is None:
        return
    comparator = str(value.get("comparator"))
    stated = ends[0] if least is not None else ends[1]
    yield _between(least, greatest, comparator), _forms(stated)
    known = unit(str(stated.get("code"))) if stated.get("system") == UCUM else None
    if known is None:
        return
    try:
        in_base = [None if each is None else known.in_base(each) for each in (least, greatest)]
    except Overflow:
        return
    yield _between(in_base[0], in_base[1], comparator), [_of(known)]


def _between(least: Decimal | None, greatest: Decimal | None, comparator: str) -> Range:
    lo = bounded(least) if least is not None else -MOST
    hi = bounded(greatest) if greatest is not None else MOST
    return _OPEN[comparator](lo, hi) if comparator in _OPEN else (lo, hi)


_OPEN: Mapping[str, Callable[[float, float], Range]] = {
    "<": lambda lo, hi: (-MOST, math.nextafter(hi, -MOST)),
    "<=": lambda lo, hi: (-MOST, hi),
    ">": lambda lo, hi: (math.nextafter(lo, MOST), MOST),
    ">=": lambda lo, hi: (lo, MOST),
}
"""What a comparator makes of a range; `<` and `>` leave out the number itself."""


def _forms(quantity: dict[str, Any]) -> list[str]:
    code, system = quantity.get("code"), quantity.get("system")
    if code is None and isinstance(quantity.get("currency"), str):
        code, system = quantity["currency"], _CURRENCIES
    forms = [""]
    forms += [_form("", each) for each in (code, quantity.get("unit")) if isinstance(each, str) and each]
    if isinstance(code, str) and isinstance(system, str):
        forms.append(_form(system, code))
    return list(dict.fromkeys(forms))


def _form(system: str, code: str) -> str:
    return f"{escape(system)}|{escape(code)}"[:_LONGEST]


def _of(known: Unit) -> str:
    return f"={known.kind}"
