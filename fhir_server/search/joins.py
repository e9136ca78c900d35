"""Parameters that ask through another resource: chains, `_has`, `_list`, value sets, and what stands above and below.

https://hl7.org/fhir/R4/search.html#chaining

Here they are read from a request; `join_answers.py` says what becomes of them.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from fhir_server.definitions.search_parameters import SearchParameter, parameters_of
from fhir_server.definitions.structures import RESOURCE_TYPES
from fhir_server.fhir.errors import MalformedRequest
from fhir_server.fhir.reference import parse_reference
from fhir_server.search.clauses import (
    MEMBERS,
    Asking,
    NotServed,
    clause,
    indexed,
    modifier_refused,
    parameter_for,
    stands_in_a_hierarchy,
)
from fhir_server.search.escaping import split
from fhir_server.search.hierarchy import DIRECTIONS, PART_OF
from fhir_server.search.join_answers import URL
from fhir_server.search.lists import LIST, by_function, current_list, items_of
from fhir_server.search.query import Clause, Join, Query, Target, Token, Value
from fhir_server.search.words import IN_WORDS, words_condition

MOST_LINKS = 8
MOST_TYPES = 8

_OF_ANY = frozenset({"_has", LIST})
_HAS = re.compile(r"_has:(?P<type>[A-Za-z]+):(?P<parameter>[A-Za-z0-9-]+):(?P<rest>.+)")
_CHAIN = re.compile(r"(?P<code>[A-Za-z0-9_-]+)(?::(?P<type>[A-Za-z]+))?\.(?P<rest>.+)")


def asks_through(type_name: str, name: str) -> bool:
    """Whether a parameter's name, of this type, asks through another resource."""
    code, _, modifier = name.partition(":")
    if modifier in DIRECTIONS and "." not in name:
        parameter = parameters_of(type_name).get(code)
        return parameter is not None and stands_in_a_hierarchy(parameter)
    return name.startswith("_has:") or name == LIST or "." in name or modifier in MEMBERS


def join(asking: Asking, name: str, text: str, links: int = 0) -> Join:
    """The join that a parameter asks. Raises NotServed, MalformedRequest."""
    if links >= MOST_LINKS:
        raise MalformedRequest(f"A search goes through at most {MOST_LINKS} resources one after another.")
    if name == LIST:
        return items_of(text)
    if name.startswith("_has:"):
        return _has(asking, name, text, links)
    if "." in name:
        return _chain(asking, name, text, links)
    return (_hierarchy if name.partition(":")[2] in DIRECTIONS else _members)(asking, name, text)


def _hierarchy(asking: Asking, name: str, text: str) -> Join:
    """Codes with their system, or references, that others stand above or below."""
    code, _, direction = name.partition(":")
    parameter = parameter_for(asking, name)
    plain = clause(asking, code, text)
    if parameter.type == "token":
        return Join(code, _code_systems(asking, name, plain), members=direction, values=plain.values)
    possible = [each for each in PART_OF if parameter.may_point_to(each)]
    types = {_place(name, value, possible) for value in plain.values}
    if len(types) > 1:
        raise MalformedRequest(f"{name!r} takes references to one type, not to {' and '.join(sorted(types))}.")
    place = types.pop()
    indexed(place, parameters_of(place)[PART_OF[place]])
    return Join(code, (Query(place),), members=direction, values=plain.values)


def _code_systems(asking: Asking, name: str, asked: Clause) -> tuple[Query, ...]:
    """The query of the CodeSystem of each value."""
    systems = [value.system if isinstance(value, Token) and value.code else None for value in asked.values]
    if not all(systems):
        raise MalformedRequest(f"{name!r} takes codes with their system, SYSTEM|CODE.")
    return tuple(Query("CodeSystem", (Clause("url", "uri", (Target(url=system),)),)) for system in systems)


def _place(name: str, value: Value, possible: Sequence[str]) -> str:
    literal = parse_reference(value.reference or "") if isinstance(value, Target) else None
    if literal is None or literal.version or literal.type not in possible:
        raise MalformedRequest(f"{name!r} takes references such as {' or '.join(f'{each}/1' for each in possible)}.")
    return literal.type


