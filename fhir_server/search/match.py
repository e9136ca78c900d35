"""The question of a Query asked of one resource in memory, as `store/mongo/search/queries.py` asks the database."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from fhir_server.definitions.search_parameters import SearchParameter, parameters_of
from fhir_server.fhir.json import Resource
from fhir_server.search.clauses import of_component
from fhir_server.search.containers import Inner, inner_of
from fhir_server.search.extract import search_values
from fhir_server.search.join_answers import conditions_of
from fhir_server.search.query import (
    AllOf,
    Amount,
    AnyOf,
    Clause,
    Condition,
    Contained,
    Join,
    Moment,
    Near,
    Not,
    Query,
    Sounds,
    Text,
    Together,
)
from fhir_server.search.terms import TERM_TYPES, asked_terms, beginnings
from fhir_server.search.texts import Wording, wording_of
from fhir_server.search.types import age, date, near, number, sound, string, token
from fhir_server.search.words import PHRASE, WORDS, says

Values = Mapping[str, Any]


def matches(query: Query, resource: Resource) -> bool:
    """Whether the resource is of the query's type and meets every clause; paging and sorting play no part."""
    if resource["resourceType"] != query.type:
        return False
    return holds_all(conditions_of(query), resource)


def holds_all(conditions: Sequence[Condition], resource: Resource) -> bool:
    """Whether the resource, which is no contained one, meets every condition."""
    asked = _Asked(resource)
    return all(_holds(each, asked) for each in conditions)


def contained_matches(condition: Contained, resource: Resource) -> Iterator[Resource]:
    """The resources inside of this one that the condition is about, and that meet it."""
    return (each.resource for each in _matches_among(inner_of(resource), condition))


class _Asked:
    """A resource that is asked, with what conditions need of it: worked out when one does."""

    def __init__(self, resource: Resource, inner: Inner | None = None) -> None:
        self.resource = resource
        self._inner = inner

    @cached_property
    def values(self) -> Values:
        return search_values(self.resource if self._inner is None else self._inner.seen)

    @cached_property
    def wording(self) -> Wording:
        return wording_of(self.resource) if self._inner is None else self._inner.wording

    @cached_property
    def inner(self) -> Sequence[Inner]:
        """What a chain leads to within the container: all that this one contains, or what it refers to beside it."""
        return inner_of(self.resource) if self._inner is None else self._inner.inner


def _matches_among(inner: Sequence[Inner], condition: Contained) -> Iterator[Inner]:
    for each in inner:
        if each.resource["resourceType"] == condition.type and set(condition.by) <= set(each.by):
            asked = _Asked(each.resource, each)
            if all(_holds(part, asked) for part in condition.conditions):
                yield each


def _holds(condition: Condition, asked: _Asked) -> bool:
    if isinstance(condition, AllOf):
        return all(_holds(each, asked) for each in condition.conditions)
    if isinstance(condition, AnyOf):
        return any(_holds(each, asked) for each in condition.conditions)
    if isinstance(condition, Not):
        return not _holds(condition.condition, asked)
    if isinstance(condition, Join):
        raise ValueError("a join is answered before it is asked")
    if isinstance(condition, Contained):
        return any(True for _ in _matches_among(asked.inner, condition))
    if condition.type == age.AGE:
        return _holds(age.meaning(condition), asked)
    if condition.type in {WORDS, PHRASE}:
        return says(condition, asked.wording)
    parameter = parameters_of(asked.resource["resourceType"])[condition.parameter]
    return _meets(parameter, condition, asked.resource, asked.values)


def _meets(parameter: SearchParameter, clause: Clause, resource: Resource, values: Values) -> bool:
    if clause.missing is not None:
        known = clause.parameter in _OF_THE_STORE or clause.parameter in values["has"]
        return known is not clause.missing
    if clause.parameter in _OF_THE_STORE:
        found = _OF_THE_STORE[clause.parameter](clause, resource)
    elif clause.type == "composite":
        found = _together(parameter, clause, values)
    else:
        found = _has_value(parameter, clause, values)
    return found is not (clause.modifier == "not")


