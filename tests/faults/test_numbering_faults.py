"""A Subscription that the server cannot read or decide about keeps nobody else from being told."""

import logging
from collections.abc import Mapping
from typing import Any

import pytest
from notifying import HOME, HOSP, House, eventually
from receiver import Receiver

from fhir_server.fhir.json import decode
from fhir_server.store.mongo.ledger import ENTRIES


def test_a_subscription_that_cannot_be_decided_is_passed_over_and_the_others_are_numbered(
    samen: House, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = (samen.subscribe(party, "http://127.0.0.1:1/", status="active") for party in (HOME, HOSP))
    for number in range(3):
        samen.announce(f"Task/{number}", HOME, HOSP)

    def subscribes(resource: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
        if resource["id"] == bad and entry["focus"] != "Task/0":
            raise OverflowError("Mia Claes")
        return True

    with caplog.at_level(logging.ERROR):
        assert samen.outbox().sequence(subscribes, samen.clock()) == 3

    assert [event["number"] for event in samen.events_of(good)] == [1, 2, 3]
    assert samen.events_of(bad) == []
    assert samen.database["ledger"].count_documents(ENTRIES) == 0
    assert f"Subscription/{bad}: not numbered because of OverflowError at test_numbering_faults.py:" in caplog.text
    assert "Mia" not in caplog.text


def test_a_subscription_that_cannot_be_read_does_not_stop_the_worker(samen: House, receiver: Receiver) -> None:
    bad = samen.subscribe(HOME, receiver.url, status="active")
    samen.subscribe(HOSP, receiver.url, status="active")
    samen.database["Subscription"].update_one({"_id": bad}, {"$set": {"body": b"no JSON"}})
    samen.announce("Task/1", HOME, HOSP)

    samen.worker().run_once()

    assert receiver.numbers == [1]


def test_who_asked_for_what_cannot_be_decided_is_told_so_once_and_is_served_again_when_it_is_put_right(
    samen: House, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    bad = samen.subscribe(HOME, receiver.url, status="active")
    good = samen.subscribe(HOSP, receiver.url, status="active")
    samen.change(bad, end="when the swallows fly")
    worker = samen.worker()

    for number in range(2):
        samen.announce(f"Task/{number}", HOME, HOSP)
        assert worker.run_once() == 1

    told = samen.subscription(bad)
    assert (told["status"], told["meta"]["versionId"]) == ("error", "3")
    assert told["error"].startswith("This server cannot decide from this Subscription what")
    samen.store.settle_audit()
    events = [decode(each["body"]) for each in samen.database["AuditEvent"].find({})]
    named = f"Subscription/{bad}/_history/3"
    [event] = [each for each in events if each["entity"][0]["what"]["reference"] == named]
    assert (event["agent"], event["action"]) == ([{"requestor": True, "name": "Samen"}], "U")
    assert "swallows" not in caplog.text

    samen.change(bad, status="requested", end="2999-01-01", error=None)
    samen.announce("Task/2", HOME, HOSP)
    worker.run_once()

    eventually(lambda: worker.run_once() == 0)
    assert samen.subscription(bad)["status"] == "active"
    assert [event["focus"] for event in samen.events_of(bad)] == ["Task/2"]
    assert [event["focus"] for event in samen.events_of(good)] == ["Task/0", "Task/1", "Task/2"]


def test_a_handshake_of_what_cannot_be_decided_is_answered_with_an_error(samen: House, receiver: Receiver) -> None:
    bad = samen.subscribe(HOME, receiver.url)
    samen.change(bad, end="when the swallows fly")

    samen.worker().run_once()

    assert samen.subscription(bad)["status"] == "error"
    assert receiver.numbers == []


@pytest.mark.parametrize("end", ["9999-12-31T23:59:59-05:00", "9999-12-31T23:59:59.9999999Z"])
def test_a_subscription_without_an_end_in_sight_is_told(samen: House, receiver: Receiver, end: str) -> None:
    samen.change(samen.subscribe(HOME, receiver.url, status="active"), end=end)
    samen.announce("Task/1", HOME)

    samen.worker().run_once()

    assert receiver.numbers == [1]