def _members(asking: Asking, name: str, text: str) -> Join:
    """The codes of a ValueSet that is named by its url, perhaps with a version, or as ValueSet/id."""
    parameter, modifier = parameter_for(asking, name), name.partition(":")[2]
    in_sets = replace(asking, type="ValueSet")
    text = text.removeprefix(f"{asking.base_url.rstrip('/')}/") if asking.base_url else text
    address = text.removeprefix("ValueSet/")
    if len(split(text, ",")) != 1 or not address.partition("|")[0]:
        raise MalformedRequest(f"{name!r} takes one value set, by its url or as ValueSet/id, not {text!r}.")
    if text.startswith("ValueSet/"):
        clauses = (clause(in_sets, "_id", address),)
    else:
        url, _, version = text.partition("|")
        clauses = (clause(in_sets, "url", url), *([clause(in_sets, "version", version)] if version else ()))
    return Join(parameter.code, (Query("ValueSet", clauses),), members=modifier)


def _has(asking: Asking, name: str, text: str, links: int) -> Join:
    match = _HAS.fullmatch(name)
    if match is None:
        raise MalformedRequest(
            f"{name!r} is no _has; write _has:TYPE:REFERENCE:PARAMETER, such as _has:Observation:patient:code."
        )
    other, code = match["type"], match["parameter"]
    if other not in RESOURCE_TYPES:
        others = [each for each in sorted(RESOURCE_TYPES) if _referring_codes(each, asking.type)]
        told = f"{name!r}: there is no type {other!r} here; {', '.join(others) or 'none'} refer to {asking.type}."
        raise NotServed(told)
    referring = _referring_codes(other, asking.type)
    if code not in referring:
        raise NotServed(
            f"{name!r}: no parameter {code!r} of {other} refers to {asking.type}; {', '.join(referring) or 'none'} do."
        )
    indexed(other, parameters_of(other)[code])
    return Join("_id", (_asked(replace(asking, type=other), match["rest"], text, links),), code)


def _chain(asking: Asking, name: str, text: str, links: int) -> Join:
    match = _CHAIN.fullmatch(name)
    parameters = parameters_of(asking.type)
    references = [code for code, each in parameters.items() if each.type == "reference"]
    if match is None or match["code"] not in references:
        begun = (
            f"chains begin with {', '.join(sorted(references))}"
            if references
            else "none of its parameters leads to another"
        )
        raise NotServed(f"{asking.type} has no chain {name!r}; {begun}.")
    parameter = indexed(asking.type, parameters[match["code"]])
    types = types_of_chain(parameter, match["type"], match["rest"], name, asking.full_text)
    queries = tuple(_asked(replace(asking, type=each), match["rest"], text, links) for each in types)
    return Join(match["code"], queries)


def types_of_chain(
    parameter: SearchParameter, stated: str | None, rest: str, name: str, full_text: frozenset[str] = frozenset()
) -> list[str]:
    """The types that a chain leads to: the one that is stated, or those that have what follows. Raises NotServed,
    MalformedRequest.

    What follows may be words, of the types in `full_text`.
    """
    possible = [each for each in sorted(RESOURCE_TYPES) if _refers(parameter, each)]
    refers = f"it refers to {', '.join(possible) or 'nothing that is stored here'}"
    if stated is not None:
        if stated not in possible:
            raise modifier_refused(f"{name!r}: {parameter.code!r} does not refer to {stated!r} here; {refers}.")
        return [stated]
    code = re.split(r"[.:]", rest, maxsplit=1)[0]
    having = [
        each
        for each in possible
        if code in parameters_of(each) or code in _OF_ANY or (code in IN_WORDS and each in full_text)
    ]
    if not having:
        raise NotServed(
            f"{name!r}: nothing that {parameter.code!r} refers to has a search parameter {code!r}; {refers}."
        )
    if len(having) > MOST_TYPES:
        raise MalformedRequest(
            f"{name!r} leads to {len(having)} types; name the one you mean, as in {parameter.code}:{having[0]}.{rest}."
        )
    return having


def _asked(asking: Asking, name: str, text: str, links: int) -> Query:
    """The query of one type for one parameter, which may go on through others."""
    if by_function(name, text):
        return Query(asking.type, filters=(current_list(asking, text),))
    if name in IN_WORDS:
        return Query(asking.type, filters=(words_condition(name, asking, text),))
    if asks_through(asking.type, name):
        return Query(asking.type, joins=(join(asking, name, text, links + 1),))
    return Query(asking.type, (clause(asking, name, text),))


def _referring_codes(other: str, type_name: str) -> list[str]:
    """The parameters of the other type that refer to this one."""
    return [each.code for each in parameters_of(other).values() if _refers(each, type_name)]


def _refers(parameter: SearchParameter, type_name: str) -> bool:
    named = not parameter.is_canonical or URL in parameters_of(type_name)
    return parameter.type == "reference" and parameter.may_point_to(type_name) and named
