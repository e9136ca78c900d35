"""The servers that are measured: ours by its own command, the others by the same Granian with another application."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import requests
from flask import Flask

from fhir_server.cli import running
from fhir_server.cli.database import settings_of_environment
from fhir_server.demo.processes import NotStarted

REPOSITORY = Path(__file__).parents[1]
OURS, JOURNALED, WITHOUT_AUDIT, BASELINE = "ours", "journaled", "without-audit", "baseline"
_COMMANDS = {
    OURS: ("-m", "fhir_server", "serve"),
    JOURNALED: ("-m", "fhir_server", "serve"),
    WITHOUT_AUDIT: ("-m", "bench.serving", "bench.serving:without_audit"),
    BASELINE: ("-m", "bench.serving", "bench.serving:baseline"),
}
_SETTINGS = {JOURNALED: {"SAMEN_AUDIT_READS": "journaled"}}
_SECONDS_TO_START = 60.0


def baseline() -> Flask:
    """The bare views, as Granian is told to find them."""
    from bench.baseline import views

    return views(settings_of_environment())


def without_audit() -> Flask:
    """Our application, only that no read is recorded: it exists to measure what the record costs."""
    from fhir_server.app import build, web

    parts = build(settings_of_environment())
    parts.store.record_reading = lambda *_: None  # type: ignore[method-assign]
    return web(parts)


@contextmanager
def serving(which: str, environment: Mapping[str, str], port: int, log: Path) -> Iterator[int]:
    """The server with these SAMEN_ variables on `port`, answering; the process id of its parent process."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *_COMMANDS[which]],
            cwd=REPOSITORY,
            env={**os.environ, **environment, **_SETTINGS.get(which, {}), "SAMEN_PORT": str(port)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_ready(process, port, log)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return when the server answers, with all its processes. Raises NotStarted."""
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code == 200 and _all_serve(log):
                return
        except requests.RequestException:
            pass
        time.sleep(0.01)
    raise NotStarted(f"A server of the bench did not answer; {log} says why.")


def _all_serve(log: Path) -> bool:
    """Whether each process that Granian began serves by now: the first answers before the others take connections."""
    told = log.read_text(errors="replace")
    return told.count("] Started worker-") >= told.count("] Spawning worker-") > 0


if __name__ == "__main__":
    running.APPLICATION = sys.argv[1]
    running.server(settings_of_environment()).serve()
