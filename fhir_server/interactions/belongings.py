"""What belongs to a person: all that goes when the person is purged, and who else refers to it.

A resource is about the person when its stamp says so: the person that it names, or a plan about the person. What names
nobody (a Provenance, a Binary) and refers to the person's chart, and to nobody else's, belongs to it as well. Whatever
else refers to it is outside: about somebody else, or about several.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from fhir_server.access.types import CHART, COORDINATION, TYPES
from fhir_server.fhir.errors import NotFound
from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import Reference, parse_reference, references_in
from fhir_server.interactions.gate.references import local
from fhir_server.interactions.words import Services
from fhir_server.store.purges import Purge
from fhir_server.store.values import Stored

WORKFLOW = tuple(sorted({"Patient", *(name for name, rule in TYPES.items() if rule.kind == COORDINATION)}))
"""The types that a purge takes away first, as one."""

_CARE = frozenset({CHART, COORDINATION})
_KEPT = tuple(sorted(set(TYPES) - {"AuditEvent"}))
_LINKING = tuple(each for each in _KEPT if each != "Binary")
_MOST_VERSIONS = 10_000

_Link: TypeAlias = tuple[str, str | None]
"""`Binary/id`, and the author of what links to it."""


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
        waiting = {name for name, each in new.items() if _is_about_nobody_else(each, person, plans, services)}
        outside |= new.keys() - waiting
        linked |= {link for name in waiting for link in _binaries(new[name], services)}
        if not waiting:  # all that refers is known, so that nothing of the chart is taken for a link from outside
            waiting, linked = _binaries_of_its_own(linked, found, services), set()
        found |= waiting
    return Belongings(
        person, tuple(sorted(plans)), frozenset(found), tuple(sorted(outside - found)), _words(known, services)
    )


def _plans(person: str, known: Stored | None, services: Services) -> set[str]:
    circles = {circle.plan for circle in services.store.circles_about(person)}
    return circles | {plan.id for plan in services.store.purges.lying(person, (), "CarePlan")}


def _lying(person: str, plans: Iterable[str], services: Services) -> tuple[set[str], set[_Link]]:
    """What lies in the person's chart and plans, and its links to Binaries."""
    found: set[str] = set()
    linked: set[_Link] = set()
    for type_name in _KEPT:
        for stored in services.store.purges.lying(person, sorted(plans), type_name):
            if stored.stamp.patient == person or _is_in_no_other(stored, plans):
                found.add(stored.reference)
                linked |= set(_binaries(stored, services))
    return found, linked


def _is_in_no_other(stored: Stored, plans: Iterable[str]) -> bool:
    return stored.stamp.patient is None and set(stored.stamp.plans) <= set(plans)


def _is_about_nobody_else(stored: Stored, person: str, plans: Iterable[str], services: Services) -> bool:
    kind = TYPES[stored.type].kind
    if (kind not in _CARE and stored.type != "Binary") or not _is_in_no_other(stored, plans):
        return False
    named = {target for _, text in references_in(stored.resource()) if (target := parse_reference(text))}
    return not any(_is_anothers(target, person, plans, services) for target in named)


def _is_anothers(target: Reference, person: str, plans: Iterable[str], services: Services) -> bool:
    """Whether a reference is to another person, or to what lies in another's chart or plan."""
    if target.type == "Patient":
        return f"Patient/{target.id}" != person
    if target.type not in TYPES or TYPES[target.type].kind not in _CARE:
        return False
    stored = services.store.read(target.type, target.id)
    return stored is not None and not (stored.stamp.patient == person or _is_in_no_other(stored, plans))


def _binaries(stored: Stored, services: Services) -> Iterator[_Link]:
    """The link to each attachment: its `Binary/id`, and who wrote it down."""
    if stored.deleted:
        return
    for url in _urls(stored.resource()):
        parsed = parse_reference(local(url, services.base_url))
        if parsed is not None and parsed.type == "Binary":
            yield str(parsed), stored.stamp.author


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


def _binaries_of_its_own(linked: set[_Link], found: set[str], services: Services) -> set[str]:
    """Of the Binaries that the chart links to, those whose own author linked to them here and nowhere else.

    A Binary is read by its author alone: by naming another's, nobody takes it away or keeps it.
    """
    known = {name: services.store.read("Binary", name.partition("/")[2]) for name, _ in linked if name not in found}
    candidates = {(name, stored.stamp.author) for name, stored in known.items() if stored} & linked
    ids = {name.partition("/")[2] for name, _ in candidates}
    elsewhere = {
        link
        for each in (services.store.purges.linking(ids, _LINKING) if ids else ())
        if each.reference not in found
        for link in _binaries(each, services)
    }
    return {name for name, _ in candidates - elsewhere}


def identifiers(patient: Resource) -> set[str]:
    """The identifiers that a Patient states, by which searches may have asked for it."""
    return {each["value"] for each in patient.get("identifier", []) if each.get("value")}


def _words(known: Stored | None, services: Services) -> tuple[str, ...]:
    if known is None:
        return ()
    versions = services.store.history(known.type, known.id, None, _MOST_VERSIONS)
    stated = [identifiers(version.resource()) for version in versions if not version.deleted]
    return tuple(sorted(set[str]().union(*stated)))
