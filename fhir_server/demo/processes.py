"""The demo's own server and worker: the same commands as in production, started, awaited and ended."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import requests

from fhir_server.store.tied_process import start_tied

_SECONDS_TO_START = 60.0
_SECONDS_TO_END = 20.0


class NotStarted(RuntimeError):
    """The server did not come up; the message says where its log is."""


@contextmanager
def running(environment: Mapping[str, str], ready: str, logs: Path) -> Iterator[None]:
    """`fhir-server serve` and `fhir-server worker` with these settings, until the block ends.

    Raises NotStarted unless `ready` answers in time.
    """
    children: list[subprocess.Popen[bytes]] = []
    try:
        for command in ("serve", "worker"):
            children.append(_start(command, environment, logs / f"{command}.log"))
        _wait_until_ready(ready, children, logs)
        yield
    finally:
        _end(children)


def _start(command: str, environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """A child out of reach of Ctrl-C, which reaches the demo first, which then ends it in order; it ends with us."""
    with log.open("wb") as file:
        return start_tied([sys.executable, "-m", "fhir_server", command], file, {**os.environ, **environment})


def _wait_until_ready(ready: str, children: list[subprocess.Popen[bytes]], logs: Path) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline:
        ended = [child for child in children if child.poll() is not None]
        if ended:
            raise NotStarted(f"The server or the worker ended by itself; {logs} says why.")
        try:
            if requests.get(ready, timeout=2).status_code == 200:
                return
        except requests.RequestException:
            time.sleep(0.1)
    raise NotStarted(f"The server did not answer at {ready} in time; {logs} says why.")


def _end(children: list[subprocess.Popen[bytes]]) -> None:
    for child in children:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + _SECONDS_TO_END
    for child in children:
        try:
            child.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
