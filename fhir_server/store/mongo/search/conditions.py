"""The conditions of one clause on the values of a document, over the fields that `search/extract.py` describes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fhir_server.definitions.search_parameters import SearchParameter, parameters_of
from fhir_server.search.clauses import of_component
from fhir_server.search.extract import OF_THE_STORE
from fhir_server.search.keys import LAST_TEXT, missing_key
from fhir_server.search.query import Amount, Clause, Moment, Near, Sounds, Target, Text, Together, Token
from fhir_server.search.terms import TERM_TYPES, asked_terms, beginnings
from fhir_server.search.types import near, number, sound, token
from fhir_server.store.mongo.logic import NOTHING, OPERATORS, Filter, both, either
from fhir_server.store.mongo.patterns import beginning, containing, ending
from fhir_server.store.mongo.search.times import dated, narrowed, updated


def clause_conditions(type_name: str, clause: Clause, keys: frozenset[str]) -> list[Filter]:
    """The conditions of one clause: what decides, and what an index can use beside it; `keys` have one."""
    parameter = parameters_of(type_name)[clause.parameter]
    if clause.missing is not None:
        return _missing(parameter, clause, keys)
    if parameter.code == "_id":
        return [{"_id": {_membership(clause): token.ids_asked(clause.values)}}]
    if parameter.code == "_lastUpdated":
        return [either([updated(value) for value in clause.values if isinstance(value, Moment)])]
    if clause.type == "composite":
        return [either([_together(parameter, value) for value in clause.values if isinstance(value, Together)])]
    return _of_values(parameter, clause, keys)


def _of_values(parameter: SearchParameter, clause: Clause, keys: frozenset[str]) -> list[Filter]:
    """The conditions on the values of a resource, or of a place in it; `keys` have an index."""
    if clause.modifier == "text":
        return [_said(parameter, clause)]
    if clause.modifier == "below":
        return [_below(parameter, clause)]
    if clause.type in TERM_TYPES:
        return _termed(parameter, clause, keys)
    if clause.type == "date":
        return [dated(parameter, clause), *(narrowed(parameter, clause) if parameter.code in keys else ())]
    return [_BY_TYPE[clause.type](parameter, clause)]


def _together(parameter: SearchParameter, asked: Together) -> Filter:
    """At one place each component has its value."""
    places = []
    for part in parameter.parts:
        conditions = both(
            *(
                condition
                for component, value in zip(part.components, asked.values, strict=True)
                for condition in _of_values(component, of_component(component, value), frozenset())
            )
        )
        places.append({f"m.{part.kept}": {"$elemMatch": conditions}} if part.kept else conditions)
    return either(places)


def _said(parameter: SearchParameter, clause: Clause) -> Filter:
    asked = [value.folded for value in clause.values if isinstance(value, Text)]
    return either([{f"s.{parameter.code}:text.f": beginning(folded)} for folded in asked])


def _below(parameter: SearchParameter, clause: Clause) -> Filter:
    beginnings_of = [{"t": beginning(each)} for each in beginnings(parameter, clause)]
    return either([{"t": {"$in": asked_terms(parameter, clause)}}, *beginnings_of])


def _membership(clause: Clause) -> str:
    return "$nin" if clause.modifier == "not" else "$in"


def _termed(parameter: SearchParameter, clause: Clause, keys: frozenset[str]) -> list[Filter]:
    """By the terms, or by the key where an index has it; a reference by both, so that either index can serve."""
    terms = {"t": {_membership(clause): asked_terms(parameter, clause)}}
    asked = _asked_keys(parameter, clause) if parameter.code in keys else None
    if asked is None:
        return [terms]
    key = f"k.{parameter.code}.lo"
    if clause.modifier == "not":
        others = [code for code in parameter.codes if code not in asked]
        return [{key: {"$in": [*others, LAST_TEXT]} if parameter.codes else {"$nin": asked}}]
    return [{key: {"$in": asked}}, *([terms] if clause.type == "reference" else ())]


def _asked_keys(parameter: SearchParameter, clause: Clause) -> list[str] | None:
    """The keys that say the same as the asked values; None when only the terms can."""
    keys = [_KEY_READERS[parameter.type](parameter, value) for value in clause.values]
    return None if None in keys else [each for found in keys if found for each in found]


def _code_key(parameter: SearchParameter, value: Any) -> list[str] | None:
    plain = isinstance(value, Token) and value.system in {None, "", parameter.system} and token.is_scalar(parameter)
    return [value.code] if plain and value.code else None


def _address_key(parameter: SearchParameter, value: Any) -> list[str] | None:
    if not isinstance(value, Target) or value.identifier or value.id or "/_history/" in (value.reference or ""):
        return None
    return [address for address in (value.reference, value.url) if address]


def _no_key(parameter: SearchParameter, value: Any) -> list[str] | None:
    return None


_KEY_READERS: Mapping[str, Callable[[SearchParameter, Any], list[str] | None]] = {
    "token": _code_key,
    "reference": _address_key,
    "uri": _no_key,
}


def _missing(parameter: SearchParameter, clause: Clause, keys: frozenset[str]) -> list[Filter]:
    """By what a resource has; where an index has the key, also by the key of what has none. All have what the store
    gives them."""
    if parameter.code in OF_THE_STORE:
        return [NOTHING if clause.missing else {}]
    if not clause.missing:
        return [{"has": parameter.code}]
    last = missing_key(parameter)["lo"]
    # A range, though nothing lies beyond: what is equal could not be read in the order of this key.
    narrower = [{f"k.{parameter.code}.lo": {"$gte": last}}] if parameter.code in keys else []
    return [{"has": {"$ne": parameter.code}}, *narrower]


def _worded(parameter: SearchParameter, clause: Clause) -> Filter:
    return either([_texts(parameter, clause.modifier, value) for value in clause.values if isinstance(value, Text)])


def _texts(parameter: SearchParameter, modifier: str | None, asked: Text) -> Filter:
    if modifier == "exact":
        return {f"s.{parameter.code}.x": asked.asked}
    if modifier == "equal":
        return {f"s.{parameter.code}.f": asked.folded}
    if modifier in OPERATORS:
        return {f"s.{parameter.code}.f": {OPERATORS[modifier]: asked.folded}}
    pattern = _PATTERNS.get(modifier or "", beginning)
    return {f"s.{parameter.code}.f": pattern(asked.folded)}


_PATTERNS: Mapping[str, Callable[[str], Filter]] = {"contains": containing, "ends": ending}


def _sounding(parameter: SearchParameter, clause: Clause) -> Filter:
    asked = (sound.asked_terms(parameter, value) for value in clause.values if isinstance(value, Sounds))
    return either([{"t": {"$all": group}} for groups in asked for group in groups])


def _amounts(parameter: SearchParameter, clause: Clause) -> Filter:
    return either(
        [
            {f"n.{parameter.code}": {"$elemMatch": {**_unit(parameter, asked), **_bounds(asked, together)}}}
            for asked in clause.values
            if isinstance(asked, Amount)
            for together in number.PREFIXES[asked.prefix]
        ]
    )


def _unit(parameter: SearchParameter, asked: Amount) -> Filter:
    return {"u": asked.form} if parameter.type == "quantity" else {}


def _bounds(asked: Amount, together: Sequence[number.Comparison]) -> Filter:
    edges = {"start": asked.start, "end": asked.end, "value": asked.value}
    return {bound: {OPERATORS[compare]: edges[edge]} for bound, compare, edge in together}


def _within_reach(parameter: SearchParameter, clause: Clause) -> Filter:
    return either(
        [
            {f"g.{parameter.code}": {"$geoWithin": {"$centerSphere": _circle(asked)}}}
            for asked in clause.values
            if isinstance(asked, Near)
        ]
    )


def _circle(asked: Near) -> list[Any]:
    return [[asked.longitude, asked.latitude], asked.km / near.EARTH_KM]


_BY_TYPE: Mapping[str, Callable[[SearchParameter, Clause], Filter]] = {
    "string": _worded,
    "number": _amounts,
    "quantity": _amounts,
    "sound": _sounding,
    "special": _within_reach,
}
