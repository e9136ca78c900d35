"""Scenario H4 and $status: who missed events asks for exactly those, and only the Subscription's author does."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymongo import MongoClient

from fhir_server.fhir.dates import now
from fhir_server.fhir.json import Resource
from fhir_server.store.mongo.delivery.outbox import Outbox
from fhir_server.subscriptions.topics import subscribes
from fhir_server.validation.validator import Validator
from tests.databases import LentDatabases
from tests.http.resources import ALSO
from tests.minimal import minimal
from tests.patience import patiently
from tests.world import Case, Party, Reply, World, world_apart


@pytest.fixture(scope="module")
def world(mongo_url: str, databases: LentDatabases) -> Iterator[World]:
    """A world of these tests alone: one of them asks on a later day."""
    with world_apart(mongo_url, databases) as made_here:
        yield made_here


@pytest.fixture(scope="module")
def number(mongo_client: MongoClient[dict[str, Any]], world: World) -> Callable[[], None]:
    """Number what is in the outbox, as the worker does."""
    outbox = Outbox(mongo_client[world.parts.settings.database], "test of events")
    outbox.prepare()

    def numbered() -> None:
        moment = now()
        while patiently(lambda: outbox.sequence(lambda resource, entry: subscribes(resource, entry, moment), moment)):
            pass

    return numbered


@pytest.fixture(scope="module")
def told(world: World, number: Callable[[], None]) -> tuple[Party, Party, Case, str]:
    """A service with a Subscription that has had the six events of a Task and more."""
    number()
    hosp, home = world.hospital(), world.party()
    subscription = f"Subscription/{home.post(minimal('Subscription', **ALSO['Subscription'])).body['id']}"
    case = world.case(hosp, home)
    for status in ("received", "accepted", "in-progress", "completed"):
        assert home.move(case.task, status).status == 200
    number()
    return hosp, home, case, subscription


def bundle(reply: Reply) -> Resource:
    assert reply.status == 200, reply.body
    assert Validator().check(reply.body) == []
    return dict(reply.body)


def parameters(answer: Resource) -> dict[str, Any]:
    """The simple parameters of the status."""
    [status] = [e["resource"] for e in answer["entry"] if "resource" in e]
    assert status["resourceType"] == "Parameters"
    return {p["name"]: v for p in status["parameter"] for n, v in p.items() if n.startswith("value")}


def numbers(answer: Resource) -> list[int]:
    return [int(event["event-number"]) for event in events(answer)]


def events(answer: Resource) -> list[dict[str, Any]]:
    parts = [p["part"] for p in answer["entry"][0]["resource"]["parameter"] if p["name"] == "notification-event"]
    return [{part["name"]: next(v for n, v in part.items() if n != "name") for part in each} for each in parts]


def test_h4_exactly_the_events_that_were_missed(told: tuple[Party, Party, Case, str]) -> None:
    _, home, case, subscription = told

    whole = bundle(home.get(f"{subscription}/$events"))
    asked = bundle(home.get(f"{subscription}/$events?eventsSinceNumber=3&eventsUntilNumber=5"))

    last = int(parameters(whole)["events-since-subscription-start"])
    assert last >= 6
    assert numbers(whole) == list(range(1, last + 1))
    assert numbers(asked) == [3, 4, 5]
    assert events(asked) == events(whole)[2:5]
    assert asked["type"] == "history"
    assert parameters(asked)["type"] == "query-event"
    focused = [event for event in events(asked) if "focus" in event]
    assert len(asked["entry"]) == 1 + len(focused)
    assert {event["focus"]["reference"].partition("/fhir/")[2] for event in focused} <= {
        case.task,
        case.plan,
        case.team,
    }


def test_numbers_that_do_not_exist_yet_are_not_there(told: tuple[Party, Party, Case, str]) -> None:
    _, home, _, subscription = told
    last = len(numbers(bundle(home.get(f"{subscription}/$events"))))

    ahead = bundle(home.get(f"{subscription}/$events?eventsSinceNumber={last}&eventsUntilNumber={last + 9}"))
    none = bundle(home.get(f"{subscription}/$events?eventsSinceNumber={last + 1}"))

    assert numbers(ahead) == [last]
    assert numbers(none) == []


def test_asking_by_post_and_for_empty_content(told: tuple[Party, Party, Case, str]) -> None:
    _, home, _, subscription = told
    asked = [{"name": "eventsSinceNumber", "valueString": "2"}, {"name": "content", "valueCode": "empty"}]
    sent = {"resourceType": "Parameters", "parameter": asked}

    answer = bundle(home.ask("POST", f"{subscription}/$events", sent))

    assert numbers(answer)[0] == 2
    assert len(answer["entry"]) == 1
    assert all("focus" not in event for event in events(answer))


def test_an_event_is_bare_once_its_focus_may_not_be_read(told: tuple[Party, Party, Case, str], world: World) -> None:
    """After the time that a former member reads its plan in, only the numbers are left."""
    _, home, case, subscription = told
    before = bundle(home.get(f"{subscription}/$events"))
    circle = world.parts.store.circle(case.plan.partition("/")[2])
    assert circle is not None
    [reader] = [reader for reader in circle.former if reader.party == home.reference]

    services = world.parts.services
    object.__setattr__(services, "clock", lambda: reader.until)
    try:
        after = bundle(home.get(f"{subscription}/$events"))
    finally:
        object.__setattr__(services, "clock", now)

    assert numbers(after) == numbers(before)
    assert all("focus" in event for event in events(before))
    assert all("focus" not in event for event in events(after))


def test_more_than_one_page_at_once_is_refused_with_a_hint(told: tuple[Party, Party, Case, str], world: World) -> None:
    _, home, _, subscription = told
    services = world.parts.services
    most = services.max_count
    object.__setattr__(services, "max_count", 3)
    try:
        refused = home.get(f"{subscription}/$events")
        assert numbers(bundle(home.get(f"{subscription}/$events?eventsUntilNumber=3"))) == [1, 2, 3]
    finally:
        object.__setattr__(services, "max_count", most)

    assert (refused.status, refused.issues[0]["code"]) == (403, "too-costly")
    assert "eventsUntilNumber" in refused.issues[0]["diagnostics"]


def test_status_says_how_the_subscription_stands(told: tuple[Party, Party, Case, str]) -> None:
    _, home, _, subscription = told
    last = len(numbers(bundle(home.get(f"{subscription}/$events"))))
    for method in ("GET", "POST"):
        answer = bundle(home.ask(method, f"{subscription}/$status"))
        told_of = parameters(answer)

        assert (answer["type"], answer["total"]) == ("searchset", 1)
        assert told_of["status"] == home.read(subscription)["status"]
        assert (told_of["type"], told_of["events-since-subscription-start"]) == ("query-status", str(last))
        assert told_of["subscription"]["reference"].endswith(subscription)


def test_a_subscription_without_events_has_had_none(world: World) -> None:
    party = world.party()
    subscription = f"Subscription/{party.post(minimal('Subscription', **ALSO['Subscription'])).body['id']}"

    assert parameters(bundle(party.get(f"{subscription}/$status")))["events-since-subscription-start"] == "0"
    assert numbers(bundle(party.get(f"{subscription}/$events"))) == []


@pytest.mark.parametrize("operation", ["$status", "$events", "$events?eventsSinceNumber=1"])
def test_nobody_but_the_author_is_told(world: World, told: tuple[Party, Party, Case, str], operation: str) -> None:
    hosp, _, _, subscription = told
    for party in (hosp, world.party(), world.custodian, world.operator):
        hidden = party.get(f"{subscription}/{operation}")
        absent = party.get(f"Subscription/never-there/{operation}")
        assert (hidden.status, hidden.raw) == (404, absent.raw)


def test_a_subscription_that_is_gone_is_told_so_to_its_author(world: World) -> None:
    party = world.party()
    subscription = f"Subscription/{party.post(minimal('Subscription', **ALSO['Subscription'])).body['id']}"
    assert party.ask("DELETE", subscription).status == 204

    assert party.get(f"{subscription}/$events").status == 410


@pytest.mark.parametrize(
    "asked",
    ["eventsSinceNumber=x", "eventsSinceNumber=5&eventsUntilNumber=4", "content=full-resource", "since=1"],
)
def test_what_cannot_be_understood_is_refused(told: tuple[Party, Party, Case, str], asked: str) -> None:
    _, home, _, subscription = told

    assert home.get(f"{subscription}/$events?{asked}").status == 400
