"""What a check finds, and the shape that every check has.

A check returns no path when all is well, so a good resource costs no strings. A finding climbs out of the closure
that made it, and each level puts its own step before the path.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

LONGEST_QUOTE = 60


class Finding(NamedTuple):
    """One error below some element; `path` is relative to it, as in `.restriction.period` or `[2].status`."""

    path: str
    code: str
    text: str
    rule: str | None = None


Findings: TypeAlias = Sequence[Finding]

Local: TypeAlias = tuple[str, frozenset[str] | None]
"""What only the resource as a whole can judge: a reference into `contained` (`#x`) with the types that it may point to,
or the id of an element, with None.
"""

Locals: TypeAlias = list[Local]

Check: TypeAlias = Callable[[Any, Locals], Findings]
"""Judges one value; adds the local references and ids that it meets to the list of the resource around it."""

NONE: Findings = ()


def finding(code: str, text: str, rule: str | None = None) -> Findings:
    """One finding about the value itself."""
    return (Finding("", code, text, rule),)


def below(step: str, found: Iterable[Finding]) -> list[Finding]:
    """Findings about a child, seen from its parent: `step` is `.name` or `[position]`."""
    return [Finding(step + path, code, text, rule) for path, code, text, rule in found]


def quoted(text: str) -> str:
    """What a client wrote, made safe and short enough to be said back to it."""
    return repr(text if len(text) <= LONGEST_QUOTE else text[:LONGEST_QUOTE] + "…")


def wrong_type(value: Any, expected: str) -> Findings:
    """The value has another JSON type than its element asks for."""
    return finding("structure", f"This must be {expected}, not {_described(value)}.")


def _described(value: Any) -> str:
    if value is None:
        return "null; leave out an element that has no value"
    return _JSON_WORDS.get(type(value), "a number")


_JSON_WORDS = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}
