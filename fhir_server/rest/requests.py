"""HTTP to words: address, parameters, conditions, body.

https://hl7.org/fhir/R4/http.html
"""

from typing import Any

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from fhir_server.definitions.operations import OPERATIONS
from fhir_server.fhir.errors import MalformedRequest, NotAcceptable, TooLarge, UnsupportedMedia
from fhir_server.fhir.json import NotJson, decode
from fhir_server.interactions.addressing import Place
from fhir_server.interactions.parameters import parameters_in
from fhir_server.interactions.words import Interaction

JSON_TYPES = frozenset({"application/fhir+json", "application/json", "application/json+fhir", "text/json"})
_FORM = "application/x-www-form-urlencoded"
_JSON_FORMATS = JSON_TYPES | {"json"}
_ANY = frozenset({"*/*", "application/*", "text/html"})
_OF_THE_DOOR = frozenset({"_format", "_pretty"})
_WITH_BODY = frozenset({"create", "update", "transaction"})


def interaction_of(request: Request, place: Place, max_body: int) -> Interaction:
    """The interaction that `request` asks for at `place`. Raises MalformedRequest, UnsupportedMedia, TooLarge."""
    parameters = query_of(request)
    resource: Any = None
    if place.interaction in _WITH_BODY:
        resource = _resource_in(request, max_body)
    elif place.interaction in OPERATIONS:
        resource = _input_in(request, max_body)
    elif request.method == "POST":
        parameters += _form_in(request, max_body)
    return Interaction(
        place.interaction,
        place.type,
        place.id,
        place.version,
        tuple((name, value) for name, value in parameters if name not in _OF_THE_DOOR),
        resource,
        request.headers.get("If-Match"),
        request.headers.get("If-None-Match"),
        request.headers.get("If-None-Exist"),
        "handling=lenient" in preferences(request),
    )


def query_of(request: Request) -> list[tuple[str, str]]:
    """The query parameters in their order. Raises MalformedRequest on broken percent-encoding."""
    return _pairs(request.query_string)


def preferences(request: Request) -> frozenset[str]:
    """The preferences of `Prefer`, such as `return=minimal`."""
    stated = ",".join(request.headers.getlist("Prefer")).replace(";", ",")
    return frozenset(part.strip() for part in stated.split(",") if part.strip())


def check_acceptable(request: Request) -> None:
    """Raise NotAcceptable unless JSON is among what the caller accepts; `_format` counts before Accept."""
    asked = next((value for name, value in _pairs(request.query_string) if name == "_format"), None)
    if asked is not None:
        if asked.replace(" ", "+").partition(";")[0] not in _JSON_FORMATS:
            raise NotAcceptable(f"_format={asked} is not spoken here; ask for json.", rule="format")
        return
    accepted = request.headers.get("Accept")
    if not accepted:
        return
    kinds = {part.partition(";")[0].strip().lower() for part in accepted.split(",")}
    if not kinds & (JSON_TYPES | _ANY):
        raise NotAcceptable(f"None of {accepted!r} is spoken here; accept application/fhir+json.", rule="format")


def wants_pretty(request: Request) -> bool:
    """Whether the answer is to be indented for human eyes."""
    return ("_pretty", "true") in _pairs(request.query_string)


def _resource_in(request: Request, max_body: int) -> Any:
    if request.mimetype not in JSON_TYPES:
        raise UnsupportedMedia(
            f"The body is {request.mimetype or 'of no stated type'!r}; send application/fhir+json.", rule="content-type"
        )
    if request.mimetype_params.get("charset", "utf-8").lower() not in {"utf-8", "utf8"}:
        raise UnsupportedMedia("JSON is sent in UTF-8.", rule="content-type")
    body = _body_of(request, max_body)
    if not body.strip():
        raise MalformedRequest("The body is empty; a resource was expected.", rule="json")
    try:
        return decode(body)
    except NotJson as error:
        raise MalformedRequest(f"The body is not JSON: {error}.", rule="json") from error


def _input_in(request: Request, max_body: int) -> Any:
    """What is sent to an operation; its parameters may all stand in the address, and then there is no body."""
    empty = not request.content_length and "Transfer-Encoding" not in request.headers
    return None if request.method != "POST" or empty else _resource_in(request, max_body)


def _form_in(request: Request, max_body: int) -> list[tuple[str, str]]:
    if request.mimetype not in {_FORM, ""}:
        raise UnsupportedMedia(f"A search is posted as {_FORM}.", rule="content-type")
    return _pairs(_body_of(request, max_body))


def _body_of(request: Request, max_body: int) -> bytes:
    """The whole body, read to one byte over the limit: a chunked body states no length beforehand."""
    too_large = TooLarge(f"The body is over {max_body} bytes.", rule="body-size")
    if request.content_length is not None and request.content_length > max_body:
        raise too_large
    try:
        body = request.stream.read(max_body + 1)
    except RequestEntityTooLarge as error:
        raise too_large from error
    if len(body) > max_body:
        raise too_large
    return body


def _pairs(encoded: bytes) -> list[tuple[str, str]]:
    return parameters_in(encoded.decode("latin-1"))
