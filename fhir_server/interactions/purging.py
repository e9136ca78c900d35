"""purge: a whole person is forgotten: chart, plans, teams, every version, and the name in the audit.

The steps can each be done twice, and the store's record says that a purge has begun; so one that was cut off is ended
by starting it again. First the person and the workflow go in one commit at the guards of the plans: from then on nobody
reads or writes by membership, and who refers to the person is refused. What had begun before may still come, so the
last look is taken when the longest write is over.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from fhir_server.audit.events import Occurrence, audit_event
from fhir_server.audit.pseudonyms import Pseudonyms
from fhir_server.fhir.actor import OPERATE, Actor
from fhir_server.fhir.change import as_version, time_of_version
from fhir_server.fhir.errors import FhirError, Forbidden, StillReferred, Unavailable
from fhir_server.fhir.json import Resource, encode
from fhir_server.fhir.reference import parse_reference
from fhir_server.interactions.belongings import WORKFLOW, Belongings, belongings, identifiers
from fhir_server.interactions.cutting import cut
from fhir_server.interactions.perform import record_refusal
from fhir_server.interactions.words import Interaction, Services
from fhir_server.search.grant import Stamp
from fhir_server.store.contract import Transaction
from fhir_server.store.purges import Purge
from fhir_server.store.values import Stored

MOST_NAMED = 20

_MARK_EVERY = 5_000
_BATCH = 200
_CLOCKS_APART = timedelta(minutes=5)
_KEY_BYTES = 32


@dataclass(frozen=True)
class Purged:
    """What became of a purge: the pseudonym that the audit has now, how many resources went, which ones were cut."""

    pseudonym: str
    removed: int
    cut: tuple[str, ...]


@dataclass(frozen=True)
class Surroundings:
    """How a purge waits, and whom it tells of a step and how many are done."""

    wait: Callable[[float], None]
    tell: Callable[[str, int], None]


def purge(person: str, actor: Actor, services: Services, around: Surroundings, *, cut_outside: bool = False) -> Purged:
    """Forget `Patient/x`, or end the purge of it that was cut off.

    Raises Forbidden without the operator's scope, NotFound when there is no such person, StillReferred when resources
    outside of the chart refer to it, unless `cut_outside`: then they stay, the references go. Refusals are recorded.
    """
    try:
        known = _begun(person, actor, services, cut_outside=cut_outside)
    except Unavailable:
        raise
    except FhirError as error:
        record_refusal(Interaction("purge", "Patient", person.partition("/")[2] or None), actor, services, error)
        raise
    return _Purging(known, actor, services, around).run()


def _begun(person: str, actor: Actor, services: Services, *, cut_outside: bool) -> Purge:
    """The purge of the person that was cut off, or a new one."""
    if OPERATE not in actor.scopes:
        raise Forbidden(f"Only the operator purges; it needs the scope {OPERATE}.", rule="scope")
    known = services.store.purges.find(person)
    if known is not None:
        return known
    found = belongings(person, services)
    _check_outside(found, cut_outside=cut_outside)
    return _begin(found, actor, services)


def _check_outside(found: Belongings, *, cut_outside: bool) -> None:
    if found.outside and not cut_outside:
        named = ", ".join(found.outside[:MOST_NAMED]) + (" and more" if len(found.outside) > MOST_NAMED else "")
        told = f"{found.person} is not purged: resources outside of its chart refer to it or to what is in it: {named}."
        raise StillReferred(f"{told} Change them, or let the purge cut these references.", "Patient", "still-referred")


def _begin(found: Belongings, actor: Actor, services: Services) -> Purge:
    begun = Purge(found.person, os.urandom(_KEY_BYTES), services.clock(), found.plans, found.words)
    return services.store.purges.begin(begun, _told(begun, actor, services, "begun"))


def _told(known: Purge, actor: Actor, services: Services, how: str) -> Resource:
    pseudonym = Pseudonyms(known.key, (), ()).of(known.person)
    occurrence = Occurrence("purge", [pseudonym], description=how, reason=f"scope {OPERATE}")
    return audit_event(services.new_id(), services.clock(), actor, occurrence)


class _Purging:
    """One run at one purge."""

    def __init__(self, known: Purge, actor: Actor, services: Services, around: Surroundings) -> None:
        self.known = known
        self.actor = actor
        self.services = services
        self.purges = services.store.purges
        self.around = around
        self.cut: set[str] = set()
        # When this run closed the workflow, by a clock that nobody sets; None when an earlier run did.
        self.closed_here: float | None = None

    def run(self) -> Purged:
        """The steps, in their order."""
        person = self.known.person
        if self.known.closed is None:
            moment = self.services.clock()
            found = belongings(person, self.services, self.known)
            self.purges.note(person, found.references)
            known = replace(self.known, plans=found.plans, words=(*self.known.words, *found.words))
            self.known = self.purges.close(known, WORKFLOW, moment, identifiers)
            self.closed_here = time.monotonic()
        self._forget(first=True)
        self._wait()
        noted = self._forget(first=False)
        pseudonym = Pseudonyms(self.known.key, (), ()).of(person)
        told = f"ended: {len(noted)} resources removed, references cut in {len(self.cut)}"
        self.purges.end(self.known, _told(self.known, self.actor, self.services, told))
        return Purged(pseudonym, len(noted), tuple(sorted(self.cut)))

    def _forget(self, *, first: bool) -> frozenset[str]:
        """Note what is there, remove it, and its name everywhere; the second time what can have come meanwhile."""
        found = belongings(self.known.person, self.services, self.known)
        self.purges.note(self.known.person, found.references)
        noted = self.purges.noted(self.known.person)
        self.services.store.settle_audit()
        names = Pseudonyms(self.known.key, noted, self.known.words)
        for reference in found.outside:
            if self.services.store.transact(partial(self._cut_one, reference, names)):
                self.cut.add(reference)
        self._remove(sorted(noted))
        self.purges.forget_events(self.known, names.of)
        self.services.store.settle_audit()
        self._rewrite("audit", names, first=first)
        self._rewrite("history", names, first=first)
        return noted

    def _remove(self, references: list[str]) -> None:
        for start in range(0, len(references), _BATCH):
            self.purges.remove(references[start : start + _BATCH])
            self.around.tell("resources removed", min(start + _BATCH, len(references)))

    def _wait(self) -> None:
        """Until what had begun before the workflow was closed is over."""
        if self.closed_here is not None:
            passed = time.monotonic() - self.closed_here
        else:
            now = self.services.clock()
            passed = max(0.0, (now - (self.known.closed or now)).total_seconds())
        if passed < self.purges.longest_write:
            self.around.wait(self.purges.longest_write - passed)

    def _cut_one(self, reference: str, names: Pseudonyms, tx: Transaction) -> bool:
        type_name, _, id = reference.partition("/")
        stored = tx.read(type_name, id)
        if stored is None or stored.deleted:
            return False
        for plan in stored.stamp.plans:
            tx.guard(plan)
        before = stored.resource()
        after = cut(before, names.names)
        plans = tuple(plan for plan in stored.stamp.plans if plan not in self.known.plans)
        if after == before and plans == stored.stamp.plans:
            return False
        moment, version = time_of_version(self.services.clock(), stored.last_updated), stored.version + 1
        body = encode(as_version(after, version, moment))
        stamp = replace(stored.stamp, plans=plans)
        tx.save(Stored(type_name, id, version, moment, body, stamp, False, "PUT"))
        told = Occurrence("update", [f"{reference}/_history/{version}"], stamp.patient, reason="purge")
        event = audit_event(self.services.new_id(), moment, self.actor, told)
        tx.record([event], Stamp(patient=stamp.patient, plans=plans))
        return True

    def _rewrite(self, name: str, names: Pseudonyms, *, first: bool) -> None:
        """Read a whole collection and take the person's name out; where that had come to is kept for another run."""
        since = None if first else self.known.begun - _CLOCKS_APART
        after = self.known.reached.get(name, "") if first else ""
        read = self.purges.audit_events if name == "audit" else self.purges.past_versions
        one = self._rename_event if name == "audit" else self._cut_version
        for done, (place, stored) in enumerate(read(after, since), 1):
            one(place, stored, names)
            if done % _MARK_EVERY == 0:
                self.around.tell(f"{name} read", done)
                if first:
                    self.purges.reach(self.known, name, place)
        if first:
            self.purges.reach(self.known, name, "\U0010ffff")

    def _rename_event(self, _: str, stored: Stored, names: Pseudonyms) -> None:
        stamp = names.stamp(stored.stamp)
        before = stored.resource()
        event = names.event(before)
        if event is not None or stamp != stored.stamp:
            self.purges.replace_event(event or before, replace(stored, stamp=stamp))

    def _cut_version(self, place: str, stored: Stored, names: Pseudonyms) -> None:
        if stored.deleted or parse_reference(stored.reference) is None:
            return
        before = stored.resource()
        after = cut(before, names.names)
        if after != before:
            self.purges.replace_version(place, encode(after))
