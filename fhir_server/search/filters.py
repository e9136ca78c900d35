"""The expression language of `_filter`, read into conditions.

https://hl7.org/fhir/R4/search_filter.html

    given eq "peter" and not (birthdate ge 2014-10-10 or general-practitioner.name co "jans")

`and` and `or` have the same rank and are read from left to right; parentheses say otherwise. A path is a search
parameter, or a chain of them (`subject.name`, `subject:Patient.name`). What cannot be read is refused with its place.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NoReturn

from fhir_server.definitions.search_parameters import SearchParameter
from fhir_server.fhir.errors import MalformedRequest
from fhir_server.search.clauses import Asking, NotServed, may_be_missing, parameter_for, value_of
from fhir_server.search.extract import OF_THE_STORE
from fhir_server.search.joins import MOST_LINKS, join, types_of_chain
from fhir_server.search.query import AllOf, AnyOf, Clause, Condition, Join, Not, Query

MOST_TESTS = 64
MOST_NESTED = 16

_PATH = re.compile(r"[A-Za-z_][\w-]*(?::[A-Z]\w*)?(?:\.[A-Za-z_][\w-]*(?::[A-Z]\w*)?)*")
_LINK = re.compile(r"(?P<code>[\w-]+)(?::(?P<type>\w+))?(?:\.(?P<rest>.+))?")
_WORD = re.compile(r"[a-z]+")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BARE = re.compile(r"[^\s)\]]+")
_SPACE = re.compile(r"\s*")
_GAP = re.compile(r"\s+")

Making = Callable[[Asking, SearchParameter, str], Condition]


def filter_condition(asking: Asking, text: str) -> Condition:
    """The condition that an expression says.

    Raises NotServed for a parameter or operator that is not served, MalformedRequest for what cannot be read; both
    say at which character.
    """
    return _Reader(asking, text).whole()


class _Reader:
    """Reads one expression from its beginning to its end."""

    def __init__(self, asking: Asking, text: str) -> None:
        self._asking = asking
        self._text = text
        self._at = 0
        self._tests = 0
        self._nested = 0

    def whole(self) -> Condition:
        found = self._expression()
        if self._at < len(self._text):
            self._refuse("'and', 'or' or the end should stand here")
        return found

    def _expression(self) -> Condition:
        found = self._term()
        while (word := self._word({"and", "or"})) is not None:
            kind, following = AllOf if word == "and" else AnyOf, self._term()
            before = found.conditions if isinstance(found, kind) else (found,)
            found = kind((*before, following))
        return found

    def _term(self) -> Condition:
        self._skip()
        if self._word({"not"}) is not None:
            if not self._text.startswith("(", self._at):
                self._refuse("'(' should stand after 'not'")
            return Not(self._bracketed())
        return self._bracketed() if self._text.startswith("(", self._at) else self._test()

    def _bracketed(self) -> Condition:
        self._at += 1
        self._nested += 1
        if self._nested > MOST_NESTED:
            self._refuse(f"parentheses stand at most {MOST_NESTED} deep")
        found = self._expression()
        if not self._text.startswith(")", self._at):
            self._refuse("')' should stand here")
        self._at += 1
        self._nested -= 1
        self._skip()
        return found

    def _test(self) -> Condition:
        begin, path = self._at, self._match(_PATH, "a search parameter should stand here")
        if self._text.startswith("[", self._at):
            self._refuse("a filter on the way, name[filter].name, is not served", NotServed)
        self._match(_GAP, "a space should stand here")
        at, operator = self._at, self._match(_WORD, f"an operator should stand here, such as {', '.join(_OPERATORS)}")
        if operator not in _OPERATORS:
            self._refuse(f"{operator!r} is no operator; there are {', '.join(_OPERATORS)}", at=at)
        self._match(_GAP, "a space should stand here")
        value = self._value()
        self._tests += 1
        if self._tests > MOST_TESTS:
            self._refuse(f"there are more than {MOST_TESTS} comparisons", at=begin)
        try:
            return _condition(self._asking, path, operator, value)
        except MalformedRequest as refusal:
            kind = NotServed if isinstance(refusal, NotServed) else MalformedRequest
            self._refuse(refusal.issues[0].diagnostics, kind, at=begin)

    def _value(self) -> str:
        if not self._text.startswith('"', self._at):
            found = self._match(_BARE, "a value should stand here")
        else:
            begin, quoted = self._at, self._match(_QUOTED, "this text has no closing quote")
            try:
                found = json.loads(quoted, strict=False)
            except ValueError:
                self._refuse(f"{quoted} is no JSON string", at=begin)
        self._skip()
        return str(found)

    def _word(self, words: set[str]) -> str | None:
        self._skip()
        match = _WORD.match(self._text, self._at)
        if match is None or match[0] not in words:
            return None
        self._at = match.end()
        self._skip()
        return match[0]

    def _match(self, pattern: re.Pattern[str], otherwise: str) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            self._refuse(otherwise)
        self._at = match.end()
        return match[0]

    def _skip(self) -> None:
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _refuse(self, why: str, kind: type[MalformedRequest] = MalformedRequest, *, at: int | None = None) -> NoReturn:
        raise kind(f"'_filter', at character {(self._at if at is None else at) + 1}: {why.rstrip('.')}.")


def _condition(asking: Asking, path: str, operator: str, value: str, links: int = 0) -> Condition:
    """What one comparison says of the asked type, or through a chain of what its path leads to."""
    link = _LINK.fullmatch(path)
    if link is None or (link["type"] and not link["rest"]):
        raise MalformedRequest(f"{path!r} is no path")
    parameter = parameter_for(asking, link["code"])
    if link["rest"] is None:
        return _compared(asking, parameter, operator, value)
    if links == MOST_LINKS:
        raise MalformedRequest(f"a path goes through at most {MOST_LINKS} resources")
    if parameter.type != "reference":
        raise NotServed(f"{asking.type}.{parameter.code} is no reference, so {path!r} leads nowhere")
    queries = tuple(
        Query(each, filters=(_condition(replace(asking, type=each), link["rest"], operator, value, links + 1),))
        for each in types_of_chain(parameter, link["type"], link["rest"], path)
    )
    return Join(parameter.code, queries)


def _compared(asking: Asking, parameter: SearchParameter, operator: str, value: str) -> Condition:
    if operator == "pr":
        return _present(parameter, value)
    served = _BY_TYPE[parameter.type]
    if operator not in served:
        allowed = [*served, *(["pr"] if may_be_missing(parameter) else ())]
        raise NotServed(
            f"{parameter.code!r} is a {parameter.type} and has no {operator!r}; it has {', '.join(allowed)}"
        )
    return served[operator](asking, parameter, value)


def _present(parameter: SearchParameter, value: str) -> Condition:
    if not may_be_missing(parameter):
        raise NotServed(f"{parameter.code!r} is never asked whether it is there")
    if value not in {"true", "false"}:
        raise MalformedRequest(f"'pr' takes true or false, not {value!r}")
    return Clause(parameter.code, parameter.type, (), missing=value == "false")


def _equal(asking: Asking, parameter: SearchParameter, value: str) -> Condition:
    return Clause(parameter.code, parameter.type, (value_of(asking, parameter, value),))


def _unequal(same: Making) -> Making:
    """Has values, and none of them is the same."""

    def made(asking: Asking, parameter: SearchParameter, value: str) -> Condition:
        other = Not(same(asking, parameter, value))
        if parameter.code in OF_THE_STORE:
            return other
        return AllOf((Clause(parameter.code, parameter.type, (), missing=False), other))

    return made


def _prefixed(prefix: str) -> Making:
    def made(asking: Asking, parameter: SearchParameter, value: str) -> Condition:
        if value[:1].isalpha():  # a prefix of its own, or no number at all
            raise MalformedRequest(f"{parameter.code!r} is a {parameter.type} and is not compared with {value!r}")
        return Clause(parameter.code, parameter.type, (value_of(asking, parameter, f"{prefix}{value}"),))

    return made


def _overlapping(asking: Asking, parameter: SearchParameter, value: str) -> Condition:
    return _prefixed("ap")(replace(asking, moment=None), parameter, value)


def _worded(modifier: str | None) -> Making:
    def made(asking: Asking, parameter: SearchParameter, value: str) -> Condition:
        text = value_of(asking, parameter, value.replace("\\", "\\\\"))
        return Clause(parameter.code, parameter.type, (text,), modifier)

    return made


def _of_codes(modifier: str) -> Making:
    def made(asking: Asking, parameter: SearchParameter, value: str) -> Condition:
        name = f"{parameter.code}:{modifier}"
        parameter_for(asking, name)
        return join(asking, name, value.replace(",", "\\,"))

    return made


_RANGES = {prefix: _prefixed(prefix) for prefix in ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")}
_BY_TYPE: Mapping[str, Mapping[str, Making]] = {
    "string": {
        "eq": _worded("equal"),
        "ne": _unequal(_worded("equal")),
        "co": _worded("contains"),
        "sw": _worded(None),
        "ew": _worded("ends"),
    },
    "token": {
        "eq": _equal,
        "ne": _unequal(_equal),
        "in": _of_codes("in"),
        "ni": _of_codes("not-in"),
        "ss": _of_codes("below"),
        "sb": _of_codes("above"),
    },
    "reference": {"eq": _equal, "ne": _unequal(_equal), "re": _equal},
    "uri": {"eq": _equal, "ne": _unequal(_equal)},
    "date": {**_RANGES, "po": _overlapping},
    "number": _RANGES,
    "quantity": _RANGES,
    "special": {"eq": _equal},
    "composite": {"eq": _equal},
}
"""The operators that each type of parameter has, `pr` beside them; each makes the condition for a value."""

_OPERATORS = tuple(dict.fromkeys([*(operator for served in _BY_TYPE.values() for operator in served), "pr"]))
