"""Reference parameters.

https://hl7.org/fhir/R4/search.html#reference

A stored reference `Patient/1/_history/2` gives the terms `patient=Patient/1` and `patient=Patient/1/_history/2`; an
absolute url or a canonical gives itself, a canonical with a version also without it; an identifier gives the terms
of a token under `patient:identifier`. Asking for a bare id asks for that id of each type that may stand there.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from fhir_server.definitions.search_parameters import ANY_TYPE, SearchParameter
from fhir_server.definitions.structures import RESOURCE_TYPES
from fhir_server.fhir.errors import MalformedRequest, TooCostly
from fhir_server.fhir.reference import parse_reference
from fhir_server.search.escaping import unescape
from fhir_server.search.query import Target, Value
from fhir_server.search.types import codes, token
from fhir_server.search.types.term import term

IDENTIFIER = "identifier"
MOST_FORMS = 200_000

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")


def parse(text: str, parameter: SearchParameter, *, base_url: str, modifier: str | None = None) -> Target:
    """`Type/id`, `id`, a url, or with the modifier `identifier` a token; another modifier is the target's type.

    A url on `base_url` is the resource of this server. Raises MalformedRequest.
    """
    if modifier == IDENTIFIER:
        return Target(identifier=token.parse_identifier(text, parameter))
    address = unescape(text)
    own = address.removeprefix(base_url.rstrip("/") + "/") if base_url else address
    if parse_reference(own) is not None:
        return _literal(own, address, parameter, modifier)
    if _ABSOLUTE.fullmatch(address):
        return Target(url=address)
    if not _ID.fullmatch(address):
        raise MalformedRequest(f"{text!r} is no reference for {parameter.code!r}; write Type/id, an id or a url.")
    if modifier or len(_targets(parameter)) == 1:
        return Target(reference=f"{modifier or _targets(parameter)[0]}/{address}")
    return Target(id=address)


def check_ids(parameter: SearchParameter, values: Sequence[Value]) -> None:
    """Raise TooCostly for more ids without a type than can be asked of every type that may stand there."""
    bare, types = sum(isinstance(each, Target) and each.id is not None for each in values), len(_targets(parameter))
    if bare * types > MOST_FORMS:
        raise TooCostly(
            f"{parameter.code!r} names {bare} ids of any type, and each is asked of {types} types. "
            f"Write Type/id, or at most {MOST_FORMS // types} ids."
        )


def stored_terms(parameter: SearchParameter, datatype: str, value: Any) -> Iterator[str]:
    """The terms of one value of a resource."""
    if datatype != "Reference":
        yield from _url_terms(parameter.code, value)
    elif isinstance(value, dict):
        yield from _address_terms(parameter.code, value.get("reference"))
        for identifier in codes.tokens_of("Identifier", value.get("identifier")):
            yield from token.terms_of(f"{parameter.code}:{IDENTIFIER}", identifier, folded=True)


def asked_terms(parameter: SearchParameter, target: Target) -> Iterator[str]:
    """The terms of which a resource must have one to match `target`."""
    if target.identifier:
        yield token.asked_term(f"{parameter.code}:{IDENTIFIER}", target.identifier, folded=True)
    if target.id:
        yield from (term(parameter.code, f"{type_name}/{target.id}") for type_name in _targets(parameter))
    yield from (term(parameter.code, form) for form in (target.reference, target.url) if form)


def plain(address: Any) -> str | None:
    """A stored address without the version; None for what is contained or no address at all."""
    if not isinstance(address, str) or not address or address.startswith("#"):
        return None
    literal = parse_reference(address)
    return str(literal) if literal else address


def _literal(own: str, address: str, parameter: SearchParameter, modifier: str | None) -> Target:
    literal = parse_reference(own)
    if literal is None or not parameter.may_point_to(literal.type) or modifier not in {None, literal.type}:
        allowed = modifier or ", ".join(parameter.targets)
        raise MalformedRequest(f"{parameter.code!r} refers to {allowed}, not to {own!r}.")
    return Target(reference=own, url=None if own == address else address)


def _targets(parameter: SearchParameter) -> list[str]:
    """The types that may stand there; imported references name types, too, that this server does not store."""
    return sorted(RESOURCE_TYPES if ANY_TYPE in parameter.targets else parameter.targets)


def _address_terms(name: str, address: Any) -> Iterator[str]:
    unversioned = plain(address)
    if unversioned:
        yield term(name, unversioned)
        if unversioned != address:
            yield term(name, address)


def _url_terms(name: str, url: Any) -> Iterator[str]:
    if isinstance(url, str) and url and not url.startswith("#"):
        yield term(name, url)
        unversioned = url.partition("|")[0]
        if unversioned != url:
            yield term(name, unversioned)
