"""Response headers of the pages: nothing inline, nothing from elsewhere, in no frame, kept nowhere."""

from flask import Response

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_A_DAY = "public, max-age=86400"


def protect(answer: Response, *, is_file: bool) -> Response:
    """Add the headers. Pages may tell of a person and are never stored; only the files of the design are."""
    answer.headers.update(_HEADERS)
    if is_file and answer.status_code in {200, 304}:
        answer.headers["Cache-Control"] = _A_DAY
    else:
        answer.headers["Cache-Control"] = "no-store"
        answer.vary.update(["Cookie", "Accept-Language"])
    return answer
