"""The server ends when it is told to, leaves nothing behind, and comes back after a crash."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
import requests

from fhir_server.cli.listening import AddressRefused, claimed
from fhir_server.cli.running import SECONDS_TO_FINISH
from fhir_server.store.embedded import EmbeddedMongo
from tests.faults.test_embedded import on_a_kept_port
from tests.ports import free_port

SECONDS = 90
Running = TypeVar("Running", bound="Served")


class Served:
    """`fhir-server serve` on a folder of its own, with the embedded MongoDB."""

    command = "serve"

    def __init__(self, folder: Path, port: int | None = None, **settings: str) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.host = settings.get("SAMEN_HOST", "127.0.0.1")
        self._settings = settings
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
                [sys.executable, "-m", "fhir_server", self.command],
                env=environment | settings | self._settings,
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
            return requests.get(f"{self.origin}/readyz", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def is_gone(self) -> bool:
        """Nobody listens, and nobody serves the database's folder."""
        with socket.socket() as caller:
            refused = caller.connect_ex(("127.0.0.1", self.port)) != 0
        return refused and not EmbeddedMongo(self.folder / "mongodb").served

    @property
    def origin(self) -> str:
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    def words(self) -> str:
        return (self.folder / "serve.log").read_text()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    yield from ended_after(Served(tmp_path))


def ended_after(server: Running) -> Iterator[Running]:
    """The server, which is ended when the test has."""
    yield server
    if server.process is not None and server.process.poll() is None:
        server.process.terminate()
        server.process.wait(SECONDS)


def refused(server: Served) -> str:
    """What a server says that does not start."""
    process = server.launch()
    assert process.wait(SECONDS) == 1, server.words()
    return server.words()


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
    assert "refused to gracefully stop" not in served.words()


def test_the_server_ends_at_once_while_it_is_starting(served: Served) -> None:
    process = served.launch()
    served.wait_until(lambda: "Spawning worker-2" in served.words())
    told = time.monotonic()
    process.terminate()
    assert process.wait(SECONDS) == 0, served.words()
    assert time.monotonic() - told < SECONDS_TO_FINISH, "nobody was waited for until it had to be killed"


def test_the_server_ends_however_often_it_is_told_to(served: Served) -> None:
    process = served.start()
    for _ in range(300):
        process.send_signal(signal.SIGTERM)
    # One that comes when all is shut down already ends what is left: the interpreter.
    assert process.wait(SECONDS) in {0, -signal.SIGTERM}, served.words()
    assert served.is_gone()


def test_all_processes_may_be_told_to_end_at_once(served: Served) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        process = served.launch()
        spawned = served.words().count("Spawning worker-2")
        served.wait_until(lambda known=spawned: served.words().count("Spawning worker-2") > known)
        told = time.monotonic()
        os.killpg(process.pid, number)
        assert process.wait(SECONDS) == 0, served.words()
        assert time.monotonic() - told < SECONDS_TO_FINISH, "nobody was waited for until it had to be killed"
    assert "[ERROR]" not in served.words()
    assert "[WARNING]" not in served.words()


def test_a_second_server_on_a_taken_port_says_so_and_ends(
    served: Served, tmp_path_factory: pytest.TempPathFactory
) -> None:
    served.launch()
    served.wait_until(lambda: "Listening" in served.words())
    words = f"Error: Another program listens on 127.0.0.1:{served.port}: end it, or choose another port"

    assert words in refused(Served(tmp_path_factory.mktemp("early"), served.port)), "while the first still starts"

    served.wait_until(served.answers)
    for host in ("127.0.0.1", "0.0.0.0"):
        second = Served(
            tmp_path_factory.mktemp("late"), served.port, SAMEN_HOST=host, SAMEN_BASE_URL=f"{served.origin}/fhir"
        )
        told = refused(second)
        assert words.replace("127.0.0.1", host) in told
        assert "Traceback" not in told
    served.wait_until(served.answers)


def test_connections_that_linger_keep_no_server_from_its_port(served: Served) -> None:
    process = served.start()
    with requests.Session() as kept:
        assert kept.get(f"{served.origin}/livez", timeout=SECONDS).ok
        process.terminate()
        assert process.wait(SECONDS) == 0, served.words()
        served.start()


