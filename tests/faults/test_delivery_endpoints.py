"""Whatever an endpoint does, one POST ends within its deadline and tells nothing but a few words of its own."""

import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from receiver import listening

from fhir_server.subscriptions.rest_hook import rest_hook

LONG = 60.0
"""Seconds for what is answered at once; a busy machine is slow."""

Serve = Callable[[socket.socket], None]
Listen = Callable[[Serve], int]


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Serve each connection by a function, in a thread; returns the port."""
    servers: list[socket.socket] = []

    def start(serve: Serve) -> int:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def accept() -> None:
            try:
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=serve_one, args=(connection,), daemon=True).start()
            except OSError:
                return

        def serve_one(connection: socket.socket) -> None:
            with connection:
                try:
                    serve(connection)
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        return int(server.getsockname()[1])

    yield start
    for server in servers:
        server.close()


def silent(connection: socket.socket) -> None:
    time.sleep(30)


def read_whole(connection: socket.socket) -> None:
    """Read the request to its end: to close on what is unread resets the connection, and the answer with it."""
    request = b""
    while not request.endswith(b"\r\n\r\n{}"):
        part = connection.recv(65536)
        if not part:
            raise ConnectionError("the sender hung up")
        request += part


def drip(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for _ in range(300):
        connection.sendall(b"X: y\r\n")
        time.sleep(0.1)


def endless_header(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"X" * 65536)


def endless_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"patient data that nobody asked for" * 1000)


def hang_up(connection: socket.socket) -> None:
    connection.close()


def garbage(connection: socket.socket) -> None:
    read_whole(connection)
    connection.sendall(b"\x00\x01 this is not HTTP \r\n\r\n")


@pytest.mark.parametrize(
    ("serve", "reason"),
    [
        (silent, "did not answer in time"),
        (drip, "did not answer in time"),
        (endless_header, "did not speak HTTP"),
        (endless_body, None),
        (hang_up, "could not be reached"),
        (garbage, "did not speak HTTP"),
    ],
)
def test_one_post_ends_within_its_deadline(listen: Listen, serve: Serve, reason: str | None) -> None:
    started = time.monotonic()
    deadline = 0.5 if reason == "did not answer in time" else 8
    answer = rest_hook(http_endpoints=True)(f"http://127.0.0.1:{listen(serve)}/", {}, b"{}", deadline)
    assert time.monotonic() - started < 20, "each of them goes on for longer"
    assert answer.reason == reason


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (200, None),
        (202, None),
        (302, "answered 302; redirects are not followed"),
        (401, "answered 401"),
        (503, "answered 503"),
    ],
)
def test_only_a_2xx_accepts(status: int, reason: str | None) -> None:
    with listening() as receiver:
        receiver.answer = lambda _: status
        body = b'{"entry": [{"resource": {"parameter": []}}]}'
        assert rest_hook(http_endpoints=True)(receiver.url, {"X-Key": "k"}, body, LONG).reason == reason
        assert (receiver.received[0].path, receiver.received[0].headers["X-Key"]) == ("/notify", "k")


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("http://127.0.0.1:1/", "refused the connection"),
        ("http://nowhere.invalid/", "has a name that does not resolve"),
    ],
)
def test_an_endpoint_that_is_not_there_is_told_in_words(endpoint: str, reason: str) -> None:
    assert rest_hook(http_endpoints=True)(endpoint, {}, b"{}", LONG).reason == reason


def test_in_production_a_name_that_leads_to_loopback_is_not_called() -> None:
    with listening() as receiver:
        answer = rest_hook(http_endpoints=False)(receiver.url.replace("127.0.0.1", "localhost"), {}, b"{}", 5)
        assert answer.reason == "lies at an address that notifications do not go to"
        assert receiver.received == []


def test_certificates_are_verified(listen: Listen, tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)

    def answer(connection: socket.socket) -> None:
        with server.wrap_socket(connection, server_side=True) as secure:
            read_whole(secure)
            secure.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    endpoint = f"https://127.0.0.1:{listen(answer)}/"
    trusting = ssl.create_default_context(cafile=str(certificate))
    assert rest_hook(http_endpoints=True, trust=trusting)(endpoint, {}, b"{}", LONG).accepted
    refused = rest_hook(http_endpoints=True)(endpoint, {}, b"{}", LONG)
    assert refused.reason == "shows a certificate that is not trusted"


def self_signed(folder: Path) -> Path:
    """Key and certificate of 127.0.0.1 in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "receiver.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file
