"""The set that docker-compose.yml starts: deploy/replica_set.py on three real members that ask for a key."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from fhir_server.store.mongod import find_mongod, launch
from tests.ports import free_port

SCRIPT = Path(__file__).parents[2] / "deploy" / "replica_set.py"
ADMIN = "an administrator's password"
SAMEN = "the server's password"


class Members:
    """Three members of no set yet, each of its own data."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = folder / "key"
        self._key.write_text("AKeyThatOnlyTheMembersKnow0123456789")
        self._key.chmod(0o400)
        self._ports = [free_port() for _ in range(3)]
        self.names = [f"127.0.0.1:{port}" for port in self._ports]
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, *numbers: int) -> None:
        """Start some of them."""
        for port in (self._ports[number] for number in numbers):
            self._processes.append(start_member(self._folder / str(port), port, self._key))

    def kill(self) -> None:
        """End those that were started."""
        for process in self._processes:
            process.kill()
            process.wait()


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Members]:
    """Members, gone at the end."""
    made = Members(tmp_path)
    yield made
    made.kill()


def start_member(data: Path, port: int, key: Path) -> subprocess.Popen[bytes]:
    """The same command as in docker-compose.yml, on loopback."""
    data.mkdir()
    command = [str(find_mongod()), "--replSet", "samen", "--keyFile", str(key), "--dbpath", str(data)]
    where = ["--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"]
    with (data.parent / f"{port}.log").open("wb") as output:
        return launch([*command, *where], output)


def join(members: list[str], *, admin: str = ADMIN, samen: str = SAMEN) -> subprocess.CompletedProcess[str]:
    """Run the script as the one-shot container does."""
    passwords = {"MONGO_ADMIN_PASSWORD": admin, "MONGO_SAMEN_PASSWORD": samen}
    return subprocess.run(
        [sys.executable, SCRIPT, *members], env={**os.environ, **passwords}, capture_output=True, text=True, timeout=600
    )


def connect(members: list[str], name: str, password: str, source: str) -> MongoClient[dict[str, Any]]:
    """As one of the users."""
    return MongoClient(
        list(members), replicaSet="samen", username=name, password=password, authSource=source,
        serverSelectionTimeoutMS=60000,
    )  # fmt: skip


def priorities(client: MongoClient[dict[str, Any]]) -> list[float]:
    """How much each member is preferred as primary."""
    return [member["priority"] for member in configuration(client)["members"]]


def prefer(client: MongoClient[dict[str, Any]], *given: int) -> None:
    """As an administrator does, or an older version of the script did."""
    changed = configuration(client)
    for member, priority in zip(changed["members"], given, strict=True):
        member["priority"] = priority
    client.admin.command("replSetReconfig", {**changed, "version": changed["version"] + 1})


def configuration(client: MongoClient[dict[str, Any]]) -> dict[str, Any]:
    """The set's own."""
    found: dict[str, Any] = client.admin.command("replSetGetConfig")["config"]
    return found


def test_set_of_three_lets_only_its_users_in(three: Members) -> None:
    """One test for the whole life of a set: three members are slow to start, and the last one starts late."""
    members = three.names
    three.start(0, 1)
    with ThreadPoolExecutor(1) as beside:
        joining = beside.submit(join, members)
        time.sleep(2)
        three.start(2)
        first = joining.result()
    assert first.returncode == 0, first.stderr
    assert sum(f"{member} " in first.stdout for member in members) == 3

    with connect(members, "samen", SAMEN, "samen") as client:
        client.samen.get_collection("Task").insert_one({"_id": "written by a majority"})
        with pytest.raises(OperationFailure, match="not authorized"):
            client.admin.command("createUser", "intruder", pwd="x", roles=["root"])
    host, port = members[0].split(":")
    stranger: MongoClient[dict[str, Any]] = MongoClient(host, int(port), directConnection=True)
    with stranger, pytest.raises(OperationFailure, match="requires authentication"):
        stranger.samen.get_collection("Task").find_one()

    with connect(members, "admin", ADMIN, "admin") as client:
        assert priorities(client) == [1, 1, 1], "a member that comes back takes the place of no other"
        prefer(client, 2, 1, 1)

    again = join(members, samen="a new password")
    assert again.returncode == 0, again.stderr
    with connect(members, "admin", ADMIN, "admin") as client:
        assert priorities(client) == [1, 1, 1]
        prefer(client, 3, 1, 1)
    assert join(members, samen="a new password").returncode == 0
    with connect(members, "admin", ADMIN, "admin") as client:
        assert priorities(client) == [3, 1, 1], "who prefers a member on purpose keeps it"
    with connect(members, "samen", "a new password", "samen") as client:
        assert client.samen.get_collection("Task").find_one() == {"_id": "written by a majority"}

    refused = join(members, admin="not the administrator's password")
    assert refused.returncode != 0
    assert "MONGO_ADMIN_PASSWORD" in refused.stderr
