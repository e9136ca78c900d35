"""The thread that puts AuditEvents with the others, and what is written while it does."""

import threading
from typing import Any

import pytest

from fhir_server.store.mongo.audit.waiting import Waiting
from fhir_server.store.mongo.connection import Connection

PATIENCE = 60.0


class _Failing(Waiting):
    """What it puts fails the first time, in a way that nobody thought of."""

    def __init__(self, connection: Any) -> None:
        super().__init__(connection, 1.0)
        self.put: list[str] = []
        self.tried = threading.Event()

    def _put(self, name: str, condition: dict[str, Any]) -> None:
        self.put.append(name)
        self.tried.set()
        if len(self.put) == 1:
            raise ZeroDivisionError("of the plan of Tessa")


class _Slow(Waiting):
    """Its first round waits until it is let go on; no round asks a database."""

    def __init__(self, connection: Any) -> None:
        super().__init__(connection, 1.0)
        self.began, self.goes_on = threading.Event(), threading.Event()
        self.put: list[str] = []

    def _put(self, name: str, condition: dict[str, Any]) -> None:
        self.put.append(name)
        self.began.set()
        assert self.goes_on.wait(PATIENCE)


def test_who_closes_puts_what_was_written_while_the_last_round_was_under_way() -> None:
    no_database: Connection | None = None
    waiting = _Slow(no_database)
    assert waiting.process
    waiting.wrote("Task")
    assert waiting.began.wait(PATIENCE)

    waiting.wrote("CarePlan")
    closing = threading.Thread(target=waiting.close)
    closing.start()
    assert waiting._ended.wait(PATIENCE)
    waiting.goes_on.set()
    closing.join(PATIENCE)

    assert waiting.put == ["Task", "CarePlan"]
    assert not closing.is_alive()


def test_whatever_goes_wrong_once_is_tried_again_and_told_without_content(caplog: pytest.LogCaptureFixture) -> None:
    no_database: Connection | None = None
    waiting = _Failing(no_database)
    assert waiting.process
    waiting.wrote("Task")
    assert waiting.tried.wait(PATIENCE)
    assert waiting._thread is not None
    own = waiting._thread.ident

    waiting.close()

    assert waiting.put == ["Task", "Task"]
    told = [each.getMessage() for each in caplog.records if each.thread == own]
    assert [each.partition(" at ")[0] for each in told] == ["AuditEvents wait in their documents: ZeroDivisionError"]
    assert "Tessa" not in caplog.text
