"""The one entrance of FHIR over HTTP: authenticated first, every refusal an OperationOutcome."""

import logging
import re
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Request

from fhir_server.access.types import TYPES
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import FhirError, MethodNotAllowed, Unauthenticated, UnsupportedMedia
from fhir_server.fhir.faults import logged
from fhir_server.interactions.addressing import ADDRESSES, Place, allowed_methods, resolve
from fhir_server.interactions.patching.patches import PATCH_FORMATS
from fhir_server.interactions.perform import perform, record_refusal
from fhir_server.interactions.words import Interaction, Services
from fhir_server.rest.binary import of_the_whole
from fhir_server.rest.headers import header
from fhir_server.rest.requests import interaction_of, parameters_of, wish_of
from fhir_server.rest.responses import Response, failure_of, refusal_of, response_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

Authenticate = Callable[[str | None], Actor]


def fhir_application(services: Services, authenticate: Authenticate, max_body: int, mount: str) -> "WSGIApplication":
    """The WSGI application of the FHIR base, which lies at the path `mount`.

    `authenticate` turns the Authorization header into an Actor or raises. Every method at every address below is
    answered in FHIR's words.
    """

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        started = time.perf_counter()
        asked = Request(environ, populate_request=False)  # neither holds the other, so both go when it is answered
        # One byte more than is allowed, so that a chunked body over the limit is seen and not cut.
        asked.max_content_length = max_body + 1
        path = asked.path.removeprefix(mount).strip("/")
        actor, response = _answer(asked, f"/{path}", services, authenticate, max_body)
        response.headers.update(_request_id(asked))
        _log(asked, path, actor, response, started)
        return response.send(start_response, head=asked.method == "HEAD")

    return answer


_WORDS = frozenset({"", *TYPES, *(part for address in ADDRESSES for part in address.path.split("/"))})
_OUR_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")


def _answer(
    asked: Request, path: str, services: Services, authenticate: Authenticate, max_body: int
) -> tuple[Actor | None, Response]:
    """Who asked, and the response; a refusal of any kind is a response too."""
    actor: Actor | None = None
    try:
        try:
            actor = authenticate(header(asked, "Authorization"))
            place = resolve(asked.method, path)
            parameters = parameters_of(asked, place, max_body)
            wish = wish_of(asked, parameters, place)
            if wish.content is not None:
                parameters = of_the_whole(parameters)
            interaction = interaction_of(asked, place, parameters, max_body)
        except FhirError as error:
            _record_at_the_door(asked, path, actor, services, error)
            raise
        answer = perform(interaction, actor, services)
        return actor, response_of(asked, wish, answer, interaction.returning, services.base_url)
    except FhirError as error:
        return actor, _refusal(asked, error, path)
    except Exception as error:
        return actor, failure_of(asked, logged(error, log))


def _record_at_the_door(asked: Request, path: str, actor: Actor | None, services: Services, error: FhirError) -> None:
    """Record a refusal that came before the interaction was understood; a stranger's address is not kept."""
    try:
        place = resolve(asked.method, path)
    except FhirError:
        place = Place("unknown")
    told = Interaction(place.interaction, place.type, None if isinstance(error, Unauthenticated) else place.id)
    record_refusal(told, actor, services, error)


def _refusal(asked: Request, error: FhirError, path: str) -> Response:
    response = refusal_of(asked, error)
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(allowed_methods(path))
    if isinstance(error, UnsupportedMedia) and asked.method == "PATCH":
        response.headers["Accept-Patch"] = ", ".join(PATCH_FORMATS)
    return response


def _request_id(asked: Request) -> dict[str, str]:
    """What the caller calls its request, for the answer.

    https://hl7.org/fhir/R4/http.html#custom
    """
    stated = header(asked, "X-Request-Id")
    return {"X-Request-Id": stated} if stated is not None and _REQUEST_ID.fullmatch(stated) else {}


def _log(asked: Request, path: str, actor: Actor | None, response: Response, started: float) -> None:
    """One line per request: no query, for it may tell of a person, and the caller's id of it if that tells nothing."""
    id = response.headers.get("X-Request-Id", "")
    log.info(
        "%s %s %s %s %.1fms%s",
        asked.method,
        _place_in_words(path, response.status_code),
        response.status_code,
        (actor.client_id or actor.organization or actor.person) if actor else "-",
        (time.perf_counter() - started) * 1000,
        f" {id}" if actor is not None and _OUR_ID.fullmatch(id.lower()) else "",
    )


def _place_in_words(path: str, status: int) -> str:
    """The type and the id that were asked for. Of what was refused only what are words or ids of this server: anything
    else may be a name, or a number of a person, that somebody put where an id belongs."""
    parts = path.split("/")[:2]
    if status < HTTPStatus.BAD_REQUEST:
        return "/".join(parts)
    return "/".join(part if part in _WORDS or _OUR_ID.fullmatch(part) else "..." for part in parts)
