"""One run of the tests: the room it needs, what it leaves behind, and how it ends when its MongoDB is no more."""

import shutil
import signal
import tempfile
import time
from pathlib import Path

import pytest

from fhir_server.store.embedded import EmbeddedMongo

FOLDER = "SAMEN_TEST_MONGO_FOLDER"
"""The variable that names the folder of the run to its workers; it goes when the run ends."""
_PREFIX = "samen-test-"
_LONG_AGO = 3600.0
_LINES = 15
_GIB = 1024**3
ROOM = 2 * _GIB
"""Bytes for the databases that are there at the same moment."""


def refuse_a_full_disk() -> None:
    """A database without room ends in the midst of a test, and each test after it waits for it in vain."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        told = f"{free / _GIB:.1f} GiB are free in {folder}"
        raise pytest.UsageError(
            f"The tests need {ROOM // _GIB} GiB for their databases, and {told}. Make room, or set TMPDIR."
        )


def new_folder() -> str:
    """The folder of a run that begins; what was left by runs that were killed goes."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            if time.time() - left.stat().st_mtime > _LONG_AGO and not EmbeddedMongo(left).served:
                shutil.rmtree(left, ignore_errors=True)
        except OSError:  # another run was first, or it is another person's
            continue
    return tempfile.mkdtemp(prefix=_PREFIX)


def end_in_order_when_told() -> None:
    """Whoever tells the run to end, as a job with a time limit does, is answered as by an interrupt: it tidies up."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)


class EndsWithItsMongo:
    """Looks after each failure whether the MongoDB of the run is still there; a plugin of the process that owns it.

    Without it each test would wait half a minute in vain, and say nothing of the cause.
    """

    def __init__(self, mongo: EmbeddedMongo) -> None:
        self._mongo = mongo

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """End the run when it is not."""
        if report.failed and self._mongo.crashed:
            told = "The MongoDB of this run was killed or gave up, and whatever needs it would fail. Its last words:"
            pytest.exit(f"{told}\n{_last_words(self._mongo.folder / 'mongod.log')}", pytest.ExitCode.INTERRUPTED)


def _last_words(log: Path) -> str:
    """Its last errors, and its very last lines."""
    lines = log.read_text(errors="replace").splitlines()
    grave = [line for line in lines if '"s":"F"' in line or '"s":"E"' in line]
    return "\n".join(line[:300] for line in dict.fromkeys([*grave[-_LINES:], *lines[-5:]]))
