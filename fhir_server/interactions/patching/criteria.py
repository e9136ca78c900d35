"""What may stand in a `where` of a path: FHIRPath that prints nothing, asks nowhere, and comes to an end.

Functions that make more of what they are given (`select`, `repeat`, `replace`, `encode` ...) are not asked: a row of
them takes for ever. One criterion inside another looks at everything once more for each item.

https://hl7.org/fhirpath/N1/
"""

import re
from collections.abc import Iterator

DEEPEST = 2

# fmt: off
FUNCTIONS = frozenset({
    "abs", "all", "allFalse", "allTrue", "anyFalse", "anyTrue", "as", "contains", "count", "distinct", "empty",
    "endsWith", "exclude", "exists", "extension", "first", "hasValue", "indexOf", "intersect", "is", "isDistinct",
    "iif", "last", "length", "lower", "not", "now", "ofType", "single", "skip", "startsWith", "subsetOf",
    "substring", "supersetOf", "tail", "take", "today", "toBoolean", "toDate", "toDateTime", "toDecimal",
    "toInteger", "toString", "toTime", "trim", "type", "union", "upper", "where",
})
# fmt: on
_WITH_CRITERIA = frozenset({"all", "exists", "iif", "where"})
_OPERATORS = frozenset({"and", "as", "contains", "div", "implies", "in", "is", "mod", "or", "xor"})
_PARTS = re.compile(r"""'(?:[^'\\]|\\.)*'|(?P<name>\w+)?\s*\(|(?P<other>[)`'"]|//|/\*)""", re.DOTALL)


def may_be_asked(text: str) -> bool:
    """Whether the text holds these functions alone, and no criterion in a criterion in a third."""
    open_ones: list[bool] = []
    for opened, name in _brackets(text):
        if opened is None or (opened and name and name not in FUNCTIONS | _OPERATORS):
            return False
        if opened:
            open_ones.append(name in _WITH_CRITERIA)
        elif not open_ones:
            return False
        else:
            open_ones.pop()
        if sum(open_ones) > DEEPEST:
            return False
    return not open_ones


def _brackets(text: str) -> Iterator[tuple[bool | None, str]]:
    """Each bracket outside of texts, with the name before it; None for signs that could hide one."""
    for part in _PARTS.finditer(text):
        if part["other"] == ")":
            yield False, ""
        elif part["other"]:
            yield None, ""
        elif part[0].endswith("("):
            yield True, part["name"] or ""
