"""The words of a resource, for `_text` (those of its narrative) and `_content` (all that it says).

https://hl7.org/fhir/R4/search.html#content

A word is kept as `n=WORD` when the narrative has it, else as `c=WORD`, folded like all text that is searched.
Addresses, ids, times and binary data are no words. Of a resource the first 2,000 different words are kept, the
narrative's first.
"""

import html
import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from fhir_server.fhir.errors import MalformedRequest
from fhir_server.fhir.json import Resource
from fhir_server.search.clauses import Asking, NotServed
from fhir_server.search.folding import fold
from fhir_server.search.query import AllOf, AnyOf, Clause, Condition, Text

WORDS = "words"
"""The type of a clause that asks for a word; its parameter is `_text` or `_content`."""

MOST_WORDS = 2000
MOST_ASKED = 32
LONGEST = 64

_NARRATIVE, _ELSEWHERE = "n=", "c="
_LOOKED_IN = {"_text": (_NARRATIVE,), "_content": (_NARRATIVE, _ELSEWHERE)}

IN_WORDS = tuple(_LOOKED_IN)
"""The parameters that ask for words."""

_MARKUP = re.compile(r"<[^>]*>")
_TIME = re.compile(r"\d{4}(-\d\d){0,2}(T[\d:.+Z-]*)?")
_ADDRESSES = {"id", "linkId", "profile", "reference", "system", "uri", "url"}
_NO_WORDS = _ADDRESSES | {"data", "div", "hash", "lastUpdated", "resourceType", "versionId"}
_ALTERNATIVES = re.compile(r",|\b(?:OR|or)\b")
_NOT = re.compile(r"\bNOT\b")


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
    """All of the words, each by its beginning; alternatives stand between commas or the word OR.

    Raises NotServed for a type whose words are not kept, MalformedRequest for what this small language does not have.
    """
    if asking.type not in asking.full_text:
        kept = ", ".join(sorted(asking.full_text)) or "none"
        raise NotServed(
            f"{parameter!r}: this server keeps no words of {asking.type}. The setting SAMEN_FULL_TEXT names the types "
            f"of which it does: {kept}."
        )
    if any(character in text for character in '()"'):
        raise MalformedRequest(
            f"{parameter!r} takes words, alternatives with OR between them; brackets and phrases are not understood, "
            f"it was {text!r}."
        )
    alternatives = [_all_of(parameter, each) for each in _ALTERNATIVES.split(text)]
    if not all(alternatives) or sum(map(len, alternatives)) > MOST_ASKED:
        raise MalformedRequest(f"{parameter!r} takes 1 to {MOST_ASKED} words and none empty, it was {text!r}.")
    return AnyOf(tuple(AllOf(each) for each in alternatives))


def _all_of(parameter: str, text: str) -> tuple[Clause, ...]:
    if _NOT.search(text):
        raise MalformedRequest(f"{parameter!r} has no NOT; ask for the words that are there.")
    words = [word for word in _split(text) if word != "and"]
    return tuple(Clause(parameter, WORDS, (Text(word, word),)) for word in words)


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
