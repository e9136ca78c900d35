"""The parameters of a search request become a Query.

https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from fhir_server.definitions.compartments import patient_compartment
from fhir_server.definitions.search_parameters import parameters_of
from fhir_server.definitions.structures import RESOURCE_TYPES
from fhir_server.fhir.errors import MalformedRequest, UnknownType
from fhir_server.fhir.outcome import Issue
from fhir_server.search.clauses import Asking, NotServed, clause, indexed, modifier_refused
from fhir_server.search.filters import filter_condition
from fhir_server.search.includes import INCLUDES
from fhir_server.search.join_answers import joins_in
from fhir_server.search.joins import asks_through, join
from fhir_server.search.keys import places_asked, sortable
from fhir_server.search.lists import by_function, current_list, names_a_person
from fhir_server.search.query import Clause, Condition, Query, Sort, Target, Token
from fhir_server.search.shown import elements_named, shown_types
from fhir_server.search.words import words_condition

DEFAULT_COUNT = 50
MAX_COUNT = 200
MOST_JOINS = 16
MOST_SORTS = 8

OF_FORM = frozenset({"_format", "_pretty"})
"""The parameters that say how an answer is written, not what is asked; every address takes these."""

_TOTALS = ("none", "estimate", "accurate")
_SUMMARIES = ("true", "text", "data", "count", "false")
_CONTAINED = ("true", "false", "both")
_CONTAINED_TYPES = ("container", "contained")
_MOST_DIGITS = 9
_REPEATING = INCLUDES.keys() | {"_sort"}


def parse(
    type_name: str,
    pairs: Sequence[tuple[str, str]],
    *,
    base_url: str,
    default_count: int = DEFAULT_COUNT,
    max_count: int = MAX_COUNT,
    lenient: bool = False,
    moment: datetime | None = None,
    patient: str | None = None,
    full_text: frozenset[str] = frozenset(),
) -> Query:
    """The Query that a request's parameters ask, in their order.

    `base_url` is this server's address, so that absolute references to it are known as its own; `moment` is the time
    that `ap` counts from, `patient` the id of the person in whose compartment is searched, `full_text` the types whose
    words are kept. Raises UnknownType, and MalformedRequest with an issue for each parameter, modifier, include or sort
    key that is not served and each value that cannot be read. With `lenient` what is not served is left out and stands
    in `Query.skipped`; a modifier that is not, and a value that cannot be read, are refused all the same.
    """
    if type_name not in RESOURCE_TYPES:
        raise UnknownType(type_name, RESOURCE_TYPES)
    query, issues = Query(type_name, count=min(default_count, max_count)), list[Issue]()
    if patient is not None:
        elsewhere = ("_contained", "true") in pairs and type_name not in patient_compartment()
        query = replace(query, any_of=() if elsewhere else in_compartment(type_name, patient))
    asking = Asking(type_name, base_url, moment, full_text)
    for name, text in sorted(pairs, key=_decided_later):
        try:
            query = _with(query, asking, name, text)
        except NotServed as refusal:
            query = replace(query, skipped=(*query.skipped, (name, text)))
            issues += [] if lenient else refusal.issues
        except MalformedRequest as refusal:
            issues += refusal.issues
    issues += [*_repeated(pairs), *contradictory(query)]
    issues = issues or _of_nobody(query, pairs)
    if issues:
        raise MalformedRequest(issues=issues)
    return replace(query, count=min(query.count, max_count))


def _decided_later(pair: tuple[str, str]) -> bool:
    """What contains the matches may be of any type, has the elements of that type, and brings what it refers to."""
    return pair[0] != "_contained"


def in_compartment(type_name: str, patient: str) -> tuple[Clause, ...]:
    """The clauses of which a resource in a person's compartment meets one. Raises MalformedRequest."""
    table = patient_compartment()
    if type_name not in table:
        raise MalformedRequest(f"{type_name} is not in the compartment of a Patient; {', '.join(table)} are.")
    target = Target(reference=f"Patient/{patient}")
    known = parameters_of(type_name)
    naming = tuple(Clause(indexed(type_name, known[code]).code, "reference", (target,)) for code in table[type_name])
    return (Clause("_id", "token", (Token(None, patient),)), *naming) if type_name == "Patient" else naming


def _with(query: Query, asking: Asking, name: str, text: str) -> Query:
    if name in OF_FORM:
        return query
    if name in CONTROLS:
        return CONTROLS[name](query, text)
    if name in SPECIAL:
        return _bounded(replace(query, filters=(*query.filters, SPECIAL[name](asking, text))), name)
    if by_function(name, text):
        return replace(query, filters=(*query.filters, current_list(asking, text)))
    if ":" in name and (code := name.partition(":")[0]) in BARE:
        raise modifier_refused(f"The search parameter {code!r} has no modifier {name.removeprefix(code)!r}.")
    if asks_through(query.type, name):
        return _bounded(replace(query, joins=(*query.joins, join(asking, name, text))), name)
    return replace(query, clauses=(*query.clauses, clause(asking, name, text)))


def _bounded(query: Query, name: str) -> Query:
    if len(joins_in(query)) > MOST_JOINS:
        raise MalformedRequest(f"A search has at most {MOST_JOINS} chains, _has and the like; {name!r} is one more.")
    return query