def _is_it(clause: Clause, resource: Resource) -> bool:
    return resource.get("id") in token.ids_asked(clause.values)


def _was_updated(clause: Clause, resource: Resource) -> bool:
    updated = resource.get("meta", {}).get("lastUpdated")
    return updated is not None and _overlaps(clause, [date.last_updated(updated)])


_OF_THE_STORE: Mapping[str, Callable[[Clause, Resource], bool]] = {"_id": _is_it, "_lastUpdated": _was_updated}


def _together(parameter: SearchParameter, clause: Clause, values: Values) -> bool:
    """Whether at one place the components meet one alternative."""
    for part in parameter.parts:
        places = values.get("m", {}).get(part.kept, ()) if part.kept else (values,)
        for asked in clause.values:
            if isinstance(asked, Together) and any(
                all(
                    _has_value(component, of_component(component, value), place)
                    for component, value in zip(part.components, asked.values, strict=True)
                )
                for place in places
            ):
                return True
    return False


def _has_value(parameter: SearchParameter, clause: Clause, values: Values) -> bool:
    if clause.modifier == "text":
        return _said(parameter, clause, values)
    if clause.type in TERM_TYPES:
        return _has_term(parameter, clause, values.get("t", ()))
    if clause.type == "sound":
        return _sounds(parameter, clause, set(values.get("t", ())))
    return _BY_TYPE[clause.type](clause, values)


def _has_term(parameter: SearchParameter, clause: Clause, terms: Sequence[str]) -> bool:
    if not set(terms).isdisjoint(asked_terms(parameter, clause)):
        return True
    below = tuple(beginnings(parameter, clause)) if clause.modifier == "below" else ()
    return any(term.startswith(below) for term in terms) if below else False


def _sounds(parameter: SearchParameter, clause: Clause, terms: set[str]) -> bool:
    asked = (sound.asked_terms(parameter, each) for each in clause.values if isinstance(each, Sounds))
    return any(terms.issuperset(group) for groups in asked for group in groups)


def _said(parameter: SearchParameter, clause: Clause, values: Values) -> bool:
    folded = values.get("s", {}).get(f"{parameter.code}:text", {"f": []})["f"]
    return any(isinstance(asked, Text) and string.meets(None, asked, folded, []) for asked in clause.values)


def _in_time(clause: Clause, values: Values) -> bool:
    return _overlaps(clause, [(each["lo"], each["hi"]) for each in values.get("d", {}).get(clause.parameter, ())])


def _overlaps(clause: Clause, ranges: list[date.Range]) -> bool:
    return any(isinstance(asked, Moment) and date.meets(asked, lo, hi) for asked in clause.values for lo, hi in ranges)


def _in_words(clause: Clause, values: Values) -> bool:
    texts = values.get("s", {}).get(clause.parameter, {"f": [], "x": []})
    return any(
        isinstance(asked, Text) and string.meets(clause.modifier, asked, texts["f"], texts["x"])
        for asked in clause.values
    )


def _in_numbers(clause: Clause, values: Values) -> bool:
    return any(
        isinstance(asked, Amount) and asked.form in each.get("u", ("",)) and number.meets(asked, each["lo"], each["hi"])
        for each in values.get("n", {}).get(clause.parameter, ())
        for asked in clause.values
    )


def _in_reach(clause: Clause, values: Values) -> bool:
    place = values.get("g", {}).get(clause.parameter)
    return place is not None and any(isinstance(asked, Near) and near.meets(asked, place) for asked in clause.values)


_BY_TYPE: Mapping[str, Callable[[Clause, Values], bool]] = {
    "date": _in_time,
    "string": _in_words,
    "number": _in_numbers,
    "quantity": _in_numbers,
    "special": _in_reach,
}
