"""An append-only journal on this machine's disk: a record that `append` returned from survives a crash.

Each process writes segments of its own into the folder that it shares with others, under a name on which it holds a
lock for as long as it lives. Whoever gets the lock of a name finds what a dead process left; `carrying.py` does.

A file that nobody finds by its name is carried on by nobody. So a record counts as kept when its segment, and the lock
that guards it, lie in the folder, which is looked at ten times a second; where they were taken away, others are made.

A segment has room before records are written to it: zeros, which lie on the disk. A file that each record made longer
would have its own entry written each time as well, and that takes a disk as long as the record.
"""

import os
import threading
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from fhir_server.store.folder_lock import FolderLock, lies_at
from fhir_server.store.segment import HEADER, framed, mark_of
from fhir_server.store.together import Together

SEGMENT_BYTES = 1024 * 1024
MOST_BYTES = 256 * 1024 * 1024
_FIRST_ROOM = 64 * 1024

SEGMENT = ".audit"
LOCK = ".lock"

_OPENING = os.O_WRONLY | os.O_CREAT | os.O_EXCL
# Each write is on disk before it returns, as by fdatasync, but in one call: each one gives the interpreter away.
_DURABLE: int = getattr(os, "O_DSYNC", 0)
# Seconds for which it is known where the files lie: each look gives the interpreter away four times.
_KNOWN_FOR = 0.1
# Records that one write takes along.
_AT_ONCE = 256


class JournalError(OSError):
    """The record could not be kept; whoever waits for it must not go on."""


class Journal:
    """The segments of this process in `folder`, which is made for this user alone. Raises OSError without access.

    `append` may be called by many threads at once: one of those who wait writes and syncs for all of them. A segment
    that failed is never written again. `most` bounds the bytes that wait to be carried on.
    """

    def __init__(self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES, most: int = MOST_BYTES) -> None:
        self.folder = folder
        self.current: Path | None = None
        """The segment that may still grow."""
        self._segment_bytes = segment_bytes
        self._most = most
        self._together = Together[bytes, None](self._keep, most=_AT_ONCE)
        self._segment = threading.Lock()
        self._number = 0
        self._known_until = 0.0
        self._descriptor: int | None = None
        self._written = 0
        self._room = 0
        make_folder(folder)
        self._lock = _own_lock(folder)

    @property
    def owner(self) -> str:
        """The name under which this process writes."""
        return self._lock.path.stem

    def append(self, record: bytes) -> None:
        """Return when the record is on disk. Raises JournalError."""
        try:
            self._together.ask(framed(record))
        except OSError as error:
            raise JournalError(str(error)) from error

    def rest(self) -> None:
        """Finish the segment, after what is being written; the next record begins another."""
        with self._segment:
            self._leave_segment()

    def close(self) -> None:
        """Give up the name; whoever comes next finds what is left."""
        self.rest()
        with suppress(OSError):
            self._lock.path.unlink()
        self._lock.release()

    def _keep(self, frames: Sequence[bytes]) -> Sequence[None]:
        """Write and sync what several threads append; whatever interrupts that, nothing follows in this segment."""
        with self._segment:
            try:
                self._write(b"".join(frames))
                self._check_place()
            except BaseException:
                self._leave_segment()
                raise
        return (None,) * len(frames)

    def _write(self, frames: bytes) -> None:
        descriptor = self._open_segment()
        if self._written + len(frames) > self._room:
            self._make_room(descriptor, len(frames))
        _write_all(descriptor, frames)
        if not _DURABLE:
            os.fsync(descriptor)
        self._written += len(frames)

    def _make_room(self, descriptor: int, least: int) -> None:
        """Let the segment grow by as much as it has, as far as it may; by `least` in any case."""
        more = min(max(self._room, _FIRST_ROOM), self._segment_bytes - self._room)
        os.lseek(descriptor, self._room, os.SEEK_SET)
        _write_all(descriptor, bytes(max(more, least)))
        self._room += max(more, least)
        os.lseek(descriptor, self._written, os.SEEK_SET)

    def _open_segment(self) -> int:
        """The descriptor of a segment with room."""
        if self._descriptor is not None and self._written < self._segment_bytes:
            return self._descriptor
        self._leave_segment()
        if not self._lock.in_place:
            self._begin_anew()
        self._check_room()
        self._number += 1
        self._written = self._room = 0
        # Named as the growing one before it exists, so that nobody takes it for one that is finished.
        self.current = self.folder / f"{self.owner}-{self._number:08d}{SEGMENT}"
        self._descriptor = os.open(self.current, _OPENING | _DURABLE, 0o600)
        self._written = self._room = os.write(self._descriptor, mark_of(HEADER))
        os.fsync(self._descriptor)
        _sync_folder(self.folder)
        return self._descriptor

    def _check_place(self) -> None:
        """Raise JournalError when what was just written may be found by nobody, or be taken for a dead process's."""
        now = time.monotonic()
        if now < self._known_until:
            return
        self._known_until = now + _KNOWN_FOR
        found = self._descriptor is not None and self.current is not None and lies_at(self._descriptor, self.current)
        if not (found and self._lock.in_place):
            raise JournalError("somebody took its files away; what was not carried on yet may be lost")

    def _begin_anew(self) -> None:
        """Take another name; under the one before, anybody may take what comes for a dead process's."""
        make_folder(self.folder)
        before, self._lock = self._lock, _own_lock(self.folder)
        before.release()

    def _check_room(self) -> None:
        waiting = sum(_size(path) for path in self.folder.glob(f"{self.owner}-*{SEGMENT}"))
        if waiting + self._segment_bytes > self._most:
            raise JournalError("too much waits in the journal to be carried on")

    def _leave_segment(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                os.ftruncate(descriptor, self._written)
            with suppress(OSError):
                os.close(descriptor)
        self.current = None


def _write_all(descriptor: int, data: bytes) -> None:
    """Write it behind what was written; it is on disk when this returns, as a segment is opened."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def make_folder(folder: Path) -> None:
    """Make the folder when it is missing, for this user alone. Raises OSError when it cannot be written."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    probe = folder / f"{uuid.uuid4().hex}.probe"
    probe.touch(mode=0o600)
    probe.unlink()


def _own_lock(folder: Path) -> FolderLock:
    """The lock of a name that nobody has; another may look at a new name at that very moment, hence again."""
    while True:
        lock = FolderLock(folder / f"{uuid.uuid4().hex}{LOCK}")
        if lock.acquire():
            return lock


def _sync_folder(folder: Path) -> None:
    """Make the names in the folder durable, where the system can do that."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size(path: Path) -> int:
    """Its bytes; none when it has just gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
