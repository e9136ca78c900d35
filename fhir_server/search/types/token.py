"""Token parameters: codes, identifiers, booleans.

https://hl7.org/fhir/R4/search.html#token

Case counts in codes that R4 itself defines (`Task.status`), in ids and in UCUM; for all other code systems, for
identifiers and for mime types it does not, as R4 advises when in doubt. A system is always compared as it is written.

A value with a system gives the terms `code=SYSTEM|CODE`, `code=CODE` and `code=SYSTEM|`; one without a system
`code=|CODE` and `code=CODE`. Of a parameter whose values never have a system only `status=|CODE` is kept.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from fhir_server.definitions.search_parameters import SearchParameter
from fhir_server.fhir.errors import MalformedRequest
from fhir_server.search.escaping import escape, split, unescape
from fhir_server.search.query import Token, Typed
from fhir_server.search.types.codes import WORDED, dialled, pairs_of, tokens_of
from fhir_server.search.types.term import term

_EXACT = frozenset({"boolean", "canonical", "code", "id", "uri"})
_SYSTEMLESS = _EXACT | {"ContactPoint", "existence", "order", "string"}
_YES_OR_NO = frozenset({"boolean", "existence", "order"})
_OF_YES_AND_NO = "http://hl7.org/fhir/special-values"
_LONGEST_KEPT = 200
_CASE_SENSITIVE_SYSTEMS = frozenset({"http://unitsofmeasure.org"})


def parse(text: str, parameter: SearchParameter) -> Token:
    """`code`, `system|code`, `|code` or `system|`. Raises MalformedRequest."""
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) > 2 or not any(parts):
        raise MalformedRequest(
            f"{text!r} is no token for {parameter.code!r}; write CODE, SYSTEM|CODE, |CODE or SYSTEM|."
        )
    token = Token(None, parts[0]) if len(parts) == 1 else Token(parts[0], parts[1] or None)
    datatypes = {path.datatype for path in parameter.paths}
    if datatypes and datatypes <= _YES_OR_NO:
        return _yes_or_no(token, text, parameter)
    if is_systemless(parameter) and (token.code is None or (token.system and datatypes == {"ContactPoint"})):
        raise MalformedRequest(f"The codes of {parameter.code!r} state no system; ask for a code, not for {text!r}.")
    return token


def _yes_or_no(token: Token, text: str, parameter: SearchParameter) -> Token:
    """True or false, whose code system is seldom stated."""
    if token.system not in {None, "", _OF_YES_AND_NO} or token.code not in {"true", "false"}:
        raise MalformedRequest(f"{parameter.code!r} takes true or false, not {text!r}.")
    return Token(None, token.code)


def parse_identifier(text: str, parameter: SearchParameter) -> Token:
    """The value of the modifier `:identifier`. Raises MalformedRequest."""
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) > 2 or not any(parts):
        raise MalformedRequest(f"{text!r} is no identifier for {parameter.code!r}; write VALUE or SYSTEM|VALUE.")
    return Token(None, parts[0]) if len(parts) == 1 else Token(parts[0], parts[1] or None)


def parse_typed(text: str, parameter: SearchParameter) -> Typed:
    """The value of the modifier `:of-type`, SYSTEM|CODE|VALUE. Raises MalformedRequest."""
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) != 3 or not all(parts):
        raise MalformedRequest(f"{text!r} is no typed identifier for {parameter.code!r}; write SYSTEM|CODE|VALUE.")
    return Typed(*parts)


def is_systemless(parameter: SearchParameter) -> bool:
    """Whether the values of the parameter never state a system."""
    return parameter.datatypes <= _SYSTEMLESS


def is_scalar(parameter: SearchParameter) -> bool:
    """Whether a resource has at most one value and that is a bare code, such as `Task.status`."""
    return parameter.single and len(parameter.paths) == 1 and parameter.paths[0].datatype in {"boolean", "code"}


def is_mime_type(parameter: SearchParameter) -> bool:
    """Whether the values of the parameter are mime types, such as `text/xml; charset=UTF-8`."""
    elements = {path.steps[-1].name for path in parameter.paths}
    return parameter.type == "token" and elements == {"contentType"}


def stored_terms(parameter: SearchParameter, datatype: str, value: Any) -> Iterator[str]:
    """The terms of one value of a resource."""
    for token in tokens_of(datatype, value):
        yield from terms_of(parameter.code, token, folded=not _is_exact(parameter), bare=is_systemless(parameter))
    if datatype == "Identifier" and isinstance(value, dict) and isinstance(value.get("value"), str):
        for system, code in pairs_of("CodeableConcept", value.get("type")):
            if isinstance(system, str) and isinstance(code, str):
                yield _typed_term(parameter.code, Typed(system, code, value["value"]))


def asked_terms(parameter: SearchParameter, token: Token | Typed) -> Iterator[str]:
    """The terms of which a resource must have one to match `token`."""
    if isinstance(token, Typed):
        yield _typed_term(parameter.code, token)
        return
    folded, system = not _is_exact(parameter), token.system
    if is_systemless(parameter):
        system = "" if system in {None, "", parameter.system} else system
        datatypes = {path.datatype for path in parameter.paths}
        code = _asked_contact(token.code or "") if datatypes == {"ContactPoint"} else token.code
        token = Token(system, code)
    yield asked_term(parameter.code, token, folded=folded)


def ids_asked(values: Iterable[Any]) -> list[str]:
    """The ids that are asked for by `_id`, which has no system: what is asked in one is nothing's id."""
    return [value.code for value in values if isinstance(value, Token) and value.code and not value.system]


