"""The demo ends whenever it is told to, whoever tells it, and leaves nothing running."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_server.store.embedded import EmbeddedMongo
from tests.faults.test_serving import SECONDS, Served, ended_after, eventually

ALL_IS_UP = "It runs until Ctrl-C."


class Shown(Served):
    """`fhir-server demo` on a folder of its own."""

    command = "demo"

    def database_is_up(self) -> bool:
        return EmbeddedMongo(self.folder / "mongodb").served


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Shown]:
    yield from ended_after(Shown(tmp_path))


UNDER_NOHUP = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
HANGUP = pytest.param(
    signal.SIGHUP,
    marks=pytest.mark.skipif(UNDER_NOHUP, reason="what runs under nohup ignores SIGHUP, the demo too: run it without"),
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, HANGUP])
def test_a_demo_that_is_told_to_end_does_not_tell_its_story_first(shown: Shown, number: int) -> None:
    process = shown.launch()
    shown.wait_until(shown.database_is_up)

    process.send_signal(number)

    assert process.wait(SECONDS) == 0, shown.words()
    assert "Ended. The data are kept" in shown.words()
    assert ALL_IS_UP not in shown.words()
    assert "Traceback" not in shown.words()
    assert shown.is_gone()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux alone ends the children of whoever is killed")
def test_a_demo_that_is_killed_leaves_nothing_running(shown: Shown) -> None:
    process = shown.launch()
    shown.wait_until(lambda: ALL_IS_UP in shown.words())

    process.kill()

    process.wait(SECONDS)
    assert eventually(shown), shown.words()
