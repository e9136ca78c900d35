"""A MongoDB of our own in one folder: for the demo, the tests and a first look. Production names a server instead.

It is a real mongod, a replica set of one member, on the loopback interface only.
"""

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from fhir_server.store.folder_lock import FolderLock
from fhir_server.store.mongod import INSTEAD, NoEmbeddedMongo, command_line, explain_end, find_mongod, launch
from fhir_server.store.replica_set import REPLICA_SET, is_primary

__all__ = ["EmbeddedMongo", "NoEmbeddedMongo"]

_HOST = "127.0.0.1"
_POLL = 0.02


class EmbeddedMongo:
    """A mongod whose data lie in `folder`; started by `start` or `with`, stopped by `stop` or with this process.

    Who starts on a folder that a living process of ours already serves uses that one, and leaves it running. What a
    crash left behind is recovered; a mongod that certainly served this folder for a dead process is shut down first.
    `cache_gb` bounds its memory. `test_commands` is for tests: it allows fail points, and dropped databases leave the
    disk within seconds. Errors are NoEmbeddedMongo.
    """

    def __init__(
        self, folder: Path, *, cache_gb: float = 0.25, test_commands: bool = False, seconds: float = 60.0
    ) -> None:
        self.folder = folder.absolute()
        self._cache_gb = cache_gb
        self._test_commands = test_commands
        self._seconds = seconds
        self._lock = FolderLock(self.folder / "owner.lock")
        self._process: subprocess.Popen[bytes] | None = None
        self._port: int | None = None

    @property
    def url(self) -> str:
        """The address for a MongoClient."""
        if self._port is None:
            raise NoEmbeddedMongo("The embedded MongoDB has not been started.")
        return f"mongodb://{_HOST}:{self._port}/?replicaSet={REPLICA_SET}"

    @property
    def pid(self) -> int | None:
        """The process id of the mongod that this object started; None when it uses another's."""
        return self._process.pid if self._process else None

    @property
    def crashed(self) -> bool:
        """Whether the mongod that this object started was killed or gave up; one that was told to end did not."""
        process = self._process
        return process is not None and bool(process.poll())

    @property
    def served(self) -> bool:
        """Whether a living process serves the folder, or is about to."""
        if not self.folder.is_dir():
            return False
        probe = FolderLock(self._lock.path)
        free = probe.acquire()
        probe.release()
        return not free

    def __enter__(self) -> "EmbeddedMongo":
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> "EmbeddedMongo":
        """Return when the database takes writes. Raises NoEmbeddedMongo."""
        if self._port is not None:
            return self
        binary = find_mongod()
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._own_or_join(binary)
        except OSError as error:
            self.stop()
            raise NoEmbeddedMongo(
                f"The folder {self.folder} cannot be used: {error.strerror}. Name another. {INSTEAD}"
            ) from error
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Shut the mongod down cleanly if it is ours, then let the folder go. Harmless when repeated."""
        process, self._process = self._process, None
        if process is not None:
            _shut_down(process)
            atexit.unregister(self.stop)
        if self._lock.held:
            if self._port is not None:
                self._remember(ready=False)
            self._lock.release()
        self._port = None

    def _own_or_join(self, binary: Path) -> None:
        """Serve the folder ourselves, or wait for whoever does."""
        deadline = time.monotonic() + self._seconds
        while not self._lock.acquire():
            state = self._remembered()
            if state.get("ready") and is_primary(state["port"]):
                self._port = state["port"]
                return
            if time.monotonic() > deadline:
                raise NoEmbeddedMongo(
                    f"Process {state.get('owner')} uses {self.folder} and its MongoDB does not answer: end that "
                    f"process, or name another folder."
                )
            time.sleep(_POLL)
        _end_orphan(self.folder)
        self._serve(binary, deadline)

    def _serve(self, binary: Path, deadline: float) -> None:
        (self.folder / "db").mkdir(exist_ok=True, mode=0o700)
        atexit.register(self.stop)
        for port in (self._remembered().get("port"), None, None):
            self._port = port if port and _free(port) else _free_port()
            self._remember(ready=False)
            if self._launch(binary, deadline):
                self._remember(ready=True)
                return
        raise NoEmbeddedMongo(
            f"No port of {_HOST} could be had: other programs were first each time (or a firewall forbids listening). "
            f"Try again. {INSTEAD}"
        )

    def _launch(self, binary: Path, deadline: float) -> bool:
        """Start mongod and see it become primary; False when another program took the port first."""
        log = self.folder / "mongod.log"
        if log.exists():
            log.replace(self.folder / "mongod.previous.log")
        with log.open("wb") as output:
            self._process = launch(self._command(binary), output)
        while not is_primary(self._port, settle=True):
            code = self._process.poll()
            if code is not None:
                self._process = None
                words = log.read_text(errors="replace")[-20_000:]
                if "Address already in use" in words:
                    return False
                raise NoEmbeddedMongo(explain_end(code, words, self.folder))
            if time.monotonic() > deadline:
                raise NoEmbeddedMongo(
                    f"mongod in {self.folder} did not become ready within {self._seconds:.0f} s; its words: {log}"
                )
            time.sleep(_POLL)
        return True

    def _command(self, binary: Path) -> list[str]:
        # A transaction whose client was killed holds its plan's guard until the server gives it up.
        parameters = ["diagnosticDataCollectionEnabled=false", "transactionLifetimeLimitSeconds=30"]
        if self._test_commands:
            # Each database has 575 files open; without a look back they go with the next checkpoint, not in minutes.
            parameters += ["enableTestCommands=1", "minSnapshotHistoryWindowInSeconds=0"]
        # fmt: off
        return [
            str(binary), "--dbpath", str(self.folder / "db"), "--replSet", REPLICA_SET,
            "--bind_ip", _HOST, "--port", str(self._port), "--quiet", "--oplogSize", "256",
            "--wiredTigerCacheSizeGB", str(self._cache_gb),
            "--slowOpSampleRate", "0",  # such lines of its log repeat what was asked and stored
            *([] if os.name == "nt" else ["--nounixsocket"]),
            *(["--syncdelay", "10"] if self._test_commands else []),
            *(part for parameter in parameters for part in ("--setParameter", parameter)),
        ]
        # fmt: on

    def _remembered(self) -> dict[str, Any]:
        try:
            state = json.loads((self.folder / "mongod.json").read_text())
        except (OSError, ValueError):
            return {}
        sound = isinstance(state, dict) and isinstance(state.get("port"), int)
        return state if sound else {}

    def _remember(self, *, ready: bool) -> None:
        """Write the state as a whole: a reader sees the old or the new, never a half."""
        draft = self.folder / "mongod.json.new"
        draft.write_text(json.dumps({"port": self._port, "owner": os.getpid(), "ready": ready}))
        draft.replace(self.folder / "mongod.json")


def _end_orphan(folder: Path) -> None:
    """Shut down the mongod that a dead process of ours left on this folder, if there is one and it is certain.

    mongod writes its process id into its lock file and empties it when it ends cleanly; process ids are used again,
    so the command line must name this very folder.
    """
    try:
        pid = int((folder / "db" / "mongod.lock").read_text())
    except (OSError, ValueError):
        return
    if not _serves(pid, folder):
        return
    for number, seconds in ((signal.SIGTERM, 20), (signal.SIGKILL, 5)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        for _ in range(int(seconds / _POLL)):
            if not _serves(pid, folder):
                return
            time.sleep(_POLL)


def _serves(pid: int, folder: Path) -> bool:
    words = command_line(pid)
    return "mongod" in words and f"--dbpath {folder / 'db'} " in words


def _shut_down(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((_HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def _free(port: int) -> bool:
    with socket.socket() as listener:
        if os.name != "nt":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_HOST, port))
        except OSError:
            return False
        return True
