"""Referential integrity: what others refer to is not deleted.

Whoever may delete a resource is told which of its referrers it may read, by name; of the others only that there are
some, without number or type.

https://hl7.org/fhir/R4/http.html#delete
"""

from collections.abc import Iterable, Mapping, Sequence

from fhir_server.access.types import TYPES
from fhir_server.fhir.errors import StillReferred
from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import parse_reference, references_in
from fhir_server.interactions.gate.asks import Ask
from fhir_server.interactions.gate.references import DELETED_BY_CLIENTS, turn_at
from fhir_server.interactions.gate.working_set import WorkingSet
from fhir_server.interactions.words import Services
from fhir_server.store.values import Deletion

MOST_NAMED = 10

# The audit goes on naming what is gone.
REFERRING = tuple(sorted(set(TYPES) - {"AuditEvent"}))


def check_referrers(deletes: Sequence[Ask], working: WorkingSet, services: Services) -> None:
    """Raise StillReferred when something that this write leaves refers to what it deletes."""
    if not deletes or not services.referential_integrity:
        return
    asked = [ask.reference for ask in deletes]
    for ask in deletes:
        if ask.type in DELETED_BY_CLIENTS:
            working.tx.guard(turn_at(ask.reference))
        else:
            working.tx.look_again(_deletion(ask, working))
    referring = _referring(asked, working)
    for ask in deletes:
        named = sorted(reference for reference, targets in referring.items() if ask.reference in targets)
        if named:
            raise ask.located(StillReferred(_told(ask, named, working), ask.type, "still-referred"))


def _deletion(ask: Ask, working: WorkingSet) -> Deletion:
    """What is to be looked at again, since whoever refers to it at this moment takes no turn."""
    before, actor = working.pending[ask.reference].before, working.actor
    version = before.version + 1 if before else 1
    return Deletion(ask.reference, version, actor.organization, actor.person, actor.client_id)


def _referring(deleted: Sequence[str], working: WorkingSet) -> Mapping[str, frozenset[str]]:
    """What each resource that stays refers to, as it will be; a resource may refer to itself."""
    limit = MOST_NAMED + len(working.pending)
    stored = [each for each in working.tx.referrers(deleted, REFERRING, limit) if each.reference not in working.pending]
    found = {each.reference: _targets(each.resource()) for each in stored}
    changed = {reference: pending.after for reference, pending in working.pending.items()}
    return found | {reference: _targets(after) for reference, after in changed.items() if after is not None}


def _targets(resource: Resource) -> frozenset[str]:
    parsed: Iterable[object] = (parse_reference(reference) for _, reference in references_in(resource))
    return frozenset(str(each) for each in parsed if each is not None)


def _told(ask: Ask, referrers: Sequence[str], working: WorkingSet) -> str:
    readable = [reference for reference in referrers if working.readable(reference)]
    others = len(readable) < len(referrers)
    named = ", ".join(readable[:MOST_NAMED]) + (" and more" if len(readable) > MOST_NAMED else "")
    if not readable:
        return f"{ask.reference} is not deleted: resources that you may not read refer to it."
    return f"{ask.reference} is not deleted: {named} refer{'s' if len(readable) == 1 else ''} to it" + (
        ", and so do others that you may not read." if others else "."
    )
