"""The content of a Binary, sent and answered as it is."""

import base64
import gzip
from typing import Any

import pytest

from tests.minimal import minimal
from tests.world import Party, Reply, World

PICTURE = b"\x89PNG\r\n\x1a\n\x00\xff"


def sent(party: Party, content: bytes = PICTURE, kind: str = "image/png", **headers: str) -> Reply:
    """The answer to content that is posted as it is."""
    return party.ask("POST", "Binary", content, Content_Type=kind, **headers)


def place_of(made: Reply) -> str:
    """`Binary/id` of what was made."""
    assert made.status == 201, made.body
    return f"Binary/{made.body['id']}"


@pytest.mark.parametrize("kind", ["image/png", "text/plain; charset=utf-8", "application/vnd.ms-word+x"])
def test_content_is_kept_and_given_back_to_the_byte(hosp: Party, kind: str) -> None:
    place = place_of(sent(hosp, kind=kind))

    resource, content = hosp.read(place), hosp.get(place, Accept=kind.partition(";")[0])

    assert (resource["contentType"], base64.b64decode(resource["data"])) == (kind, PICTURE)
    assert (content.status, content.raw, content.headers["Content-Type"]) == (200, PICTURE, kind)
    assert content.headers["ETag"] == 'W/"1"'
    assert content.headers["Content-Length"] == str(len(PICTURE))


def test_what_a_binary_holds_is_no_page_of_this_server(hosp: Party) -> None:
    place = place_of(sent(hosp, b"<script>alert(1)</script>", "text/html"))

    content = hosp.get(place, Accept="text/*")

    assert content.headers["Content-Disposition"] == "attachment"
    assert "sandbox" in content.headers["Content-Security-Policy"]
    assert content.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        ("image/*", "image/png"),
        ("image/png;q=0.1, audio/*", "image/png"),
        ("image/png, application/fhir+json;q=0.1", "application/fhir+json; charset=utf-8"),
        ("*/*", "application/fhir+json; charset=utf-8"),
        ("application/fhir+xml", "application/fhir+xml; charset=utf-8"),
        ("application/json", "application/fhir+json; charset=utf-8"),
        ("text/html, */*;q=0.8", "application/fhir+json; charset=utf-8"),
    ],
)
def test_who_accepts_a_format_of_fhir_gets_the_resource(hosp: Party, accept: str, given: str) -> None:
    assert hosp.get(place_of(sent(hosp)), Accept=accept).headers["Content-Type"] == given


@pytest.mark.parametrize("accept", ["image/gif", "audio/*", "image/png;q=0, image/*", "image/png;q=0"])
def test_another_type_than_its_own_is_not_acceptable(hosp: Party, accept: str) -> None:
    assert hosp.get(place_of(sent(hosp)), Accept=accept).status == 406


@pytest.mark.parametrize("place", ["Patient/none", "Binary", "Binary/none/_history"])
def test_only_a_binary_has_content(hosp: Party, place: str) -> None:
    assert hosp.get(place, Accept="image/png").status == 406


def test_format_asks_for_the_resource(hosp: Party) -> None:
    place = place_of(sent(hosp))

    assert hosp.get(f"{place}?_format=json", Accept="image/png").body["resourceType"] == "Binary"


@pytest.mark.parametrize("asked", ["_summary=true", "_elements=contentType", "_summary=data&_pretty=true"])
@pytest.mark.parametrize("version", ["", "/_history/1"])
def test_content_comes_whole_whatever_part_of_a_resource_is_asked_for(hosp: Party, asked: str, version: str) -> None:
    content = hosp.get(f"{place_of(sent(hosp))}{version}?{asked}", Accept="image/png")

    assert (content.status, content.raw) == (200, PICTURE)


def test_content_may_be_nothing_but_blanks(hosp: Party) -> None:
    assert hosp.get(place_of(sent(hosp, b" \n\n", "text/plain")), Accept="text/plain").raw == b" \n\n"


def test_versions_heads_and_conditions_work_as_with_resources(hosp: Party) -> None:
    place = place_of(sent(hosp))
    changed = hosp.ask("PUT", place, b"other", Content_Type="image/png", If_Match='W/"1"')

    assert (changed.status, changed.body["meta"]["versionId"]) == (200, "2")
    assert hosp.get(f"{place}/_history/1", Accept="image/png").raw == PICTURE
    assert hosp.ask("PUT", place, b"third", Content_Type="image/png", If_Match='W/"1"').status == 412
    assert hosp.get(place, Accept="image/png", If_None_Match='W/"2"').status == 304
    head = hosp.ask("HEAD", place, Accept="image/png")
    assert (head.status, head.headers["Content-Length"], head.raw) == (200, "5", b"")
    assert hosp.ask("DELETE", place).status == 204
    assert hosp.get(place, Accept="image/png").issues[0]["code"] == "deleted"


def test_content_may_be_packed_both_ways(hosp: Party) -> None:
    long = b"a line of text\n" * 500

    place = place_of(sent(hosp, gzip.compress(long), "text/plain", Content_Encoding="gzip"))
    content = hosp.get(place, Accept="text/plain", Accept_Encoding="gzip")

    assert (content.headers["Content-Encoding"], gzip.decompress(content.raw)) == ("gzip", long)


def test_the_security_context_travels_in_its_header(hosp: Party) -> None:
    patient = f"Patient/{hosp.post(minimal('Patient')).body['id']}"

    place = place_of(sent(hosp, X_Security_Context=patient))

    assert hosp.read(place)["securityContext"] == {"reference": patient}
    assert hosp.get(place, Accept="image/png").headers["X-Security-Context"] == patient
    assert sent(hosp, X_Security_Context="Patient/none").status == 422


def test_who_may_not_read_a_binary_does_not_get_its_content(world: World, hosp: Party) -> None:
    place = place_of(sent(hosp))

    hidden = world.hospital().get(place, Accept="image/png")

    assert (hidden.status, hidden.issues[0]["code"]) == (404, "not-found")


@pytest.mark.parametrize(
    ("kind", "content", "status"),
    [
        ("application/fhir+json", PICTURE, 400),
        ("application/fhir+json; fhirVersion=3.0", PICTURE, 415),
        ("application/x-www-form-urlencoded", PICTURE, 415),
        ("multipart/form-data; boundary=x", PICTURE, 415),
        ("*/*", PICTURE, 415),
        ("nonsense", PICTURE, 415),
        ("image/png", b"", 400),
    ],
)
def test_what_is_no_content_is_refused(hosp: Party, kind: str, content: bytes, status: int) -> None:
    assert sent(hosp, content, kind).status == status


@pytest.mark.parametrize(
    "elements", [{"contentType": "text/plain\u00e9"}, {"data": None}, {"contentType": "text/plain"}]
)
def test_any_binary_is_answered(hosp: Party, elements: dict[str, Any]) -> None:
    binary = {name: value for name, value in (minimal("Binary") | elements).items() if value is not None}
    place = place_of(hosp.post(binary))

    assert hosp.get(place, Accept="text/*, image/*").status in {200, 406}
