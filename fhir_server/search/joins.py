"""Parameters that ask through another resource: chains, `_has`, `_list`, value sets, and what stands above and below.

https://hl7.org/fhir/R4/search.html#chaining

A Join is answered in two steps: its own queries first, each under the asker's grants for their type, then the clause
that what they found makes. `joined` puts these clauses beside the others, so that the database and the memory are only
asked plain clauses.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from fhir_server.definitions.search_parameters import SearchParameter, parameters_of
from fhir_server.definitions.structures import RESOURCE_TYPES
from fhir_server.fhir.errors import MalformedRequest
from fhir_server.fhir.reference import parse_reference
from fhir_server.search.clauses import MEMBERS, Asking, NotServed, clause, indexed, parameter_for, stands_in_a_hierarchy
from fhir_server.search.hierarchy import DIRECTIONS, PART_OF
from fhir_server.search.lists import LIST, by_function, current_list, items_of
from fhir_server.search.query import AllOf, AnyOf, Clause, Condition, Contained, Join, Not, Query, Target, Token, Value
from fhir_server.search.words import IN_WORDS, words_condition

MOST_LINKS = 8
MOST_TYPES = 8

URL = "url"
"""The parameter by which resources are found that have a canonical url."""

_OF_ANY = frozenset({"_has", LIST})
_HAS = re.compile(r"_has:(?P<type>[A-Za-z]+):(?P<parameter>[A-Za-z0-9-]+):(?P<rest>.+)")
_CHAIN = re.compile(r"(?P<code>[A-Za-z0-9_-]+)(?::(?P<type>[A-Za-z]+))?\.(?P<rest>.+)")

Seek = Callable[[Query, str | None], Sequence[str]]
"""What a query finds, as `Type/id`; or what these refer to by the parameter that is named, urls included."""
Members = Callable[[Join], Sequence[Value]]
Inside = Callable[[str, Query], Sequence[Condition] | None]
"""What a query asks, when resources of the type may contain what it finds; else None."""


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
    return (_standing if name.partition(":")[2] in DIRECTIONS else _members)(asking, name, text)


def joined(query: Query, seek: Seek, members: Members, inside: Inside = lambda type_name, query: None) -> Query:
    """`query` with the clauses that its joins make, those in its filters in their places.

    `members(join)` says the values that a join with members stands for.
    """

    def answer(asked: Join) -> Condition:
        if asked.members:
            return _of_members(asked, members)
        if asked.linked is not None:
            return _referred(asked, query.type, seek)
        within = ((sub.type, inside(query.type, sub)) for sub in asked.queries)
        contained = (Contained(name, tuple(said), (asked.parameter,)) for name, said in within if said is not None)
        elsewhere = _referring(asked, query.type, seek)
        return AnyOf(found) if len(found := (elsewhere, *contained)) > 1 else elsewhere

    filtered = tuple(_with_answers(each, answer) for each in query.filters)
    return replace(query, joined=tuple(map(answer, query.joins)), filtered=filtered)


def joins_in(query: Query) -> list[Join]:
    """The joins of a query, those in its filters included, however deep."""
    return [*query.joins, *(join for each in query.filters for join in _joins_of(each))]


def conditions_of(query: Query) -> tuple[Condition, ...]:
    """All that a query asks, its joins answered. Raises ValueError when they are not: never ask less."""
    filters = query.filtered or query.filters
    if len(query.joins) != len(query.joined) or any(_joins_of(each) for each in filters):
        raise ValueError("the joins of this query are not answered")
    about = (AnyOf(query.any_of),) if query.any_of else ()
    return (*query.clauses, *query.joined, *filters, *about)


def _joins_of(condition: Condition) -> list[Join]:
    if isinstance(condition, AllOf | AnyOf | Contained):
        return [join for each in condition.conditions for join in _joins_of(each)]
    if isinstance(condition, Not):
        return _joins_of(condition.condition)
    return [condition] if isinstance(condition, Join) else []


def _with_answers(condition: Condition, answer: Callable[[Join], Condition]) -> Condition:
    if isinstance(condition, AllOf | AnyOf):
        return replace(condition, conditions=tuple(_with_answers(each, answer) for each in condition.conditions))
    if isinstance(condition, Not):
        return Not(_with_answers(condition.condition, answer))
    return answer(condition) if isinstance(condition, Join) else condition


def _referring(asked: Join, type_name: str, seek: Seek) -> Condition:
    """Refers to what the queries find: by address, a canonical also by url."""
    found = [Target(reference=each) for sub in asked.queries for each in seek(sub, None)]
    if parameters_of(type_name)[asked.parameter].is_canonical:
        found += [Target(url=each) for sub in asked.queries for each in seek(sub, _url_of(sub.type))]
    return Clause(asked.parameter, "reference", tuple(dict.fromkeys(found)))


def _referred(asked: Join, type_name: str, seek: Seek) -> Condition:
    """Is referred to by what the query finds: by address, in a canonical also by url."""
    [sub] = asked.queries
    found = dict.fromkeys(seek(sub, asked.linked))
    own = tuple(Token(None, each.partition("/")[2]) for each in found if each.startswith(f"{type_name}/"))
    by_id = Clause("_id", "token", own)
    if not parameters_of(sub.type)[asked.linked or ""].is_canonical:
        return by_id
    urls = tuple(Target(url=each) for each in found if ":" in each)
    return AnyOf((by_id, Clause(_url_of(type_name), "uri", urls)))


def _url_of(type_name: str) -> str:
    """The parameter of the canonical url. Raises NotYetIndexed."""
    return indexed(type_name, parameters_of(type_name)[URL]).code


def _of_members(asked: Join, members: Members) -> Clause:
    kind = "reference" if asked.queries[0].type in PART_OF else "token"
    return Clause(asked.parameter, kind, tuple(members(asked)), "not" if asked.members == "not-in" else None)


def _standing(asking: Asking, name: str, text: str) -> Join:
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
    if text.startswith("ValueSet/"):
        clauses = (clause(in_sets, "_id", text.removeprefix("ValueSet/")),)
    else:
        url, _, version = text.partition("|")
        clauses = (clause(in_sets, "url", url), *([clause(in_sets, "version", version)] if version else ()))
    if any(len(each.values) != 1 for each in clauses):
        raise MalformedRequest(f"{name!r} takes one value set, not {text!r}.")
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
        raise NotServed(f"{asking.type} has no chain {name!r}; chains begin with {', '.join(sorted(references))}.")
    parameter = indexed(asking.type, parameters[match["code"]])
    types = types_of_chain(parameter, match["type"], match["rest"], name, asking.full_text)
    queries = tuple(_asked(replace(asking, type=each), match["rest"], text, links) for each in types)
    return Join(match["code"], queries)


def types_of_chain(
    parameter: SearchParameter, stated: str | None, rest: str, name: str, full_text: frozenset[str] = frozenset()
) -> list[str]:
    """The types that a chain leads to: the one that is stated, or those that have what follows. Raises NotServed.

    What follows may be words, of the types in `full_text`.
    """
    possible = [each for each in sorted(RESOURCE_TYPES) if _refers(parameter, each)]
    refers = f"it refers to {', '.join(possible) or 'nothing that is stored here'}"
    if stated is not None:
        if stated not in possible:
            raise NotServed(f"{name!r}: {parameter.code!r} does not refer to {stated!r} here; {refers}.")
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
