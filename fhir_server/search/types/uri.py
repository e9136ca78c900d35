"""Uri parameters: compared whole, by every character.

https://hl7.org/fhir/R4/search.html#uri

A canonical with a version can be asked for with it and without it; so can a definition that states its `version`.
"""

from collections.abc import Iterator
from typing import Any

from fhir_server.definitions.search_parameters import SearchParameter
from fhir_server.search.escaping import unescape
from fhir_server.search.query import Target
from fhir_server.search.types.term import term


def parse(text: str, parameter: SearchParameter) -> Target:
    """The uri as it is written. Raises MalformedRequest for a wrong escape."""
    return Target(url=unescape(text))


def stored_terms(parameter: SearchParameter, datatype: str, value: Any) -> Iterator[str]:
    """The terms of one value of a resource."""
    if isinstance(value, str) and value:
        yield term(parameter.code, value)
        unversioned = value.partition("|")[0]
        if datatype == "canonical" and unversioned != value:
            yield term(parameter.code, unversioned)


def ancestors(url: str) -> list[str]:
    """The url and what stands above it, path by path: `http://a/b`, `http://a`."""
    found = [url]
    while "/" in (above := found[-1].rstrip("/").rpartition("/")[0]) and not above.endswith(("/", ":")):
        found.append(above)
    return found


def asked_terms(parameter: SearchParameter, target: Target) -> Iterator[str]:
    """The term that a resource must have to match `target`."""
    yield term(parameter.code, target.url or "")
