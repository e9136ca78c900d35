"""A child that is tied to its parent: it starts, or whoever wants it hears why not."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from fhir_server.store.tied_process import start_tied


def test_a_child_writes_where_it_is_told(tmp_path: Path) -> None:
    output = tmp_path / "output"
    with output.open("wb") as file:
        child = start_tied([sys.executable, "-c", "import os; print(os.environ['SAID'])"], file, {"SAID": "hello"})
        assert child.wait(60) == 0

    assert output.read_text() == "hello\n"


def test_whoever_wants_a_child_hears_why_there_is_none() -> None:
    with tempfile.TemporaryFile() as file:
        pass

    with pytest.raises(ValueError, match="closed file"):
        start_tied([sys.executable, "-c", ""], file)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux alone ends the children of whoever is killed")
def test_a_child_ends_with_the_process_that_started_it() -> None:
    story = """
import os, signal, sys
from fhir_server.store.tied_process import start_tied

start_tied([sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"], sys.stdout.buffer)
sys.stdin.readline()
os.kill(os.getpid(), signal.SIGKILL)
"""
    with subprocess.Popen(
        [sys.executable, "-c", story], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "up\n"
        told, _ = parent.communicate("\n", timeout=60)

    assert told == "", "and nobody holds the pipe any more"
