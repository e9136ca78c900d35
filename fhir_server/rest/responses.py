"""Words to HTTP: status, ETag, Last-Modified, Location, body by preference."""

from datetime import UTC
from email.utils import format_datetime

import msgspec
from flask import Request, Response

from fhir_server.fhir.errors import FhirError
from fhir_server.fhir.json import encode
from fhir_server.fhir.outcome import Issue, operation_outcome
from fhir_server.interactions.conditions import etag
from fhir_server.interactions.statuses import STATUS_OF_OUTCOME, status_of
from fhir_server.interactions.words import Answer
from fhir_server.rest.requests import preferences, wants_pretty

FHIR_JSON = "application/fhir+json; charset=utf-8"
_WRITTEN = {
    "created": "was created",
    "updated": "was updated",
    "unchanged": "already had this content",
    "existing": "existed already",
}


def response_of(request: Request, answer: Answer, base_url: str) -> Response:
    """The HTTP response of an answer."""
    body = _body_by_preference(request, answer)
    if body and wants_pretty(request):
        body = msgspec.json.format(body, indent=2)
    response = Response(body or b"", status=STATUS_OF_OUTCOME[answer.outcome])
    _set_headers(response, with_body=bool(body))
    if answer.stored is not None:
        stored = answer.stored
        response.headers["ETag"] = etag(stored.version)
        response.headers["Last-Modified"] = format_datetime(stored.last_updated.astimezone(UTC), usegmt=True)
        if answer.outcome in _WRITTEN:
            response.headers["Location"] = f"{base_url}/{stored.reference}/_history/{stored.version}"
    return response


def refusal_of(error: FhirError) -> Response:
    """The OperationOutcome of a refusal."""
    response = Response(encode(operation_outcome(error.issues)), status=status_of(error))
    _set_headers(response, with_body=True)
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="samen"'
    if response.status_code == 503:
        response.headers["Retry-After"] = "5"
    return response


def failure_of(support_id: str) -> Response:
    """The answer to a fault of ours: nothing of the inside, a number to quote."""
    issue = Issue("exception", f"The server failed; nothing was stored. Quote {support_id} when you report it.")
    response = Response(encode(operation_outcome([issue])), status=500)
    _set_headers(response, with_body=True)
    return response


def _body_by_preference(request: Request, answer: Answer) -> bytes | None:
    if answer.outcome not in _WRITTEN or answer.stored is None:
        return answer.body
    asked = preferences(request)
    if "return=minimal" in asked:
        return None
    if "return=OperationOutcome" in asked:
        told = f"{answer.stored.reference} {_WRITTEN[answer.outcome]}; version {answer.stored.version}."
        return encode(operation_outcome([Issue("informational", told, severity="information")]))
    return answer.body


def _set_headers(response: Response, *, with_body: bool) -> None:
    if with_body:
        response.headers["Content-Type"] = FHIR_JSON
    else:
        del response.headers["Content-Type"]
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Authorization, Accept, Prefer"
    response.headers["X-Content-Type-Options"] = "nosniff"
