"""The last step of the gate: versions with their stamps, what the store is told to keep, who is to hear of it."""

from dataclasses import replace
from typing import Any

from fhir_server.access.labels import label_of
from fhir_server.access.plan_scope import patient_of
from fhir_server.access.types import DEFINITION, DIRECTORY, TYPES, stamped_with_readers
from fhir_server.fhir.change import as_version, time_of_version
from fhir_server.fhir.errors import InvalidResource, TooLarge
from fhir_server.fhir.json import Resource, encode
from fhir_server.interactions.gate.coordination import Coordination
from fhir_server.interactions.gate.own_parameters import define
from fhir_server.interactions.gate.working_set import Pending, WorkingSet
from fhir_server.interactions.words import Services
from fhir_server.search.grant import Reader, Stamp
from fhir_server.store.values import Stored

ANNOUNCED = frozenset({"Task", "CarePlan", "CareTeam"})


def keep(working: WorkingSet, coordination: Coordination, services: Services) -> dict[str, Stored]:
    """Save every pending change with its stamp, restamp what a team change touches, announce; the new versions."""
    define(working, services.new_id)
    kept: dict[str, Stored] = {}
    for reference, pending in working.pending.items():
        if pending.consequence and pending.after is not None:
            _check_consequence(pending.after, services)
        kept[reference] = _version(reference, pending, working, coordination, services)
    for stored in kept.values():
        working.tx.save(stored)
    coordination.restamp(kept)
    working.tx.announce(_announcements(kept, working, services))
    return kept


def _version(
    reference: str, pending: Pending, working: WorkingSet, coordination: Coordination, services: Services
) -> Stored:
    type_name, _, id = reference.partition("/")
    version = pending.before.version + 1 if pending.before else 1
    stamp = _stamp(reference, pending, coordination)
    before = pending.before
    updated = time_of_version(working.moment, before.last_updated) if before else working.moment
    body = b""
    if pending.after is not None:
        body = encode(as_version(pending.after, version, updated))
        if len(body) > services.max_stored:
            raise TooLarge(
                f"{reference} would be {len(body)} bytes; {services.max_stored} are stored at most.", type_name
            )
    revives = pending.before is not None and pending.before.deleted and pending.after is not None
    return Stored(type_name, id, version, updated, body, stamp, pending.after is None, pending.method, revives)


def _stamp(reference: str, pending: Pending, coordination: Coordination) -> Stamp:
    type_name = reference.partition("/")[0]
    author = None if pending.consequence and pending.before is None else pending.author
    if pending.after is None and pending.before is not None:
        return pending.before.stamp
    patient = patient_of(pending.after) if pending.after else None
    audience = "everyone" if TYPES[type_name].kind in {DIRECTORY, DEFINITION} else "circle"
    stamp = Stamp(
        patient, pending.plans, (), author, audience, label=label_of(pending.after) if pending.after else None
    )
    if stamped_with_readers(type_name):
        own = (Reader(author),) if author else ()
        if not pending.plans:
            return replace(stamp, readers=own)
        glimpses = coordination.glimpses(reference) if type_name == "Patient" else ()
        return replace(stamp, readers=coordination.readers(reference, stamp), glimpses=glimpses)
    return stamp


def _check_consequence(resource: Resource, services: Services) -> None:
    issues = services.validator.check(resource)
    if issues:
        raise InvalidResource(issues=issues)


def _announcements(kept: dict[str, Stored], working: WorkingSet, services: Services) -> list[dict[str, Any]]:
    """An outbox entry for each changed Task, plan and team: parties admitted before or after hear of it."""
    announced = {} if working.actor.imports else {name: each for name, each in kept.items() if each.type in ANNOUNCED}
    commit = services.new_id() if announced else ""
    return [
        {
            "at": working.moment,
            "commit": commit,
            "focus": reference,
            "type": stored.type,
            "version": stored.version,
            "event": "delete" if stored.deleted else "create" if working.pending[reference].is_new else "update",
            "plan": stored.stamp.plans[0] if stored.stamp.plans else None,
            "recipients": _recipients(stored, working.pending[reference].before, working),
        }
        for reference, stored in announced.items()
    ]


def _recipients(stored: Stored, before: Stored | None, working: WorkingSet) -> list[str]:
    readers = stored.stamp.readers + (before.stamp.readers if before else ())
    return sorted({reader.party for reader in readers if reader.start <= working.moment < reader.until})
