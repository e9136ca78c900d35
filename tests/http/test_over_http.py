"""What only a real server shows: chunked bodies, methods and headers that no client library sends."""

import gzip
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
from tests.ports import free_port
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
    name, folder, port = f"{database_name}_d", tmp_path_factory.mktemp("door"), free_port()
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


def broken_off(door: Door, start: str, *lines: str, came: bytes) -> int:
    """The status of what was sent by who then says no more."""
    with socket.create_connection(("127.0.0.1", door.settings.port), timeout=30) as connection:
        connection.sendall(head(door, start, *lines) + came)
        connection.shutdown(socket.SHUT_WR)
        return int(_one_answer(connection.makefile("rb"))[0].split()[1])


@pytest.mark.parametrize(
    ("kind", "came"), [("text/plain", b"hello"), ("application/fhir+json", sized(200))], ids=["content", "resource"]
)
def test_a_body_that_breaks_off_is_not_taken_for_whole(door: Door, kind: str, came: bytes) -> None:
    before = count(door)

    status = broken_off(door, "POST /fhir/Binary", f"Content-Type: {kind}", "Content-Length: 5000", came=came)

    assert (status, count(door)) == (400, before)


def test_content_whose_end_does_not_show_is_not_taken_in(door: Door) -> None:
    before = count(door)

    status, _, told = door.ask("POST", "/Binary", iter([b"hello", b"again"]), **{"Content-Type": "text/plain"})

    assert (status, told["issue"][0]["code"]) == (411, "required")
    assert count(door) == before


def test_content_in_chunks_is_taken_in_when_it_is_packed(door: Door) -> None:
    packed = gzip.compress(b"hello")
    headers = {"Content-Type": "text/plain", "Content-Encoding": "gzip"}

    status, _, made = door.ask("POST", "/Binary", iter([packed[:9], packed[9:]]), **headers)
    cut, _, _ = door.ask("POST", "/Binary", iter([packed[:9]]), **headers)

    assert (status, made["data"], cut) == (201, "aGVsbG8=", 400)


@pytest.mark.parametrize("kind", ["application/fhir+json", ""])
def test_an_operation_without_a_body_may_say_so_in_chunks(door: Door, kind: str) -> None:
    _, _, made = door.ask("POST", "/Patient", encode(minimal("Patient")))

    status, _, told = door.ask("POST", f"/Patient/{made['id']}/$everything", iter([]), **{"Content-Type": kind})

    assert (status, told["resourceType"]) == (200, "Bundle"), told


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


def spoken(door: Door, *requests: bytes) -> list[tuple[str, bytes]]:
    """Status line and body of each answer on one connection, on which everything is sent at once."""
    with socket.create_connection(("127.0.0.1", door.settings.port), timeout=30) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):  # a refusal may come before all is sent
            connection.sendall(b"".join(requests))
        read = connection.makefile("rb")
        return [_one_answer(read) for _ in requests]


def _one_answer(read: Any) -> tuple[str, bytes]:
    status, length = read.readline().decode().strip(), 0
    while line := read.readline().strip():
        name, _, value = line.decode().lower().partition(":")
        length = int(value) if name == "content-length" else length
    return status, read.read(length)


def head(door: Door, start: str, *lines: str) -> bytes:
    """The head of a request with a token."""
    told = (f"{start} HTTP/1.1", "Host: samen.test", f"Authorization: Bearer {door.token}", *lines)
    return "\r\n".join((*told, "", "")).encode()


def test_a_connection_is_in_step_after_a_refusal_that_read_no_body(door: Door) -> None:
    body = PATIENT % b"a"
    stated = (f"Content-Length: {len(body)}", "Content-Type: text/turtle")

    refused, absent, wrong, read = spoken(
        door,
        head(door, "POST /fhir/Patient", *stated) + body,
        head(door, "GET /fhir/Patient/nobody"),
        head(door, "POST /fhir/Patient/nobody", *stated) + body,
        head(door, "GET /fhir/metadata?_summary=true"),
    )

    assert [each[0].split()[1] for each in (refused, absent, wrong, read)] == ["415", "404", "405", "200"]
    assert [decode(each[1])["resourceType"] for each in (refused, absent, wrong)] == ["OperationOutcome"] * 3
    assert decode(read[1])["resourceType"] == "CapabilityStatement"


def test_who_waits_to_be_told_to_go_on_is_told(door: Door) -> None:
    body = PATIENT % b"a"
    stated = (f"Content-Length: {len(body)}", "Content-Type: application/fhir+json", "Expect: 100-continue")
    with socket.create_connection(("127.0.0.1", door.settings.port), timeout=30) as connection:
        read = connection.makefile("rb")
        connection.sendall(head(door, "POST /fhir/Patient", *stated))
        told = _one_answer(read)
        connection.sendall(body)
        made = _one_answer(read)

    assert (told[0].split()[1], made[0].split()[1]) == ("100", "201")


def test_who_speaks_http_1_0_is_answered_and_the_connection_closed(door: Door) -> None:
    asked = head(door, "GET /fhir/Patient/nobody").replace(b"HTTP/1.1", b"HTTP/1.0")
    with socket.create_connection(("127.0.0.1", door.settings.port), timeout=30) as connection:
        connection.sendall(asked)
        answer = connection.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.0 404")
    assert decode(answer.partition(b"\r\n\r\n")[2])["issue"][0]["code"] == "not-found"


def test_an_address_that_is_too_long_and_too_many_headers_are_refused_by_their_own_status(door: Door) -> None:
    [address] = spoken(door, head(door, f"GET /fhir/Patient?name={'a' * 70_000}"))
    [headers] = spoken(door, head(door, "GET /fhir/Patient", *(f"X-{number}: a" for number in range(200))))

    assert (address[0].split()[1], headers[0].split()[1]) == ("414", "431")
