"""Binds the address table to Flask: one entrance, authenticated first, every refusal an OperationOutcome."""

import logging
import time
import uuid
from collections.abc import Callable

from flask import Blueprint, Request, Response, request
from flask.sansio.blueprints import BlueprintSetupState
from werkzeug.exceptions import HTTPException
from werkzeug.routing import PathConverter

from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import FhirError, MethodNotAllowed, Unauthenticated, UnsupportedMedia
from fhir_server.fhir.faults import raised_at
from fhir_server.interactions.addressing import Place, allowed_methods, methods, resolve
from fhir_server.interactions.patching import PATCH_FORMATS
from fhir_server.interactions.perform import perform, record_refusal
from fhir_server.interactions.words import Interaction, Services
from fhir_server.rest.requests import interaction_of, parameters_of, wish_of
from fhir_server.rest.responses import failure_of, refusal_of, response_of

log = logging.getLogger(__name__)

Authenticate = Callable[[str | None], Actor]


class _Anything(PathConverter):
    """The rest of the path, slashes and line breaks too, so that no address is refused in other words than FHIR's."""

    part_isolating = False
    regex = "(?s:.+)"


def fhir_routes(services: Services, authenticate: Authenticate, max_body: int) -> Blueprint:
    """The blueprint of the FHIR base; `authenticate` turns the Authorization header into an Actor or raises."""
    blueprint = Blueprint("fhir", __name__)
    blueprint.record_once(lambda state: state.app.url_map.converters.update(anything=_Anything))

    prefix = ""

    def learn_prefix(state: BlueprintSetupState) -> None:
        nonlocal prefix
        prefix = state.url_prefix or ""

    blueprint.record_once(learn_prefix)

    @blueprint.app_errorhandler(405)
    def refuse(error: HTTPException) -> Response | HTTPException:
        """A method that HTTP does not know, or that FHIR does not use, is refused in FHIR's words, at its addresses."""
        if request.path != prefix and not request.path.startswith(f"{prefix}/"):
            return error
        return answer(request.path.removeprefix(prefix).lstrip("/"))

    @blueprint.route("/", defaults={"path": ""}, methods=methods(), provide_automatic_options=False)
    @blueprint.route("/<anything:path>", methods=methods(), provide_automatic_options=False)
    def answer(path: str) -> Response:
        started = time.perf_counter()
        asked = request._get_current_object()  # type: ignore[attr-defined]  # looked up once, not for each word of it
        actor, response = _answer(asked, f"/{path.strip('/')}", services, authenticate, max_body)
        _log(asked, path, actor, response, started)
        return response

    return blueprint


def _answer(
    asked: Request, path: str, services: Services, authenticate: Authenticate, max_body: int
) -> tuple[Actor | None, Response]:
    """Who asked, and the response; a refusal of any kind is a response too."""
    actor: Actor | None = None
    try:
        try:
            actor = authenticate(asked.headers.get("Authorization"))
            place = resolve(asked.method, path)
            parameters = parameters_of(asked, place, max_body)
            wish = wish_of(asked, parameters, place)
            interaction = interaction_of(asked, place, parameters, max_body)
        except FhirError as error:
            _record_at_the_door(asked, path, actor, services, error)
            raise
        answer = perform(interaction, actor, services)
        return actor, response_of(asked, wish, answer, interaction.returning, services.base_url)
    except FhirError as error:
        return actor, _refusal(asked, error, path)
    except Exception as error:
        support_id = uuid.uuid4().hex[:12]
        log.error("%s: failed with %s", support_id, raised_at(error))
        return actor, failure_of(asked, support_id)


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


def _log(asked: Request, path: str, actor: Actor | None, response: Response, started: float) -> None:
    """One line per request: no query and no names, for both may tell of a person."""
    log.info(
        "%s %s %s %s %.1fms",
        asked.method,
        "/".join(path.split("/")[:2]) if path.isprintable() else "(not printable)",
        response.status_code,
        (actor.client_id or actor.organization or actor.person) if actor else "-",
        (time.perf_counter() - started) * 1000,
    )
