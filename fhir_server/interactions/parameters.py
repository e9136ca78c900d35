"""The parameters of an address, read strictly: at the door, in the entries of a Bundle and in conditions."""

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from urllib.parse import parse_qsl

from fhir_server.fhir.dates import time_range
from fhir_server.fhir.errors import MalformedRequest

MOST = 1000

SUBSETTING = ("_elements", "_summary")
"""Which part of a resource is asked for, of any interaction: what comes back of a write, too."""

# What has an address of its own to say all that it says; searches, histories and operations know their own.
_SAYS_ALL = frozenset({"read", "vread", "create", "update", "patch", "delete", "transaction"})
# What is asked again and again is taken apart once, as in `search/repeated.py`.
_LONGEST = 1000
_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})")


def parameters_in(query: str) -> list[tuple[str, str]]:
    """The names and values of `a=1&b=2` in their order, percent-decoded.

    Raises MalformedRequest for broken percent-encoding, what is no UTF-8, and more parameters than anyone needs.
    """
    return list((_once if len(query) <= _LONGEST else _parameters_in)(query)) if query else []


def _parameters_in(query: str) -> list[tuple[str, str]]:
    if query.count("&") >= MOST:
        raise MalformedRequest(f"There are more than {MOST} parameters.", rule="parameters")
    broken = _BROKEN.search(query)
    try:
        if broken is None and query.isascii():
            return parse_qsl(query, keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise _not_encoded() from error
    raise _not_encoded()


_once = lru_cache(maxsize=2048)(_parameters_in)


def stated(parameters: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The parameters that have a value. R4 has a search ignore the others; no condition of a write may."""
    return [pair for pair in parameters if pair[1]]


def time_stated(text: str) -> tuple[datetime, datetime]:
    """The range of time that a date or instant in an address stands for. Raises ValueError.

    The `+` of a zone arrives as a blank from clients that do not write it as %2B, and no date has a blank.
    """
    return time_range(text.replace(" ", "+"))


def check_known(interaction: str, id: str | None, parameters: Sequence[tuple[str, str]]) -> None:
    """Raise MalformedRequest for a parameter that a read or write has not, so that none is taken for a condition."""
    if interaction not in _SAYS_ALL or (id is None and interaction in {"update", "patch", "delete"}):
        return
    unknown = next((name for name, _ in parameters if name not in SUBSETTING), None)
    if unknown is not None:
        has = f"{', '.join(SUBSETTING)}, _format and _pretty"
        told = f"{'An' if interaction[0] in 'aeiou' else 'A'} {interaction} has no parameter {unknown!r}; it has {has}."
        if interaction == "create":
            told += " A condition is sent as the header If-None-Exist."
        raise MalformedRequest(told, rule="unknown-parameter")


def _not_encoded() -> MalformedRequest:
    return MalformedRequest("The parameters are not well percent-encoded UTF-8.", rule="encoding")
