"""One searchable form of a value, as the store keeps it: `status=|requested`, `owner=Organization/1`.

The same function makes the terms that are stored and those that are asked for, so that they can only agree.
"""

LONGEST = 1000


def term(parameter: str, form: str) -> str:
    """The term of a parameter; what is longer than 1,000 characters is compared by its beginning."""
    return f"{parameter}={form[:LONGEST]}"
