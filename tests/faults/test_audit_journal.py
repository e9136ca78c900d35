"""Servers are killed while they answer: of every reading that was answered the audit tells, exactly once."""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from pymongo import MongoClient

from fhir_server.app import Parts, build
from fhir_server.auth.clients import register_client
from fhir_server.fhir import dates
from fhir_server.fhir.json import decode
from fhir_server.settings import Settings
from fhir_server.store.mongod import command_line
from tests.ports import free_port

SECONDS = 180.0  # a busy machine is slow, and still right
READERS = 6


class Served:
    """`fhir-server serve` with two processes, on the run's MongoDB and an audit folder of its own."""

    def __init__(self, parts: Parts, folder: Path) -> None:
        settings = parts.settings
        self.url = settings.public_url
        self._log = folder / "serve.log"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SAMEN_")},
            "SAMEN_MONGODB_URL": settings.mongodb_url,
            "SAMEN_DATABASE": settings.database,
            "SAMEN_AUDIT_FOLDER": str(settings.audit_folder),
            "SAMEN_PORT": str(settings.port),
            "SAMEN_WORKERS": "2",
            "SAMEN_SECURE_COOKIES": "false",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **more: str) -> None:
        """Return when it answers."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fhir_server", "serve"],
                env=self._environment | more,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until(self.answers)

    def answers(self) -> bool:
        """Whether it is ready."""
        assert self.process is not None
        assert self.process.poll() is None, self.words()
        try:
            return requests.get(self.url.replace("/fhir", "/readyz"), timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def kill(self) -> None:
        """Kill its processes, all at once, in the middle of whatever they do; return when all are gone.

        The one that watches the others first: it would report their end, and replace them. Whoever waits for the disk
        has its port for as long as that takes, and the next server does not wait for it for long.
        """
        assert self.process is not None
        children = children_of(self.process.pid)
        for each in [self.process.pid, *children]:
            os.kill(each, signal.SIGKILL)
        self.process.wait()
        wait_until(lambda: not any("fhir_server" in command_line(each) for each in children))

    def end(self) -> None:
        """Tell it to end."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(SECONDS)

    def words(self) -> str:
        """What it logged."""
        return self._log.read_text()


