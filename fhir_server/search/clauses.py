"""One search parameter of a request becomes a Clause.

https://hl7.org/fhir/R4/search.html#modifiers
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from fhir_server.definitions.search_parameters import SearchParameter, parameters_of
from fhir_server.fhir.errors import MalformedRequest, NotYetIndexed
from fhir_server.fhir.outcome import Issue
from fhir_server.search.escaping import split
from fhir_server.search.hierarchy import PART_OF
from fhir_server.search.query import Clause, Together, Value
from fhir_server.search.terms import beginnings, has_beginnings
from fhir_server.search.types import age, date, near, number, quantity, reference, sound, string, token, uri

MODIFIERS: Mapping[str, tuple[str, ...]] = {
    "token": ("missing", "not", "text", "in", "not-in", "above", "below", "of-type"),
    "reference": ("missing", "identifier", "above", "below"),
    "date": ("missing",),
    "string": ("missing", "exact", "contains"),
    "age": ("missing",),
    "sound": ("missing",),
    "uri": ("missing", "above", "below"),
    "number": ("missing",),
    "quantity": ("missing",),
    "special": ("missing",),
    "composite": (),
}
"""The modifiers that are served; a reference also takes the name of a target type."""

MEMBERS = frozenset({"in", "not-in"})
"""The modifiers that ask for the codes of a value set: they go through another resource, see `joins.py`."""

_KEPT = frozenset({"not", "exact", "contains", "text", "above", "below"})
_ONLY_FOR: Mapping[str, Callable[[SearchParameter], bool]] = {
    "identifier": lambda parameter: not parameter.is_canonical,
    "above": lambda parameter: parameter.type == "uri" or stands_in_a_hierarchy(parameter),
    "below": lambda parameter: parameter.type == "uri" or has_beginnings(parameter) or stands_in_a_hierarchy(parameter),
    "text": token.has_words,
    "in": token.has_codes,
    "not-in": token.has_codes,
    "of-type": token.has_types,
}

MOST_VALUES = 10_000

_IN_NO_TEXT = re.compile("[\x00-\x1f\ud800-\udfff]")
_BOOLEANS = {"true": True, "false": False}


def stands_in_a_hierarchy(parameter: SearchParameter) -> bool:
    """Whether values of the parameter may stand above and below each other, as a stored resource says."""
    if parameter.type == "token":
        return token.has_codes(parameter) and not token.is_systemless(parameter)
    part_of = parameter.type == "reference" and not parameter.is_canonical
    return part_of and any(map(parameter.may_point_to, PART_OF))


class NotServed(MalformedRequest):
    """The request asks for something that this server does not have; a lenient search leaves it out."""

    def __init__(self, diagnostics: str = "", *, issues: list[Issue] | None = None) -> None:
        super().__init__(issues=issues or [Issue("not-supported", diagnostics)])


def modifier_refused(told: str) -> MalformedRequest:
    """The refusal of a modifier, by a lenient search as well: R4 has it so, for without it more would be found."""
    return MalformedRequest(issues=[Issue("not-supported", told)])


@dataclass(frozen=True)
class Asking:
    """What clauses are read against: the searched type, this server's address, the time for `ap`.

    `full_text` are the types whose words are kept.
    """

    type: str
    base_url: str
    moment: datetime | None = None
    full_text: frozenset[str] = frozenset()


_Reader: TypeAlias = Callable[[str, SearchParameter, str, Asking], Value]


def clause(asking: Asking, name: str, text: str) -> Clause:
    """`name` is a parameter's code with an optional modifier, `text` its alternatives joined by commas.

    Raises NotServed for an unknown parameter, MalformedRequest for an unknown modifier or a value that cannot be read,
    TooCostly for more ids than can be asked of any type.
    """
    code, _, modifier = name.partition(":")
    parameter = parameter_for(asking, name)
    _check_characters(name, text)
    if modifier == "missing":
        return Clause(code, parameter.type, (), missing=_boolean(name, text))
    parts = split(text, ",")
    if not all(parts):
        raise MalformedRequest(f"The search parameter {name!r} needs a value between its commas, it was {text!r}.")
    if len(parts) > MOST_VALUES:
        raise MalformedRequest(f"The search parameter {name!r} has more than {MOST_VALUES} values between its commas.")
    read = _READERS[parameter.type]
    values = tuple(read(part, parameter, modifier, asking) for part in parts)
    sound.check_ways(parameter, values)
    reference.check_ids(parameter, values)
    asked = Clause(code, parameter.type, values, modifier if modifier in _KEPT else None)
    if modifier == "below":
        beginnings(parameter, asked)  # refuses what is too long to be compared so
    return asked


def parameter_for(asking: Asking, name: str) -> SearchParameter:
    """The parameter that `name` means, which takes its modifier. Raises NotServed, MalformedRequest."""
    code, colon, modifier = name.partition(":")
    parameter = _parameter(asking.type, code, name)
    if colon:
        _check_modifier(parameter, modifier)
    return parameter


def value_of(asking: Asking, parameter: SearchParameter, text: str) -> Value:
    """One value without alternatives: commas mean nothing in it. Raises MalformedRequest."""
    _check_characters(parameter.code, text)
    return _READERS[parameter.type](text, parameter, "", asking)


def may_be_missing(parameter: SearchParameter) -> bool:
    """Whether a search may ask for what has no value of the parameter."""
    return "missing" in _served(parameter)


def of_component(component: SearchParameter, value: Value) -> Clause:
    """What a composite asks of one component."""
    return Clause(component.code, component.type, (value,))


def _parameter(type_name: str, code: str, name: str) -> SearchParameter:
    parameters = parameters_of(type_name)
    if code not in parameters:
        raise NotServed(f"{type_name} has no search parameter {code!r}; it has {', '.join(sorted(parameters))}.")
    return indexed(type_name, parameters[code])


def indexed(type_name: str, parameter: SearchParameter) -> SearchParameter:
    """The parameter itself. Raises NotYetIndexed, lest a search by it find less than there is."""
    if parameter.progress is not None:
        raise NotYetIndexed(
            f"The search parameter {parameter.code!r} of {type_name} is new: what was stored before is being indexed "
            f"by it, {parameter.progress} % so far. Search by it when all is.",
            rule="not-yet-indexed",
        )
    return parameter


def _served(parameter: SearchParameter) -> list[str]:
    return [each for each in MODIFIERS[parameter.type] if _ONLY_FOR.get(each, bool)(parameter)]


def _check_modifier(parameter: SearchParameter, modifier: str) -> None:
    served = _served(parameter)
    types = parameter.type == "reference" and modifier[:1].isupper() and parameter.may_point_to(modifier)
    if modifier not in served and not types:
        allowed = [f":{each}" for each in served]
        if parameter.type == "reference":
            target = "Patient" if "*" in parameter.targets else parameter.targets[0]
            allowed.append(f"a target type such as :{target}")
        told = f"it takes {', '.join(allowed) or 'none'}"
        raise modifier_refused(f"The search parameter {parameter.code!r} has no modifier {':' + modifier!r}; {told}.")


def _check_characters(name: str, text: str) -> None:
    if _IN_NO_TEXT.search(text):
        raise MalformedRequest(f"The value of the search parameter {name!r} holds a character that no text may have.")


def _boolean(name: str, text: str) -> bool:
    if text not in _BOOLEANS:
        raise MalformedRequest(f"{name!r} takes true or false, not {text!r}.")
    return _BOOLEANS[text]


def _token(text: str, parameter: SearchParameter, modifier: str, asking: Asking) -> Value:
    if modifier == "text":
        return string.parse(text, parameter)
    return token.parse_typed(text, parameter) if modifier == "of-type" else token.parse(text, parameter)


def _reference(text: str, parameter: SearchParameter, modifier: str, asking: Asking) -> Value:
    if modifier == "below":  # of a canonical: the url, with the beginning of a version
        return uri.parse(text, parameter)
    return reference.parse(text, parameter, base_url=asking.base_url, modifier=modifier or None)


def _date(text: str, parameter: SearchParameter, modifier: str, asking: Asking) -> Value:
    return date.parse(text, parameter, moment=asking.moment)


def _string(text: str, parameter: SearchParameter, modifier: str, asking: Asking) -> Value:
    return string.parse_exact(text) if modifier == "exact" else string.parse(text, parameter)


def _age(text: str, parameter: SearchParameter, modifier: str, asking: Asking) -> Value:
    return age.parse(text, parameter, moment=asking.moment)


def _simply(parse: Callable[[str, SearchParameter], Value]) -> _Reader:
    return lambda text, parameter, modifier, asking: parse(text, parameter)


def _composite(text: str, parameter: SearchParameter, modifier: str, asking: Asking) -> Value:
    """A value for each component; read once for all places, whose components are of the same types."""
    parts, components = split(text, "$"), parameter.parts[0].components
    if len(parts) != len(components) or not all(parts):
        kinds = "$".join(component.type.upper() for component in components)
        raise MalformedRequest(f"{text!r} is no value for {parameter.code!r}; write {kinds}.")
    values = (
        _READERS[component.type](part, component, "", asking) for part, component in zip(parts, components, strict=True)
    )
    return Together(tuple(values))


_READERS: Mapping[str, _Reader] = {
    "token": _token,
    "reference": _reference,
    "date": _date,
    "string": _string,
    "sound": _simply(sound.parse),
    "age": _age,
    "uri": _simply(uri.parse),
    "number": _simply(number.parse),
    "quantity": _simply(quantity.parse),
    "special": _simply(near.parse),
    "composite": _composite,
}
