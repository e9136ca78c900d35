"""What an actor may see, as grants: a read asks whether one admits, a search asks the query AND any of them."""

from collections.abc import Sequence

from fhir_server.access.labels import cleared_for
from fhir_server.access.types import (
    CHART,
    COORDINATION,
    DEFINITION,
    DIRECTORY,
    PARTY_OWNED,
    SERVER_ONLY,
    TYPES,
    stamped_with_readers,
)
from fhir_server.fhir.actor import Actor
from fhir_server.search.grant import Grant

_KINDS_OPEN_TO_EVERYONE = frozenset({DIRECTORY, DEFINITION})


def needs_circles(type_name: str) -> bool:
    """Whether grants for the type depend on the circles that the actor is a member of."""
    return not stamped_with_readers(type_name) and TYPES[type_name].kind not in _KINDS_OPEN_TO_EVERYONE | {PARTY_OWNED}


def judged_by_custodian(type_name: str) -> bool:
    """Whether only who keeps a plan sees resources of the type that lie in it."""
    return TYPES[type_name].kind == SERVER_ONLY


def grants(actor: Actor, type_name: str, plans: Sequence[str] = (), *, custodian_of: Sequence[str] = ()) -> list[Grant]:
    """The reasons for which `actor` may see resources of a type; an empty list shows nothing.

    `plans` are the plans whose circles have the actor as a member now, `custodian_of` those that it is custodian of.
    """
    parties = actor.parties
    if not parties:
        return []
    if stamped_with_readers(type_name):
        return [Grant("admitted by the circle of the plan, or its author", readers=parties)]
    kind = TYPES[type_name].kind
    authored = Grant("its author", authors=parties)
    if kind in _KINDS_OPEN_TO_EVERYONE:
        return [Grant("open to every signed-in party", everyone=True)]
    if kind == PARTY_OWNED:
        return [authored]
    if kind == CHART:
        return [*_of_plans("member of the care team of a plan that it belongs to", plans, cleared_for(actor)), authored]
    return _of_plans("custodian of the plan that it tells of", custodian_of)


def glimpse(actor: Actor) -> list[Grant]:
    """The grant of whoever is asked for care and has not accepted yet, for Patients; it shows a part of them alone."""
    return [Grant("asked to care for the person", glimpses=actor.parties)] if actor.parties else []


def _of_plans(reason: str, plans: Sequence[str], labels: tuple[str, ...] = ()) -> list[Grant]:
    return [Grant(reason, plans=tuple(plans), labels=labels)] if plans else []


def is_circle_kind(type_name: str) -> bool:
    """Coordination and chart resources store the plans that they belong to."""
    return TYPES[type_name].kind in {COORDINATION, CHART}
