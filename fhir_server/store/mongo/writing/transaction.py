"""One transaction: its questions, and its writes, which wait in memory until a question or the commit needs them.

So a Bundle of 300 creates costs a few commands, not 600.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pymongo.errors import DuplicateKeyError

from fhir_server.fhir.errors import TooLarge, VersionConflict
from fhir_server.fhir.json import Resource
from fhir_server.search.grant import Stamp
from fhir_server.store.mongo.audit.waiting import Told
from fhir_server.store.mongo.connection import Connection, asking
from fhir_server.store.mongo.documents import document_to_keep
from fhir_server.store.mongo.indexing import own_parameters
from fhir_server.store.mongo.indexing.own_parameters import DEFINITIONS
from fhir_server.store.mongo.ledger import LEDGER, entry_id, move_id, past_version
from fhir_server.store.mongo.time_limit import MAX_TIME_MS
from fhir_server.store.mongo.writing.ahead import Ahead
from fhir_server.store.mongo.writing.deletions import deletion_document, forget
from fhir_server.store.mongo.writing.new_documents import NewDocuments
from fhir_server.store.mongo.writing.own_session import OwnSession
from fhir_server.store.mongo.writing.reading_within import ReadingWithin
from fhir_server.store.mongo.writing.remembered import Changes
from fhir_server.store.mongo.writing.sending import Save, conflict
from fhir_server.store.mongo.writing.turns import Turns
from fhir_server.store.mongo.writing.unit import StartAgain, Taken, Unit, write
from fhir_server.store.values import Circle, Deletion, Key, OwnParameter, Stored

MAX_BODY = 12 * 1024 * 1024
# A plan's moves are numbered by the turn of their writer at the plan's guard, then by their place in it.
_MOVES_PER_TURN = 1_000_000


class MongoTransaction(ReadingWithin):
    """The contract's Transaction; `flush` sends what waits, and is called before each question that could miss it."""

    def __init__(
        self,
        connection: Connection,
        own_session: OwnSession,
        *,
        secret: bytes,
        seconds: float,
        process: str,
        new_documents: NewDocuments,
        search_ms: int = MAX_TIME_MS,
        ahead: Ahead | None = None,
        full_text: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(connection, own_session, secret=secret, seconds=seconds, search_ms=search_ms, ahead=ahead)
        self._full_text = full_text
        self._new_documents = new_documents
        self._told = Told(process)
        self._turns = Turns(self._collection(LEDGER), own_session, ahead, seconds)
        self._logged = 0
        self._sent = False
        self.waits_in: str | None = None
        """The collection in which AuditEvents wait, when some do."""
        self.wrote = Changes()
        """What it sent, of what may be remembered of a plan."""
        self.followable = True
        """Whether `wrote` tells of all of it."""
        self.defined = False
        """Whether it changed the operator's search parameters."""
        # What was read ahead; whatever is written over it proves that its stamp is still the same.
        self._unproven = dict(self._known)

    @property
    def taken(self) -> Mapping[str, int]:
        """The turns that it took, by their keys."""
        return self._turns.taken

    def guard(self, key: str) -> None:
        """Take the next turn at `key`; who took one at the same time starts again, and who read ahead too long ago."""
        self._turns.take(key)

    def save(self, stored: Stored) -> None:
        """Keep a new version; the one that it follows becomes history. Raises TooLarge, VersionConflict.

        A conflict with what is stored shows when the write is sent: at the next question, or at the commit.
        """
        if len(stored.body) > MAX_BODY:
            raise TooLarge(f"{stored.reference} has {len(stored.body)} bytes; at most {MAX_BODY} can be stored.")
        key = (stored.type, stored.id)
        self._send_if(key in self._restamps)
        waiting = self._saves.get(key)
        if waiting is not None and waiting.stored.version != stored.version - 1:
            raise conflict(stored.reference)
        self._saves[key] = Save(stored, waiting.expected if waiting else stored.version - 1)
        if waiting is not None:
            self._additions.append(past_version(waiting.stored, stored))

    def restamp(self, type_name: str, id: str, stamp: Stamp) -> None:
        """Change what the server knows of a resource without a new version of it; past versions keep their own."""
        self._send_if((type_name, id) in self._saves)
        self._restamps[(type_name, id)] = stamp

    def save_circle(self, circle: Circle) -> None:
        """Create or replace a circle."""
        self._circles[circle.plan] = circle
        self._within.put(circle)

    def log_moves(self, moves: Sequence[Resource], plan: str) -> None:
        """Append to the plan's log of moves, in the order of writers at the plan's guard."""
        self.guard(plan)
        turn = self.taken[plan]
        for move in moves:
            self._logged += 1
            place = {"_id": move_id(plan, turn, self._logged), "seq": turn * _MOVES_PER_TURN + self._logged}
            self._additions.append({**move, "plan": plan, **place})
            self.wrote.moves.append({**move, "plan": plan, "seq": place["seq"]})
            self._logged_in.add(plan)

    def take_up(
        self, plan: str, patient: str, author: str, type_names: Sequence[str], unlabelled: Container[str] = ()
    ) -> None:
        """Let the plan take up the author's chart of the patient that lies in no plan yet."""
        self.flush()
        self._ahead, self.followable = None, False
        loose = {"patient": patient, "author": author, "plans": []}
        for type_name in type_names:
            found = {**loose, "label": None} if type_name in unlabelled else loose
            with asking(self._seconds):
                self._collection(type_name).update_many(found, {"$set": {"plans": [plan]}}, session=self._session)
        self._known.clear()

    def record(self, audit_events: Sequence[Resource], stamp: Stamp) -> None:
        """Keep AuditEvents with the write that they tell of."""
        self._told.add(audit_events, stamp)

    def announce(self, entries: Sequence[dict[str, Any]]) -> None:
        """Put entries into the outbox."""
        self._additions.extend({**entry, "_id": entry_id(entry["at"])} for entry in entries)

    def look_again(self, deletion: Deletion) -> None:
        """Remember that a delete of this write is to be looked at again."""
        self._additions.append(deletion_document(deletion))

    def looked_at(self, deletion: Deletion) -> None:
        """Forget that a delete is to be looked at again."""
        self._sent = True
        with asking(self._seconds):
            forget(self._collection(LEDGER), deletion, self._session)

    def own_parameters(self) -> list[OwnParameter]:
        """The operator's search parameters; who asks takes the next turn at them."""
        self.guard(DEFINITIONS)
        with asking(self._seconds):
            return own_parameters.stored_in(self._connection, self._session)

    def define(self, parameters: Sequence[OwnParameter]) -> None:
        """Let these be all of the operator's search parameters."""
        with asking(self._seconds):
            own_parameters.keep(self._connection, parameters, self._session)
        self.defined = True

    def finish(self, until: float) -> Unit | None:
        """All that still waits, for whoever commits; None when it is kept already, because it was one new document.

        That one begins before the moment `until` of the monotonic clock, or not at all. Raises VersionConflict when a
        version to follow is not the stored one, Taken when the one document is there already, Unavailable when it
        is unknown whether it is kept.
        """
        if not self._is_one_new_document():
            with asking(self._seconds), self.proving():
                return self._taken_out()
        [save] = self._saves.values()
        told = self._told.fields()
        with asking(self._seconds), self.proving():
            document = document_to_keep(save.stored, full_text=self._full_text)
            try:
                self._new_documents.insert(save.stored.type, {**document, **told}, until)
            except DuplicateKeyError as error:
                raise Taken from error
        self.waits_in = save.stored.type if told else None
        return None

    def send(self, unit: Unit) -> None:
        """Write in the own session. Raises StartAgain, VersionConflict."""
        with asking(self._seconds), self.proving():
            write(self._database, unit, self._session, self._full_text)

    def _is_one_new_document(self) -> bool:
        others = self._sent or self._turns.matter or self._restamps or self._circles or self._additions
        if others or len(self._saves) != 1 or not self._told.are_few:
            return False
        [save] = self._saves.values()
        return not save.expected

    def flush(self) -> None:
        """Send what waits. Raises VersionConflict when a version to follow is not the one that is stored.

        Turns alone wait for the next write: nobody asks for them.
        """
        if self._saves or self._restamps or self._circles or self._additions or self._told:
            self._send()

    def _send(self) -> None:
        self._ahead, self._sent = None, True
        unit = self._taken_out()
        self.send(unit)
        self._known.update({key: save.stored for key, save in unit.saves.items()})
        self._known.update(
            {key: replace(self._known[key], stamp=stamp) for key, stamp in unit.restamps.items() if key in self._known}
        )

    def _taken_out(self) -> Unit:
        """What waits, which then waits no more; with the past versions that it makes. Raises VersionConflict."""
        saves, self._saves = self._saves, {}
        restamps, self._restamps = self._restamps, {}
        circles, self._circles = self._circles, {}
        additions, self._additions = self._additions, []
        waiting, told = self._told.taken_out()
        turns, proofs = self._turns.to_be_written()
        self._logged_in.clear()
        additions += [past_version(self._followed(save), save.stored) for save in saves.values() if save.expected]
        if waiting:
            additions += waiting
            self.waits_in = LEDGER
        self.wrote.take(saves, restamps, circles)
        return Unit(turns, proofs, additions, saves, restamps, self._seen([*saves, *restamps]), circles, told)

    def _seen(self, keys: Iterable[Key]) -> dict[Key, Stamp]:
        """The stamps that were read ahead of what is to be written now."""
        found = {key: self._unproven.pop(key, None) for key in keys}
        return {key: stored.stamp for key, stored in found.items() if stored is not None}

    @contextmanager
    def proving(self) -> Iterator[None]:
        """What was read ahead may be old: then the transaction begins again, and only then it is a conflict."""
        try:
            yield
        except VersionConflict as error:
            if not self._turns.are_ahead:
                raise
            raise StartAgain from error

    def _followed(self, save: Save) -> Stored:
        """The stored version that a save follows and that now becomes history. Raises VersionConflict."""
        stored = save.stored
        past = self._known.get((stored.type, stored.id)) or super().read(stored.type, stored.id)
        if past is None or past.version != save.expected:
            raise conflict(stored.reference)
        return past
