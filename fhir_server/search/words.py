"""The words that `_text` and `_content` ask for: of the narrative, or of all that a resource says.

https://hl7.org/fhir/R4/search.html#content

A word is found by its beginning. In quotes, words stand beside each other in this order, and the last may go on.
"""

import re
from collections.abc import Sequence
from typing import NoReturn

from fhir_server.fhir.errors import MalformedRequest
from fhir_server.search.clauses import Asking, NotServed
from fhir_server.search.query import AllOf, AnyOf, Clause, Condition, Not, Text
from fhir_server.search.texts import ELSEWHERE, NARRATIVE, Wording, words_in

WORDS, PHRASE = "words", "phrase"
"""The types of a clause that asks for a word, and for several in a row; its parameter is `_text` or `_content`."""

MOST_ASKED = 32
MOST_NESTED = 16
_NAMED = 5

_LOOKED_IN = {"_text": (NARRATIVE,), "_content": (NARRATIVE, ELSEWHERE)}

IN_WORDS = tuple(_LOOKED_IN)
"""The parameters that ask for words."""

_SAID = re.compile(r'"[^"]*"?|[(),]|[^\s(),"]+')
_OR, _AND, _NOT = frozenset({"OR", "or", ","}), frozenset({"AND", "and"}), "NOT"
_ENDS = _OR | {")"}


def places_of(clause: Clause) -> Sequence[str]:
    """Where the clause looks."""
    return _LOOKED_IN[clause.parameter]


def kept_as(clause: Clause, word: str) -> list[str]:
    """The words as they are kept, of which one must be there, or begin so."""
    return [f"{place}={word}" for place in places_of(clause)]


def asked_words(clause: Clause) -> list[list[str]]:
    """The alternatives of a clause, each the words that it asks for: one, or those of a phrase."""
    return [value.folded.split() for value in clause.values if isinstance(value, Text)]


def in_a_row(words: Sequence[str]) -> str:
    """What a text holds that has these words beside each other, the last by its beginning."""
    return f" {' '.join(words)}"


def says(clause: Clause, wording: Wording) -> bool:
    """Whether a resource of this wording says what the clause asks for."""
    if clause.type == PHRASE:
        texts = [text for place in places_of(clause) for text in wording.texts[place]]
        return any(in_a_row(words) in text for words in asked_words(clause) for text in texts)
    sought = tuple(kept for [word] in asked_words(clause) for kept in kept_as(clause, word))
    return any(word.startswith(sought) for word in wording.words)


def words_condition(parameter: str, asking: Asking, text: str) -> Condition:
    """All of the words and phrases of a text such as `(bone OR liver) metastases NOT "lung cancer"`.

    Alternatives stand between commas or the word OR, and NOT says that what follows is not there. Raises NotServed for
    a type whose words are not kept, MalformedRequest for what this small language does not have.
    """
    if told := kept_of_all(parameter, [asking.type], asking.full_text):
        raise NotServed(told)
    return _Reader(parameter, text).whole()


def kept_of_all(parameter: str, type_names: Sequence[str], full_text: frozenset[str]) -> str | None:
    """Why the parameter cannot be asked of all of these types; None when the words of each are kept."""
    lacking = [each for each in type_names if each not in full_text]
    if not lacking:
        return None
    more = f" and {len(lacking) - _NAMED} more types" if len(lacking) > _NAMED else ""
    kept = ", ".join(sorted(full_text)) or "none"
    narrow = " Name some of these by '_type'." if len(type_names) > 1 and full_text else ""
    return (
        f"{parameter!r}: this server keeps no words of {', '.join(lacking[:_NAMED])}{more}. The setting "
        f"SAMEN_FULL_TEXT names the types of which it does: {kept}.{narrow}"
    )


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
        """What one word or phrase, or those in brackets, ask; of a word without a letter nothing."""
        if said in _AND:
            return ()
        if said == _NOT:
            return (Not(self._negated()),)
        return (self._bracketed(),) if said == "(" else self._clauses(said)

    def _negated(self) -> Condition:
        self._deeper()
        found = self._one(self._left.pop()) if self._left and self._left[-1] not in _ENDS else ()
        self._nested -= 1
        if not found:
            self._refuse("a word, or words in brackets, should stand after NOT")
        return AllOf(tuple(found))

    def _bracketed(self) -> Condition:
        self._deeper()
        found = self._alternatives()
        if not self._left or self._left.pop() != ")":
            self._refuse("a bracket is not closed")
        self._nested -= 1
        return found

    def _deeper(self) -> None:
        self._nested += 1
        if self._nested > MOST_NESTED:
            self._refuse(f"brackets and NOT stand at most {MOST_NESTED} deep")

    def _clauses(self, said: str) -> Sequence[Condition]:
        words = list(words_in(said.strip('"')))
        self._words += len(words)
        if self._words > MOST_ASKED:
            self._refuse(f"there are more than {MOST_ASKED} words")
        if not said.startswith('"'):
            return [self._asked(WORDS, word) for word in words]
        if len(said) < 2 or not said.endswith('"'):
            self._refuse("a quote is not closed")
        if not words:
            self._refuse("a word should stand between quotes")
        return [self._asked(PHRASE if len(words) > 1 else WORDS, " ".join(words))]

    def _asked(self, kind: str, folded: str) -> Clause:
        return Clause(self._parameter, kind, (Text(folded, folded),))

    def _refuse(self, why: str) -> NoReturn:
        raise MalformedRequest(
            f"{self._parameter!r}: {why}. It takes words, and phrases in quotes, with OR, AND, NOT and brackets "
            f"between them; it was {self._text!r}."
        )
