"""One file of the journal: a header with a mark, then records, each framed so that damage shows.

    header   8 bytes that say what this is, the mark (8 bytes: how far the contents were carried on), its CRC-32
    record   4 bytes that begin a record, its length (4 bytes), the same inverted, its CRC-32, its bytes

Numbers are big-endian. Records hold no zero byte, so no record looks like the beginning of another, and zeros
behind the last one are room for others.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

_MAGIC = b"SAMENJ1\n"
_BEGINNING = b"\x00\xffSR"
_MARK = struct.Struct(">8sQI")
_FRAME = struct.Struct(">4sIII")
_INVERTED = 0xFFFFFFFF

HEADER = _MARK.size
"""Where the first record begins."""


@dataclass(frozen=True)
class Stretch:
    """Records in their order and where they end; `more` may follow.

    `torn` bytes at the end are a record whose writing was cut off; `broken` says that something else is no record.
    """

    records: Sequence[bytes]
    end: int
    more: bool = False
    torn: int = 0
    broken: bool = False


def framed(record: bytes) -> bytes:
    """The record as it lies in a segment."""
    return _FRAME.pack(_BEGINNING, len(record), len(record) ^ _INVERTED, crc32(record)) + record


def mark_of(position: int) -> bytes:
    """The header of a segment that was carried on up to `position`."""
    return _MARK.pack(_MAGIC, position, crc32(position.to_bytes(8)))


def set_mark(path: Path, position: int) -> None:
    """Remember that the segment was carried on up to `position`. Raises OSError, also when the segment is gone."""
    with path.open("r+b") as segment:
        segment.write(mark_of(position))


def read_from_mark(path: Path, most: int) -> Stretch:
    """At most `most` records behind the mark; all records where the mark cannot be read. Raises OSError."""
    with path.open("rb") as segment:
        position = _marked(segment.read(HEADER))
        segment.seek(position)
        return _stretch(segment.read(), position, most)


def _marked(header: bytes) -> int:
    if len(header) < HEADER:
        return HEADER
    magic, position, check = _MARK.unpack(header)
    known = magic == _MAGIC and check == crc32(position.to_bytes(8))
    return max(int(position), HEADER) if known else HEADER


def _stretch(data: bytes, position: int, most: int) -> Stretch:
    """The records of `data`, which begins at `position` of the file; damage in between is passed over and told."""
    records: list[bytes] = []
    at, broken = 0, False
    while at < len(data):
        if len(records) == most:
            return Stretch(records, position + at, more=True, broken=broken)
        record = _record_at(data, at)
        if record is None:
            following = _next_whole(data, at + 1)
            if following is None:
                return _with_end(records, data, at, position, broken)
            broken, at = True, following
            continue
        records.append(record)
        at += _FRAME.size + len(record)
    return Stretch(records, position + at, broken=broken)


def _record_at(data: bytes, at: int) -> bytes | None:
    """The record that begins at `at`, when it is there as it was written."""
    if at + _FRAME.size > len(data):
        return None
    beginning, length, inverted, check = _FRAME.unpack_from(data, at)
    record = data[at + _FRAME.size : at + _FRAME.size + length]
    whole = beginning == _BEGINNING and length == inverted ^ _INVERTED and len(record) == length
    return record if whole and crc32(record) == check else None


def _next_whole(data: bytes, at: int) -> int | None:
    """Where the next record begins that is as it was written."""
    found = data.find(_BEGINNING, at)
    while found >= 0 and _record_at(data, found) is None:
        found = data.find(_BEGINNING, found + 1)
    return found if found >= 0 else None


def _with_end(records: Sequence[bytes], data: bytes, at: int, position: int, broken: bool) -> Stretch:
    """What ends with something that is no record: never written, cut off, or else broken."""
    rest = data[at:].rstrip(b"\x00")
    cut_off = not rest or _is_cut_off(rest)
    return Stretch(records, position + at, torn=len(rest) if cut_off else 0, broken=broken or not cut_off)


def _is_cut_off(rest: bytes) -> bool:
    """Whether this is the first part of a record and all of that is as it was written.

    What was not written yet is zero, which no byte of a record is.
    """
    if len(rest) < _FRAME.size:
        return rest.startswith(_BEGINNING[: len(rest)])
    beginning, length, inverted, _ = _FRAME.unpack_from(rest)
    return bool(beginning == _BEGINNING and length == inverted ^ _INVERTED and len(rest) < _FRAME.size + length)
