"""The one question that the rest of the house asks: what is wrong with this resource?"""

from typing import Any

from fhir_server.definitions.structures import MESSAGE_TYPES, RESOURCE_TYPES, load
from fhir_server.fhir.outcome import Issue
from fhir_server.validation.findings import Finding, quoted
from fhir_server.validation.invariants import INVARIANTS
from fhir_server.validation.structure import Compiler

CHECKED_TYPES = RESOURCE_TYPES | MESSAGE_TYPES
DEEPEST = 100
MOST_ISSUES = 200


class Validator:
    """Checks resources against R4 4.0.1; one instance per process, checks of a type are compiled on first use."""

    def __init__(self) -> None:
        self._compiler = Compiler(load(), INVARIANTS)

    def check(self, resource: Any) -> list[Issue]:
        """All errors of a decoded resource, each with its element path; an empty list means that it is valid.

        Numbers with a fraction are expected as Decimal. Codes of issues: structure, required, value, code-invalid,
        invariant, not-supported; `rule` is the key of the invariant in R4. Invariants of an element are judged when its
        own structure is clean. After 200 issues the rest are counted, not listed. The resource is never changed.
        """
        type_name = resource.get("resourceType") if isinstance(resource, dict) else None
        if isinstance(type_name, str) and type_name not in CHECKED_TYPES:
            text = f"{quoted(type_name)} must be a resource type that this server supports."
            return [Issue("value", text, "resourceType")]
        if _depth(resource) > DEEPEST:
            text = f"The resource must not be nested deeper than {DEEPEST} levels."
            return [Issue("structure", text, type_name if isinstance(type_name, str) else None)]
        return _issues(type_name, self._compiler.resource(resource))


def _issues(type_name: Any, found: list[Finding]) -> list[Issue]:
    root = type_name if isinstance(type_name, str) else ""
    issues = [Issue(f.code, f.text, (root + f.path).lstrip(".") or None, f.rule) for f in found[:MOST_ISSUES]]
    if len(found) > MOST_ISSUES:
        issues.append(Issue("structure", f"There are {len(found) - MOST_ISSUES} more errors.", root or None))
    return issues


def _depth(value: Any) -> int:
    """How deep objects and arrays are nested, counted level by level, stopping beyond what is allowed."""
    depth, level = 0, [value]
    while level and depth <= DEEPEST:
        level = [
            child
            for item in level
            for child in (item.values() if type(item) is dict else item if type(item) is list else ())
            if type(child) is dict or type(child) is list
        ]
        depth += 1
    return depth
