"""Scenarios H: who hears of what, over real HTTP through the worker."""

from typing import Any

import pytest

from fhir_server.demo.client import Refused
from fhir_server.demo.receiver import focus_of
from fhir_server.demo.referral import referral
from fhir_server.fhir.dates import now
from fhir_server.fhir.json import Resource
from fhir_server.store.mongo.ledger import ENTRIES, LEDGER
from fhir_server.validation.validator import Validator
from tests.patience import came_about
from tests.story.conftest import SUBSCRIBED, Stage


def _case(stage: Stage) -> dict[str, str]:
    made = stage.clients["hosp"].transact(referral(now()))
    made["CarePlan"] = stage.clients["hosp"].read(made["Task"])["basedOn"][0]["reference"]
    made["CareTeam"] = stage.clients["hosp"].read(made["CarePlan"])["careTeam"][0]["reference"]
    return made


def _move(stage: Stage, task: str, *statuses: str) -> None:
    for status in statuses:
        stage.clients["home"].change(task, status=status)


def test_h1_a_new_task_is_told_once_to_owner_and_requester_by_address_alone(stage: Stage) -> None:
    made = _case(stage)

    for party in ("home", "hosp"):
        [bundle] = stage.told(party, made["Task"])
        assert Validator().check(bundle) == []
        assert focus_of(bundle) == f"{stage.base}/{made['Task']}"
        assert made["Patient"] not in str(bundle)
        assert "Claes" not in str(bundle)
    _when_quiet(stage)
    for party in ("home", "hosp"):
        assert len(stage.told(party, made["Task"])) == 1
    assert stage.told("home", made["CarePlan"], times=0) == []


def test_h7_a_team_change_is_told_to_every_member_and_to_whoever_was_just_removed(stage: Stage) -> None:
    made = _case(stage)
    _move(stage, made["Task"], "received", "accepted")
    for party in ("hosp", "casemanager"):
        assert len(stage.told(party, made["CareTeam"], times=2)) == 2, party
    assert len(stage.told("home", made["CareTeam"])) == 1

    _move(stage, made["Task"], "in-progress", "completed")

    for party in ("hosp", "casemanager"):
        assert len(stage.told(party, made["CareTeam"], times=3)) == 3, party
    assert len(stage.told("home", made["CareTeam"], times=2)) == 2


def test_h8_a_transaction_that_fails_is_told_to_nobody(stage: Stage) -> None:
    before = _when_quiet(stage)
    bundle = referral(now())
    bundle["entry"][4]["resource"]["status"] = "accepted"

    with pytest.raises(Refused, match="422"):
        stage.clients["hosp"].transact(bundle)

    assert _when_quiet(stage) == before


def test_the_events_of_a_subscription_are_numbered_without_a_gap(stage: Stage) -> None:
    made = _case(stage)
    _move(stage, made["Task"], "received", "accepted", "in-progress", "completed")
    assert len(stage.told("home", made["Task"], times=5)) == 5

    numbers = list(stage.events("home"))

    assert numbers == list(range(1, len(numbers) + 1))


def test_h4_a_receiver_that_missed_events_asks_for_exactly_those(stage: Stage) -> None:
    made = _case(stage)
    _move(stage, made["Task"], "received", "accepted", "in-progress", "completed")
    assert len(stage.told("home", made["Task"], times=5)) == 5
    _when_quiet(stage)
    heard = stage.events("home")
    subscription = heard[3]["entry"][0]["request"]["url"].partition("/fhir/")[2].removesuffix("/$status")

    missed = stage.clients["home"].read(f"{subscription}/$events?eventsSinceNumber=3&eventsUntilNumber=5")
    status = stage.clients["home"].read(f"{subscription}/$status")

    told = [_event(missed, name) for name in ("event-number", "timestamp", "focus")]
    assert told == [
        [_event(heard[number], name)[0] for number in (3, 4, 5)] for name in ("event-number", "timestamp", "focus")
    ]
    assert Validator().check(missed) == []
    [counted] = [p for p in status["entry"][0]["resource"]["parameter"] if p["name"].startswith("events-since")]
    assert int(counted["valueString"]) == max(heard)


def _event(bundle: Resource, name: str) -> list[Any]:
    """The values that the events of a notification have for a part."""
    parts = [p["part"] for p in bundle["entry"][0]["resource"]["parameter"] if p["name"] == "notification-event"]
    return [{k: v for k, v in part.items() if k != "name"} for each in parts for part in each if part["name"] == name]


def _when_quiet(stage: Stage) -> dict[str, list[int]]:
    """The events that each party was told of, once nothing waits to be numbered or told any more."""
    database = stage.parts.store._connection.database

    def is_quiet() -> bool:
        return database[LEDGER].find_one(ENTRIES) is None and database["events"].find_one({"pending": True}) is None

    assert came_about(is_quiet), "something waits for ever"
    return {party: list(stage.events(party)) for party in SUBSCRIBED}
