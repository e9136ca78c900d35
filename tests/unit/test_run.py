"""A run of the tests has room, ends when its MongoDB does, and leaves nothing behind when it is told to end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import run
from tests.patience import until
from tests.run import EndsWithItsMongo, new_folder, refuse_a_full_disk

ROOT = Path(__file__).parents[2]

# Many tests that need a MongoDB, which is no more after the first of them.
CONFTEST = """
import pathlib
import types

from tests.run import EndsWithItsMongo

folder = pathlib.Path(__file__).parent

class Mongo:
    folder = folder
    crashed = property(lambda self: (folder / "it has ended").exists())

def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(EndsWithItsMongo(Mongo()))
"""
TESTS = """
import pathlib
import time

import pytest

folder = pathlib.Path(__file__).parent

@pytest.mark.parametrize("number", range(1000))
def test_it(number):
    if number == 20:
        (folder / "it has ended").touch()
    assert number < 20
"""


def pytest_in(folder: Path, *how: str) -> list[str]:
    """The command."""
    return [sys.executable, "-m", "pytest", "-q", "--rootdir", str(folder), "-p", "no:randomly", *how, str(folder)]


def environment() -> dict[str, str]:
    """Of a run of its own, whoever runs this one."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "SAMEN_"))}
    return {**inherited, "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_run_whose_mongodb_has_ended_ends_at_the_next_failure_and_says_so(tmp_path: Path, workers: str) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_many.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "mongod.log").write_text('{"s":"F","msg":"No space left on device"}\n' + '{"s":"I","msg":"so"}\n' * 50)

    ended = subprocess.run(
        pytest_in(tmp_path, "-n", workers), env=environment(), cwd=tmp_path, capture_output=True, text=True, timeout=300
    )

    assert ended.returncode == pytest.ExitCode.INTERRUPTED, ended.stdout
    assert "The MongoDB of this run was killed or gave up" in ended.stdout
    assert "No space left on device" in ended.stdout
    assert "1 failed, 20 passed" in ended.stdout or workers == "2", ended.stdout


def failed_or(passed: bool) -> Any:
    """The report of a test."""
    return SimpleNamespace(failed=not passed)


@pytest.mark.parametrize(("crashed", "passed"), [(False, False), (True, True), (False, True)])
def test_a_run_goes_on_while_its_mongodb_is_there_or_nothing_fails(tmp_path: Path, crashed: bool, passed: bool) -> None:
    mongo: Any = SimpleNamespace(crashed=crashed, folder=tmp_path)
    EndsWithItsMongo(mongo).pytest_runtest_logreport(failed_or(passed))


def test_a_run_that_is_told_to_end_leaves_no_folder_behind(tmp_path: Path) -> None:
    temporary, marker = tmp_path / "tmp", tmp_path / "runs"
    temporary.mkdir()
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "unit").mkdir()
    wait = f"import pathlib, time\ndef test_it():\n    pathlib.Path({str(marker)!r}).touch()\n    time.sleep(300)\n"
    (tmp_path / "unit" / "test_waiting.py").write_text(wait)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    unit\n")
    command = pytest_in(tmp_path, "-n", "0")
    process = subprocess.Popen(command, env={**environment(), "TMPDIR": str(temporary)}, cwd=tmp_path)
    try:
        until(marker.exists)
        assert list(temporary.glob("samen-test-*"))

        process.send_signal(signal.SIGTERM)

        assert process.wait(60) == pytest.ExitCode.INTERRUPTED
    finally:
        process.kill()
        process.wait()
    assert list(temporary.glob("samen-*")) == []


def test_what_a_killed_run_left_goes_with_the_next_and_what_is_served_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run.tempfile, "tempdir", str(tmp_path))
    left, served, new = (tmp_path / f"samen-test-{name}" for name in ("left", "served", "new"))
    for folder in (left, served, new):
        folder.mkdir()
    lock = run.EmbeddedMongo(served)._lock
    assert lock.acquire()
    for folder in (left, served):
        os.utime(folder, (time.time() - 7200,) * 2)

    made = Path(new_folder())

    lock.release()
    assert {each.name for each in tmp_path.iterdir()} == {"samen-test-served", "samen-test-new", made.name}


def test_a_run_without_room_for_its_databases_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "ROOM", 0)
    refuse_a_full_disk()

    monkeypatch.setattr(run, "ROOM", 2**70)
    with pytest.raises(pytest.UsageError, match=r"GiB are free in .*\. Make room, or set TMPDIR\."):
        refuse_a_full_disk()
