"""The parameter types that compare whole forms of a value: token, reference, uri; how names sound is stored alike.

Each value of a resource becomes terms; each asked value becomes terms of which the resource must have one.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fhir_server.definitions.search_parameters import SearchParameter
from fhir_server.search.query import Clause, Target, Token, Value
from fhir_server.search.types import reference, sound, token, uri
from fhir_server.search.types.term import beginning_of_terms, term

_STORED: Mapping[str, Callable[[SearchParameter, str, Any], Iterator[str]]] = {
    "token": token.stored_terms,
    "reference": reference.stored_terms,
    "sound": sound.stored_terms,
    "uri": uri.stored_terms,
}

_ASKED: Mapping[str, Callable[[SearchParameter, Any], Iterator[str]]] = {
    "token": token.asked_terms,
    "reference": reference.asked_terms,
    "uri": uri.asked_terms,
}


def has_beginnings(parameter: SearchParameter) -> bool:
    """Whether what stands below a token or reference begins with it: versions of a url, parameters of a mime type."""
    return parameter.is_canonical or token.is_mime_type(parameter)


def beginnings(parameter: SearchParameter, clause: Clause) -> list[str]:
    """How the terms begin of what stands below the asked urls and mime types; of a url all versions share its term.

    Raises MalformedRequest when they are too long to be compared so.
    """
    return list(dict.fromkeys(each for value in clause.values for each in _beginning(parameter, value)))


def _beginning(parameter: SearchParameter, value: Value) -> Iterator[str]:
    if isinstance(value, Token):
        sign = ";" if "/" in (value.code or "") else "/"  # `image` alone has all its kinds below it
        forms = (each.partition("=")[2] for each in token.asked_terms(parameter, value))
        yield from (beginning_of_terms(parameter.code, f"{form}{sign}") for form in forms)
    elif isinstance(value, Target) and value.url:
        if "|" in value.url:
            yield beginning_of_terms(parameter.code, f"{value.url}.")
        elif not parameter.is_canonical:
            yield beginning_of_terms(parameter.code, f"{value.url.rstrip('/')}/")


STORED_AS_TERMS = frozenset(_STORED)
TERM_TYPES = frozenset(_ASKED)
"""The types of which one of the asked terms is enough."""


def stored_terms(parameter: SearchParameter, datatype: str, value: Any) -> Iterator[str]:
    """The terms of one value of a resource."""
    return _STORED[parameter.type](parameter, datatype, value)


def asked_terms(parameter: SearchParameter, clause: Clause) -> list[str]:
    """The terms of all values of a clause, without repeats; a resource that has one of them matches."""
    ask = _ASKED[parameter.type]
    if clause.modifier == "above":
        urls = [url for value in clause.values if isinstance(value, Target) for url in uri.ancestors(value.url or "")]
        return list(dict.fromkeys(term(parameter.code, url) for url in urls))
    return list(dict.fromkeys(each for value in clause.values for each in ask(parameter, value)))
