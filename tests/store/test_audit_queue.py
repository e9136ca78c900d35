"""AuditEvents that wait together go together, and nobody is answered before its own is kept."""

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import pytest

from fhir_server.fhir.errors import FhirError, TooLarge, Unavailable, VersionConflict
from fhir_server.search.grant import Stamp
from fhir_server.store.mongo.audit_queue import AuditQueue
from fhir_server.store.mongo.documents import Document
from fhir_server.store.mongo.store import MongoStore

OTHERS = 6
PATIENCE = 20.0


class Gate:
    """Where the documents go: the first command waits until it is let through, so that others come to wait."""

    def __init__(self) -> None:
        self.sent: list[list[str]] = []
        self.arrived = threading.Event()
        self.open = threading.Event()
        self.refusals: dict[str, FhirError] = {}

    def send(self, documents: Sequence[Document]) -> None:
        """Refuse when one of the documents is to be refused, as the database does."""
        self.sent.append([document["_id"] for document in documents])
        if not self.arrived.is_set():
            self.arrived.set()
            assert self.open.wait(PATIENCE)
        for document in documents:
            if document["_id"] in self.refusals:
                raise self.refusals[document["_id"]]


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(OTHERS + 2) as pool:
        yield pool


def keep_together(gate: Gate, threads: ThreadPoolExecutor, *ids: str) -> dict[str, Future[None]]:
    """The first document is on its way while the others come; what becomes of each."""
    queue = AuditQueue(gate.send)
    kept = {"first": threads.submit(queue.keep, {"_id": "first"})}
    assert gate.arrived.wait(PATIENCE)
    kept.update({id: threads.submit(queue.keep, {"_id": id}) for id in ids})
    deadline = threading.Event()
    while len(queue._waiting) < len(ids):
        assert not deadline.wait(0.005)
    assert not any(future.done() for future in kept.values())
    gate.open.set()
    return kept


def test_who_comes_alone_goes_at_once(gate: Gate) -> None:
    gate.open.set()
    AuditQueue(gate.send).keep({"_id": "1"})
    assert gate.sent == [["1"]]


def test_all_who_wait_go_in_one_command(gate: Gate, threads: ThreadPoolExecutor) -> None:
    ids = [str(number) for number in range(OTHERS)]
    kept = keep_together(gate, threads, *ids)
    assert all(future.result(PATIENCE) is None for future in kept.values())
    assert gate.sent[0] == ["first"]
    assert len(gate.sent) == 2
    assert sorted(gate.sent[1]) == ids


def test_a_crowd_larger_than_one_command_is_kept_by_several(
    gate: Gate, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fhir_server.store.mongo.audit_queue._MOST_AT_ONCE", 2)
    ids = [str(number) for number in range(5)]
    kept = keep_together(gate, threads, *ids)
    assert all(future.result(PATIENCE) is None for future in kept.values())
    assert [len(together) for together in gate.sent] == [1, 2, 2, 1]
    assert sorted(id for together in gate.sent[1:] for id in together) == ids


def test_a_database_that_is_away_refuses_all_and_says_nothing_of_the_inside(
    gate: Gate, threads: ThreadPoolExecutor
) -> None:
    gate.refusals["2"] = Unavailable("host mongo-7 is away")
    kept = keep_together(gate, threads, "1", "2", "3")
    assert kept["first"].result(PATIENCE) is None
    for id in ("1", "2", "3"):
        error = kept[id].exception(PATIENCE)
        assert isinstance(error, Unavailable)
        assert "mongo-7" not in str(error)
    assert len(gate.sent) == 2


def test_an_unforeseen_failure_refuses_all_and_does_not_stop_the_queue(gate: Gate, threads: ThreadPoolExecutor) -> None:
    gate.open.set()
    failing = [True]

    def send(documents: Sequence[Document]) -> None:
        if failing.pop():
            raise RuntimeError("a fault of ours")

    queue = AuditQueue(send)
    with pytest.raises(Unavailable):
        queue.keep({"_id": "1"})
    failing.append(False)
    queue.keep({"_id": "2"})


def test_a_document_that_is_refused_does_not_refuse_those_beside_it(gate: Gate, threads: ThreadPoolExecutor) -> None:
    gate.refusals["2"] = TooLarge("too large")
    kept = keep_together(gate, threads, "1", "2", "3")
    assert isinstance(kept["2"].exception(PATIENCE), TooLarge)
    assert [kept[id].result(PATIENCE) for id in ("first", "1", "3")] == [None, None, None]
    assert sorted(gate.sent[2:]) == [["1"], ["2"], ["3"]]


def test_a_document_that_got_in_before_the_refusal_counts_as_kept(gate: Gate, threads: ThreadPoolExecutor) -> None:
    gate.refusals["1"] = VersionConflict("there already")
    kept = keep_together(gate, threads, "1", "2")
    assert all(future.result(PATIENCE) is None for future in kept.values())


def audit_event(id: str, told: str = "read") -> dict[str, Any]:
    return {
        "resourceType": "AuditEvent",
        "id": id,
        "recorded": "2026-05-01T12:00:00.000Z",
        "action": "R",
        "outcomeDesc": told,
    }


def test_readings_at_the_same_time_are_all_recorded(store: MongoStore, threads: ThreadPoolExecutor) -> None:
    ids = [str(uuid.uuid4()) for _ in range(60)]
    list(threads.map(lambda id: store.record_reading(audit_event(id), Stamp()), ids))
    assert len(store.read_many(f"AuditEvent/{id}" for id in ids)) == len(ids)


def test_readings_at_the_same_time_are_none_answered_when_the_database_keeps_none(
    store: MongoStore,
    threads: ThreadPoolExecutor,
    failing_command: Callable[..., AbstractContextManager[None]],
) -> None:
    ids = [str(uuid.uuid4()) for _ in range(OTHERS)]
    with failing_command("insert", "AuditEvent", errorCode=14031):
        told = [threads.submit(store.record_reading, audit_event(id), Stamp()) for id in ids]
        assert all(isinstance(future.exception(PATIENCE), Unavailable) for future in told)
    assert store.read_many(f"AuditEvent/{id}" for id in ids) == {}


def test_a_record_that_is_too_large_does_not_keep_others_from_being_recorded(
    store: MongoStore, threads: ThreadPoolExecutor
) -> None:
    ids = [str(uuid.uuid4()) for _ in range(OTHERS)]
    events = [audit_event(id, "x" * (17 * 1024 * 1024) if id == ids[2] else "read") for id in ids]
    told = [threads.submit(store.record_reading, event, Stamp()) for event in events]
    outcomes = [future.exception(PATIENCE) for future in told]
    assert [type(outcome) for outcome in outcomes] == [TooLarge if id == ids[2] else type(None) for id in ids]
    assert len(store.read_many(f"AuditEvent/{id}" for id in ids)) == OTHERS - 1
