"""Conditions on arrays of folded texts; MongoDB and Python both compare them by code points."""

import re
from typing import Any


def beginning(text: str) -> dict[str, Any]:
    """One of the texts begins with `text`, as a range that an index can use."""
    after = text[:-1] + chr(ord(text[-1]) + 1)  # folding leaves no character whose successor is none
    return {"$elemMatch": {"$gte": text, "$lt": after}}


def containing(text: str) -> dict[str, Any]:
    """One of the texts holds `text`; an index on it is read from end to end."""
    return {"$regex": re.escape(text)}


def ending(text: str) -> dict[str, Any]:
    """One of the texts ends with `text`; folding leaves no line break that could come after it."""
    return {"$regex": f"{re.escape(text)}$"}
