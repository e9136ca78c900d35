"""What only a real server shows: chunked bodies, methods and headers that no client library sends."""

import http.client
import socket
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from fhir_server.app import build
from fhir_server.auth.clients import register_client
from fhir_server.demo.processes import running
from fhir_server.fhir import dates
from fhir_server.fhir.json import Resource, decode, encode
from fhir_server.settings import Settings
from tests.minimal import minimal
from tests.world import EVERYTHING

LIMIT = 100_000


@dataclass(frozen=True)
class Door:
    """A server process, its base and a token."""

    settings: Settings
    token: str

    def ask(self, method: str, place: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], Resource]:
        """One request over a connection of its own; a body that is an iterator is sent in chunks."""
        connection = http.client.HTTPConnection("127.0.0.1", self.settings.port, timeout=30)
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/fhir+json"} | headers
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # a refusal may come before all is sent
                connection.request(method, f"/fhir{place}", body, sent)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        return response.status, dict(response.headers), decode(content) if content else {}


@pytest.fixture(scope="module")
def door(
    mongo_url: str,
    mongo_client: MongoClient[dict[str, Any]],
    database_name: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Door]:
    """A server with a small limit for bodies."""
    name, folder = f"{database_name}_d", tmp_path_factory.mktemp("door")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = replace(
        Settings(data=Path(folder), port=port, workers=1),
        mongodb_url=mongo_url,
        database=name,
        secure_cookies=False,
        max_body=LIMIT,
    )
    environment = {
        "SAMEN_MONGODB_URL": mongo_url,
        "SAMEN_DATABASE": name,
        "SAMEN_DATA": str(folder),
        "SAMEN_PORT": str(port),
        "SAMEN_WORKERS": "1",
        "SAMEN_SECURE_COOKIES": "false",
        "SAMEN_MAX_BODY": str(LIMIT),
    }
    parts = build(settings)
    try:
        client, _ = register_client(
            parts.registry, organization="Organization/any", scopes=(EVERYTHING,), now=dates.now()
        )
        token = parts.issuer.access_token(client, client.scopes, timedelta(hours=1))
        with running(environment, f"{settings.origin}/readyz", folder):
            yield Door(settings, token)
    finally:
        parts.store.close()
        parts.registry.close()
        mongo_client.drop_database(name)


def sized(size: int) -> bytes:
    """A Binary whose JSON has exactly this many bytes."""
    empty = len(encode({"resourceType": "Binary", "contentType": "text/plain", "data": ""}))
    letters = (size - empty) // 4 * 4
    body = encode({"resourceType": "Binary", "contentType": "text/plain", "data": "A" * letters})
    return body + b" " * (size - len(body))


def in_chunks(body: bytes) -> Iterator[bytes]:
    """The body in pieces."""
    for start in range(0, len(body), 10_000):
        yield body[start : start + 10_000]


def count(door: Door) -> int:
    """How many Binaries there are."""
    return int(door.ask("GET", "/Binary?_summary=count")[2]["total"])


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT])
def test_a_body_up_to_the_limit_is_read_whole(door: Door, size: int, chunked: bool) -> None:
    body = sized(size)

    status, _, told = door.ask("POST", "/Binary", in_chunks(body) if chunked else body)

    assert status == 201, told
    assert told["data"] == decode(body)["data"]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [LIMIT + 1, LIMIT + 2, LIMIT * 3])
def test_a_body_over_the_limit_is_refused_and_not_cut(door: Door, size: int, chunked: bool) -> None:
    body = sized(LIMIT - 100) + b" " * (size - LIMIT + 100)
    before = count(door)

    status, _, told = door.ask("POST", "/Binary", in_chunks(body) if chunked else body)

    assert (status, told["issue"][0]["code"]) == (413, "too-long")
    assert count(door) == before


