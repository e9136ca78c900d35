"""What a search brings beside its matches: `_include` and `_revinclude`.

https://hl7.org/fhir/R4/search.html#include

A wildcard stands for every reference parameter of a type. Standing alone it also stands for the type: those that are
searched, or with `_revinclude` and `:iterate` every type that may refer to what was found, AuditEvents left out.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from fhir_server.definitions.search_parameters import SearchParameter, parameters_of
from fhir_server.definitions.structures import RESOURCE_TYPES
from fhir_server.search.clauses import NotServed, indexed
from fhir_server.search.query import Include

WILDCARD = "*"
EVERY_TYPE = sorted(RESOURCE_TYPES - {"AuditEvent"})
_FEW = 3


def include(searched: Sequence[str], text: str, *, iterate: bool) -> list[Include]:
    """The includes that `Task:focus[:ServiceRequest]`, `Task:*` or `*` stands for. Raises NotServed.

    Of another type than the `searched` ones only with `iterate`, because matches are never of that type.
    """
    if text == WILDCARD:
        types = EVERY_TYPE if iterate else searched
        return [each for name in types for each in include(types, f"{name}:{WILDCARD}", iterate=iterate)]
    type_name, parameter, target = _parts(text)
    told = f"A search of {', '.join(searched)} cannot include {text!r}; it can include"
    if type_name not in RESOURCE_TYPES or (type_name not in searched and not iterate):
        raise NotServed(f"{told} {_choice(searched)}.")
    served = _references(type_name)
    if parameter != WILDCARD and parameter not in served:
        raise NotServed(f"{told} {_choice([type_name])}.")
    if target and parameter != WILDCARD and not served[parameter].may_point_to(target):
        targets = ", ".join(served[parameter].targets)
        raise NotServed(f"{type_name}:{parameter} does not refer to {target!r}, but to {targets}.")
    return [Include(type_name, code, target or None, iterate) for code in _meant(type_name, parameter, served)]


def revinclude(searched: Sequence[str], text: str, *, iterate: bool) -> list[Include]:
    """The includes that `Provenance:target` or `Task:*` stands for, the other way round. Raises NotServed."""
    if text == WILDCARD:
        return [each for name in EVERY_TYPE for each in revinclude(searched, f"{name}:{WILDCARD}", iterate=iterate)]
    type_name, parameter, target = _parts(text)
    if type_name not in RESOURCE_TYPES:
        told = f"'_revinclude' takes TYPE:REFERENCE, such as Provenance:target, not {text!r}"
        raise NotServed(f"{told}; the type can be {', '.join(EVERY_TYPE)}.")
    targets = [target] if target else sorted(RESOURCE_TYPES) if iterate else searched
    served = {
        code: each
        for code, each in _references(type_name).items()
        if any(each.may_point_to(possible) for possible in targets)
    }
    if parameter != WILDCARD and parameter not in served:
        choice = ", ".join(f"{type_name}:{code}" for code in served) or "nothing of this type"
        raise NotServed(f"No {text!r} refers to {target or ', '.join(searched)}; it can be {choice}.")
    meant = _meant(type_name, parameter, served)
    return [Include(type_name, code, target or None, iterate, reverse=True) for code in meant]


INCLUDES: Mapping[str, Callable[[Sequence[str], str], list[Include]]] = {
    f"{name}{how}": partial(read, iterate=bool(how))
    for name, read in (("_include", include), ("_revinclude", revinclude))
    for how in ("", ":iterate", ":recurse")
}
"""The parameters that bring something, each with what it reads for the types that are searched."""


def _meant(type_name: str, parameter: str, served: Mapping[str, SearchParameter]) -> list[str]:
    """The one parameter that is named, or with the wildcard all that are indexed. Raises NotYetIndexed."""
    if parameter == WILDCARD:
        return [code for code, each in served.items() if each.progress is None]
    return [indexed(type_name, served[parameter]).code]


def _parts(text: str) -> tuple[str, str, str]:
    type_name, parameter, target, *more = [*text.split(":"), "", ""]
    return type_name, "" if any(more) else parameter, target


def _references(type_name: str) -> dict[str, SearchParameter]:
    return {code: each for code, each in parameters_of(type_name).items() if each.leads_on}


def _choice(type_names: Sequence[str]) -> str:
    if len(type_names) > _FEW:
        return "what one of these refers to"
    return ", ".join(f"{name}:{code}" for name in type_names for code in _references(name)) or "nothing"
