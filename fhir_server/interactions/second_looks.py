"""The second look at what only the operator deletes: whatever was referred to while it was deleted comes back.

Nearly every write refers to such a resource, so writers take no turn with who deletes one, and pay nothing.
A writer who read it before the delete was kept may still write a reference to it; but not for longer than the longest
write takes. When that is over, all such references are there, and no more can come: who reads it now finds it deleted.
So the delete is looked at again then, and takes itself back when something refers to what it deleted.
"""

import logging
import time
from collections.abc import Callable
from functools import partial
from threading import Event

from fhir_server.fhir.actor import IMPORT, OPERATE, Actor
from fhir_server.fhir.errors import FhirError, Unavailable
from fhir_server.fhir.faults import raised_at
from fhir_server.fhir.reference import parse_reference
from fhir_server.interactions.commit import Gate
from fhir_server.interactions.gate.asks import Ask
from fhir_server.interactions.gate.referrers import REFERRING
from fhir_server.interactions.words import Services
from fhir_server.store.contract import Transaction
from fhir_server.store.values import Deletion

log = logging.getLogger(__name__)

REASON = "referred to while it was deleted"
_EVERY = 10.0


class SecondLooks:
    """One process's second looks. Several may look at once; the time is its own, so no clocks are compared."""

    def __init__(self, services: Services, clock: Callable[[], float] = time.monotonic) -> None:
        self._services = services
        self._clock = clock
        self._seen: dict[Deletion, float] = {}

    def keep_up(self, stop: Event) -> None:
        """Look now and then, until told to stop; for the worker."""
        while not stop.wait(_EVERY):
            try:
                self.look()
            except Exception as error:
                log.warning("deletes are looked at again later: %s", raised_at(error))

    def look(self) -> list[str]:
        """Look at each deletion that has been known here for as long as a write may take; what came back."""
        moment, store = self._clock(), self._services.store
        known = store.deletions()
        self._seen = {each: self._seen.get(each, moment) for each in known}
        over = [each for each in known if self._seen[each] + store.purges.longest_write < moment]
        return [each.reference for each in over if self._look_at(each)]

    def _look_at(self, deletion: Deletion) -> bool:
        """Whether it came back. What cannot come back, by whatever rule, is told in the log and left deleted."""
        store = self._services.store
        try:
            back = store.transact(partial(self._bring_back, deletion))
        except Unavailable:
            raise
        except FhirError as error:
            log.error("%s was referred to while it was deleted, and cannot come back: %s", deletion.reference, error)
            store.transact(lambda tx: tx.looked_at(deletion))
            return False
        if back:
            log.warning("%s was referred to while it was deleted; it is back", deletion.reference)
        return back

    def _bring_back(self, deletion: Deletion, tx: Transaction) -> bool:
        """Make the version before the delete the current one, when something refers to it and nobody wrote since."""
        tx.looked_at(deletion)
        parsed = parse_reference(deletion.reference)
        stored = tx.read(parsed.type, parsed.id) if parsed else None
        if stored is None or stored.version != deletion.version or not stored.deleted:
            return False
        before = tx.read_version(stored.type, stored.id, stored.version - 1)
        if before is None or not self._services.referential_integrity:
            return False
        if not [each for each in tx.referrers([deletion.reference], REFERRING, 2) if each.id != stored.id]:
            return False
        who = Actor(deletion.organization, deletion.person, scopes=_SCOPES, client_id=deletion.client_id)
        ask = Ask("update", stored.type, stored.id, before.resource(), reason=REASON)
        Gate(tx, who, self._services).write([ask])
        return True


_SCOPES = frozenset({IMPORT, OPERATE})
