"""The words of a resource, for `_text` (those of its narrative) and `_content` (all that it says).

https://hl7.org/fhir/R4/search.html#content

A word is kept as `n=WORD` when the narrative has it, else as `c=WORD`, folded like all text that is searched.
Addresses, ids, times and binary data are no words. Of a resource the first 2,000 different words are kept, the
narrative's first.
"""

import html
import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any, NoReturn

from fhir_server.fhir.errors import MalformedRequest
from fhir_server.fhir.json import Resource
from fhir_server.search.clauses import Asking, NotServed
from fhir_server.search.folding import fold
from fhir_server.search.query import AllOf, AnyOf, Clause, Condition, Not, Text

WORDS = "words"
"""The type of a clause that asks for a word; its parameter is `_text` or `_content`."""

MOST_WORDS = 2000
MOST_ASKED = 32
MOST_NESTED = 16
LONGEST = 64

_NARRATIVE, _ELSEWHERE = "n=", "c="
_LOOKED_IN = {"_text": (_NARRATIVE,), "_content": (_NARRATIVE, _ELSEWHERE)}

IN_WORDS = tuple(_LOOKED_IN)
"""The parameters that ask for words."""

_MARKUP = re.compile(r"<[^>]*>")
_TIME = re.compile(r"\d{4}(-\d\d){0,2}(T[\d:.+Z-]*)?")
_ADDRESSES = {"id", "linkId", "profile", "reference", "system", "uri", "url"}
_NO_WORDS = _ADDRESSES | {"data", "div", "hash", "lastUpdated", "resourceType", "versionId"}
_SAID = re.compile(r'"[^"]*"?|[(),]|[^\s(),"]+')
_OR, _AND, _NOT = frozenset({"OR", "or", ","}), frozenset({"AND", "and"}), "NOT"
_ENDS = _OR | {")"}


def words_of(resource: Resource) -> list[str]:
    """The words of a resource, each once."""
    told = dict.fromkeys(word for text in _narratives(resource) for word in _split(text))
    others = dict.fromkeys(word for text in _texts(resource) for word in _split(text))
    narrative = (f"{_NARRATIVE}{word}" for word in told)
    elsewhere = (f"{_ELSEWHERE}{word}" for word in others if word not in told)
    return list(islice(chain(narrative, elsewhere), MOST_WORDS))


def beginnings_of(clause: Clause) -> list[str]:
    """How the kept words begin of which one must be there."""
    asked = [value.folded for value in clause.values if isinstance(value, Text)]
    return [f"{place}{word}" for word in asked for place in _LOOKED_IN[clause.parameter]]


def words_condition(parameter: str, asking: Asking, text: str) -> Condition:
    """All of the words, each by its beginning; alternatives stand between commas or the word OR, and NOT says that

    what follows is not there: `(bone OR liver) metastases NOT lung`. Raises NotServed for a type whose words are not
    kept, MalformedRequest for what this small language does not have.
    """
    if asking.type not in asking.full_text:
        kept = ", ".join(sorted(asking.full_text)) or "none"
        raise NotServed(
            f"{parameter!r}: this server keeps no words of {asking.type}. The setting SAMEN_FULL_TEXT names the types "
            f"of which it does: {kept}."
        )
    return _Reader(parameter, text).whole()


class _Reader:
    """Reads words from the first to the last; words beside each other must all be there."""

    def __init__(self, parameter: str, text: str) -> None:
        self._parameter = parameter
        self._text = text
        self._left = [match[0] for match in _SAID.finditer(text)][::-1]
        self._words = 0
        self._nested = 0

    def whole(self) -> Condition:
        found = self._alternatives()
        if self._left:
            self._refuse("a bracket is closed that was not opened")
        return found

    def _alternatives(self) -> Condition:
        found = [self._together()]
        while self._left and self._left[-1] in _OR:
            self._left.pop()
            found.append(self._together())
        return AnyOf(tuple(found))

    def _together(self) -> Condition:
        found: list[Condition] = []
        while self._left and self._left[-1] not in _ENDS:
            found += self._one(self._left.pop())
        if not found:
            self._refuse("a word should stand on each side of a bracket, a comma or OR")
        return AllOf(tuple(found))

    def _one(self, said: str) -> Sequence[Condition]:
        """What one word, or one in brackets, asks; of a word without a letter nothing."""
        if said in _AND:
            return ()
        if said == _NOT:
            return (Not(self._negated()),)
        return (self._bracketed(),) if said == "(" else self._clauses(said)

    def _negated(self) -> Condition:
        found = self._one(self._left.pop()) if self._left and self._left[-1] not in _ENDS else ()
        if not found:
            self._refuse("a word, or words in brackets, should stand after NOT")
        return AllOf(tuple(found))

    def _bracketed(self) -> Condition:
        self._nested += 1
        if self._nested > MOST_NESTED:
            self._refuse(f"brackets stand at most {MOST_NESTED} deep")
        found = self._alternatives()
        if not self._left or self._left.pop() != ")":
            self._refuse("a bracket is not closed")
        self._nested -= 1
        return found

    def _clauses(self, said: str) -> Sequence[Condition]:
        words = list(_split(said.strip('"')))
        if '"' in said and len(words) != 1:
            self._refuse("phrases are not understood, only words")
        self._words += len(words)
        if self._words > MOST_ASKED:
            self._refuse(f"there are more than {MOST_ASKED} words")
        return [Clause(self._parameter, WORDS, (Text(word, word),)) for word in words]

    def _refuse(self, why: str) -> NoReturn:
        raise MalformedRequest(
            f"{self._parameter!r}: {why}. It takes words, with OR, AND, NOT and brackets between them; it was "
            f"{self._text!r}."
        )


def _split(text: str) -> Iterator[str]:
    for part in text.split():
        for word in fold(part[: 2 * LONGEST]).split():
            yield word[:LONGEST]


def _narratives(resource: Resource) -> Iterator[str]:
    text = resource.get("text")
    if isinstance(text, dict) and isinstance(text.get("div"), str):
        yield html.unescape(_MARKUP.sub(" ", text["div"]))


def _texts(node: Any) -> Iterator[str]:
    """Every text below a node that is no address, id, time or data."""
    if isinstance(node, dict):
        for name, child in node.items():
            if name not in _NO_WORDS and not name.endswith(("Uri", "Url", "Canonical", "Base64Binary")):
                yield from _texts(child)
    elif isinstance(node, list):
        for child in node:
            yield from _texts(child)
    elif isinstance(node, str) and not _TIME.fullmatch(node):
        yield node
