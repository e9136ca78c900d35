"""The curl lines of the pages about patch, conditions, histories, delete and /metadata do what their pages say."""

import re
from pathlib import Path

import pytest

from tests.curl_lines import asked_by
from tests.http.resources import ALSO
from tests.minimal import minimal
from tests.world import Party, World

PAGES = Path(__file__).parents[2] / "docs" / "interactions"
BASE = "http://127.0.0.1:8080/fhir"
SAID = {"patch": {200}, "conditional": {201}, "history": {200}, "delete": {204}, "capabilities": {200}}


def curls(name: str) -> list[str]:
    """The commands of a page, each on one line."""
    text = re.sub(r"\\\n +", "", (PAGES / f"{name}.md").read_text())
    return re.findall(r"^ {4}(curl .+)$", text, re.MULTILINE)


COMMANDS = [pytest.param(name, line, id=f"{name} {n}") for name in SAID for n, line in enumerate(curls(name), 1)]


@pytest.fixture
def hosp(world: World) -> Party:
    """Who asks."""
    return world.hospital()


@pytest.fixture
def named(hosp: Party) -> dict[str, str]:
    """What the numbers of the examples stand for: a Patient in its third version, a Subscription."""
    patient = f"Patient/{hosp.post(minimal('Patient', gender='other')).body['id']}"
    for gender in ("male", "unknown"):
        assert hosp.change(patient, gender=gender).status == 200
    subscription = hosp.post(minimal("Subscription", **ALSO["Subscription"])).body["id"]
    return {"Patient": patient, "Subscription": f"Subscription/{subscription}"}


def test_each_page_has_a_command() -> None:
    assert [name for name in SAID if not curls(name)] == []


@pytest.mark.parametrize(("name", "line"), COMMANDS)
def test_a_command_of_a_page_does_what_the_page_says(hosp: Party, named: dict[str, str], name: str, line: str) -> None:
    line = re.sub(r"\b([A-Z]\w+)/\d+\b", lambda match: named[match[1]], line)
    asked = asked_by(line, BASE)

    reply = hosp.ask(asked.method, asked.url, asked.body, **asked.headers)

    assert reply.status in SAID[name], reply.body
