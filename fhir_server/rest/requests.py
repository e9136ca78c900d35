"""HTTP to words: address, parameters, conditions, body.

https://hl7.org/fhir/R4/http.html
"""

from collections.abc import Mapping
from typing import Any

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from fhir_server.definitions.operations import OPERATIONS
from fhir_server.fhir.errors import (
    FhirError,
    InvalidResource,
    LengthRequired,
    MalformedRequest,
    NotAcceptable,
    TooLarge,
    UnsupportedMedia,
)
from fhir_server.interactions.addressing import Place
from fhir_server.interactions.parameters import check_known, parameters_in, stated
from fhir_server.interactions.patching.patches import JSON_PATCH, read_json_patch
from fhir_server.interactions.returning import MINIMAL, OUTCOME, REPRESENTATION
from fhir_server.interactions.words import Interaction, Misread
from fhir_server.rest.binary import binary_of, is_content, may_be_content
from fhir_server.rest.compression import PLAIN, decompressed
from fhir_server.rest.formats import JSON, Format, Wish, format_accepted, format_named, format_of_body, is_r4
from fhir_server.rest.headers import header, media_type
from fhir_server.search.parse import OF_FORM

_FORM = "application/x-www-form-urlencoded"
_JUDGES = "Resource-validate"
_RETURNS = {word.lower(): word for word in (REPRESENTATION, MINIMAL, OUTCOME)}
_WITH_BODY = frozenset({"create", "update", "patch", "transaction"})


Parameters = list[tuple[str, str]]


def parameters_of(request: Request, place: Place, max_body: int) -> Parameters:
    """The parameters in their order: those of the address, then those of a posted search's form.

    Raises MalformedRequest on broken percent-encoding, UnsupportedMedia, TooLarge.
    """
    has_form = request.method == "POST" and place.interaction not in _WITH_BODY and place.interaction not in OPERATIONS
    return query_of(request) + (_form_in(request, max_body) if has_form else [])


def interaction_of(request: Request, place: Place, parameters: Parameters, max_body: int) -> Interaction:
    """The interaction that `request` asks for at `place`. Raises MalformedRequest, UnsupportedMedia, TooLarge."""
    resource: Any = None
    preferred = preferences(request)
    lenient = preferred.get("handling") == "lenient"
    if not lenient:
        check_known(place.interaction, place.id, [pair for pair in parameters if pair[0] not in OF_FORM])
    if place.interaction == "patch" and media_type(request)[0] == JSON_PATCH:
        _check_parameters(request)
        resource = read_json_patch(_some(_body_of(request, max_body), "a list of operations", "json"))
    elif is_content(request, place):
        resource = binary_of(request, place, _content_in(request, max_body))
    elif place.interaction in _WITH_BODY:
        resource = _resource_in(request, max_body)
    elif place.interaction == _JUDGES:
        resource = _judged_in(request, max_body)
    elif place.interaction in OPERATIONS:
        resource = _input_in(request, max_body)
    return Interaction(
        place.interaction,
        place.type,
        place.id,
        place.version,
        tuple((name, value) for name, value in parameters if name not in OF_FORM),
        resource,
        header(request, "If-Match"),
        header(request, "If-None-Match"),
        header(request, "If-None-Exist"),
        lenient,
        header(request, "If-Modified-Since"),
        _RETURNS.get(preferred.get("return", "")),
        tuple(pair for pair in stated(parameters) if pair[0] in OF_FORM),
        header(request, "If-Unmodified-Since"),
    )


def query_of(request: Request) -> Parameters:
    """The query parameters in their order. Raises MalformedRequest on broken percent-encoding."""
    return _pairs(request.query_string)


def preferences(request: Request) -> Mapping[str, str]:
    """The preferences of `Prefer`, such as `return=minimal`, in small letters; of one that is stated twice the first.

    https://www.rfc-editor.org/rfc/rfc7240
    """
    stated = header(request, "Prefer")
    found: dict[str, str] = {}
    for part in stated.lower().replace(";", ",").split(",") if stated else ():
        name, _, value = part.partition("=")
        found.setdefault(name.strip(), value.strip().strip('"'))
    return found


def wish_of(request: Request, parameters: Parameters, place: Place | None = None) -> Wish:
    """How the answer is wished for; `_format` counts before Accept, and JSON is for callers who name none.

    Raises NotAcceptable, unless at `place` the content of a Binary may be meant.
    """
    asked = next((value for name, value in parameters if name == "_format" and value), None)
    accepted = header(request, "Accept")
    content = place is not None and may_be_content(place, parameters)
    try:
        known, named = (format_named(asked), None) if asked else format_accepted(accepted) if accepted else (JSON, None)
    except NotAcceptable:
        if not content:
            raise
        return Wish(JSON, content=accepted)
    # Who is sent a Binary as application/json would take the resource for what the Binary holds.
    return Wish(known, ("_pretty", "true") in parameters, named=None if content else named)


