"""The embedded MongoDB keeps its data through restarts and crashes, and leaves nothing running."""

import json
import os
import signal
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from fhir_server.store.embedded import EmbeddedMongo
from fhir_server.store.folder_lock import FolderLock
from fhir_server.store.mongod import command_line, find_mongod
from tests.patience import came_about
from tests.ports import free_port

OWNER = """
import sys
from pathlib import Path
from fhir_server.store.embedded import EmbeddedMongo

mongo = EmbeddedMongo(Path(sys.argv[1])).start()
print(mongo.url, mongo.pid, flush=True)
sys.stdin.read()
mongo.stop()
"""


@contextmanager
def owner(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, int]]:
    """Another process that serves the folder until its input ends: the process, the address, the mongod's pid."""
    command = [sys.executable, "-c", OWNER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        url, pid = process.stdout.readline().decode().split()
        try:
            yield process, url, int(pid)
        finally:
            process.kill()


@contextmanager
def client_of(url: str) -> Iterator[MongoClient[dict[str, Any]]]:
    with MongoClient(url) as client:
        yield client


def on_a_kept_port(folder: Path) -> EmbeddedMongo:
    """An embedded MongoDB whose port nobody is given by chance between its end and its next start."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mongod.json").write_text(json.dumps({"port": free_port()}))
    return EmbeddedMongo(folder)


class Neighbour(socketserver.TCPServer):
    allow_reuse_address = True


@contextmanager
def another_program(port: int) -> Iterator[None]:
    """A server on the port that understands nothing and hangs up."""
    with Neighbour(("127.0.0.1", port), socketserver.BaseRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def insert(url: str, value: int) -> None:
    with client_of(url) as client:
        client.test.get_collection("kept").insert_one({"value": value})


def values(url: str) -> list[int]:
    with client_of(url) as client:
        return sorted(document["value"] for document in client.test.kept.find())


def serves(pid: int) -> bool:
    return "mongod" in command_line(pid)


def test_data_outlive_a_restart_on_the_same_port(tmp_path: Path) -> None:
    with on_a_kept_port(tmp_path) as first:
        insert(first.url, 1)
        url = first.url
    with EmbeddedMongo(tmp_path) as second:
        assert (values(second.url), second.url) == ([1], url)


def test_its_log_does_not_repeat_what_was_slow(tmp_path: Path) -> None:
    with EmbeddedMongo(tmp_path) as mongo, client_of(mongo.url) as client:
        people = client.test.people
        people.insert_one({"name": "Claes"})
        slow = {"name": "Claes", "$where": "sleep(300) || true"}
        assert people.find_one(slow)
        with client.start_session() as session, session.start_transaction():
            people.find_one(slow, session=session)
            people.insert_one({"name": "Claes"}, session=session)
    assert "Claes" not in (tmp_path / "mongod.log").read_text()


def test_data_outlive_the_loss_of_the_port(tmp_path: Path) -> None:
    with on_a_kept_port(tmp_path) as first:
        insert(first.url, 1)
        port = json.loads((tmp_path / "mongod.json").read_text())["port"]
    with another_program(port), EmbeddedMongo(tmp_path) as second:
        assert str(port) not in second.url
        insert(second.url, 2)
        assert values(second.url) == [1, 2]


def test_it_listens_on_loopback_only_and_speaks_for_a_set_of_one(tmp_path: Path) -> None:
    with EmbeddedMongo(tmp_path) as mongo, client_of(mongo.url) as client:
        options = client.admin.command("getCmdLineOpts")["parsed"]
        assert options["net"]["bindIp"] == "127.0.0.1"
        assert options["net"]["unixDomainSocket"] == {"enabled": False}
        assert client.admin.command("hello")["setName"] == "samen"
        assert "enableTestCommands" not in options["setParameter"]


def test_a_second_start_in_another_process_uses_the_first_and_leaves_it_running(tmp_path: Path) -> None:
    with owner(tmp_path) as (_, url, pid):
        insert(url, 1)
        with EmbeddedMongo(tmp_path) as guest:
            assert (guest.url, guest.pid, values(guest.url)) == (url, None, [1])
        assert values(url) == [1]
        assert serves(pid)


def test_a_guest_takes_over_when_the_owner_has_gone(tmp_path: Path) -> None:
    with owner(tmp_path) as (process, _, _), EmbeddedMongo(tmp_path) as guest:
        insert(guest.url, 1)
        process.kill()
        process.wait()
        guest.stop()
        assert values(guest.start().url) == [1]
        assert guest.pid is not None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_mongod_ends_with_a_killed_owner_and_the_data_stay(tmp_path: Path) -> None:
    with owner(tmp_path) as (process, url, pid):
        insert(url, 1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert came_about(lambda: not serves(pid))
    with EmbeddedMongo(tmp_path) as again:
        assert values(again.url) == [1]


def test_data_outlive_a_killed_mongod(tmp_path: Path) -> None:
    with EmbeddedMongo(tmp_path) as first:
        with client_of(first.url) as client:
            client.test.get_collection("kept").insert_one({"value": 1})
        assert first.pid is not None
        os.kill(first.pid, signal.SIGKILL)
    with EmbeddedMongo(tmp_path) as second:
        assert values(second.url) == [1]


@pytest.fixture
def orphan(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A mongod on the folder that no living process of ours owns, as a crash on another system leaves it."""
    with on_a_kept_port(tmp_path) as mongo:
        insert(mongo.url, 1)
        port = mongo.url.partition("?")[0].rpartition(":")[2].rstrip("/")
    command = [str(find_mongod()), "--dbpath", str(tmp_path / "db"), "--replSet", "samen", "--bind_ip", "127.0.0.1"]
    with subprocess.Popen([*command, "--port", port], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        with client_of(f"mongodb://127.0.0.1:{port}/?replicaSet=samen") as client:
            client.admin.command("ping")
        yield process
        process.kill()


def test_an_orphan_is_shut_down_and_its_data_stay(tmp_path: Path, orphan: subprocess.Popen[bytes]) -> None:
    with EmbeddedMongo(tmp_path) as mongo:
        assert orphan.wait(60) == 0
        assert values(mongo.url) == [1]


def test_a_stale_process_id_of_another_program_is_left_alone(tmp_path: Path) -> None:
    with EmbeddedMongo(tmp_path) as mongo:
        insert(mongo.url, 1)
    idle = [sys.executable, "-c", "import sys; sys.stdin.read() # mongod"]
    with subprocess.Popen(idle, stdin=subprocess.PIPE) as bystander:
        (tmp_path / "db" / "mongod.lock").write_text(f"{bystander.pid}\n")
        with EmbeddedMongo(tmp_path) as mongo:
            assert values(mongo.url) == [1]
        assert bystander.poll() is None
        bystander.kill()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"port": "x"}'])
def test_a_damaged_memory_of_the_port_does_no_harm(tmp_path: Path, text: str) -> None:
    (tmp_path / "mongod.json").write_text(text)
    with EmbeddedMongo(tmp_path) as mongo:
        insert(mongo.url, 1)
        assert values(mongo.url) == [1]


def test_stopping_twice_is_harmless_and_leaves_no_process(tmp_path: Path) -> None:
    mongo = EmbeddedMongo(tmp_path).start()
    pid = mongo.pid
    assert mongo.start() is mongo
    mongo.stop()
    mongo.stop()
    assert pid is not None
    assert not serves(pid)
    lock = FolderLock(tmp_path / "owner.lock")
    assert lock.acquire()
    lock.release()


def test_only_one_holds_a_folder_lock(tmp_path: Path) -> None:
    first, second = FolderLock(tmp_path / "lock"), FolderLock(tmp_path / "lock")
    assert first.acquire()
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()
