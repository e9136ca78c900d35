"""The formats that are spoken here, and which of them a caller reads best.

https://hl7.org/fhir/R4/http.html#mime-type
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from fhir_server.fhir.errors import MalformedRequest, NotAcceptable
from fhir_server.fhir.json import NotJson, decode_sent
from fhir_server.fhir.json import decode as decode_json
from fhir_server.fhir.short_texts import kept_of_short
from fhir_server.rest.headers import LONGEST_KEPT, MOST_KEPT


@dataclass(frozen=True)
class Format:
    """One way to write resources. `read` raises MalformedRequest or InvalidResource; `write` takes the JSON that is
    stored, and whether it is for human eyes."""

    name: str
    media_types: frozenset[str]
    content_type: str
    read: Callable[[bytes], Any]
    write: Callable[[bytes, bool], bytes]


def _read_json(body: bytes) -> Any:
    try:
        return decode_sent(body)
    except NotJson as error:
        raise MalformedRequest(f"The body is not JSON: {error}.", error.path, "json") from error


def _write_json(body: bytes, pretty: bool) -> bytes:
    return msgspec.json.format(body, indent=2) if pretty else body


def _read_xml(body: bytes) -> Any:
    from fhir_server.rest.xml.decode import decode
    from fhir_server.rest.xml.document import NotXml

    try:
        return decode(body)
    except NotXml as error:
        raise MalformedRequest(f"The body is not FHIR's XML: {error}.", rule="xml") from error


def _write_xml(body: bytes, pretty: bool) -> bytes:
    from fhir_server.rest.xml.encode import encode

    return encode(decode_json(body), pretty=pretty)


JSON = Format(
    "json",
    frozenset({"application/fhir+json", "application/json", "application/json+fhir", "text/json"}),
    "application/fhir+json; charset=utf-8",
    _read_json,
    _write_json,
)
XML = Format(
    "xml",
    frozenset({"application/fhir+xml", "application/xml", "application/xml+fhir", "text/xml"}),
    "application/fhir+xml; charset=utf-8",
    _read_xml,
    _write_xml,
)
FORMATS = (JSON, XML)
"""In the order of preference, for callers who have none."""

_RANGES = {"application/*": 1, "*/*": 0}
"""What stands for any format."""
_RANGES_OF_JSON = {"text/html": 2, **_RANGES}
"""Browsers say text/html and are shown JSON."""
_EXACT = 3
_VERSION = re.compile(r";\s*fhirversion\s*=\s*\"?([^\s;\"]*)", re.IGNORECASE)
_R4 = frozenset({"4.0", "4.0.1"})
_QUALITY = re.compile(r";\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*(?:;|$)", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Wish:
    """How a caller wishes its answer: the format, and whether it is indented for human eyes.

    `content` is the Accept header of who accepts no format of FHIR, where the content of a Binary may be meant.
    """

    format: Format
    pretty: bool = False
    content: str | None = None

    def write(self, body: bytes) -> bytes:
        """What is sent of the JSON that is stored."""
        return self.format.write(body, self.pretty)


def format_of_body(media_type: str, version: str | None = None) -> Format | None:
    """The format that a Content-Type names, and its `fhirVersion`; None when it is not spoken here."""
    if version is not None and version not in _R4:
        return None
    return next((known for known in FORMATS if media_type in known.media_types), None)


def format_named(name: str) -> Format:
    """The format that `_format` asks for: a short name or a media type. Raises NotAcceptable."""
    asked = name.replace(" ", "+").partition(";")[0].strip().lower() if _is_r4(name) else ""
    found = next((known for known in FORMATS if asked == known.name or asked in known.media_types), None)
    if found is None:
        raise NotAcceptable(f"_format={name} is not spoken here; ask for json or xml.", rule="format")
    return found


def format_accepted(accept: str) -> Format:
    """The format that an Accept header likes best: by quality, then the most specific range, then the first named.

    Raises NotAcceptable when it admits none.
    """
    return _format_liked(accept)


def _liked(accept: str) -> Format:
    stated = [media_range(part) for part in accept.split(",") if part.strip()]
    ranked = [(*liking, known) for known in FORMATS if (liking := _liking(known, stated)) and liking[0] > 0]
    if not ranked:
        told = f"None of {accept!r} is spoken here; accept application/fhir+json or application/fhir+xml."
        raise NotAcceptable(told, rule="format")
    return max(ranked, key=lambda ranking: ranking[:3])[3]


_format_liked = kept_of_short(_liked, longest=LONGEST_KEPT, most=MOST_KEPT)


def media_range(part: str) -> tuple[str, float]:
    """A media type or range of an Accept header, and its quality."""
    quality = _QUALITY.search(part)
    kind = part.partition(";")[0].strip().lower()
    return kind if _is_r4(part) else "", float(quality[1]) if quality else 1.0


def _is_r4(stated: str) -> bool:
    """Whether a media type names no version of FHIR but this one."""
    version = _VERSION.search(stated)
    return version is None or version[1] in _R4


def _liking(known: Format, stated: list[tuple[str, float]]) -> tuple[float, int, int] | None:
    """How a format is liked: quality, how specific the range is that says so, how early it stands."""
    ranges = _RANGES_OF_JSON if known is JSON else _RANGES
    likings = [
        (_EXACT if kind in known.media_types else ranges[kind], -position, quality)
        for position, (kind, quality) in enumerate(stated)
        if kind in known.media_types or kind in ranges
    ]
    if not likings:
        return None
    specific, early, quality = max(likings)
    return quality, specific, early
