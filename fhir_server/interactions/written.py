"""What became of each ask of a write, and how the audit is told: by AuditEvents in the commit of the write itself."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fhir_server.audit.events import Occurrence, audit_event
from fhir_server.interactions.asks import Ask
from fhir_server.interactions.matching import said
from fhir_server.interactions.words import Services
from fhir_server.interactions.working_set import WorkingSet
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

    `reasons` say by reference why each was allowed.
    """
    asked = {each.stored.reference for each in written}
    followed = [stored for reference, stored in kept.items() if reference not in asked]
    for each in written:
        plans = set(each.stored.stamp.plans)
        told = [stored.reference for stored in followed if plans.intersection(stored.stamp.plans)]
        followed = [stored for stored in followed if stored.reference not in told]
        occurrence = Occurrence(
            each.ask.interaction,
            [f"{each.stored.reference}/_history/{each.stored.version}", *told],
            each.stored.stamp.patient,
            query=said(each.ask.type, each.ask.condition) if each.ask.condition else None,
            reason=each.ask.reason or reasons.get(each.stored.reference, each.outcome),
        )
        _record(occurrence, Stamp(patient=each.stored.stamp.patient, plans=each.stored.stamp.plans), working, services)


def tell_of_nothing(asks: Iterable[Ask], working: WorkingSet, services: Services) -> None:
    """Record the deletes whose condition matched nothing: they are told as well."""
    for ask in asks:
        asked = Occurrence("delete", query=said(ask.type, ask.condition or ()), reason="nothing matched")
        _record(asked, Stamp(), working, services)


def _record(occurrence: Occurrence, stamp: Stamp, working: WorkingSet, services: Services) -> None:
    working.tx.record([audit_event(services.new_id(), working.moment, working.actor, occurrence)], stamp)
