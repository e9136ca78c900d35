"""Text as searches compare it: without case, accents, punctuation and extra space.

https://hl7.org/fhir/R4/search.html#string
"""

import unicodedata
from collections.abc import Iterator
from functools import lru_cache

_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})


@lru_cache(maxsize=8192)
def fold(text: str) -> str:
    """`text` in lower case, accents and punctuation taken off; dashes and any white space become one space.

    `fold(fold(text)) == fold(text)`.
    """
    plain = text
    for _ in range(2):
        plain = "".join(_kept(unicodedata.normalize("NFKD", plain).casefold().translate(_LETTERS)))
    return " ".join(plain.split())


def _kept(text: str) -> Iterator[str]:
    for character in text:
        category = unicodedata.category(character)
        if category == "Pd":
            yield " "
        elif character.isspace() or category[0] not in "MPC":
            yield character
