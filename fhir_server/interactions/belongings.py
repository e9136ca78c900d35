"""What belongs to a person: all that goes when the person is purged, and who else refers to it.

A resource is about the person when its stamp says so: the person that it names, or a plan about the person. What names
nobody (a Provenance, a Binary) and refers to the person's chart belongs to it as well. Whatever else refers to it is
outside: about somebody else, or about several.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from fhir_server.access.types import CHART, COORDINATION, TYPES
from fhir_server.fhir.errors import NotFound
from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import parse_reference, references_in
from fhir_server.interactions.references import local
from fhir_server.interactions.words import Services
from fhir_server.store.purges import Purge
from fhir_server.store.values import Stored

WORKFLOW = tuple(sorted({"Patient", *(name for name, rule in TYPES.items() if rule.kind == COORDINATION)}))
"""The types that a purge takes away first, as one."""

_KEPT = tuple(sorted(set(TYPES) - {"AuditEvent"}))
_MOST_VERSIONS = 10_000


@dataclass(frozen=True)
class Belongings:
    """`Type/id` of all that belongs to the person, its plans, its identifiers, and what `outside` refers to it."""

    person: str
    plans: tuple[str, ...]
    references: frozenset[str]
    outside: tuple[str, ...]
    words: tuple[str, ...] = ()


def belongings(person: str, services: Services, purge: Purge | None = None) -> Belongings:
    """What belongs to `Patient/x`, or is left of it while its `purge` is under way. Raises NotFound."""
    parsed = parse_reference(person)
    named = parsed is not None and parsed.type == "Patient" and str(parsed) == person
    known = services.store.read("Patient", parsed.id) if parsed and named else None
    if known is None and purge is None:
        raise NotFound
    plans = _plans(person, known, services) | set(purge.plans if purge else ())
    found, linked = _lying(person, plans, services)
    found |= {person, *(services.store.purges.noted(person) if purge else ())}
    outside: set[str] = set()
    waiting = set(found)
    while waiting:
        refer = {each.reference: each for each in services.store.purges.referring(sorted(waiting), _KEPT)}
        new = {name: each for name, each in refer.items() if name not in found}
        waiting = {name for name, each in new.items() if _is_about_nobody_else(each, person, plans)}
        outside |= new.keys() - waiting
        linked |= {url for name in waiting for url in _binaries(new[name], services)}
        found |= waiting
    found |= _binaries_of_its_own(linked - found, found, services)
    return Belongings(
        person, tuple(sorted(plans)), frozenset(found), tuple(sorted(outside - found)), _words(known, services)
    )


def _plans(person: str, known: Stored | None, services: Services) -> set[str]:
    circles = {circle.plan for circle in services.store.circles_about(person)}
    return circles | {plan.id for plan in services.store.purges.lying(person, (), "CarePlan")}


def _lying(person: str, plans: Iterable[str], services: Services) -> tuple[set[str], set[str]]:
    """What lies in the person's chart and plans, and the Binaries that it links to."""
    found, linked = set(), set()
    for type_name in _KEPT:
        for stored in services.store.purges.lying(person, sorted(plans), type_name):
            if stored.stamp.patient == person or _is_in_no_other(stored, plans):
                found.add(stored.reference)
                linked |= set(_binaries(stored, services))
    return found, linked


def _is_in_no_other(stored: Stored, plans: Iterable[str]) -> bool:
    return stored.stamp.patient is None and set(stored.stamp.plans) <= set(plans)


def _is_about_nobody_else(stored: Stored, person: str, plans: Iterable[str]) -> bool:
    kind = TYPES[stored.type].kind
    if kind not in {CHART, COORDINATION} and stored.type != "Binary":
        return False
    others = {
        str(target)
        for _, text in references_in(stored.resource())
        if (target := parse_reference(text)) and target.type == "Patient"
    } - {person}
    return _is_in_no_other(stored, plans) and not others


def _binaries(stored: Stored, services: Services) -> Iterator[str]:
    """`Binary/id` of each attachment."""
    if stored.deleted:
        return
    for url in _urls(stored.resource()):
        parsed = parse_reference(local(url, services.base_url))
        if parsed is not None and parsed.type == "Binary":
            yield str(parsed)


def _urls(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, child in value.items():
            if name == "url" and isinstance(child, str):
                yield child
            else:
                yield from _urls(child)
    elif isinstance(value, list):
        for child in value:
            yield from _urls(child)


def _binaries_of_its_own(linked: Iterable[str], found: set[str], services: Services) -> set[str]:
    """Of the Binaries that the chart links to, those that no document outside of it links to as well."""
    candidates = set(linked)
    urls = [*candidates, *(f"{services.base_url}/{each}" for each in candidates)]
    shared = {
        binary
        for each in services.store.purges.linking(urls)
        if each.reference not in found
        for binary in _binaries(each, services)
    }
    return candidates - shared


def _words(known: Stored | None, services: Services) -> tuple[str, ...]:
    if known is None:
        return ()
    versions = services.store.history(known.type, known.id, None, _MOST_VERSIONS)
    resources: list[Resource] = [version.resource() for version in versions if not version.deleted]
    values = {each.get("value") for resource in resources for each in resource.get("identifier", [])}
    return tuple(sorted(value for value in values if value))
