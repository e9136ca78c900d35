"""What a resource says: its words, and which of them follow each other; for `_text` and `_content`.

https://hl7.org/fhir/R4/search.html#content

A word is kept as `n=WORD` when the narrative has it, else as `c=WORD`, folded like all text that is searched. Spaces,
punctuation and signs part words; whoever changes that renames `BY_WORD` in `store/mongo/wording.py`. Words that follow
each other are kept beside them as texts, ` WORD WORD`: a text is a block of the narrative, such as a paragraph or a
cell, or one element of the rest. Addresses, ids, times and binary data are no words. Of a resource the first 20,000
words are kept, and among these 2,000 different ones; the narrative's are the first.
"""

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fhir_server.fhir.json import Resource
from fhir_server.search.folding import fold

MOST_WORDS = 2000
MOST_SAID = 20_000
LONGEST = 64

NARRATIVE, ELSEWHERE = "n", "c"
"""Where a word or a text is: in the narrative, or in the rest of the resource."""

_INLINE = re.compile(
    r"</?(?:a|abbr|acronym|b|bdo|big|cite|code|dfn|em|font|i|kbd|q|s|samp|small|span|strike|strong|sub|sup|tt|u|var)"
    r"(?![\w-])[^>]*>"
)
_MARK = re.compile(r"(?P<within>(?<=\d)[.,](?=\d)|(?<=[^\W_])['’](?=[^\W_]))|(?:[^\w\s]|_)+")  # within 5.4
_NO_LETTER = re.compile(r"\W|_")
_BLOCK = re.compile(r"<[^>]*>")
_TIME = re.compile(r"\d{4}(-\d\d){0,2}(T[\d:.+Z-]*)?")
_ADDRESSES = {"id", "linkId", "profile", "reference", "system", "uri", "url"}
_NO_WORDS = _ADDRESSES | {"data", "div", "hash", "lastUpdated", "resourceType", "versionId"}


@dataclass(frozen=True)
class Wording:
    """The words of a resource, each once and marked with its place; the texts of two words and more by their place."""

    words: tuple[str, ...]
    texts: dict[str, tuple[str, ...]]


def wording_of(resource: Resource) -> Wording:
    """All that a resource says, as far as it is kept."""
    return _Reading(MOST_SAID).wording(resource)


def wordings_of(contained: Iterable[Resource]) -> list[Wording]:
    """The same of each of those that a resource contains; together they keep no more words than one resource may."""
    left, found = MOST_SAID, list[Wording]()
    for each in contained:
        reading = _Reading(left)
        found.append(reading.wording(each))
        left -= reading.said
    return found


def words_in(text: str) -> Iterator[str]:
    """The words of a text, folded, one after another: what stands between spaces, punctuation and signs.

    An apostrophe inside a word and `.` or `,` between digits part nothing.
    """
    for part in unicodedata.normalize("NFC", text).split():
        for piece in [part] if part.isalnum() else _pieces(part):
            yield from (word[:LONGEST] for word in fold(piece[: 2 * LONGEST]).split())


def _pieces(part: str) -> Iterator[str]:
    """What its marks part, one after another: of a long text no more is read than is asked for."""
    at, held = 0, ""
    for mark in _MARK.finditer(part):
        held += part[at : mark.start()] + (mark[0] if mark["within"] else "".join(map(_parting, mark[0][:LONGEST])))
        at = mark.end()
        if held.endswith(" "):
            yield from held.split()
            held = ""
    yield from (held + part[at:]).split()


@lru_cache(maxsize=1024)
def _parting(mark: str) -> str:
    """What stands in the place of a character that is no letter: a space if it parts words, and a sign's letters."""
    if unicodedata.category(mark)[0] not in "PS":
        return mark
    return f" {_NO_LETTER.sub('', unicodedata.normalize('NFKD', mark))} "


class _Reading:
    """Reads texts until so many words are read; what is kept of each text consists of words that are kept."""

    def __init__(self, most: int) -> None:
        self.said = 0
        self._words: dict[str, str] = {}
        self._left = most

    def wording(self, resource: Resource) -> Wording:
        told, others = self._texts(NARRATIVE, _narratives(resource)), self._texts(ELSEWHERE, _elements(resource))
        return Wording(tuple(self._words.values()), {NARRATIVE: told, ELSEWHERE: others})

    def _texts(self, place: str, texts: Iterable[str]) -> tuple[str, ...]:
        found = dict[str, None]()
        for text in texts:
            words = list(self._kept(place, text))
            if len(words) > 1:
                found[f" {' '.join(words)}"] = None
            if not self._left:
                break
        return tuple(found)

    def _kept(self, place: str, text: str) -> Iterator[str]:
        for word in words_in(text):
            if not self._left or (word not in self._words and len(self._words) == MOST_WORDS):
                self._left = 0
                return
            self._words.setdefault(word, f"{place}={word}")
            self._left -= 1
            self.said += 1
            yield word


def _narratives(resource: Resource) -> Iterator[str]:
    """The blocks of the narrative; markup within a line separates neither words nor texts."""
    text = resource.get("text")
    if isinstance(text, dict) and isinstance(text.get("div"), str):
        yield from map(html.unescape, _BLOCK.split(_INLINE.sub("", text["div"])))


def _elements(node: Any) -> Iterator[str]:
    """Every text below a node that is no address, id, time or data."""
    if isinstance(node, dict):
        for name, child in node.items():
            if name not in _NO_WORDS and not name.endswith(("Uri", "Url", "Canonical", "Base64Binary")):
                yield from _elements(child)
    elif isinstance(node, list):
        for child in node:
            yield from _elements(child)
    elif isinstance(node, str) and not _TIME.fullmatch(node):
        yield node
