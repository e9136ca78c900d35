"""A registered client gets a short-lived token that the server believes, by the rules of RFC 6749, and nobody else."""

import base64
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from fhir_server.auth.authenticator import REMEMBERED_FOR, Authenticator
from fhir_server.auth.clients import register_client
from fhir_server.auth.local_issuer import LocalIssuer
from fhir_server.auth.routes import token_routes
from fhir_server.fhir import dates
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.errors import Unauthenticated
from fhir_server.store.mongo.connection import Connection
from fhir_server.store.mongo.registry import Registry

ORIGIN = "https://care.example.org"
FHIR = f"{ORIGIN}/fhir"
GRANT = {"grant_type": "client_credentials"}


class Clock:
    """The time of day, moved when a test says so."""

    ahead = timedelta()

    def __call__(self) -> datetime:
        return dates.now() + self.ahead


@pytest.fixture(scope="module")
def registry(mongo_url: str, database_name: str) -> Iterator[Registry]:
    opened = Registry(Connection(mongo_url, database_name))
    opened.prepare()
    yield opened
    opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(registry: Registry, clock: Clock) -> LocalIssuer:
    return LocalIssuer(registry, issuer=ORIGIN, audience=FHIR, lifetime=timedelta(minutes=5), clock=clock)


@pytest.fixture
def authenticator(issuer: LocalIssuer, clock: Clock) -> Authenticator:
    return Authenticator({issuer.issuer: issuer.trust()}, clock)


@pytest.fixture
def web(registry: Registry, issuer: LocalIssuer) -> FlaskClient:
    app = Flask(__name__)
    app.register_blueprint(token_routes(registry, issuer))
    return app.test_client()


@pytest.fixture
def client(registry: Registry) -> tuple[str, str]:
    """Id and secret of a registered client."""
    registered, secret = register_client(
        registry,
        organization="Organization/hosp",
        scopes=["system/*.cruds", "samen/open-plans"],
        now=dates.now(),
    )
    return registered.id, secret


def basic(client_id: str, secret: str) -> dict[str, str]:
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def ask(web: FlaskClient, form: dict[str, Any], headers: dict[str, str] | None = None) -> TestResponse:
    return web.post("/oauth/token", data=form, headers=headers)


def credentials(client: tuple[str, str]) -> dict[str, str]:
    return {"client_id": client[0], "client_secret": client[1]}


def assert_refused(answer: TestResponse, status: int, error: str) -> None:
    assert (answer.status_code, answer.get_json()["error"]) == (status, error)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.get_json()["error_description"]


