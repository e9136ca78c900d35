"""Words to HTTP: status, ETag, Last-Modified, Location, body by preference."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from flask import Request

from fhir_server.fhir.errors import FhirError
from fhir_server.fhir.json import encode
from fhir_server.fhir.outcome import Issue, operation_outcome
from fhir_server.interactions.conditions import etag
from fhir_server.interactions.returning import is_written, returned
from fhir_server.interactions.statuses import FAILED, STATUS_OF_OUTCOME, status_of
from fhir_server.interactions.words import Answer
from fhir_server.rest.binary import content_of
from fhir_server.rest.compression import compressed
from fhir_server.rest.formats import Wish
from fhir_server.rest.headers import header
from fhir_server.rest.requests import wish_of_refused

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse


_ALWAYS = {
    "Cache-Control": "private, no-cache",
    "Vary": "Authorization, Accept, Accept-Encoding, Prefer",
    "X-Content-Type-Options": "nosniff",
}
_NO_LENGTH = ("204", "304")


@dataclass(frozen=True)
class Response:
    """What goes out: the status line, the headers as they are set here, and the body, which HEAD is not sent."""

    status: str
    headers: dict[str, str]
    body: bytes

    @property
    def status_code(self) -> int:
        """The number of the status."""
        return int(self.status[:3])

    def send(self, start_response: "StartResponse", *, head: bool) -> list[bytes]:
        """The answer to WSGI."""
        start_response(self.status, list(self.headers.items()))
        return [] if head else [self.body]


def response_of(request: Request, wish: Wish, answer: Answer, returning: str | None, base_url: str) -> Response:
    """The HTTP response of an answer; `returning` is what the interaction prefers of a write."""
    body = returned(answer, returning)
    response = _written(request, wish, STATUS_OF_OUTCOME[answer.outcome], body)
    if answer.etag is not None:
        response.headers["ETag"] = answer.etag
    if answer.stored is not None:
        stored = answer.stored
        response.headers["ETag"] = etag(stored.version)
        response.headers["Last-Modified"] = _http_date(stored.last_updated)
        if is_written(answer):
            response.headers["Location"] = f"{base_url}/{stored.reference}/_history/{stored.version}"
    return response


@lru_cache(maxsize=4096)
def _http_date(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def refusal_of(request: Request, error: FhirError) -> Response:
    """The OperationOutcome of a refusal."""
    response = _outcome(request, status_of(error), error.issues)
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="samen"'
    if response.status_code == 503:
        response.headers["Retry-After"] = "5"
    return response


def failure_of(request: Request, support_id: str) -> Response:
    """The answer to a fault of ours: nothing of the inside, a number to quote."""
    issue = Issue("exception", f"The server failed; nothing was stored. Quote {support_id} when you report it.")
    return _outcome(request, FAILED, [issue])


def _outcome(request: Request, status: str, issues: list[Issue]) -> Response:
    return _written(request, wish_of_refused(request), status, encode(operation_outcome(issues)))


def _written(request: Request, wish: Wish, status: str, body: bytes | None) -> Response:
    """A response whose body, if there is one, is in the format, and packed for callers who take it so."""
    if not body:
        length = {} if status.startswith(_NO_LENGTH) else {"Content-Length": "0"}
        return Response(status, {**length, **_ALWAYS}, b"")
    if wish.content is not None:
        sent, headers = content_of(body, wish.content)
    else:
        sent, headers = wish.write(body), {"Content-Type": wish.content_type}
    packed = compressed(sent, header(request, "Accept-Encoding") or "")
    if packed is not None:
        sent, headers = packed, {**headers, "Content-Encoding": "gzip"}
    return Response(status, {**headers, **_ALWAYS, "Content-Length": str(len(sent))}, sent)
