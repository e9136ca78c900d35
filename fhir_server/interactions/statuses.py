"""The one table of statuses: what an outcome or a refusal is called in HTTP, at the door and in Bundle entries."""

from fhir_server.fhir import errors

STATUS_OF_OUTCOME = {
    "ok": "200 OK",
    "created": "201 Created",
    "updated": "200 OK",
    "unchanged": "200 OK",
    "existing": "200 OK",
    "deleted": "204 No Content",
    "not-modified": "304 Not Modified",
}

FAILED = "500 Internal Server Error"
"""For a fault of ours."""

_STATUSES: tuple[tuple[type[errors.FhirError], str], ...] = (
    (errors.MalformedRequest, "400 Bad Request"),
    (errors.Unauthenticated, "401 Unauthorized"),
    (errors.TooCostly, "403 Forbidden"),
    (errors.Forbidden, "403 Forbidden"),
    (errors.NotFound, "404 Not Found"),
    (errors.MethodNotAllowed, "405 Method Not Allowed"),
    (errors.NotAcceptable, "406 Not Acceptable"),
    (errors.StillReferred, "409 Conflict"),
    (errors.IdTaken, "409 Conflict"),
    (errors.Gone, "410 Gone"),
    (errors.LengthRequired, "411 Length Required"),
    (errors.VersionConflict, "412 Precondition Failed"),
    (errors.TooLarge, "413 Content Too Large"),
    (errors.UnsupportedMedia, "415 Unsupported Media Type"),
    (errors.InvalidResource, "422 Unprocessable Content"),
    (errors.NotYetIndexed, "503 Service Unavailable"),
    (errors.Unavailable, "503 Service Unavailable"),
)


def status_of(error: errors.FhirError) -> str:
    """The status line of a refusal."""
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), FAILED)
