"""The addresses of the local issuer: its token endpoint, its public keys, and where to find both.

https://www.rfc-editor.org/rfc/rfc6749, https://hl7.org/fhir/smart-app-launch/STU2.1/conformance.html
"""

import logging
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, jsonify, request

from fhir_server.auth.local_issuer import LocalIssuer
from fhir_server.auth.scopes import EVERYTHING, OWN_SCOPES
from fhir_server.auth.token_requests import GRANT_TYPE, TokenRefused, answer_request, read_request
from fhir_server.fhir.errors import Unavailable
from fhir_server.store.mongo.registry import Registry

log = logging.getLogger(__name__)

TOKEN_PATH = "/oauth/token"  # noqa: S105 - an address, not a secret
JWKS_PATH = "/.well-known/jwks.json"
SMART_PATH = "/.well-known/smart-configuration"

_FORM = "application/x-www-form-urlencoded"
_LARGEST_REQUEST = 16 * 1024
_NEVER_KEPT = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def token_routes(registry: Registry, issuer: LocalIssuer) -> Blueprint:
    """The blueprint `auth`: token endpoint, public keys, SMART configuration under the FHIR base and the root."""
    routes = Blueprint("auth", __name__)

    @routes.post(TOKEN_PATH)
    def token() -> Response:
        request.max_content_length = _LARGEST_REQUEST
        if request.mimetype != _FORM:
            raise TokenRefused("invalid_request", f"The request must be {_FORM}.")
        asked = read_request(dict(request.form.lists()), request.headers.get("Authorization"))
        answer = jsonify(answer_request(asked, registry, issuer))
        log.info("an access token was issued to client %s", asked.client_id)
        answer.headers.update(_NEVER_KEPT)
        return answer

    @routes.get(JWKS_PATH)
    def jwks() -> Response:
        answer = jsonify({"keys": issuer.public_jwks()})
        answer.headers["Cache-Control"] = "public, max-age=300"
        return answer

    def smart_configuration() -> Response:
        return jsonify(smart_metadata(issuer))

    base_path = urlsplit(issuer.audience).path.rstrip("/")
    for number, prefix in enumerate(dict.fromkeys((base_path, ""))):
        routes.add_url_rule(prefix + SMART_PATH, f"smart_configuration_{number}", smart_configuration)

    @routes.errorhandler(TokenRefused)
    def refuse(refusal: TokenRefused) -> Response:
        return _error(refusal.error, refusal.description, refusal.status)

    @routes.errorhandler(Unavailable)
    def postpone(_: Unavailable) -> Response:
        return _error("temporarily_unavailable", "The registry of clients does not answer; try again later.", 503)

    return routes


def smart_metadata(issuer: LocalIssuer) -> dict[str, Any]:
    """What the issuer can do, and nothing that it cannot."""
    return {
        "issuer": issuer.issuer,
        "jwks_uri": issuer.issuer + JWKS_PATH,
        "token_endpoint": issuer.issuer + TOKEN_PATH,
        "grant_types_supported": [GRANT_TYPE],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "scopes_supported": [EVERYTHING, *OWN_SCOPES],
        "capabilities": ["client-confidential-symmetric", "permission-v2"],
    }


def _error(code: str, description: str, status: int) -> Response:
    answer = jsonify({"error": code, "error_description": description})
    answer.status_code = status
    answer.headers.update(_NEVER_KEPT)
    if status == 401:
        answer.headers["WWW-Authenticate"] = 'Basic realm="samen"'
    return answer
