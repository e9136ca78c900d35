"""What a search brings beside its matches: `_include` and `_revinclude`.

https://hl7.org/fhir/R4/search.html#include

A wildcard stands for every reference parameter of a type. Standing alone it also stands for the type: the searched
one, or with `_revinclude` and `:iterate` every type that may refer to what was found, AuditEvents left out.
"""

from collections.abc import Mapping

from fhir_server.definitions.search_parameters import SearchParameter, parameters_of
from fhir_server.definitions.structures import RESOURCE_TYPES
from fhir_server.search.clauses import NotServed, indexed
from fhir_server.search.query import Include

WILDCARD = "*"
_EVERY_TYPE = sorted(RESOURCE_TYPES - {"AuditEvent"})


def include(searched: str, text: str, *, iterate: bool) -> list[Include]:
    """The includes that `Task:focus[:ServiceRequest]`, `Task:*` or `*` stands for. Raises NotServed.

    Of another type than the searched one only with `iterate`, because matches are never of that type.
    """
    if text == WILDCARD and iterate:
        return [each for name in _EVERY_TYPE for each in include(searched, f"{name}:{WILDCARD}", iterate=True)]
    type_name, parameter, target = _parts(f"{searched}:{WILDCARD}" if text == WILDCARD else text)
    if type_name not in RESOURCE_TYPES or (type_name != searched and not iterate):
        raise NotServed(f"A search of {searched} cannot include {text!r}; it can include {_choice(searched)}.")
    served = _references(type_name)
    if parameter != WILDCARD and parameter not in served:
        raise NotServed(f"A search of {searched} cannot include {text!r}; it can include {_choice(type_name)}.")
    if target and parameter != WILDCARD and not served[parameter].may_point_to(target):
        targets = ", ".join(served[parameter].targets)
        raise NotServed(f"{type_name}:{parameter} does not refer to {target!r}, but to {targets}.")
    return [Include(type_name, code, target or None, iterate) for code in _meant(type_name, parameter, served)]


def revinclude(searched: str, text: str, *, iterate: bool) -> list[Include]:
    """The includes that `Provenance:target` or `Task:*` stands for, the other way round. Raises NotServed."""
    if text == WILDCARD:
        return [each for name in _EVERY_TYPE for each in revinclude(searched, f"{name}:{WILDCARD}", iterate=iterate)]
    type_name, parameter, target = _parts(text)
    if type_name not in RESOURCE_TYPES:
        raise NotServed(f"'_revinclude' takes TYPE:REFERENCE, such as Provenance:target, not {text!r}.")
    targets = [target] if target else sorted(RESOURCE_TYPES) if iterate else [searched]
    served = {
        code: each
        for code, each in _references(type_name).items()
        if any(each.may_point_to(possible) for possible in targets)
    }
    if parameter != WILDCARD and parameter not in served:
        choice = ", ".join(f"{type_name}:{code}" for code in served) or "nothing of this type"
        raise NotServed(f"No {text!r} refers to {target or searched}; it can be {choice}.")
    meant = _meant(type_name, parameter, served)
    return [Include(type_name, code, target or None, iterate, reverse=True) for code in meant]


def _meant(type_name: str, parameter: str, served: Mapping[str, SearchParameter]) -> list[str]:
    """The one parameter that is named, or with the wildcard all that are indexed. Raises NotYetIndexed."""
    if parameter == WILDCARD:
        return [code for code, each in served.items() if each.progress is None]
    return [indexed(type_name, served[parameter]).code]


def _parts(text: str) -> tuple[str, str, str]:
    type_name, parameter, target, *more = [*text.split(":"), "", ""]
    return type_name, "" if any(more) else parameter, target


def _references(type_name: str) -> dict[str, SearchParameter]:
    return {code: each for code, each in parameters_of(type_name).items() if each.type == "reference"}


def _choice(type_name: str) -> str:
    return ", ".join(f"{type_name}:{code}" for code in _references(type_name)) or "nothing"
