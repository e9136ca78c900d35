"""The headers that every request is asked for, straight from WSGI's environment, and what the usual ones mean.

Callers send the same Accept and Content-Type again and again, so what was read in one is kept; a long one is read anew.
"""

from collections.abc import Mapping
from functools import lru_cache

from flask import Request
from werkzeug.http import parse_options_header

_LONGEST_KEPT = 200
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
        "Prefer",
    )
}


def header(request: Request, name: str) -> str | None:
    """What the request says in one of these headers; several of a name arrive as one."""
    stated: str | None = request.environ.get(_VARIABLE[name])
    return stated


def media_type(request: Request) -> tuple[str, Mapping[str, str]]:
    """The media type of the body in small letters, "" when none is stated, and its parameters."""
    stated = request.environ.get("CONTENT_TYPE", "")
    return _kept(stated) if len(stated) <= _LONGEST_KEPT else _read(stated)


def _read(stated: str) -> tuple[str, Mapping[str, str]]:
    name, parameters = parse_options_header(stated)
    return name.lower(), parameters


_kept = lru_cache(maxsize=256)(_read)
