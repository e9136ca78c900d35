"""Which elements of each type R4 counts to its summary, and which modify the meaning of the rest.

https://hl7.org/fhir/R4/search.html#summary

The table `summaries.json` is made by `tools/reduce_summaries.py`.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import msgspec

from fhir_server.definitions.structures import load


@cache
def summary_paths(type_name: str) -> frozenset[str]:
    """The paths of a type's own elements that its summary has: `status`, `link.other`, `value` for `value[x]`."""
    return frozenset(_table()[type_name]["summary"])


@cache
def needed_elements(type_name: str) -> frozenset[str]:
    """The elements without which the others could mislead: those that a type must have, and its modifiers."""
    required = {element.name for element in load().elements(type_name) if element.required}
    return frozenset({*required, *_table()[type_name]["modifiers"]})


@cache
def spelt(type_name: str) -> Mapping[str, str]:
    """The JSON names of a type's elements, each with the element's name: `effectivePeriod` is `effective`."""
    return {name: element.name for element in load().elements(type_name) for name in element.json_names()}


@cache
def _table() -> Mapping[str, Mapping[str, list[str]]]:
    packed = files(__package__).joinpath("summaries.json").read_bytes()
    return msgspec.json.decode(packed, type=dict[str, dict[str, list[str]]])