def terms_of(name: str, token: Token, *, folded: bool, bare: bool = False) -> tuple[str, ...]:
    """Every form in which a stored token can be asked for; `bare` keeps only the form without a system."""
    if len(token.code or "") + len(token.system or "") > _LONGEST_KEPT:
        return tuple(_forms(name, token, folded, bare))
    return _kept_forms(name, token, folded, bare)


def _forms(name: str, token: Token, folded: bool, bare: bool) -> Iterator[str]:
    if token.code is not None:
        yield asked_term(name, token, folded=folded)
        if not bare:
            yield asked_term(name, Token(None, token.code), folded=folded)
    if token.system:
        yield asked_term(name, Token(token.system, None), folded=folded)


@lru_cache(maxsize=4096)
def _kept_forms(name: str, token: Token, folded: bool, bare: bool) -> tuple[str, ...]:
    """Codes are few and come again and again; identifiers push each other out."""
    return tuple(_forms(name, token, folded, bare))


def asked_term(name: str, token: Token, *, folded: bool) -> str:
    """The one form that `token` asks for."""
    code = token.code or ""
    if folded and token.system not in _CASE_SENSITIVE_SYSTEMS:
        code = code.casefold()
    return term(name, escape(code) if token.system is None else f"{escape(token.system)}|{escape(code)}")


def has_words(parameter: SearchParameter) -> bool:
    """Whether values of the parameter can say in words what they code."""
    return not parameter.datatypes.isdisjoint(WORDED)


def has_codes(parameter: SearchParameter) -> bool:
    """Whether values of the parameter are codes, which a value set may have."""
    return any(path.datatype in {"code", "CodeableConcept", "Coding"} for path in parameter.paths)


def has_types(parameter: SearchParameter) -> bool:
    """Whether values of the parameter are identifiers, which may state a type."""
    return any(path.datatype == "Identifier" for path in parameter.paths)


def _typed_term(name: str, typed: Typed) -> str:
    code = typed.code if typed.system in _CASE_SENSITIVE_SYSTEMS else typed.code.casefold()
    form = "|".join(escape(part) for part in (typed.system, code, typed.value.casefold()))
    return term(f"{name}:of-type", form)


def _is_exact(parameter: SearchParameter) -> bool:
    return parameter.datatypes <= _EXACT and not ("code" in parameter.datatypes and is_mime_type(parameter))


def _asked_contact(text: str) -> str:
    """What is asked of a contact, as it is dialled; a plus that nobody encoded has come as a space."""
    return dialled(f"+{text[1:]}" if text.startswith(" ") else text)
