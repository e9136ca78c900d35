"""Keys of another issuer come over HTTP, in a bounded time and size, from the very address that was trusted."""

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from fhir_server.auth import jwks
from fhir_server.auth.authenticator import Authenticator, trust_in
from fhir_server.auth.issuers import TrustedIssuer
from fhir_server.auth.jwks import KeysUnavailable, fetch_jwks
from fhir_server.fhir import dates
from fhir_server.fhir.errors import Unauthenticated

KEY = ECKey.generate_key("P-256", {"kid": "one"}, private=True)
KEYS = json.dumps({"keys": [KEY.as_dict(private=False)]}).encode()
AUDIENCE = "https://care.example.org/fhir"

Answer = Callable[[BaseHTTPRequestHandler], None]


class Publisher:
    """An issuer's web server on loopback that answers as a test tells it."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.answer: Answer = says(KEYS)
        publisher = self

        class Door(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                publisher.paths.append(self.path)
                publisher.headers.append(dict(self.headers))
                publisher.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks"


def says(body: bytes, status: int = 200, **headers: str) -> Answer:
    def answer(door: BaseHTTPRequestHandler) -> None:
        door.send_response(status)
        for name, value in headers.items():
            door.send_header(name, value)
        door.send_header("Content-Length", str(len(body)))
        door.end_headers()
        door.wfile.write(body)

    return answer


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    running = Publisher()
    thread = threading.Thread(target=running.server.serve_forever, args=(0.02,))
    thread.start()
    yield running
    running.server.shutdown()
    thread.join()
    running.server.server_close()


def test_a_token_of_a_trusted_issuer_is_believed_by_its_published_key(publisher: Publisher) -> None:
    trusted = TrustedIssuer("https://login.example.org", AUDIENCE, publisher.url, organizations=("Organization/7",))
    authenticator = Authenticator({trusted.issuer: trust_in(trusted, dates.now)}, dates.now)
    claims = {
        "iss": trusted.issuer,
        "aud": AUDIENCE,
        "sub": "ward",
        "organization": "Organization/7",
        "exp": int((dates.now() + timedelta(minutes=5)).timestamp()),
    }
    good = jwt.encode({"alg": "ES256", "kid": "one"}, claims, KEY)
    forged = jwt.encode({"alg": "ES256", "kid": "two"}, claims, ECKey.generate_key("P-256"))
    assert authenticator.authenticate(f"Bearer {good}").organization == "Organization/7"
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(f"Bearer {forged}")
    assert publisher.paths == ["/jwks"]


@pytest.mark.parametrize(
    "answer",
    [
        says(b"{"),
        says(b"[]"),
        says(b"{}"),
        says(b'{"keys": {}}'),
        says(b"\xff"),
        says(b'{"a":' * 5000),
        says(KEYS, 404),
        says(KEYS, 500),
        says(b'{"keys": []' + b" " * 300_000 + b"}"),
        says(gzip.compress(b'{"keys": []' + b" " * 30_000_000 + b"}"), **{"Content-Encoding": "gzip"}),
        says(b"not compressed", **{"Content-Encoding": "gzip"}),
    ],
    ids=[
        *("half", "list", "no keys", "keys object", "not UTF-8", "deep"),
        *("absent", "failing", "too large", "bomb", "broken gzip"),
    ],
)
def test_an_answer_that_is_no_key_set_is_refused(publisher: Publisher, answer: Answer) -> None:
    publisher.answer = answer
    with pytest.raises(KeysUnavailable):
        fetch_jwks(publisher.url)


def test_a_compressed_key_set_is_read(publisher: Publisher) -> None:
    publisher.answer = says(gzip.compress(KEYS), **{"Content-Encoding": "gzip"})
    assert [key["kid"] for key in fetch_jwks(publisher.url)] == ["one"]


def test_members_that_are_no_keys_are_left_out(publisher: Publisher) -> None:
    publisher.answer = says(json.dumps({"keys": [1, "x", None, {"kty": "EC"}]}).encode())
    assert fetch_jwks(publisher.url) == [{"kty": "EC"}]


def test_a_redirect_is_not_followed(publisher: Publisher) -> None:
    publisher.answer = says(b"", 302, Location=publisher.url.replace("/jwks", "/elsewhere"))
    with pytest.raises(KeysUnavailable, match="status 302"):
        fetch_jwks(publisher.url)
    assert publisher.paths == ["/jwks"]


def test_nobody_listening_is_unavailable(publisher: Publisher) -> None:
    with pytest.raises(KeysUnavailable):
        fetch_jwks("http://127.0.0.1:1/jwks")


def test_a_dripping_answer_is_cut_off(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "_LONGEST_FETCH", 0.3)
    given_up, dripped_out = threading.Event(), threading.Event()

    def drip(door: BaseHTTPRequestHandler) -> None:
        door.send_response(200)
        door.end_headers()
        with suppress(OSError):  # whoever fetched it hung up
            for _ in range(6_000):
                door.wfile.write(b" ")
                if given_up.wait(0.01):
                    return
            dripped_out.set()

    publisher.answer = drip
    try:
        with pytest.raises(KeysUnavailable):
            fetch_jwks(publisher.url)
    finally:
        given_up.set()
    # What is not cut off goes on for a minute at least; no clock is looked at, for this machine may be slow.
    assert not dripped_out.is_set()


def test_no_password_of_this_machine_is_sent_along(
    publisher: Publisher, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login els password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    fetch_jwks(publisher.url)
    assert "Authorization" not in publisher.headers[0]
