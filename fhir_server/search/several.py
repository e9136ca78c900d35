"""A search of several types at once: what the types have in common is asked of each of them.

https://hl7.org/fhir/R4/http.html#search
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import reduce
from typing import TypeAlias

from fhir_server.definitions.search_parameters import parameters_of
from fhir_server.fhir.errors import MalformedRequest
from fhir_server.fhir.outcome import Issue
from fhir_server.search.clauses import NotServed
from fhir_server.search.includes import INCLUDES
from fhir_server.search.joins import asks_through
from fhir_server.search.keys import compare_alike, sortable
from fhir_server.search.lists import held_by_all
from fhir_server.search.parse import BARE, contradictory, parse
from fhir_server.search.query import Include, Query
from fhir_server.search.shown import elements_named, shown_types
from fhir_server.search.words import IN_WORDS, kept_of_all

Pair: TypeAlias = tuple[str, str]
Pairs: TypeAlias = Sequence[Pair]

_ELEMENTS = "_elements"

MOST_CONTAINED = 8
"""How many types of contained resources one search may be for."""


def parse_several(
    type_names: Sequence[str],
    pairs: Pairs,
    *,
    base_url: str,
    default_count: int,
    max_count: int,
    lenient: bool = False,
    moment: datetime | None = None,
    patient: str | None = None,
    full_text: frozenset[str] = frozenset(),
) -> tuple[Query, ...]:
    """A Query of each type; see `search/parse.py` for what is asked and raised.

    All have the same includes and elements, each of which need only be one of some type; a list by its function leaves
    the types that it holds. Also raises MalformedRequest for parameters and sort keys that not all types have.
    """

    def queries(asked: Pairs, *, lenient: bool) -> tuple[Query, ...]:
        return tuple(
            parse(
                type_name,
                asked,
                base_url=base_url,
                default_count=default_count,
                max_count=max_count,
                lenient=lenient,
                moment=moment,
                patient=patient,
                full_text=full_text,
            )
            for type_name in type_names
        )

    type_names = held_by_all(type_names, pairs)
    shown = shown_types(type_names, _contained(pairs))
    brought, unknown = _brought(shown, [pair for pair in pairs if pair[0] in INCLUDES])
    named, unnamed = _named(shown, [pair for pair in pairs if pair[0] == _ELEMENTS])
    unknown |= unnamed
    pairs = [pair for pair in pairs if pair[0] not in INCLUDES and (pair[0] != _ELEMENTS or named is None)]
    issues = {pair: told for pair in pairs if (told := _not_common(type_names, *pair, full_text))} | unknown
    if issues and not lenient:
        raise MalformedRequest(issues=[Issue("not-supported", told) for told in issues.values()])
    common = [pair for pair in pairs if pair not in issues]
    skipped = {pair for query in queries(common, lenient=True) for pair in query.skipped} if lenient else set()
    found = queries([pair for pair in common if pair not in skipped], lenient=False)
    left_out = tuple(dict.fromkeys((*(pair for pair in pairs if pair in issues or pair in skipped), *unknown)))
    asked = tuple(replace(query, skipped=left_out, includes=brought, elements=named or ()) for query in found)
    if contradictions := contradictory(asked[0]):
        raise MalformedRequest(issues=contradictions)
    return asked


def _contained(pairs: Pairs) -> str | None:
    return next((text for name, text in pairs if name == "_contained" and text != "false"), None)


def _brought(type_names: Sequence[str], pairs: Pairs) -> tuple[tuple[Include, ...], dict[Pair, str]]:
    """The includes of the whole search, and of the other parameters why they cannot be."""
    brought: list[Include] = []
    issues: dict[Pair, str] = {}
    for name, text in pairs:
        try:
            brought += INCLUDES[name](type_names, text)
        except NotServed as refusal:
            issues[name, text] = str(refusal)
    return tuple(dict.fromkeys(brought)), issues


def _named(type_names: Sequence[str], pairs: Pairs) -> tuple[tuple[str, ...] | None, dict[Pair, str]]:
    """The elements of the whole search, and why others cannot be; None for `parse` to refuse what is given twice."""
    if len(pairs) > 1:
        return None, {}
    try:
        return tuple(name for _, text in pairs for name in elements_named(type_names, text)), {}
    except NotServed as refusal:
        return (), {pair: str(refusal) for pair in pairs}


def _not_common(type_names: Sequence[str], name: str, text: str, full_text: frozenset[str]) -> str | None:
    """Why not all of the types can be asked this; None when each may say for itself."""
    if name in IN_WORDS:
        return kept_of_all(name, type_names, full_text)
    if name == "_contained" and text != "false" and len(type_names) > MOST_CONTAINED:
        return f"With '_contained' name the types in '_type', at most {MOST_CONTAINED} of them."
    if name == "_sort":
        keys, served = [each.removeprefix("-") for each in text.split(",")], _sortable(type_names)
        wrong = next((key for key in keys if key not in served), None)
        return wrong and f"These types cannot be sorted together by {wrong!r}; they can by {', '.join(served)}."
    code, common = name.partition(":")[0], sorted(_common(type_names))
    if code in BARE or code in common or any(asks_through(each, name) for each in type_names):
        return None
    return f"Not all of these types have a search parameter {code!r}; they have in common {', '.join(common)}."


def _common(type_names: Sequence[str]) -> set[str]:
    return reduce(set.intersection, (set(parameters_of(each)) for each in type_names))


def _sortable(type_names: Sequence[str]) -> list[str]:
    """The parameters by which each type can be sorted, and whose values compare with each other."""
    first, *others = type_names
    return [
        code
        for code in sortable(first)
        if all(
            code in sortable(each) and compare_alike(parameters_of(each)[code], parameters_of(first)[code])
            for each in others
        )
    ]
