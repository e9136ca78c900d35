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
# Old clients leave the nought out, as in `q=.2`.
_QUALITY = re.compile(r";\s*q\s*=\s*([01](?:\.[0-9]*)?|\.[0-9]+)\s*(?:;|$)", re.IGNORECASE | re.ASCII)
_GENERIC = frozenset({"application/json", "text/json", "application/xml", "text/xml"})
"""Types of more than FHIR: who accepts one of them is answered in it by name, as R4 has it."""


@dataclass(frozen=True)
class Wish:
    """How a caller wishes its answer: the format, and whether it is indented for human eyes.

    `content` is the Accept header of who accepts no format of FHIR, where the content of a Binary may be meant;
    `named` the type that was asked for, of those that the format goes by.
    """

    format: Format
    pretty: bool = False
    content: str | None = None
    named: str | None = None

    @property
    def content_type(self) -> str:
        """What the answer says that it is."""
        return f"{self.named}; charset=utf-8" if self.named in _GENERIC else self.format.content_type

    def write(self, body: bytes) -> bytes:
        """What is sent of the JSON that is stored."""
        return self.format.write(body, self.pretty)


def format_of_body(media_type: str, version: str | None = None) -> Format | None:
    """The format that a Content-Type names, and its `fhirVersion`; None when it is not spoken here."""
    return next((known for known in FORMATS if media_type in known.media_types and is_r4(version)), None)


def format_named(name: str) -> Format:
    """The format that `_format` asks for: a short name or a media type. Raises NotAcceptable."""
    asked = name.replace(" ", "+").partition(";")[0].strip().lower() if _is_r4(name) else ""
    found = next((known for known in FORMATS if asked == known.name or asked in known.media_types), None)
    if found is None:
        raise NotAcceptable(f"_format={name} is not spoken here; ask for json or xml.", rule="format")
    return found


def format_accepted(accept: str) -> tuple[Format, str]:
    """The format that an Accept header likes best, and how it names it.

    By quality, then the most specific range, then the first named. Raises NotAcceptable when it admits none.
    """
    return _format_liked(accept)


def _liked(accept: str) -> tuple[Format, str]:
    stated = [media_range(part) for part in accept.split(",") if part.strip()]
    ranked = [(*liking, known) for known in FORMATS if (liking := _liking(known, stated)) and liking[0] > 0]
    if not ranked:
        told = f"None of {accept!r} is spoken here; accept application/fhir+json or application/fhir+xml."
        raise NotAcceptable(told, rule="format")
    *_, early, known = max(ranked, key=lambda ranking: ranking[:3])
    return known, stated[-early][0]


_format_liked = kept_of_short(_liked, longest=LONGEST_KEPT, most=MOST_KEPT)


def media_range(part: str) -> tuple[str, float]:
    """A media type or range of an Accept header, and its quality."""
    quality = _QUALITY.search(part)
    kind = part.partition(";")[0].strip().lower()
    kind = "*/*" if kind == "*" else kind  # of old clients
    return kind if _is_r4(part) else "", float(quality[1]) if quality else 1.0


def _is_r4(stated: str) -> bool:
    """Whether a media type names no version of FHIR but this one."""
    version = _VERSION.search(stated)
    return version is None or is_r4(version[1])


def is_r4(version: str | None) -> bool:
    """Whether a `fhirVersion` is the one that is spoken here, or none is stated."""
    return version is None or version in _R4


def _liking(known: Format, stated: list[tuple[str, float]]) -> tuple[float, int, int] | None:
    """How a format is liked: quality, how specific the range is that says so, how early it stands.

    Of the types that it goes by, the one that is liked best counts.
    """
    ranges = _RANGES_OF_JSON if known is JSON else _RANGES
    likings = [
        (_EXACT if kind in known.media_types else ranges[kind], quality, -position)
        for position, (kind, quality) in enumerate(stated)
        if kind in known.media_types or kind in ranges
    ]
    if not likings:
        return None
    specific, quality, early = max(likings)
    return quality, specific, early