def _repeated(pairs: Sequence[tuple[str, str]]) -> list[Issue]:
    names = [name for name, _ in pairs if name in CONTROLS and name not in _REPEATING]
    repeated = sorted({name for name in names if names.count(name) > 1})
    return [Issue("invalid", f"The search parameter {name!r} may be given once.") for name in repeated]


def contradictory(query: Query) -> list[Issue]:
    """What of the answer is asked in two ways that cannot both be."""
    parameters = parameters_of(query.type)
    unplaced = not places_asked(query.clauses) and any(
        parameters[each.parameter].type == "special" for each in query.sort
    )
    rules = {
        "'_summary' and '_elements' each say what to leave out; give one of them.": (
            query.summary in {"true", "text", "data"} and query.elements
        ),
        "With '_summary=text' nothing can be included.": query.summary == "text" and query.includes,
        "Sorted by 'near' is only what is sought near a place; ask near=LATITUDE|LONGITUDE, too.": unplaced,
    }
    return [Issue("invalid", told) for told, broken in rules.items() if broken]


def _of_nobody(query: Query, pairs: Sequence[tuple[str, str]]) -> list[Issue]:
    """A list by its function is somebody's."""
    asked = any(by_function(name, text) for name, text in pairs if (name, text) not in query.skipped)
    if not asked or names_a_person(query):
        return []
    return [
        Issue("required", "A list by its function is that of a person: name one, such as 'patient=7', beside '_list'.")
    ]


def _count(query: Query, text: str) -> Query:
    if not (text.isascii() and text.isdigit()) or len(text) > _MOST_DIGITS:
        told = f"'_count' takes a whole number of at most {_MOST_DIGITS} digits, for what a page holds, not {text!r}."
        raise MalformedRequest(told)
    return replace(query, count=int(text)) if int(text) else replace(query, summary="count")


def _sort(query: Query, text: str) -> Query:
    """By what was said before, then by this."""
    known, served = parameters_of(query.type), sortable(query.type)
    asked = [(each.removeprefix("-"), each.startswith("-")) for each in text.split(",")]
    ways = {code: known[code].way for code, _ in asked if code in known}
    keys = [*query.sort, *(Sort(code, descending, ways.get(code, "")) for code, descending in asked)]
    for key in keys:
        if key.parameter not in served:
            raise NotServed(f"{query.type} cannot be sorted by {key.parameter!r}; it can by {', '.join(served)}.")
        indexed(query.type, known[key.parameter])
    if len(keys) > MOST_SORTS:
        raise MalformedRequest(f"'_sort' takes at most {MOST_SORTS} parameters, not {len(keys)}.")
    if len({key.parameter for key in keys}) < len(keys):
        raise MalformedRequest(f"'_sort' takes each parameter once, it was {text!r}.")
    return replace(query, sort=tuple(keys))


def _bringing(name: str, query: Query, text: str) -> Query:
    return replace(query, includes=(*query.includes, *INCLUDES[name](shown_types([query.type], query.contained), text)))


def _total(query: Query, text: str) -> Query:
    if text not in _TOTALS:
        raise NotServed(f"'_total' takes {', '.join(_TOTALS)}, not {text!r}.")
    return replace(query, total=text)


def _summary(query: Query, text: str) -> Query:
    if text not in _SUMMARIES:
        raise NotServed(f"'_summary' takes {', '.join(_SUMMARIES)}, not {text!r}.")
    return query if text == "false" or query.summary == "count" else replace(query, summary=text)


def _elements(query: Query, text: str) -> Query:
    return replace(query, elements=elements_named(shown_types([query.type], query.contained), text))


def _cursor(query: Query, text: str) -> Query:
    return replace(query, cursor=text)


def _contained(query: Query, text: str) -> Query:
    if text not in _CONTAINED:
        raise NotServed(f"'_contained' takes {', '.join(_CONTAINED)}, not {text!r}.")
    return query if text == "false" else replace(query, contained=text)


def _contained_type(query: Query, text: str) -> Query:
    if text not in _CONTAINED_TYPES:
        raise NotServed(f"'_containedType' takes {', '.join(_CONTAINED_TYPES)}, not {text!r}.")
    return replace(query, as_contained=text == "contained")


CONTROLS: Mapping[str, Callable[[Query, str], Query]] = {
    "_count": _count,
    "_sort": _sort,
    **{name: partial(_bringing, name) for name in INCLUDES},
    "_total": _total,
    "_summary": _summary,
    "_elements": _elements,
    "_cursor": _cursor,
    "_contained": _contained,
    "_containedType": _contained_type,
}
"""The parameters that say how to answer, each with what it changes in the Query."""


def _named_query(asking: Asking, text: str) -> Condition:
    """R4 has it refused always: whoever asks by a query that nobody knows must not be told of everything."""
    raise MalformedRequest(f"There is no query of the name {text!r}: this server has no '_query'.")


SPECIAL: Mapping[str, Callable[[Asking, str], Condition]] = {
    "_filter": filter_condition,
    "_text": partial(words_condition, "_text"),
    "_content": partial(words_condition, "_content"),
    "_query": _named_query,
}
"""The parameters that are a condition of any type rather than a value of one parameter."""

BARE = CONTROLS.keys() | SPECIAL.keys() | {"_list"}
"""The parameters that every type has and that have no modifiers but those that stand here with them."""
