"""The curl lines of docs/formats.md do what the page says."""

import gzip
import re
import shlex
from pathlib import Path

import pytest

from fhir_server.rest.xml.decode import decode
from tests.minimal import minimal
from tests.world import Reply, World

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text()
PICTURE = b"a picture"
COMMANDS = re.findall(r"^ {4}(curl .+)$", PAGE, re.MULTILINE)


def perform(world: World, line: str) -> Reply:
    """The answer to a command of the page, asked by a hospital about a Patient of its own."""
    hosp = world.hospital()
    place = f"Patient/{hosp.post(minimal('Patient')).body['id']}"
    picture = hosp.ask("POST", "Binary", PICTURE, Content_Type="image/png").body["id"]
    asked = line.replace("Patient/7", place).replace("Binary/7", f"Binary/{picture}")
    words = iter(shlex.split(asked)[1:])
    headers, body, url = {}, None, ""
    for word in words:
        if word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name.replace("-", "_")] = value
        elif word == "-d":
            body = next(words).encode()
        else:
            url = word
    assert headers.pop("Authorization") == "Bearer $TOKEN"
    return hosp.ask("POST" if body else "GET", url.removeprefix("$BASE/"), body, **headers)


def test_the_page_has_commands() -> None:
    assert len(COMMANDS) == 6


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_page_succeeds(world: World, line: str) -> None:
    reply = perform(world, line)

    assert reply.status in {200, 201}, reply.raw
    if "gzip" in line:
        assert gzip.decompress(reply.raw)
    elif "image/png" in line:
        assert reply.raw == PICTURE if "Accept" in line else reply.body["contentType"] == "image/png"
    elif "Content-Type" not in line:
        assert decode(reply.raw)["resourceType"] == "Patient"
    else:
        assert reply.body["active"] is True
