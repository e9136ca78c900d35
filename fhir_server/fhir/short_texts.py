"""What callers say again and again, worked out once: only of short texts, so that nobody fills the memory."""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

Made = TypeVar("Made")


def kept_of_short(make: Callable[[str], Made], *, longest: int, most: int) -> Callable[[str], Made]:
    """The same as `make`, which is not asked again about the last `most` texts of at most `longest` characters."""
    kept = lru_cache(maxsize=most)(make)

    def made_of(text: str) -> Made:
        return kept(text) if len(text) <= longest else make(text)

    return made_of
