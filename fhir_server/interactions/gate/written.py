"""What became of each ask of a write, and how the audit is told: by AuditEvents in the commit of the write itself."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fhir_server.audit.events import Occurrence, audit_event
from fhir_server.interactions.gate.asks import Ask
from fhir_server.interactions.gate.matching import said
from fhir_server.interactions.gate.working_set import WorkingSet
from fhir_server.interactions.naming import names_nobody_else
from fhir_server.interactions.words import Interaction, Services
from fhir_server.search.grant import Stamp
from fhir_server.store.values import Stored


@dataclass(frozen=True)
class Written:
    """What became of one ask: created, updated, unchanged, existing or deleted, and the version that now stands."""

    ask: Ask
    outcome: str
    stored: Stored


def became(ask: Ask, working: WorkingSet, kept: Mapping[str, Stored], unchanged: Mapping[str, Stored]) -> Written:
    """What became of an ask, by the versions that were `kept` and what was left `unchanged`, by their references."""
    if ask.existing is not None:
        return Written(ask, "deleted" if ask.interaction == "delete" else "existing", ask.existing)
    if ask.reference in unchanged:
        return Written(ask, "unchanged", unchanged[ask.reference])
    stored = kept[ask.reference]
    made = working.pending[ask.reference].is_new
    return Written(ask, "deleted" if stored.deleted else "created" if made else "updated", stored)


def tell(
    written: Sequence[Written],
    kept: Mapping[str, Stored],
    reasons: Mapping[str, str],
    working: WorkingSet,
    services: Services,
) -> None:
    """Record one AuditEvent for each ask; the first in a plan also names what followed there.

    What lies in plans of several custodians is told to each of them by itself, so that none reads of another's plans.
    A condition that may name somebody else is kept for whoever keeps the database, in a record of the whole.
    `reasons` say by reference why each was allowed.
    """
    asked = {each.stored.reference for each in written}
    followed = [stored for reference, stored in kept.items() if reference not in asked]
    for each in written:
        stamp = each.stored.stamp
        reason = each.ask.reason or reasons.get(each.stored.reference, each.outcome)
        question = said(each.ask.type, each.ask.condition) if each.ask.condition else None
        reference = f"{each.stored.reference}/_history/{each.stored.version}"
        if question and stamp.plans and not _names_nobody_else(each, services):
            whole = Occurrence(each.ask.interaction, [reference], stamp.patient, query=question, reason=reason)
            _record(whole, Stamp(), working, services)
            question = None
        for plans in _by_keeper(stamp.plans, working):
            told = [stored.reference for stored in followed if not set(plans).isdisjoint(stored.stamp.plans)]
            occurrence = Occurrence(
                each.ask.interaction,
                [reference, *told],
                stamp.patient,
                query=question,
                reason=_told_of(plans, reason, stamp.plans),
            )
            _record(occurrence, Stamp(patient=stamp.patient, plans=plans), working, services)
        followed = [stored for stored in followed if set(stamp.plans).isdisjoint(stored.stamp.plans)]


def tell_of_nothing(asks: Iterable[Ask], working: WorkingSet, services: Services) -> None:
    """Record the deletes whose condition matched nothing: they are told as well."""
    for ask in asks:
        asked = Occurrence("delete", query=said(ask.type, ask.condition or ()), reason="nothing matched")
        _record(asked, Stamp(), working, services)


def _names_nobody_else(written: Written, services: Services) -> bool:
    asked = Interaction(written.ask.interaction, written.ask.type)
    stored = written.stored
    return names_nobody_else(asked, written.ask.condition or (), [stored], [stored.stamp], services.base_url)


def _by_keeper(plans: tuple[str, ...], working: WorkingSet) -> list[tuple[str, ...]]:
    """The plans by who keeps them; what lies in no plan or in one is told once."""
    if len(plans) < 2:
        return [plans]
    kept: dict[str, list[str]] = defaultdict(list)
    for plan in plans:
        circle = working.tx.circle(plan)
        kept[circle.keeper(working.moment) if circle else plan].append(plan)
    return [tuple(each) for each in kept.values()]


def _told_of(plans: tuple[str, ...], reason: str, all_plans: tuple[str, ...]) -> str:
    """The reason in words about one of `plans`: whoever adds to several is a member of each, and it names the first."""
    if all_plans and plans and all_plans[0] not in plans:
        return reason.replace(f"CarePlan/{all_plans[0]}", f"CarePlan/{plans[0]}")
    return reason


def _record(occurrence: Occurrence, stamp: Stamp, working: WorkingSet, services: Services) -> None:
    working.tx.record([audit_event(services.new_id(), working.moment, working.actor, occurrence)], stamp)
