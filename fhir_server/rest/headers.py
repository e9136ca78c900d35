"""The headers that every request is asked for, straight from WSGI's environment, and what the usual ones mean.

Callers send the same Accept and Content-Type again and again, so what was read in one is kept; a long one is read anew.
"""

from collections.abc import Mapping

from flask import Request
from werkzeug.http import parse_options_header

from fhir_server.fhir.short_texts import kept_of_short

LONGEST_KEPT, MOST_KEPT = 200, 256
"""Of what callers state alike, what is kept: of texts so long, and of so many."""

_VARIABLE = {
    name: f"HTTP_{name.upper().replace('-', '_')}"
    for name in (
        "Accept",
        "Accept-Encoding",
        "Authorization",
        "Content-Encoding",
        "If-Match",
        "If-Modified-Since",
        "If-None-Exist",
        "If-None-Match",
        "If-Unmodified-Since",
        "Prefer",
        "X-Request-Id",
    )
}


def header(request: Request, name: str) -> str | None:
    """What the request says in one of these headers; several of a name arrive as one."""
    stated: str | None = request.environ.get(_VARIABLE[name])
    return stated


def media_type(request: Request) -> tuple[str, Mapping[str, str]]:
    """The media type of the body in small letters, "" when none is stated, and its parameters."""
    return _media_type(request.environ.get("CONTENT_TYPE", ""))


def _read(stated: str) -> tuple[str, Mapping[str, str]]:
    name, parameters = parse_options_header(stated)
    return name.lower(), parameters


_media_type = kept_of_short(_read, longest=LONGEST_KEPT, most=MOST_KEPT)
