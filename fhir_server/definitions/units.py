"""The common units of UCUM, each with what it is of and how many of its base unit it makes.

https://ucum.org/ucum

The table `units.json` holds, for each kind of quantity, its units with their factors; a temperature also has an offset.
Only units of one kind can be compared. What stands in braces is said to people and does not count (`{beats}/min`).
UCUM writes a litre `L` or `l`; the table has the first, and both are known.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files

import msgspec

UCUM = "http://unitsofmeasure.org"

_SAID = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of a kind: a value in it, times `factor` plus `offset`, is the value in the kind's base unit."""

    kind: str
    factor: Decimal
    offset: Decimal

    def in_base(self, value: Decimal) -> Decimal:
        """The value in the base unit of the kind. Raises decimal.Overflow when its exponent is beyond 999,999."""
        return value * self.factor + self.offset


def unit(code: str) -> Unit | None:
    """The unit of a UCUM code; None when the table does not have it."""
    return _units().get(_SAID.sub("", code) or "1")


@cache
def _units() -> Mapping[str, Unit]:
    packed = files(__package__).joinpath("units.json").read_bytes()
    table = msgspec.json.decode(packed, type=dict[str, dict[str, str | list[str]]])
    return {
        spelt: _unit(kind, [row] if isinstance(row, str) else row)
        for kind, rows in table.items()
        for code, row in rows.items()
        for spelt in (code, code.replace("L", "l"))
    }


def _unit(kind: str, row: list[str]) -> Unit:
    return Unit(kind, Decimal(row[0]), Decimal(row[1] if len(row) > 1 else 0))
