"""The demo and the database of its own: it says when there can be none, and no data go while they are served."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from fhir_server.demo.run import DemoRefused, reset, run
from fhir_server.settings import Settings
from fhir_server.store.embedded import EmbeddedMongo, NoEmbeddedMongo
from tests.ports import free_port


def test_the_demo_says_that_it_takes_no_database_but_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def find_none() -> Path:
        raise NoEmbeddedMongo("There is no embedded MongoDB for this machine.")

    monkeypatch.setattr("fhir_server.store.embedded.find_mongod", find_none)
    settings = replace(Settings(), data=tmp_path, port=free_port())

    # In a thread of its own, so that the demo leaves the signals of this process alone.
    with ThreadPoolExecutor(1) as beside, pytest.raises(DemoRefused, match=r"no embedded.*takes no database but its"):
        beside.submit(run, settings, stay=False, say=lambda _: None).result()


def test_the_demos_data_stay_while_it_runs_on_whatever_port(tmp_path: Path) -> None:
    settings = replace(Settings(), data=tmp_path, port=free_port())
    with EmbeddedMongo(settings.mongodb_folder):
        with pytest.raises(DemoRefused, match="end it first"):
            reset(settings)
        assert settings.mongodb_folder.exists()

    assert reset(settings)
    assert not settings.mongodb_folder.exists()
