"""How a reading is told in the audit: one event, or one for each custodian, so that none reads of another's plans."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from fhir_server.audit.events import Occurrence, audit_event
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.json import Resource
from fhir_server.interactions.words import Answer, Interaction, Services
from fhir_server.search.grant import Stamp
from fhir_server.store.contract import Circle, Stored

_NO_PLAN = ""


def tellings(
    interaction: Interaction, actor: Actor, services: Services, answer: Answer
) -> list[tuple[Resource, Stamp]]:
    """The AuditEvents of an answered reading, each with the stamp that says which custodians may read it.

    Whoever keeps a plan reads what happened in it. A page over the plans of several custodians is told to each of
    them by itself, without the question, which may name another's person; the whole of it is kept for whoever keeps
    the database. A plan whose custodian still waits for the person's consent stands alone.
    """
    groups = _groups(answer.disclosed, services)
    if len(groups) <= 1:
        return [_telling(interaction, actor, services, answer, answer.disclosed)]
    whole, _ = _telling(interaction, actor, services, answer, answer.disclosed)
    apart = replace(answer, query=None)
    return [(whole, Stamp()), *(_telling(interaction, actor, services, apart, group) for group in groups)]


def _groups(disclosed: Sequence[Stored], services: Services) -> list[Sequence[Stored]]:
    plans = sorted({plan for stored in disclosed for plan in stored.stamp.plans})
    if len(plans) <= 1 and all(stored.stamp.plans or stored.stamp.audience == "everyone" for stored in disclosed):
        return [disclosed] if disclosed else []
    keeper = {circle.plan: _keeper(circle, services) for circle in services.reading.circles_in(plans)}
    groups: dict[tuple[str, ...], list[Stored]] = defaultdict(list)
    for stored in disclosed:
        groups[_key(stored, keeper)].append(stored)
    return list(groups.values())


def _keeper(circle: Circle, services: Services) -> str:
    """The custodian, when the circle admits it now; else the plan itself, so that it is told alone."""
    moment = services.clock()
    admitted = any(r.party == circle.custodian and r.start <= moment < r.until for r in circle.members)
    return circle.custodian if admitted else circle.plan


def _key(stored: Stored, keeper: dict[str, str]) -> tuple[str, ...]:
    return tuple(sorted({keeper.get(plan, plan) for plan in stored.stamp.plans})) or (_NO_PLAN,)


def _telling(
    interaction: Interaction, actor: Actor, services: Services, answer: Answer, group: Iterable[Stored]
) -> tuple[Resource, Stamp]:
    told = list(group)
    patients = sorted({stored.stamp.patient for stored in told if stored.stamp.patient})
    one = patients[0] if len(patients) == 1 else None
    references = [stored.reference for stored in told]
    occurrence = Occurrence(interaction.name, references, one, answer.query, reason=answer.reason)
    event = audit_event(services.new_id(), services.clock(), actor, occurrence)
    return event, Stamp(patient=one, plans=tuple(sorted({plan for stored in told for plan in stored.stamp.plans})))
