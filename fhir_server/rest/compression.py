"""gzip, both ways: answers for callers who accept it, and bodies that arrive in it.

Safe beside a secret only because an answer holds none: tokens travel in headers, and no page of the viewer passes here.
https://hl7.org/fhir/R4/http.html#compression
"""

import gzip
import re
import zlib

from fhir_server.fhir.errors import MalformedRequest, TooLarge, UnsupportedMedia

LEAST = 1024
"""Bytes from which compressing an answer is worth its time."""

PLAIN = frozenset({"", "identity"})
"""What says that a body is as it is."""

MOST_MEMBERS = 10_000
"""Members of a gzip body: more than any program makes of a body that is small enough."""

_LEVEL = 3
_PIECE = 65_536
_GZIP_WINDOW = 31
_ACCEPTED = re.compile(r"(?:^|,)\s*(gzip|x-gzip|\*)\s*(?:;\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*)?(?=,|$)", re.ASCII)


def compressed(body: bytes, accepted: str) -> bytes | None:
    """The body in gzip when it is long and `accepted` (Accept-Encoding) takes it; None when it goes as it is."""
    if len(body) <= LEAST or not _accepts_gzip(accepted):
        return None
    return gzip.compress(body, _LEVEL, mtime=0)


def decompressed(body: bytes, encoding: str, limit: int) -> bytes:
    """The body as it was before `Content-Encoding`, never more than `limit` bytes of it; gzip may have several members.

    Raises UnsupportedMedia for any encoding but gzip, MalformedRequest for what is not gzip, TooLarge.
    """
    if encoding in PLAIN:
        return body
    if encoding not in {"gzip", "x-gzip"}:
        raise UnsupportedMedia("The Content-Encoding is not spoken here; send gzip or none.", rule="content-encoding")
    unpacked, start = bytearray(), 0
    for _ in range(MOST_MEMBERS):
        start = _unpack_member(body, start, unpacked, limit)
        if start == len(body):
            return bytes(unpacked)
    raise MalformedRequest(f"The body is gzip of more than {MOST_MEMBERS} members.", rule="content-encoding")


def _unpack_member(body: bytes, start: int, unpacked: bytearray, limit: int) -> int:
    """Add to `unpacked` what the member holds that begins at `start`; where it ends.

    It is read in pieces, since what is left of one is copied at the end of each member.
    https://www.rfc-editor.org/rfc/rfc1952#section-2.2
    """
    inflate = zlib.decompressobj(_GZIP_WINDOW)
    while not inflate.eof:
        piece = body[start : start + _PIECE]
        if not piece:
            raise _broken()
        try:
            unpacked += inflate.decompress(piece, limit + 1 - len(unpacked))
        except zlib.error as error:
            raise _broken() from error
        if len(unpacked) > limit:
            raise TooLarge(f"The body is over {limit} bytes when it is unpacked.", rule="body-size")
        start += len(piece) - len(inflate.unused_data)
    return start


def _accepts_gzip(stated: str) -> bool:
    """By the entry for gzip if there is one, else by `*`."""
    found = {name: quality for name, quality in _ACCEPTED.findall(stated.lower())}
    quality = found.get("gzip", found.get("x-gzip", found.get("*")))
    return quality is not None and (quality == "" or float(quality) > 0)


def _broken() -> MalformedRequest:
    return MalformedRequest("The body is not the gzip that its Content-Encoding says.", rule="content-encoding")
