"""The curl lines of the pages about interactions do what their pages say."""

import re
from pathlib import Path

import pytest

from fhir_server.fhir.json import encode
from tests.curl_lines import asked_by, commands_of
from tests.http.resources import ALSO
from tests.minimal import minimal
from tests.world import Party

PAGES = Path(__file__).parents[2] / "docs" / "interactions"
BASE = "http://127.0.0.1:8080/fhir"
SAID = {
    "batch": {200},
    "capabilities": {200},
    "conditional": {201},
    "create": {201},
    "delete": {204},
    "history": {200},
    "patch": {200},
    "read": {200},
    "search": {200},
    "transaction": {200},
    "update": {200},
    "vread": {200},
}


def text_of(name: str) -> str:
    """A page."""
    return (PAGES / f"{name}.md").read_text()


COMMANDS = [
    pytest.param(name, line, id=f"{name} {n}") for name in SAID for n, line in enumerate(commands_of(text_of(name)), 1)
]


@pytest.fixture
def named(hosp: Party) -> dict[str, str]:
    """What the numbers of the examples stand for: a Patient in its third version, a Subscription."""
    patient = f"Patient/{hosp.post(minimal('Patient', gender='other')).body['id']}"
    for gender in ("male", "unknown"):
        assert hosp.change(patient, gender=gender).status == 200
    subscription = hosp.post(minimal("Subscription", **ALSO["Subscription"])).body["id"]
    return {"Patient": patient, "Subscription": f"Subscription/{subscription}"}


def sent(hosp: Party, patient: str) -> dict[str, bytes]:
    """What the files of the examples hold: the Patient as a change or a new one, the Bundle that its page shows."""
    bundle = re.search(
        r'^ {4}(\{"resourceType": "Bundle", "type": "transaction".*?\}\]\})$', text_of("transaction"), re.M | re.S
    )
    assert bundle is not None
    return {
        "patient.json": encode({**hosp.read(patient), "birthDate": "1961-04-05"}),
        "bundle.json": bundle[1].encode(),
    }


def test_each_page_has_a_command() -> None:
    pages = {page.stem for page in PAGES.glob("*.md")} - {"README"}

    assert SAID.keys() == pages
    assert [name for name in SAID if not commands_of(text_of(name))] == []


@pytest.mark.parametrize(("name", "line"), COMMANDS)
def test_a_command_of_a_page_does_what_the_page_says(hosp: Party, named: dict[str, str], name: str, line: str) -> None:
    line = re.sub(r"\b([A-Z]\w+)/\d+\b", lambda match: named[match[1]], line)
    line = line.replace("patient=7", f"patient={named['Patient']}")
    asked = asked_by(line, BASE, sent(hosp, named["Patient"]))

    reply = hosp.ask(asked.method, asked.url, asked.body, **asked.headers)

    assert reply.status in SAID[name], reply.body
    if name in {"batch", "transaction"}:
        assert {entry["response"]["status"][:3] for entry in reply.body["entry"]} <= {"200", "201"}
