"""What lies in the journal's folder is carried on to where it belongs, then removed.

`send` gets records in batches and returns when they are kept; it must not mind getting one twice, because a process
may die between sending and marking, and two may carry the same. Nothing is removed before it was sent.
"""

import logging
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from fhir_server.store.folder_lock import FolderLock
from fhir_server.store.journal import LOCK, SEGMENT, Journal
from fhir_server.store.segment import read_from_mark, set_mark

BATCH = 250
BROKEN = ".broken"
# A name that has no segment yet may be taken at this very moment.
_SECONDS_TO_BEGIN = 60.0

Send = Callable[[Sequence[bytes]], None]

log = logging.getLogger(__name__)


class Carrier:
    """Carries on for one process, one round at a time. Errors of `send` pass; what was not sent stays."""

    def __init__(self, folder: Path, send: Send, *, batch: int = BATCH) -> None:
        self._folder = folder
        self._send = send
        self._batch = batch
        self._round = threading.Lock()

    def carry_own(self, journal: Journal) -> None:
        """What this process wrote until now."""
        with self._round:
            for path in self._segments().get(journal.owner, ()):
                self._carry_of(journal, path)

    def carry_orphans(self, journal: Journal | None = None) -> None:
        """What dead processes left."""
        with self._round:
            for owner, paths in self._segments().items():
                if journal is None or owner != journal.owner:
                    self._carry_if_orphaned(owner, paths)

    def carry_all(self, journal: Journal | None = None) -> None:
        """What every process on this folder wrote until now, living or dead."""
        with self._round:
            for owner, paths in self._segments().items():
                if journal is not None and owner == journal.owner:
                    for path in paths:
                        self._carry_of(journal, path)
                elif not self._carry_if_orphaned(owner, paths):
                    for path in paths:
                        self._carry(path, growing=True)

    def _carry_of(self, journal: Journal, path: Path) -> None:
        growing = path == journal.current  # asked first: what is finished now has all its records
        self._carry(path, growing=growing)

    def _carry_if_orphaned(self, owner: str, paths: Iterable[Path]) -> bool:
        """Whether the owner is dead; then its segments are carried and its lock goes with them."""
        lock = FolderLock(self._folder / f"{owner}{LOCK}")
        if not lock.acquire():
            return False
        try:
            for path in self._segments().get(owner, ()):
                self._carry(path, growing=False)
            with suppress(OSError):
                lock.path.unlink()
        finally:
            lock.release()
        return True

    def _carry(self, path: Path, *, growing: bool) -> None:
        """Send what stands behind the segment's mark; remove the segment when nothing can follow."""
        with suppress(FileNotFoundError):  # whoever has it was faster
            while True:
                found = read_from_mark(path, self._batch)
                if found.broken and growing:
                    return  # decided when nobody writes to it any more
                if found.broken:
                    _keep_aside(path)
                if found.records:
                    self._send(found.records)
                    set_mark(path, found.end)
                if not found.more:
                    break
            if not growing:
                if found.torn:
                    log.warning("%s ends in the middle of a record, of what was never answered", path)
                path.unlink()

    def _segments(self) -> dict[str, list[Path]]:
        """The segments in the folder by their owners, each owner's in their order; an owner may have none left."""
        found: dict[str, list[Path]] = defaultdict(list)
        for path in sorted(self._folder.iterdir()):
            if path.suffix == SEGMENT:
                found[path.stem.partition("-")[0]].append(path)
            elif path.suffix == LOCK and _is_old(path):
                found[path.stem]
        return found


def _is_old(lock: Path) -> bool:
    with suppress(FileNotFoundError):
        return time.time() - lock.stat().st_mtime > _SECONDS_TO_BEGIN
    return False


def _keep_aside(path: Path) -> None:
    """A damaged segment stays for the operator, before what can be read of it is carried on."""
    aside = path.with_suffix(BROKEN)
    if not aside.exists():
        shutil.copy2(path, aside)
        log.error("%s is damaged: what can be read of it goes on, the rest is lost; it is kept as %s", path, aside)