def test_the_command_of_the_configuration_page_brings_a_token(web: FlaskClient, client: tuple[str, str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    [line] = re.findall(r"^curl .*", page, re.MULTILINE)
    curl, user, pair, data, form, address = shlex.split(line)

    answer = web.post(
        address.removeprefix(ORIGIN),
        data=dict([form.split("=")]),
        headers=basic(*pair.replace("$CLIENT_ID", client[0]).replace("$CLIENT_SECRET", client[1]).split(":")),
    )

    assert (curl, user, data) == ("curl", "-u", "-d")
    assert answer.status_code == 200
    assert answer.get_json()["access_token"]


def test_a_token_asked_with_basic_makes_the_clients_actor(
    web: FlaskClient, authenticator: Authenticator, client: tuple[str, str]
) -> None:
    answer = ask(web, GRANT, basic(*client))
    assert answer.status_code == 200
    body = answer.get_json()
    assert {name: body[name] for name in ("token_type", "expires_in", "scope")} == {
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "system/*.cruds samen/open-plans",
    }
    assert authenticator.authenticate(f"Bearer {body['access_token']}") == Actor(
        organization="Organization/hosp",
        scopes=frozenset({"system/*.cruds", "samen/open-plans"}),
        client_id=client[0],
    )


def test_a_token_is_never_kept_by_anybody_on_the_way(web: FlaskClient, client: tuple[str, str]) -> None:
    headers = ask(web, GRANT, basic(*client)).headers
    assert (headers["Cache-Control"], headers["Pragma"]) == ("no-store", "no-cache")
    assert headers["Content-Type"] == "application/json"


def test_the_secret_may_come_in_the_form(web: FlaskClient, client: tuple[str, str]) -> None:
    assert ask(web, GRANT | credentials(client)).status_code == 200


def test_a_client_may_ask_for_less(web: FlaskClient, authenticator: Authenticator, client: tuple[str, str]) -> None:
    body = ask(web, GRANT | {"scope": "system/Task.rs"}, basic(*client)).get_json()
    assert body["scope"] == "system/Task.rs"
    assert authenticator.authenticate(f"Bearer {body['access_token']}").scopes == {"system/Task.rs"}


@pytest.mark.parametrize("scope", ["samen/operate", "system/Task.rs samen/import", "openid"])
def test_a_client_never_gets_more_than_it_was_given(web: FlaskClient, client: tuple[str, str], scope: str) -> None:
    assert_refused(ask(web, GRANT | {"scope": scope}, basic(*client)), 400, "invalid_scope")


def test_a_token_expires(web: FlaskClient, authenticator: Authenticator, client: tuple[str, str], clock: Clock) -> None:
    header = f"Bearer {ask(web, GRANT, basic(*client)).get_json()['access_token']}"
    assert authenticator.authenticate(header)
    clock.ahead = timedelta(minutes=5)
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(header)


def test_a_revoked_client_gets_no_token_and_its_tokens_end_within_a_minute(
    web: FlaskClient, registry: Registry, authenticator: Authenticator, client: tuple[str, str], clock: Clock
) -> None:
    header = f"Bearer {ask(web, GRANT, basic(*client)).get_json()['access_token']}"
    authenticator.authenticate(header)
    registry.revoke_client(client[0])
    assert_refused(ask(web, GRANT, basic(*client)), 401, "invalid_client")
    clock.ahead = REMEMBERED_FOR + timedelta(seconds=1)
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(header)


def test_unknown_revoked_and_wrong_clients_read_the_same(
    web: FlaskClient, registry: Registry, client: tuple[str, str]
) -> None:
    revoked, secret = register_client(registry, organization="Organization/x", scopes=["samen/import"], now=dates.now())
    registry.revoke_client(revoked.id)
    answers = [ask(web, GRANT, basic(*pair)) for pair in ((client[0], "x"), ("x", client[1]), (revoked.id, secret))]
    for answer in answers:
        assert_refused(answer, 401, "invalid_client")
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert len({answer.data for answer in answers}) == 1


@pytest.mark.parametrize(
    "authorization",
    ["Basic", "Basic !!!", "Basic " + base64.b64encode(b"no colon").decode(), "Basic //8=", "Bearer abc", "Digest x"],
)
def test_broken_credentials_prove_nothing(web: FlaskClient, authorization: str) -> None:
    assert_refused(ask(web, GRANT, {"Authorization": authorization}), 401, "invalid_client")


def test_no_credentials_prove_nothing(web: FlaskClient) -> None:
    assert_refused(ask(web, GRANT), 401, "invalid_client")


def test_credentials_come_in_one_way(web: FlaskClient, client: tuple[str, str]) -> None:
    assert_refused(ask(web, GRANT | credentials(client), basic(*client)), 400, "invalid_request")
    assert_refused(ask(web, GRANT | {"client_id": "other"}, basic(*client)), 400, "invalid_request")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": ["client_credentials", "client_credentials"]}, "invalid_request"),
        ({**GRANT, "scope": ["system/Task.r", "system/Patient.r"]}, "invalid_request"),
        ({**GRANT, "scope": "x" * 4097}, "invalid_request"),
    ],
)
def test_a_malformed_request_is_refused(
    web: FlaskClient, client: tuple[str, str], form: dict[str, Any], error: str
) -> None:
    assert_refused(ask(web, form, basic(*client)), 400, error)


def test_a_request_in_json_is_refused(web: FlaskClient, client: tuple[str, str]) -> None:
    assert_refused(web.post("/oauth/token", json=GRANT | credentials(client)), 400, "invalid_request")


def test_parameters_in_the_address_do_not_count(web: FlaskClient, client: tuple[str, str]) -> None:
    answer = web.post("/oauth/token", query_string=GRANT | credentials(client), data={})
    assert_refused(answer, 400, "invalid_request")


