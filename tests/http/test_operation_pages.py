"""The curl lines of docs/operations do what their pages say."""

import re
from pathlib import Path

import pytest

from fhir_server.fhir.actor import OPERATE
from fhir_server.operations import meta_in_use
from tests.curl_lines import asked_by
from tests.http.resources import ALSO
from tests.minimal import minimal
from tests.world import EVERYTHING, Party, World

PAGES = sorted(page for page in (Path(__file__).parents[2] / "docs" / "operations").glob("*.md"))
BASE = "http://127.0.0.1:8080/fhir"


def curls(page: Path) -> list[str]:
    """The commands of a page, each on one line."""
    return re.findall(r"^ {4}(curl .+)$", page.read_text().replace("\\\n      ", ""), re.MULTILINE)


COMMANDS = [pytest.param(line, id=f"{page.stem} {n}") for page in PAGES for n, line in enumerate(curls(page), 1)]


@pytest.fixture(scope="module")
def parties(world: World) -> tuple[Party, dict[str, str]]:
    """Who asks, and what the numbers of the examples stand for."""
    hosp = world.hospital()
    case = world.case(hosp, world.party())
    asking = world.party(EVERYTHING, OPERATE, organization=hosp.reference)
    subscription = hosp.post(minimal("Subscription", **ALSO["Subscription"])).body["id"]
    named = {"Patient": case.patient, "CarePlan": case.plan, "Task": case.task, "Condition": case.condition}
    return asking, {**named, "Organization": hosp.reference, "Subscription": f"Subscription/{subscription}"}


def test_each_page_has_a_command() -> None:
    assert [page.stem for page in PAGES if not curls(page)] == ["README"]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_a_page_succeeds(
    monkeypatch: pytest.MonkeyPatch, parties: tuple[Party, dict[str, str]], line: str
) -> None:
    monkeypatch.setattr(meta_in_use, "MOST", 100_000)  # what other tests labelled, and everybody reads, is there too
    asking, refs = parties
    line = re.sub(r"\b([A-Z]\w+)/\d+\b", lambda match: refs[match[1]], line)
    asked = asked_by(line, BASE)

    reply = asking.ask(asked.method, asked.url, asked.body, **asked.headers)

    assert reply.status == 200, reply.body
