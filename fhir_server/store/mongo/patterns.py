"""Conditions on arrays of folded texts."""

import re
from typing import Any

_LAST = 0x10FFFF
_BEFORE_SURROGATES, _AFTER_SURROGATES = 0xD7FF, 0xE000


def beginning(text: str) -> dict[str, Any]:
    """One of the texts begins with `text`, as a range that an index can use."""
    after = _after(text)
    return {"$elemMatch": {"$gte": text, "$lt": after} if after else {"$gte": text}}


def containing(text: str) -> dict[str, Any]:
    """One of the texts holds `text`; an index on it is read from end to end."""
    return {"$regex": re.escape(text)}


def _after(text: str) -> str | None:
    """The least text after everything that begins with `text`, by code points as MongoDB compares; None if none is."""
    kept = text.rstrip(chr(_LAST))
    if not kept:
        return None
    last = ord(kept[-1])
    return kept[:-1] + chr(_AFTER_SURROGATES if last == _BEFORE_SURROGATES else last + 1)
