"""The journal keeps what it says it kept: through crashes, full disks and damage, and no longer than needed."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fhir_server.store.carrying import Carrier
from fhir_server.store.journal import Journal, JournalError
from fhir_server.store.segment import HEADER, framed, read_from_mark

RECORDS = [f'[{{}},{{"id":"{number}"}}]'.encode() for number in range(40)]

FILLS_ITS_DISK = """
import resource, sys
from pathlib import Path
from fhir_server.store.journal import Journal, JournalError

journal = Journal(Path(sys.argv[1]))
journal.append(b"before")
size = journal.current.stat().st_size
large = b"during" * 20_000
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5, hard))
try:
    journal.append(large)
except JournalError:
    pass
else:
    raise SystemExit("a record was kept without room for it")
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
journal.append(b"after")
"""

DIES = """
import os, signal, sys
from pathlib import Path
from fhir_server.store.journal import Journal

journal = Journal(Path(sys.argv[1]))
for record in sys.argv[2:]:
    journal.append(record.encode())
os.kill(os.getpid(), signal.SIGKILL)
"""


class Sent:
    """Where records are carried to; `fails` makes it refuse."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.fails = False

    def __call__(self, records: object) -> None:
        if self.fails:
            raise TimeoutError
        assert isinstance(records, list)
        self.records += records


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audit" / "samen"


@pytest.fixture
def journal(folder: Path) -> Iterator[Journal]:
    journal = Journal(folder)
    yield journal
    journal.close()


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def carrier(folder: Path, sent: Sent) -> Carrier:
    return Carrier(folder, sent, batch=7)


def files(folder: Path, ending: str) -> list[Path]:
    return sorted(folder.glob(f"*{ending}"))


def test_what_was_appended_stands_in_the_segment_in_its_order(journal: Journal) -> None:
    for record in RECORDS:
        journal.append(record)

    assert journal.current is not None
    found = read_from_mark(journal.current, most=100)
    assert (found.records, found.more, found.torn, found.broken) == (RECORDS, False, 0, False)


def test_a_record_is_written_where_room_for_it_is_on_the_disk_already(folder: Path) -> None:
    journal = Journal(folder, segment_bytes=300_000)
    journal.append(b"a")
    assert journal.current is not None
    path, sizes = journal.current, []
    for _ in range(290):
        sizes.append(path.stat().st_size)
        journal.append(b"x" * 1_000)

    assert len(set(sizes)) == 4  # it grew three times, not 290 times
    assert sizes[-1] == 300_000
    assert read_from_mark(path, most=300).records == [b"a", *[b"x" * 1_000] * 290]
    journal.close()
    assert path.stat().st_size == HEADER + len(framed(b"a")) + 290 * len(framed(b"x" * 1_000))


def test_a_record_larger_than_a_segment_is_kept(journal: Journal) -> None:
    journal.append(b"y" * 3_000_000)
    journal.append(b"z")
    journal.rest()

    found = [read_from_mark(path, most=9).records for path in files(journal.folder, ".audit")]
    assert found == [[b"y" * 3_000_000], [b"z"]]


def test_records_of_many_threads_are_all_there_once(journal: Journal, carrier: Carrier, sent: Sent) -> None:
    together = threading.Barrier(8)

    def write(number: int) -> None:
        together.wait()
        for each in range(25):
            journal.append(b"%d.%d" % (number, each))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(8)))

    carrier.carry_own(journal)
    assert sorted(sent.records) == sorted(b"%d.%d" % (number, each) for number in range(8) for each in range(25))


