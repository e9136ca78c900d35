"""How the wording of a resource lies in its document, and what is asked of it there.

`f` holds the words of `search/texts.py` as `words`, which has an index, and beside them the texts of two words and
more, by their place. A phrase is sought among the documents that the index finds by its words.
"""

from typing import Any

from fhir_server.search.query import Clause
from fhir_server.search.texts import Wording
from fhir_server.search.words import asked_words, in_a_row, kept_as, places_of
from fhir_server.store.mongo.logic import Filter, both, either
from fhir_server.store.mongo.patterns import beginning, containing

WORDING = "f"
BY_WORD = f"{WORDING}.words"
"""The field of the words; a document that lacks it was stored while its type kept none, or kept what are words by
another rule. Whoever changes the rule of `search/texts.py` gives the field another name, and all are gathered anew."""

NO_WORDING: dict[str, Any] = {"words": []}
"""The wording of a tombstone."""


def kept_wording(wording: Wording) -> dict[str, Any]:
    """What a document keeps of all that its resource says, or one that is contained in it."""
    texts = {place: list(texts) for place, texts in wording.texts.items() if texts}
    return {"words": list(wording.words), **texts}


def word_conditions(clause: Clause) -> list[Filter]:
    """One of the words is there, by its beginning."""
    return [either([_begun(clause, word) for [word] in asked_words(clause)])]


def phrase_conditions(clause: Clause) -> list[Filter]:
    """One of the phrases is there; that its words are follows from it, and is what an index can use."""
    return [either([both(*_in_a_row(clause, words)) for words in asked_words(clause)])]


def _in_a_row(clause: Clause, words: list[str]) -> list[Filter]:
    whole = dict.fromkeys(words[:-1])
    there = [{BY_WORD: {"$in": kept_as(clause, word)}} for word in whole]
    held = [{f"{WORDING}.{place}": containing(in_a_row(words))} for place in places_of(clause)]
    return [*there, _begun(clause, words[-1]), either(held)]


def _begun(clause: Clause, word: str) -> Filter:
    return either([{BY_WORD: beginning(kept)} for kept in kept_as(clause, word)])