def test_a_server_listens_on_an_address_of_ipv6_alone(tmp_path: Path) -> None:
    if not has_ipv6():
        pytest.skip("this machine has no IPv6: give it the address ::1")
    server = Served(tmp_path, SAMEN_HOST="::1", SAMEN_WORKERS="1")
    process = server.start()
    second = Served(tmp_path, server.port, SAMEN_HOST="::1")
    assert f"Another program listens on [::1]:{server.port}" in refused(second)
    process.terminate()
    assert process.wait(SECONDS) == 0, server.words()


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as listener:
            listener.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_a_machine_listens_on_its_own_addresses_only() -> None:
    with (
        pytest.raises(AddressRefused, match=r"This machine has no address 192\.0\.2\.1"),
        claimed("192.0.2.1", free_port()),
    ):
        pytest.fail("nobody has this address")


def test_a_process_that_was_killed_is_replaced_on_the_same_port(served: Served) -> None:
    served.start()
    served.wait_until(lambda: "Started worker-1" in served.words())
    assert "WARNING" not in served.words(), "a start that is as it should be warns of nothing"
    [killed] = re.findall(r"Spawning worker-1 with PID: (\d+)", served.words())

    os.kill(int(killed), signal.SIGKILL)

    served.wait_until(lambda: served.words().count("Started worker-1") == 2)
    served.wait_until(served.answers)


def test_a_server_that_starts_before_its_database_waits_for_it(tmp_path: Path) -> None:
    with on_a_kept_port(tmp_path / "mongodb") as mongo:
        url = mongo.url
    server = Served(tmp_path, SAMEN_MONGODB_URL=url, SAMEN_WORKERS="1")
    process = server.launch()

    server.wait_until(lambda: "serves as soon as the database answers" in server.words())
    assert "Traceback" not in server.words()
    with EmbeddedMongo(tmp_path / "mongodb"):
        server.wait_until(server.answers)
        process.terminate()
        assert process.wait(SECONDS) == 0, server.words()


def test_a_server_that_waits_for_its_database_ends_when_it_is_told_to(tmp_path: Path) -> None:
    server = Served(tmp_path, SAMEN_MONGODB_URL=f"mongodb://127.0.0.1:{free_port()}/", SAMEN_WORKERS="1")
    process = server.launch()
    server.wait_until(lambda: "serves as soon as the database answers" in server.words())

    process.terminate()

    assert process.wait(SECONDS) == 0, server.words()


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


def test_a_server_whose_own_database_was_killed_says_so_and_ends(served: Served) -> None:
    process = served.start()
    mongod = int((served.folder / "mongodb" / "db" / "mongod.lock").read_text())

    os.kill(mongod, signal.SIGKILL)

    assert process.wait(SECONDS) == 1, served.words()
    assert "Error: The embedded MongoDB was killed or gave up" in served.words()
    assert "Traceback" not in served.words()
    served.start()


def test_two_servers_on_one_folder_share_one_database(served: Served) -> None:
    served.start()
    second = Served(served.folder)
    process = second.start()
    process.terminate()
    assert process.wait(SECONDS) == 0
    served.wait_until(served.answers)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full disk to try: /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_nobody_sees_a_traceback_because_a_disk_is_full(served: Served, tmp_path: Path, unbuffered: str) -> None:
    command = [sys.executable, "-m", "fhir_server"]
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "wb") as full:
        shown = subprocess.run(
            [*command, "check-settings"], env=environment, stdout=full, stderr=subprocess.PIPE, timeout=SECONDS
        )
    assert (shown.returncode, shown.stderr) == (1, b"Error: No space left on device\n")

    settings = {"SAMEN_DATA": str(tmp_path), "SAMEN_PORT": str(served.port), "SAMEN_WORKERS": "1"}
    with open("/dev/full", "wb") as full, (tmp_path / "errors").open("wb") as errors:
        process = subprocess.Popen([*command, "serve"], env=environment | settings, stdout=full, stderr=errors)
    served.process = process
    (tmp_path / "serve.log").touch()
    served.wait_until(served.answers)
    process.terminate()
    assert process.wait(SECONDS) == 0
    assert (tmp_path / "errors").read_text() == ""
