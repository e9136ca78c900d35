"""Names that stand twice in one JSON object: parsers keep one of the values without a word, and not all keep the same.

https://hl7.org/fhir/R4/json.html
"""

import json
from collections.abc import Iterator
from typing import Any

_ESCAPED_COLONS = (b"\\u003a", b"\\u003A")


class _Pairs(list[tuple[str, Any]]):
    """The members of an object in their order."""


def may_repeat(body: bytes, again: bytes) -> bool:
    """Whether some name may stand twice in the JSON `body`, of which `again` is what a parser kept.

    Each member has a colon. What a parser dropped is missing in `again`, and nothing that is written down again gets
    more colons, unless one was escaped. So equal counts prove that nothing was dropped, at the cost of two counts.
    """
    return body.count(b":") != again.count(b":") or any(escaped in body for escaped in _ESCAPED_COLONS)


def repeated(body: bytes) -> tuple[str, str] | None:
    """The first name that stands twice in one object, and the path of it (`Patient.name[0].family`); None when none."""
    whole = json.loads(body, object_pairs_hook=_Pairs, parse_float=str, parse_int=str)
    root = next((str(value) for name, value in whole if name == "resourceType"), "") if _is_object(whole) else ""
    return next(_repeats(whole, root), None)


def _repeats(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if _is_object(value):
        seen = set()
        for name, child in value:
            here = f"{path}.{name}" if path else name
            if name in seen:
                yield name, here
            seen.add(name)
            yield from _repeats(child, here)
    elif isinstance(value, list):
        for position, child in enumerate(value):
            yield from _repeats(child, f"{path}[{position}]")


def _is_object(value: Any) -> bool:
    return isinstance(value, _Pairs)
