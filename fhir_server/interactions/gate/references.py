"""References that a write brings: they must be relative, and point to what exists and the writer may read.

A check on an invisible reference answers as on an absent one.
"""

import re
from collections.abc import Callable, Set

from fhir_server.access.types import AUTHOR, TYPES
from fhir_server.definitions.structures import load
from fhir_server.fhir.json import Resource
from fhir_server.fhir.outcome import Issue
from fhir_server.fhir.reference import parse_reference, references_in, targets_in

_CONDITION = re.compile(r"[A-Za-z]+\?")
_ADDRESSES = ("http://", "https://", "urn:")
DELETED_BY_CLIENTS = frozenset(name for name, rule in TYPES.items() if rule.deletes == AUTHOR)


def local(reference: str, base_url: str) -> str:
    """An absolute reference to this server made relative; any other as it is."""
    return reference.removeprefix(f"{base_url}/")


def new_targets(resource: Resource, before: Resource | None) -> Set[str]:
    """The literal references of `resource` that `before` did not have."""
    return targets_in(resource) - targets_in(before)


def reference_issues(
    resource: Resource,
    new: Set[str],
    readable: Callable[[str], bool],
    base_url: str,
    *,
    existence: bool = True,
) -> list[Issue]:
    """What is wrong with the `new` references of `resource`.

    Without `existence` (the operator's import) they may name what does not exist, or not on this server.
    """
    elsewhere = sorted(reference for reference in new if not reference.startswith("#"))
    told = ((each, _what_is_wrong(local(each, base_url), readable, existence=existence)) for each in elsewhere)
    wrong = {reference: why for reference, why in told if why}
    return [
        Issue("not-found" if "no such" in wrong[reference] else "value", wrong[reference], path, "reference")
        for path, reference in (references_in(resource, resource["resourceType"]) if wrong else ())
        if reference in wrong
    ]


def _what_is_wrong(reference: str, readable: Callable[[str], bool], *, existence: bool) -> str | None:
    if not existence and _is_elsewhere(reference):
        return None
    if reference.startswith("urn:"):
        return (
            f"{reference} is no fullUrl here; so the entries of one transaction refer to each other, and nothing else."
        )
    parsed = parse_reference(reference)
    if parsed is None and _CONDITION.match(reference):
        return f"{reference!r} is a condition; it refers to what matches it in a transaction only. Write Type/id."
    if parsed is None:
        return f"{reference!r} is not a reference to this server; write it as Type/id, without query or parent steps."
    if parsed.type not in TYPES:
        return f"This server stores no resources of the type {parsed.type}."
    if existence and not readable(str(parsed)):
        return f"There is no such resource: {parsed}, or you may not read it."
    return None


def _is_elsewhere(reference: str) -> bool:
    """Whether a reference names what this server cannot have: at another address, or of a type that is not stored."""
    parsed = parse_reference(reference)
    if parsed is None:
        return reference.startswith(_ADDRESSES)
    return parsed.type not in TYPES and load().is_resource(parsed.type)


def turn_at(reference: str) -> str:
    """The guard at which who refers to `Type/id` takes turns with who deletes it."""
    return f"referred:{reference}"


def turns_at_targets(new: Set[str]) -> list[str]:
    """The guards of what is newly referred to, where clients may delete it.

    Other types are deleted by the operator alone; who refers to those, as nearly every write does, takes no turn.
    """
    targets = {str(found) for text in new if (found := parse_reference(text)) and found.type in DELETED_BY_CLIENTS}
    return [turn_at(target) for target in sorted(targets)]
