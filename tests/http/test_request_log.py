"""The log has a line for each request, and tells of no person whatever a caller puts into an address."""

import logging
import re
import uuid

import pytest

from tests.world import World

# Who asked, and how long it took: random digits, any of which may come up.
ENDING = r" client-[0-9a-f]{16} [0-9]+\.[0-9]ms$"


@pytest.mark.parametrize(
    ("method", "place", "told"),
    [
        ("GET", "Patient/85.07.30-033.61", "GET Patient/... 404"),
        ("GET", "Patient/Mia%20Claes", "GET Patient/... 404"),
        ("GET", "Claes/85073003361", "GET .../... 404"),
        ("GET", "Patient/Claes/_history/85073003361", "GET Patient/... 404"),
        ("GET", "Patient/$claes", "GET Patient/... 404"),
        ("PUT", "Patient/85073003361", "PUT Patient/... 400"),
        ("GET", "Patient?name=Claes&identifier=85073003361", "GET Patient 200"),
        ("GET", "Patient?nom=Claes", "GET Patient 400"),
        ("GET", "Patient/0190b2c1-0000-7000-8000-000000000000", "GET Patient/0190b2c1-0000-7000-8000-000000000000 404"),
        ("GET", "Patient/$validate", "GET Patient/$validate 405"),
        ("GET", "metadata", "GET metadata 200"),
        ("DELETE", "metadata/Claes%0A85073003361", "DELETE metadata/... 404"),
    ],
)
def test_the_log_repeats_no_name_and_no_number(
    world: World, caplog: pytest.LogCaptureFixture, method: str, place: str, told: str
) -> None:
    hosp = world.hospital()

    with caplog.at_level(logging.INFO):
        hosp.ask(method, place, {} if method == "PUT" else None)

    assert [line for line in caplog.messages if line.startswith(told)], caplog.messages
    lines = [re.sub(ENDING, "", line) for line in caplog.messages]
    assert not [line for line in lines if "claes" in line.lower() or "8507" in line or "85.07" in line]


def test_the_log_names_what_was_answered(world: World, caplog: pytest.LogCaptureFixture) -> None:
    hosp = world.hospital()

    with caplog.at_level(logging.INFO):
        assert hosp.get(hosp.reference).status == 200

    assert [line for line in caplog.messages if line.startswith(f"GET {hosp.reference} 200 ")]


def test_a_stranger_writes_nothing_into_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert world.nobody().get("Patient/Claes").status == 401

    assert [line for line in caplog.messages if line.startswith("GET Patient/... 401 - ")]


def test_a_request_keeps_the_id_that_its_caller_gives_it(world: World, caplog: pytest.LogCaptureFixture) -> None:
    hosp, id = world.hospital(), str(uuid.uuid4()).upper()

    with caplog.at_level(logging.INFO):
        replies = [
            hosp.get(place, X_Request_Id=id) for place in (hosp.reference, "Patient/none", "Patient?_count=none")
        ]

    assert [(reply.status, reply.headers["X-Request-Id"]) for reply in replies] == [(200, id), (404, id), (400, id)]
    assert len([line for line in caplog.messages if line.endswith(f"ms {id}")]) == len(replies)


@pytest.mark.parametrize("id", ["Claes-85073003361", "a" * 128, "~!:/"])
def test_an_id_that_may_name_somebody_is_returned_and_not_logged(
    world: World, caplog: pytest.LogCaptureFixture, id: str
) -> None:
    hosp = world.hospital()

    with caplog.at_level(logging.INFO):
        assert hosp.get("Patient/none", X_Request_Id=id).headers["X-Request-Id"] == id

    assert not [line for line in caplog.messages if id in line]


@pytest.mark.parametrize("id", ["", "two words", "a, b", "a" * 129, "\u00e9"])
def test_what_is_no_id_is_not_returned(world: World, id: str) -> None:
    assert "X-Request-Id" not in world.hospital().get("Patient/none", X_Request_Id=id).headers


def test_a_strangers_id_is_not_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    id = str(uuid.uuid4())

    with caplog.at_level(logging.INFO):
        assert world.nobody().get("Patient/none", X_Request_Id=id).headers["X-Request-Id"] == id

    assert not [line for line in caplog.messages if id in line]
