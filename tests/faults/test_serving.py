"""The server ends when it is told to, leaves nothing behind, and comes back after a crash."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from fhir_server.store.embedded import EmbeddedMongo

SECONDS = 90


class Served:
    """`fhir-server serve` on a folder of its own, with the embedded MongoDB."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        """The process, once it is ready."""
        process = self.launch()
        self.wait_until(self.answers)
        return process

    def launch(self) -> subprocess.Popen[bytes]:
        """The process, as soon as it exists."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SAMEN_")}
        settings = {"SAMEN_DATA": str(self.folder), "SAMEN_PORT": str(self.port), "SAMEN_WORKERS": "2"}
        with (self.folder / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fhir_server", "serve"],
                env=environment | settings,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self.process

    def wait_until(self, happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while not happened():
            assert self.process is not None
            assert self.process.poll() is None, self.words()
            assert time.monotonic() < deadline, self.words()
            time.sleep(0.02)

    def answers(self) -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/readyz", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def is_gone(self) -> bool:
        """Nobody listens, and nobody serves the database's folder."""
        with socket.socket() as caller:
            refused = caller.connect_ex(("127.0.0.1", self.port)) != 0
        return refused and not EmbeddedMongo(self.folder / "mongodb").served

    def words(self) -> str:
        return (self.folder / "serve.log").read_text()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    server = Served(tmp_path)
    yield server
    if server.process is not None and server.process.poll() is None:
        server.process.terminate()
        server.process.wait(SECONDS)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def eventually(served: Served) -> bool:
    deadline = time.monotonic() + SECONDS
    while not served.is_gone() and time.monotonic() < deadline:
        time.sleep(0.1)
    return served.is_gone()


def test_the_server_ends_cleanly_when_it_is_told_to(served: Served) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        process = served.start()
        process.send_signal(number)
        assert process.wait(SECONDS) == 0, served.words()
        assert served.is_gone()
    assert "Traceback" not in served.words()


def test_the_server_ends_at_once_while_it_is_starting(served: Served) -> None:
    process = served.launch()
    served.wait_until(lambda: "Spawning worker-2" in served.words())
    time.sleep(0.2)
    told = time.monotonic()
    process.terminate()
    assert process.wait(SECONDS) == 0, served.words()
    assert time.monotonic() - told < 10


def test_the_server_comes_back_after_it_was_killed(served: Served) -> None:
    served.start().kill()
    assert served.process is not None
    served.process.wait(SECONDS)
    assert eventually(served), served.words()
    served.start()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_process_that_was_born_as_its_server_died_ends_too() -> None:
    story = """
import multiprocessing, os, signal, time
from fhir_server.cli import running

def be_born():
    while os.getppid() == multiprocessing.parent_process().pid:
        time.sleep(0.01)
    running.FACTORY = "builtins.dict"
    running.application()
    print("serves", flush=True)
    time.sleep(3600)

if __name__ == "__main__":
    multiprocessing.get_context("fork").Process(target=be_born).start()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    told = subprocess.run([sys.executable, "-c", story], stdout=subprocess.PIPE, timeout=SECONDS).stdout

    assert told in {b"serves\n", b""}, "and nobody holds the pipe any more"


def test_two_servers_on_one_folder_share_one_database(served: Served) -> None:
    served.start()
    second = Served(served.folder)
    process = second.start()
    process.terminate()
    assert process.wait(SECONDS) == 0
    assert served.answers()
