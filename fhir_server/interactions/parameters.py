"""The parameters of an address, read strictly: at the door, in the entries of a Bundle and in conditions."""

import re
from urllib.parse import parse_qsl

from fhir_server.fhir.errors import MalformedRequest

MOST = 1000
_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})")


def parameters_in(query: str) -> list[tuple[str, str]]:
    """The names and values of `a=1&b=2` in their order, percent-decoded.

    Raises MalformedRequest for broken percent-encoding, what is no UTF-8, and more parameters than anyone needs.
    """
    if query.count("&") >= MOST:
        raise MalformedRequest(f"There are more than {MOST} parameters.", rule="parameters")
    broken = _BROKEN.search(query)
    try:
        if broken is None and query.isascii():
            return parse_qsl(query, keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise _not_encoded() from error
    raise _not_encoded()


def _not_encoded() -> MalformedRequest:
    return MalformedRequest("The parameters are not well percent-encoded UTF-8.", rule="encoding")
