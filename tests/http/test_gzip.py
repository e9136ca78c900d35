"""gzip: long answers are packed for who takes them so; packed bodies are read, and none is larger than it may be."""

import gzip
import tracemalloc
import zlib

import pytest

from fhir_server.fhir.errors import TooLarge
from fhir_server.fhir.json import Resource, decode, encode
from fhir_server.rest.compression import LEAST, MOST_MEMBERS, decompressed
from tests.minimal import minimal
from tests.world import Party, World

LONG = "Words that are said again. " * 200


def patient(text: str) -> Resource:
    """A Patient whose name is long."""
    return minimal("Patient", name=[{"text": text}])


@pytest.fixture
def place(hosp: Party) -> str:
    """A Patient of more than 1 KB."""
    return f"Patient/{hosp.post(patient(LONG)).body['id']}"


@pytest.mark.parametrize(
    "accepted", ["gzip", "deflate, gzip;q=0.5", "GZIP", "x-gzip", "*", "br, *;q=0.1", "gzip; q=1.0"]
)
def test_a_long_answer_is_packed_for_who_takes_it_so(hosp: Party, place: str, accepted: str) -> None:
    plain, packed = hosp.get(place), hosp.get(place, Accept_Encoding=accepted)

    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"].split(", ")
    assert int(packed.headers["Content-Length"]) == len(packed.raw) < len(plain.raw) / 10
    assert gzip.decompress(packed.raw) == plain.raw
    assert packed.headers["ETag"] == plain.headers["ETag"]


@pytest.mark.parametrize(
    "accepted", ["", "identity", "gzip;q=0", "gzip;q=0.000", "br", "*, gzip;q=0", "notgzip", ";;,="]
)
def test_nobody_else_gets_it_packed(hosp: Party, place: str, accepted: str) -> None:
    reply = hosp.get(place, Accept_Encoding=accepted)

    assert "Content-Encoding" not in reply.headers
    assert decode(reply.raw)["id"] == place[8:]


def test_a_short_answer_is_not_packed(hosp: Party) -> None:
    reply = hosp.post(minimal("Patient"), Accept_Encoding="gzip")

    assert len(reply.raw) <= LEAST
    assert "Content-Encoding" not in reply.headers


def test_bundles_xml_refusals_and_head_are_packed_too(hosp: Party, place: str) -> None:
    search = gzip.decompress(hosp.get("Patient", Accept_Encoding="gzip").raw)
    xml = gzip.decompress(hosp.get(place, Accept_Encoding="gzip", Accept="application/fhir+xml").raw)
    wrong = minimal("Patient", **{f"colour{number}": "red" for number in range(20)})
    refusal = hosp.post(wrong, Accept_Encoding="gzip")
    got, head = hosp.get(place, Accept_Encoding="gzip"), hosp.ask("HEAD", place, Accept_Encoding="gzip")

    assert decode(search)["entry"][0]["resource"]["id"] == place[8:]
    assert LONG.encode() in xml
    assert (refusal.status, decode(gzip.decompress(refusal.raw))["resourceType"]) == (422, "OperationOutcome")
    assert head.raw == b""
    for name in ("Content-Encoding", "Content-Length", "ETag"):
        assert head.headers[name] == got.headers[name]


def test_a_packed_body_is_read(hosp: Party) -> None:
    for encoding in ("gzip", "x-gzip", "GZIP"):
        body = gzip.compress(encode(patient(LONG)))
        made = hosp.ask("POST", "Patient", body, Content_Encoding=encoding)
        assert made.status == 201, made.body
        assert made.body["name"] == [{"text": LONG}]
    plain = hosp.ask("POST", "Patient", encode(patient("x")), Content_Encoding="identity")
    assert plain.status == 201
    form = {"Content_Type": "application/x-www-form-urlencoded", "Content_Encoding": "gzip"}
    assert len(hosp.ask("POST", "Patient/_search", gzip.compress(b"name=words"), **form).entries) == 3


def test_a_body_packed_in_several_members_is_read_whole(hosp: Party) -> None:
    body = encode(patient(LONG * 20))

    packed = b"".join(gzip.compress(body[start : start + 9_000]) for start in range(0, len(body), 9_000))
    made = hosp.ask("POST", "Patient", packed + gzip.compress(b""), Content_Encoding="gzip")

    assert made.status == 201, made.body
    assert made.body["name"] == [{"text": LONG * 20}]


@pytest.mark.parametrize(
    "body",
    [
        b"not gzip",
        b"",
        encode(minimal("Patient")),
        gzip.compress(encode(minimal("Patient")))[:-5],
        gzip.compress(encode(minimal("Patient"))) + b"more",
        gzip.compress(encode(minimal("Patient"))) + gzip.compress(b" ")[:-5],
        gzip.compress(encode(minimal("Patient"))) + gzip.compress(b"") * MOST_MEMBERS,
        zlib.compress(encode(minimal("Patient"))),
    ],
    ids=["words", "nothing", "plain", "cut", "followed", "cut later", "members", "zlib"],
)
def test_what_is_no_gzip_is_refused(hosp: Party, body: bytes) -> None:
    refused = hosp.ask("POST", "Patient", body, Content_Encoding="gzip")

    assert (refused.status, refused.rules) == (400, {"content-encoding"})


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "compress"])
def test_another_encoding_is_refused(hosp: Party, encoding: str) -> None:
    refused = hosp.ask("POST", "Patient", gzip.compress(encode(minimal("Patient"))), Content_Encoding=encoding)

    assert (refused.status, refused.rules) == (415, {"content-encoding"})


def test_a_small_body_that_unpacks_to_more_than_the_limit_is_refused(world: World, hosp: Party) -> None:
    bomb = gzip.compress(b" " * (world.parts.settings.max_body + 1))
    assert len(bomb) < 100_000

    refused = hosp.ask("POST", "Patient", bomb, Content_Encoding="gzip")

    assert (refused.status, refused.rules) == (413, {"body-size"})


def test_members_that_unpack_to_more_than_the_limit_together_are_refused(world: World, hosp: Party) -> None:
    limit = world.parts.settings.max_body

    whole = gzip.compress(encode(minimal("Patient")) + b" " * (limit // 2))
    refused = hosp.ask("POST", "Patient", whole + gzip.compress(b" " * (limit // 2)), Content_Encoding="gzip")

    assert (refused.status, refused.rules) == (413, {"body-size"})


def memory_to_refuse(bomb: bytes) -> int:
    """The bytes that this process takes at most, all its threads together, while the bomb is refused."""
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            decompressed(bomb, "gzip", 1_000)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_no_more_is_unpacked_than_the_limit() -> None:
    bomb = gzip.compress(bytes(50_000_000))

    # What the server of other tests does in the background is traced as well, but hardly each time.
    assert min(memory_to_refuse(bomb) for _ in range(5)) < 1_000_000