@pytest.mark.parametrize("trouble", [OSError("no disk"), MemoryError()])
def test_when_a_write_fails_nobody_whose_record_it_took_along_goes_on(
    journal: Journal, carrier: Carrier, sent: Sent, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    journal.append(b"before")
    writing, begun, stalled = os.write, threading.Event(), threading.Event()

    def write(descriptor: int, data: memoryview) -> int:
        if b"first" in bytes(data):
            begun.set()
            stalled.wait()
        elif b"second" in bytes(data):
            raise trouble
        return writing(descriptor, data)

    def refused(record: bytes) -> bool:
        try:
            journal.append(record)
        except (JournalError, MemoryError):
            return True
        return False

    with monkeypatch.context() as patched, ThreadPoolExecutor(6) as threads:
        patched.setattr(os, "write", write)
        first = threads.submit(refused, b"first")
        assert begun.wait(60)
        together = [threads.submit(refused, b"second%d" % number) for number in range(5)]
        while len(journal._together._queue) < len(together):
            time.sleep(0.001)
        stalled.set()
        assert (first.result(), [each.result() for each in together]) == (False, [True] * 5)

    journal.append(b"after")
    carrier.carry_own(journal)
    assert sent.records == [b"before", b"first", b"after"]


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_nobody_else_reads_the_journal(journal: Journal, folder: Path) -> None:
    journal.append(b"x")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_what_was_carried_is_not_carried_again_and_full_segments_go(folder: Path, sent: Sent) -> None:
    journal, carrier = Journal(folder, segment_bytes=200), Carrier(folder, sent, batch=3)
    for record in RECORDS[:20]:
        journal.append(record)
    assert len(files(folder, ".audit")) > 2

    carrier.carry_own(journal)
    carrier.carry_own(journal)

    assert sent.records == RECORDS[:20]
    assert files(folder, ".audit") == [journal.current]
    journal.append(RECORDS[20])
    carrier.carry_all(journal)
    assert sent.records == RECORDS[:21]
    journal.close()


def test_what_cannot_be_sent_stays(journal: Journal, carrier: Carrier, sent: Sent) -> None:
    journal.append(RECORDS[0])
    sent.fails = True
    with pytest.raises(TimeoutError):
        carrier.carry_own(journal)

    sent.fails = False
    carrier.carry_own(journal)

    assert sent.records == RECORDS[:1]


def test_what_a_dead_process_left_is_carried_and_removed(folder: Path, carrier: Carrier, sent: Sent) -> None:
    died = subprocess.run([sys.executable, "-c", DIES, str(folder), "one", "two"])
    assert died.returncode < 0
    assert len(files(folder, ".audit")) == 1

    carrier.carry_orphans()

    assert sent.records == [b"one", b"two"]
    assert files(folder, "") == []


def test_what_a_living_process_writes_is_carried_and_left_to_it(
    journal: Journal, folder: Path, carrier: Carrier, sent: Sent
) -> None:
    journal.append(RECORDS[0])

    carrier.carry_orphans()
    assert sent.records == []
    carrier.carry_all()
    carrier.carry_all()

    assert sent.records == RECORDS[:1]
    assert files(folder, ".audit") == [journal.current]
    journal.append(RECORDS[1])
    carrier.carry_own(journal)
    assert sent.records == RECORDS[:2]


@pytest.mark.parametrize("room", [None, 100])
@pytest.mark.parametrize("lost", range(1, len(framed(RECORDS[-1]))))
def test_a_record_that_was_cut_off_is_passed_over(folder: Path, sent: Sent, lost: int, room: int | None) -> None:
    path = left(folder, RECORDS[:3])
    end = path.stat().st_size
    os.truncate(path, end - lost)
    if room is not None:
        os.truncate(path, end + room)

    Carrier(folder, sent).carry_orphans()

    assert sent.records == RECORDS[:2]
    assert files(folder, "") == []


def test_space_that_was_never_written_is_passed_over(folder: Path, sent: Sent) -> None:
    path = left(folder, RECORDS[:3])
    os.truncate(path, path.stat().st_size + 4096)

    Carrier(folder, sent).carry_orphans()

    assert sent.records == RECORDS[:3]
    assert files(folder, "") == []


@pytest.mark.parametrize("place", [0, 5, 9, 13, 18, -1])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_damaged_record_is_told_and_its_segment_kept_aside(
    folder: Path, sent: Sent, caplog: pytest.LogCaptureFixture, which: int, place: int
) -> None:
    path = left(folder, RECORDS[:3])
    start, size = path.stat().st_size - (3 - which) * len(framed(RECORDS[0])), len(framed(RECORDS[0]))
    flip(path, start + place % size)
    before = path.read_bytes()

    Carrier(folder, sent, batch=1).carry_orphans()

    assert sent.records == [record for number, record in enumerate(RECORDS[:3]) if number != which]
    [aside] = files(folder, "")
    assert (aside.suffix, aside.read_bytes()[24:]) == (".broken", before[24:])
    # Of this thread: a server of other tests in this process may tell of its own troubles meanwhile.
    told = [record.levelname for record in caplog.records if record.thread == threading.get_ident()]
    assert told == ["ERROR"]


def test_a_damaged_mark_only_means_that_all_is_sent_again(journal: Journal, carrier: Carrier, sent: Sent) -> None:
    for record in RECORDS[:3]:
        journal.append(record)
    carrier.carry_own(journal)
    assert journal.current is not None
    flip(journal.current, 12)

    carrier.carry_own(journal)

    assert sent.records == RECORDS[:3] * 2


def test_too_much_that_waits_is_refused_until_it_was_carried(folder: Path, carrier: Carrier, sent: Sent) -> None:
    journal = Journal(folder, segment_bytes=100, most=1_000)
    kept = len([record for record in RECORDS if is_kept(journal, record)])
    assert 10 < kept < 40
    assert not is_kept(journal, b"still")

    carrier.carry_own(journal)

    journal.append(b"now")
    carrier.carry_own(journal)
    assert sent.records == [*RECORDS[:kept], b"now"]
    journal.close()


@pytest.mark.skipif(os.name != "posix", reason="limits of file sizes are of POSIX")
def test_a_full_disk_refuses_and_the_next_record_begins_a_segment_of_its_own(
    folder: Path, carrier: Carrier, sent: Sent
) -> None:
    subprocess.run([sys.executable, "-c", FILLS_ITS_DISK, str(folder)], check=True)
    assert len(files(folder, ".audit")) == 2

    carrier.carry_orphans()

    assert sent.records == [b"before", b"after"]
    assert files(folder, "") == []


def left(folder: Path, records: list[bytes]) -> Path:
    """The segment of a process that is no more."""
    journal = Journal(folder)
    for record in records:
        journal.append(record)
    path = journal.current
    journal.close()
    assert path is not None
    return path


def is_kept(journal: Journal, record: bytes) -> bool:
    """Append; whether it was not refused."""
    try:
        journal.append(record)
    except JournalError:
        return False
    return True


def flip(path: Path, at: int) -> None:
    """Damage one byte."""
    with path.open("r+b") as file:
        file.seek(at)
        [byte] = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 0xFF]))


@pytest.mark.skipif(os.name != "posix", reason="files that are open can be taken away on POSIX alone")
@pytest.mark.parametrize("how", ["moved", "another one in its place", "its lock removed", "its segment removed"])
def test_nothing_counts_as_kept_in_files_that_were_taken_away(
    folder: Path, journal: Journal, carrier: Carrier, sent: Sent, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fhir_server.store.journal._KNOWN_FOR", 0.0)
    journal.append(b"before")
    carrier.carry_own(journal)
    if how.startswith("its"):
        [taken] = files(folder, ".lock" if "lock" in how else ".audit")
        taken.unlink()
    else:
        folder.rename(folder.with_name("elsewhere"))
    if how == "another one in its place":
        folder.mkdir()

    with pytest.raises(JournalError, match="somebody took its files away"):
        journal.append(b"refused")

    journal.append(b"after")
    assert not Carrier(folder, Sent())._carry_if_orphaned(journal.owner, ()), "others know that its process lives"
    carrier.carry_all(journal)
    assert {b"before", b"after"} <= set(sent.records)
