"""The comparisons of `_filter`: what each operator says of a search parameter, by the type of that.

https://hl7.org/fhir/R4/search_filter.html
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from fhir_server.definitions.search_parameters import SearchParameter
from fhir_server.fhir.errors import MalformedRequest
from fhir_server.search.clauses import Asking, NotServed, may_be_missing, parameter_for, value_of
from fhir_server.search.extract import OF_THE_STORE
from fhir_server.search.joins import join
from fhir_server.search.query import AllOf, Clause, Condition, Not
from fhir_server.search.words import words_condition

Making = Callable[[Asking, SearchParameter, str], Condition]


def compared(asking: Asking, parameter: SearchParameter, operator: str, value: str) -> Condition:
    """What `parameter operator value` says. Raises NotServed for an operator that the type of parameter does not have,
    MalformedRequest for a value that cannot be read."""
    if operator == "pr":
        return _present(parameter, value)
    served = _BY_TYPE[parameter.type]
    if operator not in served:
        allowed = [*served, *(["pr"] if may_be_missing(parameter) else ())]
        raise NotServed(
            f"{parameter.code!r} is a {parameter.declared_type} and has no {operator!r}; it has {', '.join(allowed)}"
        )
    return served[operator](asking, parameter, value)


def said(asking: Asking, parameter: str, operator: str, value: str) -> Condition:
    """What `_text co value` says, or `_content`: the words as these parameters take them. Raises as `compared`."""
    if operator != "co":
        raise NotServed(f"{parameter!r} asks for words and has no {operator!r}; it has co")
    return words_condition(parameter, asking, value)


def _present(parameter: SearchParameter, value: str) -> Condition:
    if not may_be_missing(parameter):
        raise NotServed(f"{parameter.code!r} is never asked whether it is there")
    if value not in {"true", "false"}:
        raise MalformedRequest(f"'pr' takes true or false, not {value!r}")
    return Clause(parameter.code, parameter.type, (), missing=value == "false")


def _equal(asking: Asking, parameter: SearchParameter, value: str) -> Condition:
    return Clause(parameter.code, parameter.type, (value_of(asking, parameter, value),))


def _unequal(same: Making) -> Making:
    """Has values, and none of them is the same."""

    def made(asking: Asking, parameter: SearchParameter, value: str) -> Condition:
        other = Not(same(asking, parameter, value))
        if parameter.code in OF_THE_STORE:
            return other
        return AllOf((Clause(parameter.code, parameter.type, (), missing=False), other))

    return made


def _prefixed(prefix: str) -> Making:
    def made(asking: Asking, parameter: SearchParameter, value: str) -> Condition:
        if value[:1].isalpha():  # a prefix of its own, or no number at all
            raise MalformedRequest(
                f"{parameter.code!r} is a {parameter.declared_type} and is not compared with {value!r}"
            )
        return Clause(parameter.code, parameter.type, (value_of(asking, parameter, f"{prefix}{value}"),))

    return made


def _overlapping(asking: Asking, parameter: SearchParameter, value: str) -> Condition:
    return _prefixed("ap")(replace(asking, moment=None), parameter, value)


def _worded(modifier: str | None) -> Making:
    def made(asking: Asking, parameter: SearchParameter, value: str) -> Condition:
        text = value_of(asking, parameter, value.replace("\\", "\\\\"))
        return Clause(parameter.code, parameter.type, (text,), modifier)

    return made


def _of_codes(modifier: str) -> Making:
    def made(asking: Asking, parameter: SearchParameter, value: str) -> Condition:
        name = f"{parameter.code}:{modifier}"
        parameter_for(asking, name)
        return join(asking, name, value.replace(",", "\\,"))

    return made


_RANGES = {prefix: _prefixed(prefix) for prefix in ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")}
_BY_TYPE: Mapping[str, Mapping[str, Making]] = {
    "string": {
        "eq": _worded("equal"),
        "ne": _unequal(_worded("equal")),
        "co": _worded("contains"),
        "sw": _worded(None),
        "ew": _worded("ends"),
        **{operator: _worded(operator) for operator in ("gt", "lt", "ge", "le")},
    },
    "token": {
        "eq": _equal,
        "ne": _unequal(_equal),
        "in": _of_codes("in"),
        "ni": _of_codes("not-in"),
        "ss": _of_codes("below"),
        "sb": _of_codes("above"),
    },
    "reference": {"eq": _equal, "ne": _unequal(_equal), "re": _equal},
    "sound": {"eq": _equal, "ne": _unequal(_equal)},
    "uri": {"eq": _equal, "ne": _unequal(_equal)},
    "date": {**_RANGES, "po": _overlapping},
    "age": _RANGES,
    "number": _RANGES,
    "quantity": _RANGES,
    "special": {"eq": _equal},
    "composite": {"eq": _equal},
}
"""The operators that each type of parameter has, `pr` beside them; each makes the condition for a value."""

OPERATORS = tuple(dict.fromkeys([*(operator for served in _BY_TYPE.values() for operator in served), "pr"]))
"""All operators."""
