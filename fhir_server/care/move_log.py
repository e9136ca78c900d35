"""Which moves a write makes."""

from collections.abc import Iterable
from datetime import datetime

from fhir_server.care.moves import Move
from fhir_server.care.parties import Directory, party_of
from fhir_server.care.provisions import decisions
from fhir_server.care.tasks import fulfils
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.change import Change
from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import reference_to

KINDS = {"Task": "task", "ServiceRequest": "order", "Consent": "consent"}


def moves_of(
    changes: Iterable[Change],
    actor: Actor,
    now: datetime,
    directory: Directory,
    taken_up: Iterable[Resource] = (),
) -> list[Move]:
    """The moves that `changes` make, and one for each resource that a plan takes up as it is.

    Raises InvalidResource, naming the element, when a requester or owner is nobody who can act.
    """
    adopted = [Change(None, resource) for resource in taken_up]
    return [move for change in [*changes, *adopted] for move in _moves(change, actor, now, directory)]


def _moves(change: Change, actor: Actor, now: datetime, directory: Directory) -> list[Move]:
    if change.type not in KINDS:
        return []
    if change.type == "Consent":
        return _consent_moves(change, actor, now, directory)
    resource = change.resource
    from_status = change.before.get("status") if change.before else None
    to_status = str(resource["status"]) if change.after is not None else "entered-in-error"
    if from_status == to_status:
        return []
    requester = party_of(resource, "requester", directory) or actor.author
    is_task = change.type == "Task"
    owner = party_of(resource, "owner", directory) if is_task else None
    return [
        Move(
            reference_to(resource),
            KINDS[change.type],
            from_status,
            to_status,
            now,
            requester,
            owner,
            not is_task or fulfils(resource),
            _next_version(change),
            actor.author,
        )
    ]


def _consent_moves(change: Change, actor: Actor, now: datetime, directory: Directory) -> list[Move]:
    old = decisions(change.before, directory) if change.before else {}
    new = decisions(change.after, directory) if change.after else {}
    item, version = change.reference, _next_version(change)
    return [
        Move(item, "consent", old.get(who), new.get(who, "none"), now, None, who, False, version, actor.author)
        for who in sorted(old.keys() | new.keys(), key=lambda who: who or "")
        if old.get(who) != new.get(who)
    ]


def _next_version(change: Change) -> int:
    stated = (change.before or {}).get("meta", {}).get("versionId", "0")
    return int(stated) + 1 if str(stated).isdigit() else 1
