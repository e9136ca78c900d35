"""What a process recorded goes on by itself: soon, after trouble, and at the end."""

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from fhir_server.store.forwarding import Forwarding
from tests.patience import came_about


class Sent:
    """Where records go; it fails the first `failures` times."""

    def __init__(self, failures: int = 0) -> None:
        self.records: list[bytes] = []
        self.failures = failures

    def __call__(self, records: Sequence[bytes]) -> None:
        if self.failures:
            self.failures -= 1
            raise TimeoutError
        self.records += records


def test_records_go_on_without_being_asked_for(tmp_path: Path) -> None:
    sent = Sent()
    forwarding = Forwarding(tmp_path, sent)

    for record in (b"one", b"two"):
        forwarding.append(record)

    assert came_about(lambda: sent.records == [b"one", b"two"])
    forwarding.end()


def test_what_failed_is_tried_again_and_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    sent = Sent(failures=2)
    forwarding = Forwarding(tmp_path, sent)

    forwarding.append(b"one")

    assert came_about(lambda: sent.records == [b"one"])
    forwarding.end()
    # Of its own thread: a server of other tests in this process may tell of its own troubles meanwhile.
    own = [record.levelname for record in caplog.records if record.thread == forwarding._thread.ident]
    assert own == ["WARNING", "INFO"]


def test_the_end_carries_on_what_is_left_and_leaves_nothing(tmp_path: Path) -> None:
    sent = Sent()
    forwarding = Forwarding(tmp_path, sent)
    forwarding.append(b"one")

    forwarding.end()

    assert sent.records == [b"one"]
    assert list(tmp_path.iterdir()) == []


def test_what_could_not_go_on_at_the_end_is_found_by_the_next(tmp_path: Path) -> None:
    first = Forwarding(tmp_path, Sent(failures=1_000))
    first.append(b"one")
    first.end()

    sent = Sent()
    second = Forwarding(tmp_path, sent)

    assert came_about(lambda: sent.records == [b"one"])
    second.end()