def test_an_endless_request_is_cut_off(web: FlaskClient) -> None:
    assert ask(web, GRANT | {"padding": "x" * 20_000}).status_code == 413


def test_a_token_is_posted_for(web: FlaskClient) -> None:
    assert web.get("/oauth/token").status_code == 405


def test_the_published_keys_check_the_tokens(web: FlaskClient, client: tuple[str, str]) -> None:
    from joserfc import jwt
    from joserfc.jwk import KeySet

    token = ask(web, GRANT, basic(*client)).get_json()["access_token"]
    published = web.get("/.well-known/jwks.json")
    decoded = jwt.decode(token, KeySet.import_key_set(published.get_json()), algorithms=["ES256"])
    assert decoded.header["typ"] == "at+jwt"
    assert {name: decoded.claims[name] for name in ("iss", "aud", "sub", "client_id", "organization")} == {
        "iss": ORIGIN,
        "aud": FHIR,
        "sub": client[0],
        "client_id": client[0],
        "organization": "Organization/hosp",
    }
    assert decoded.claims["jti"]
    assert "d" not in published.get_json()["keys"][0]


@pytest.mark.parametrize("path", ["/fhir/.well-known/smart-configuration", "/.well-known/smart-configuration"])
def test_the_smart_configuration_names_what_works(web: FlaskClient, client: tuple[str, str], path: str) -> None:
    stated = web.get(path).get_json()
    assert stated["issuer"] == ORIGIN
    assert web.get(stated["jwks_uri"].removeprefix(ORIGIN)).get_json()["keys"]
    assert stated["grant_types_supported"] == ["client_credentials"]
    ways = {"client_secret_basic": (GRANT, basic(*client)), "client_secret_post": (GRANT | credentials(client), {})}
    assert set(stated["token_endpoint_auth_methods_supported"]) == set(ways)
    for form, headers in ways.values():
        assert web.post(stated["token_endpoint"].removeprefix(ORIGIN), data=form, headers=headers).status_code == 200


def test_a_token_of_another_server_with_the_same_database_is_not_believed(
    registry: Registry, authenticator: Authenticator, client: tuple[str, str], clock: Clock
) -> None:
    known = registry.client(client[0])
    assert known is not None
    for origin, audience in ((ORIGIN, "https://test.example.org/fhir"), ("https://test.example.org", FHIR)):
        other = LocalIssuer(registry, issuer=origin, audience=audience, lifetime=timedelta(minutes=5), clock=clock)
        with pytest.raises(Unauthenticated):
            authenticator.authenticate(f"Bearer {other.access_token(known, known.scopes)}")


def test_tokens_signed_after_a_rotation_are_believed(
    registry: Registry, issuer: LocalIssuer, authenticator: Authenticator, client: tuple[str, str], clock: Clock
) -> None:
    known = registry.client(client[0])
    assert known is not None
    before = issuer.access_token(known, known.scopes)
    assert authenticator.authenticate(f"Bearer {before}")
    issuer.rotate()
    clock.ahead = timedelta(seconds=2)
    after = issuer.access_token(known, known.scopes)
    assert authenticator.authenticate(f"Bearer {after}").client_id == client[0]
    assert Authenticator({issuer.issuer: issuer.trust()}, clock).authenticate(f"Bearer {before}")


def test_a_key_that_was_given_up_signs_nothing_that_is_believed(
    registry: Registry, issuer: LocalIssuer, authenticator: Authenticator, client: tuple[str, str], clock: Clock
) -> None:
    known = registry.client(client[0])
    assert known is not None
    leaked = [issuer.access_token(known, known.scopes) for _ in range(2)]
    assert authenticator.authenticate(f"Bearer {leaked[0]}")

    issuer.rotate()
    issuer.rotate()

    clock.ahead = timedelta(seconds=2)
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(f"Bearer {leaked[1]}")
    clock.ahead = timedelta(seconds=61)
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(f"Bearer {leaked[0]}")


def test_a_registry_that_does_not_answer_is_told_as_temporary(
    web: FlaskClient, client: tuple[str, str], failing_command: Callable[..., AbstractContextManager[None]]
) -> None:
    with failing_command("find", "clients", errorCode=50):
        answer = ask(web, GRANT, basic(*client))
    assert_refused(answer, 503, "temporarily_unavailable")