def wish_of_refused(request: Request) -> Wish:
    """How a refusal is wished for, as far as that can be told: in JSON when it cannot."""
    try:
        return wish_of(request, query_of(request))
    except FhirError:
        return Wish(JSON)


def _resource_in(request: Request, max_body: int) -> Any:
    known = _format_of(request)
    return _read(known, _body_of(request, max_body))


def _read(known: Format, body: bytes) -> Any:
    return known.read(_some(body, "a resource", known.name))


def _format_of(request: Request) -> Format:
    """The format of the body. Raises UnsupportedMedia."""
    media, parameters = media_type(request)
    version = parameters.get("fhirversion")
    known = format_of_body(media, version)
    if known is None:
        told = (repr(media) if media else "of no stated type") + (f" of FHIR {version}" if version else "")
        also = f", or as a patch {JSON_PATCH}" if request.method == "PATCH" else ""
        raise UnsupportedMedia(
            f"The body is {told}; send application/fhir+json or application/fhir+xml, of FHIR 4.0{also}.",
            rule="content-type",
        )
    _check_parameters(request)
    return known


def _check_parameters(request: Request) -> None:
    """Raise UnsupportedMedia for what says that it is in anything but UTF-8, or of another version of FHIR."""
    _check_charset(request)
    if not is_r4(media_type(request)[1].get("fhirversion")):
        raise UnsupportedMedia("Resources and patches are of FHIR 4.0 here.", rule="content-type")


def _check_charset(request: Request) -> None:
    stated = media_type(request)[1].get("charset", "utf-8")
    if stated.lower() not in {"utf-8", "utf8"}:
        told = f"The body is in {stated!r}; resources, patches and posted searches are sent in UTF-8."
        raise UnsupportedMedia(told, rule="content-type")


def _some(body: bytes, expected: str, rule: str | None = None) -> bytes:
    """The body. Raises MalformedRequest when there is nothing in it."""
    if not body.strip():
        raise MalformedRequest(f"The body is empty; {expected} was expected.", rule=rule)
    return body


def _content_in(request: Request, max_body: int) -> bytes:
    """What a Binary is to hold, when it is sure that it came whole. Raises LengthRequired.

    The end of a resource shows by its last bracket, that of a picture does not; and in a body sent in chunks a
    connection that breaks looks like the last chunk.
    """
    if request.content_length is None and "Transfer-Encoding" in request.headers and _encoding_of(request) in PLAIN:
        told = (
            "The content of a Binary is sent with a Content-Length, or in gzip, so that it is seen when it breaks off."
        )
        raise LengthRequired(told, rule="body-size")
    content = _body_of(request, max_body)
    return content if content.isspace() else _some(content, "the content of the Binary")


def _input_in(request: Request, max_body: int) -> Any:
    """What is sent to an operation; its parameters may all stand in the address, and then there is no body."""
    body = _body_of(request, max_body) if request.method == "POST" else b""
    return _read(_format_of(request), body) if body else None


def _judged_in(request: Request, max_body: int) -> Any:
    """The same, of which the operation itself tells what is wrong."""
    try:
        return _input_in(request, max_body)
    except InvalidResource as error:
        return Misread(tuple(error.issues))


def _form_in(request: Request, max_body: int) -> Parameters:
    if media_type(request)[0] not in {_FORM, ""}:
        raise UnsupportedMedia(f"A search is posted as {_FORM}.", rule="content-type")
    _check_charset(request)
    return _pairs(_body_of(request, max_body))


def _body_of(request: Request, max_body: int) -> bytes:
    """The whole body, read to one byte over the limit: a chunked body states no length beforehand."""
    stated = request.content_length
    if stated is not None and stated > max_body:
        raise _too_large(max_body)
    try:
        body = request.stream.read(max_body + 1)
    except RequestEntityTooLarge as error:
        raise _too_large(max_body) from error
    if len(body) > max_body:
        raise _too_large(max_body)
    if len(body) < (stated or 0):
        told = f"The body broke off: Content-Length says {stated} bytes, and {len(body)} came."
        raise MalformedRequest(told, rule="body-size")
    return decompressed(body, _encoding_of(request), max_body)


def _too_large(max_body: int) -> TooLarge:
    return TooLarge(f"The body is over {max_body} bytes.", rule="body-size")


def _encoding_of(request: Request) -> str:
    return (header(request, "Content-Encoding") or "").strip().lower()


def _pairs(encoded: bytes) -> Parameters:
    return parameters_in(encoded.decode("latin-1"))
