"""The set that docker-compose.yml starts: deploy/replica_set.py on three real members that ask for a key."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from fhir_server.store.mongod import find_mongod, launch

SCRIPT = Path(__file__).parents[2] / "deploy" / "replica_set.py"
ADMIN = "an administrator's password"
SAMEN = "the server's password"


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Three members of no set yet, each of its own data."""
    folder = tmp_path_factory.mktemp("set")
    key = folder / "key"
    key.write_text("AKeyThatOnlyTheMembersKnow0123456789")
    key.chmod(0o400)
    ports = free_ports(3)
    processes = [start_member(folder / str(port), port, key) for port in ports]
    yield [f"127.0.0.1:{port}" for port in ports]
    for process in processes:
        process.kill()
        process.wait()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; held together, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [open_socket.getsockname()[1] for open_socket in sockets]
    for open_socket in sockets:
        open_socket.close()
    return ports


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
        [sys.executable, SCRIPT, *members], env={**os.environ, **passwords}, capture_output=True, text=True, timeout=180
    )


def connect(members: list[str], name: str, password: str, source: str) -> MongoClient[dict[str, Any]]:
    """As one of the users."""
    return MongoClient(
        list(members), replicaSet="samen", username=name, password=password, authSource=source,
        serverSelectionTimeoutMS=20000,
    )  # fmt: skip


def test_set_of_three_lets_only_its_users_in(members: list[str]) -> None:
    """One test for the whole life of a set: three members are slow to start."""
    first = join(members)
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

    again = join(members, samen="a new password")
    assert again.returncode == 0, again.stderr
    with connect(members, "samen", "a new password", "samen") as client:
        assert client.samen.get_collection("Task").find_one() == {"_id": "written by a majority"}

    refused = join(members, admin="not the administrator's password")
    assert refused.returncode != 0
    assert "MONGO_ADMIN_PASSWORD" in refused.stderr
