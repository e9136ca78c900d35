"""A machine for which no embedded MongoDB exists: the demo says so, and does not send anybody astray."""

import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from fhir_server.demo.run import DemoRefused, run
from fhir_server.settings import Settings
from fhir_server.store.embedded import NoEmbeddedMongo


def test_the_demo_says_that_it_takes_no_database_but_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def find_none() -> Path:
        raise NoEmbeddedMongo("There is no embedded MongoDB for this machine.")

    monkeypatch.setattr("fhir_server.store.embedded.find_mongod", find_none)
    settings = replace(Settings(), data=tmp_path, port=_free_port())

    # In a thread of its own, so that the demo leaves the signals of this process alone.
    with ThreadPoolExecutor(1) as beside, pytest.raises(DemoRefused, match=r"no embedded.*takes no database but its"):
        beside.submit(run, settings, stay=False, say=lambda _: None).result()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
