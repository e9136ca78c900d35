"""The expression language of `_filter`, read into conditions.

https://hl7.org/fhir/R4/search_filter.html

    given eq "peter" and not (birthdate ge 2014-10-10 or general-practitioner.name co "jans")

`and` and `or` have the same rank and are read from left to right; parentheses say otherwise. A path is a search
parameter, or a chain of them (`subject.name`, `subject:Patient.name`). Where it leads on, what it leads to may be
filtered (`performer[active eq true].name`), so that both are said of the same. What cannot be read is refused with its
place.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import NoReturn

from fhir_server.fhir.errors import MalformedRequest
from fhir_server.search.clauses import Asking, NotServed, parameter_for
from fhir_server.search.comparisons import OPERATORS, compared, said
from fhir_server.search.joins import MOST_LINKS, types_of_chain
from fhir_server.search.query import AllOf, AnyOf, Condition, Join, Not, Query
from fhir_server.search.words import IN_WORDS

MOST_TESTS = 64
MOST_NESTED = 16

_LINK = re.compile(r"(?P<code>[A-Za-z_][\w-]*)(?::(?P<type>[A-Z]\w*))?")
_WORD = re.compile(r"[a-z]+")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BARE = re.compile(r"[^\s)\]]+")
_SPACE = re.compile(r"\s*")
_GAP = re.compile(r"\s+")


def filter_condition(asking: Asking, text: str) -> Condition:
    """The condition that an expression says.

    Raises NotServed for a parameter or operator that is not served, MalformedRequest for what cannot be read; both
    say at which character.
    """
    return _Reader(asking, text).whole()


@dataclass(frozen=True)
class _Link:
    """One parameter of a path, with the type and the filter that are stated of what it leads to."""

    code: str
    type: str | None
    filtered: Callable[[Asking], Condition] | None


class _Unread(MalformedRequest):
    """What could not be read, told with its place."""


class _NotServed(_Unread, NotServed):
    """The same of what this server does not have."""


class _Reader:
    """Reads one expression from its beginning to its end; a filter on the way from where it begins in the text."""

    def __init__(
        self, asking: Asking, text: str, at: int = 0, nested: int = 0, tests: Iterator[int] | None = None
    ) -> None:
        self._asking = asking
        self._text = text
        self._at = at
        self._nested = nested
        # Counted together: a filter on the way is read once for each type that it may lead to.
        self._tests = tests or count(1)

    def whole(self) -> Condition:
        found = self._expression()
        if self._at < len(self._text):
            self._refuse("'and', 'or' or the end should stand here")
        return found

    def bracketed(self) -> Condition:
        """The filter that a bracket closes."""
        if self._nested > MOST_NESTED:
            self._refuse(f"parentheses stand at most {MOST_NESTED} deep")
        found = self._expression()
        if not self._text.startswith("]", self._at):
            self._refuse("']' should stand here")
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
        begin, path = self._at, self._path()
        self._match(_GAP, "a space should stand here")
        at, operator = self._at, self._match(_WORD, f"an operator should stand here, such as {', '.join(OPERATORS)}")
        if operator not in OPERATORS:
            self._refuse(f"{operator!r} is no operator; there are {', '.join(OPERATORS)}", at=at)
        self._match(_GAP, "a space should stand here")
        value = self._value()
        if next(self._tests) > MOST_TESTS:
            self._refuse(f"there are more than {MOST_TESTS} comparisons", at=begin)
        try:
            return _condition(self._asking, path, operator, value)
        except _Unread:
            raise
        except MalformedRequest as refusal:
            issue = refusal.issues[0]
            self._refuse(issue.diagnostics, served=issue.code != "not-supported", at=begin)

    def _path(self) -> list[_Link]:
        links: list[_Link] = []
        while not links or self._follows("."):
            begin, found = self._at, self._match(_LINK, "a search parameter should stand here")
            code, _, type_name = found.partition(":")
            links.append(_Link(code, type_name or None, self._on_the_way() if self._follows("[") else None))
        if links[-1].type or links[-1].filtered:
            self._refuse("a path that states a type or a filter goes on behind it", at=begin)
        return links

    def _on_the_way(self) -> Callable[[Asking], Condition]:
        """What reads the filter that begins here for a type; it ends where its bracket is closed."""
        begin, nested, text, tests = self._at, self._nested + 1, self._text, self._tests
        while not self._follows("]"):
            if self._at >= len(text):
                self._refuse("this bracket is not closed", at=begin - 1)
            if self._follows("["):
                self._on_the_way()
            elif text.startswith('"', self._at):
                self._match(_QUOTED, "this text has no closing quote")
            else:
                self._at += 1
        return lambda asking: _Reader(asking, text, begin, nested, tests).bracketed()

    def _follows(self, sign: str) -> bool:
        """Whether the sign stands here; if so, what is read next stands behind it."""
        found = self._text.startswith(sign, self._at)
        self._at += len(sign) * found
        return found

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

    def _refuse(self, why: str, *, served: bool = True, at: int | None = None) -> NoReturn:
        kind = _Unread if served else _NotServed
        raise kind(f"'_filter', at character {(self._at if at is None else at) + 1}: {why.rstrip('.')}.")


def _condition(asking: Asking, path: Sequence[_Link], operator: str, value: str, links: int = 0) -> Condition:
    """What one comparison says of the asked type, or through a chain of what its path leads to."""
    link, *rest = path
    if link.code in IN_WORDS and not rest:
        return said(asking, link.code, operator, value)
    parameter = parameter_for(asking, link.code)
    if not rest:
        return compared(asking, parameter, operator, value)
    if links == MOST_LINKS:
        raise MalformedRequest(f"a path goes through at most {MOST_LINKS} resources")
    told = ".".join(each.code for each in path)
    if parameter.type != "reference":
        raise NotServed(f"{asking.type}.{parameter.code} is no reference, so {told!r} leads nowhere")
    queries = []
    for each in types_of_chain(parameter, link.type, rest[0].code, told, asking.full_text):
        there = replace(asking, type=each)
        filtered = (link.filtered(there),) if link.filtered else ()
        queries.append(Query(each, filters=(*filtered, _condition(there, rest, operator, value, links + 1))))
    return Join(parameter.code, tuple(queries))
