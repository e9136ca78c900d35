"""One searchable form of a value, as the store keeps it: `status=|requested`, `owner=Organization/1`.

The same function makes the terms that are stored and those that are asked for, so that they can only agree.
"""

import hashlib

from fhir_server.fhir.errors import MalformedRequest

LONGEST = 1000
BEGINNING = 900


def term(parameter: str, form: str) -> str:
    """The term of a parameter; of what is longer than 1,000 characters the beginning, with a digest of the whole."""
    if len(form) > LONGEST:
        form = f"{form[:BEGINNING]}#{hashlib.sha256(form.encode()).hexdigest()}"
    return f"{parameter}={form}"


def beginning_of_terms(parameter: str, form: str) -> str:
    """How the terms begin of all forms that begin so. Raises MalformedRequest for more than is kept as it is."""
    if len(form) > BEGINNING:
        raise MalformedRequest(f"{parameter!r} takes at most {BEGINNING - 1} characters with ':below'.")
    return f"{parameter}={form}"