PATIENT = b'{"resourceType": "Patient", "name": [{"family": "%s"}]}'
LEVEL = b'[{"url": "urn:x", "extension": '
DEEP = b'{"resourceType": "Patient", "extension": ' + LEVEL * 250 + b"1" + b"}]" * 250 + b"}"
REFUSED: dict[str, tuple[str, str, bytes | None, dict[str, str], int]] = {
    "an escaped control character": ("POST", "/Patient", PATIENT % b"a\\u0007b", {}, 422),
    "a control character": ("POST", "/Patient", PATIENT % b"a\x07b", {}, 400),
    "a nought": ("POST", "/Patient", PATIENT % b"a\\u0000b", {}, 422),
    "a byte order mark": ("POST", "/Patient", b"\xef\xbb\xbf" + PATIENT % b"a", {}, 400),
    "bytes that are no UTF-8": ("POST", "/Patient", PATIENT % b"\xff", {}, 400),
    "a name twice": ("POST", "/Patient", b'{"resourceType": "Patient", "id": "1", "id": "2"}', {}, 400),
    "depth 500": ("POST", "/Patient", DEEP, {}, 422),
    "depth 5000 of nothing": ("POST", "/Patient", b"[" * 5_000, {}, 400),
    "a body cut short": ("POST", "/Patient", b'{"resourceType": "Pat', {}, 400),
    "no body": ("POST", "/Patient", b"", {}, 400),
    "20 MB": ("POST", "/Patient", b" " * 20_000_000, {}, 413),
    "another content type": ("POST", "/Patient", PATIENT % b"a", {"Content-Type": "text/turtle"}, 415),
    "another encoding": ("POST", "/Patient", PATIENT % b"a", {"Content-Encoding": "br"}, 415),
    "no gzip in gzip": ("POST", "/Patient", PATIENT % b"a", {"Content-Encoding": "gzip"}, 400),
    "nothing acceptable": ("GET", "/Patient", None, {"Accept": "text/turtle"}, 406),
    "an unknown _format": ("GET", "/Patient?_format=turtle", None, {}, 406),
    "percent without digits": ("GET", "/Patient?name=%", None, {}, 400),
    "percent with other letters": ("GET", "/Patient?name=%zz", None, {}, 400),
    "percent that is no UTF-8": ("GET", "/Patient?name=%ff%fe", None, {}, 400),
    "percent in the path": ("GET", "/Patient/%ff", None, {}, 404),
    "an unknown parameter": ("GET", "/Patient?no-such=1", None, {}, 400),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_understood_is_refused_cleanly(door: Door, case: str) -> None:
    method, place, body, headers, expected = REFUSED[case]
    before = door.ask("GET", "/Patient?_summary=count")[2]["total"]

    status, answered, told = door.ask(method, place, body, **headers)

    assert (status, told["resourceType"]) == (expected, "OperationOutcome"), told
    assert answered["content-type"] == "application/fhir+json; charset=utf-8"
    assert all(issue["diagnostics"] for issue in told["issue"])
    assert door.ask("GET", "/Patient?_summary=count")[2]["total"] == before
    assert door.ask("GET", "/metadata")[0] == 200


def test_head_has_the_headers_of_get(door: Door) -> None:
    _, _, made = door.ask("POST", "/Patient", encode(minimal("Patient")))

    status, headers, body = door.ask("HEAD", f"/Patient/{made['id']}")
    _, got, _ = door.ask("GET", f"/Patient/{made['id']}")

    assert (status, body) == (200, {})
    for name in ("etag", "last-modified", "content-type", "content-length"):
        assert headers[name] == got[name]


@pytest.mark.parametrize("method", ["TRACE", "FOO", "OPTIONS"])
def test_methods_that_nobody_has_are_refused_and_the_others_named(door: Door, method: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", door.settings.port, timeout=30)
    try:
        connection.request(method, "/fhir/Patient/1", headers={"Authorization": f"Bearer {door.token}"})
        response = connection.getresponse()
        assert response.status == 405
        assert {"DELETE", "GET", "HEAD", "PATCH", "PUT"} <= set((response.headers["allow"] or "").split(", "))
    finally:
        connection.close()


def test_many_long_headers_and_addresses_are_refused_not_failed(door: Door) -> None:
    for place, headers in [("/Patient/" + "x" * 20_000, {}), ("/Patient", {"X-Long": "y" * 20_000})]:
        assert door.ask("GET", place, **headers)[0] < 500
    assert door.ask("GET", f"/Patient?name={'z' * 6_000}")[0] < 500


def test_a_name_that_nobody_chose_is_not_found(door: Door) -> None:
    status, headers, told = door.ask("GET", f"/Patient/{uuid.uuid4()}")

    assert (status, headers["content-type"]) == (404, "application/fhir+json; charset=utf-8")
    assert told["issue"][0]["code"] == "not-found"