class Readers:
    """Clients that ask for one invented resource after the other and remember which ones were answered."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self.answered: list[str] = []

    def answer_more(self, count: int) -> Callable[[], bool]:
        """Whether so many more than now were answered."""
        enough = len(self.answered) + count
        return lambda: len(self.answered) >= enough

    @contextmanager
    def asking(self) -> Iterator[None]:
        """They ask inside, until nobody answers any more."""
        stop = threading.Event()
        threads = [threading.Thread(target=self._ask, args=(stop,)) for _ in range(READERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def _ask(self, stop: threading.Event) -> None:
        with requests.Session() as session:
            while not stop.is_set():
                place = f"Condition/{uuid.uuid4()}"
                try:
                    reply = session.get(f"{self._url}/{place}", headers=self._headers, timeout=60)
                except requests.RequestException:
                    return
                assert reply.status_code == 404
                self.answered.append(place)


@contextmanager
def parts_in(mongo_url: str, name: str, folder: Path) -> Iterator[Parts]:
    """The parts of a server of its own, closed at the end; its audit lies in the folder."""
    made = build(
        Settings(
            mongodb_url=mongo_url,
            database=name,
            port=free_port(),
            audit_folder=folder / "audit",
            secure_cookies=False,
        )
    )
    yield made
    made.store.close()
    made.registry.close()


@pytest.fixture
def parts(
    mongo_url: str, mongo_client: MongoClient[dict[str, Any]], database_name: str, tmp_path: Path
) -> Iterator[Parts]:
    name = f"{database_name}_j"
    with parts_in(mongo_url, name, tmp_path) as made:
        yield made
    mongo_client.drop_database(name)


@pytest.fixture
def served(parts: Parts, tmp_path: Path) -> Iterator[Served]:
    server = Served(parts, tmp_path)
    yield server
    server.end()


@pytest.fixture
def readers(parts: Parts, served: Served) -> Readers:
    client, _ = register_client(
        parts.registry, organization="Organization/reader", scopes=("system/*.cruds",), now=dates.now()
    )
    return Readers(served.url, parts.issuer.access_token(client, client.scopes, timedelta(hours=1)))


@pytest.mark.skipif(sys.platform != "linux", reason="children of a process are found in Linux' /proc")
def test_every_answer_of_a_killed_server_is_told_once_by_the_next(
    parts: Parts, served: Served, readers: Readers
) -> None:
    for _ in range(2):
        served.start()
        with readers.asking():
            wait_until(readers.answer_more(300))
            served.kill()
    served.start()

    wait_until(lambda: told(parts).keys() >= set(readers.answered))

    counted = told(parts)
    assert {counted[place] for place in readers.answered} == {1}
    assert sum(counted.values()) - len(readers.answered) <= 2 * READERS, "what was recorded but no longer answered"
    wait_until(lambda: len(list(journals(parts))) <= 2)
    assert "ERROR" not in served.words()


@pytest.mark.skipif(sys.platform != "linux", reason="children of a process are found in Linux' /proc")
def test_every_answer_of_a_killed_server_is_told_by_one_that_records_in_the_database(
    parts: Parts, served: Served, readers: Readers
) -> None:
    served.start()
    with readers.asking():
        wait_until(readers.answer_more(300))
        served.kill()
    served.start(SAMEN_AUDIT_READS="journaled")

    wait_until(lambda: told(parts).keys() >= set(readers.answered))
    wait_until(lambda: list(journals(parts)) == [])


@pytest.mark.skipif(sys.platform != "linux", reason="children of a process are found in Linux' /proc")
def test_the_process_beside_it_tells_of_one_that_was_killed(parts: Parts, served: Served, readers: Readers) -> None:
    served.start()
    assert served.process is not None
    with readers.asking():
        wait_until(readers.answer_more(200))
        os.kill(children_of(served.process.pid)[0], signal.SIGKILL)

    wait_until(lambda: told(parts).keys() >= set(readers.answered))
    assert set(told(parts).values()) == {1}


def test_a_server_that_ends_carries_on_all_that_it_recorded(parts: Parts, served: Served, readers: Readers) -> None:
    served.start()
    with readers.asking():
        wait_until(readers.answer_more(100))
    served.end()

    assert set(readers.answered) <= told(parts).keys()
    assert list(journals(parts)) == []
    assert "Traceback" not in served.words()


def test_another_process_of_the_machine_finds_what_was_answered_just_before(
    parts: Parts, served: Served, readers: Readers
) -> None:
    served.start()
    with readers.asking():
        for _ in range(5):
            wait_until(readers.answer_more(20))
            before = list(readers.answered)
            parts.store.settle_audit()
            assert told(parts).keys() >= set(before)


def test_a_server_without_a_folder_to_write_to_says_so_and_does_not_start(parts: Parts, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    served = Served(
        replace(parts, settings=replace(parts.settings, audit_folder=tmp_path / "file" / "audit")), tmp_path
    )

    with pytest.raises(AssertionError, match=r"Error: SAMEN_AUDIT_FOLDER: .* cannot be written"):
        served.start()


def told(parts: Parts) -> Counter[str]:
    """How often the audit in the database tells of each place."""
    bodies = parts.store._connection.database["AuditEvent"].find({}, {"body": 1})
    entities = [entity for each in bodies for entity in decode(each["body"]).get("entity", ())]
    return Counter(entity["what"]["reference"] for entity in entities if "what" in entity)


def journals(parts: Parts) -> Iterator[Path]:
    """The segments that are there."""
    assert parts.settings.audit_folder is not None
    return parts.settings.audit_folder.rglob("*.audit")


def children_of(process: int) -> list[int]:
    found = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(each) for each in found.split()]


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)
