"""Each party is told of what concerns it: in order, with numbers, and of nothing that it may not know."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from notifying import BASE, HOME, HOSP, House, eventually
from receiver import Receiver, listening

from fhir_server.fhir.dates import instant
from fhir_server.fhir.errors import Unavailable
from fhir_server.fhir.json import encode


def test_the_handshake_comes_first_and_makes_the_subscription_active(samen: House, receiver: Receiver) -> None:
    id = samen.subscribe(HOME, receiver.url, header=["Authorization: Bearer abc"])
    samen.announce("Task/1", HOME)
    samen.worker().run_once()
    assert [(each.kind, each.number) for each in receiver.received] == [("handshake", 0), ("event-notification", 1)]
    assert [each.parameters["status"] for each in receiver.received] == ["requested", "active"]
    assert receiver.received[0].headers["Authorization"] == "Bearer abc"
    assert receiver.received[0].headers["Content-Type"] == "application/fhir+json"
    subscription = samen.subscription(id)
    assert (subscription["status"], subscription["meta"]["versionId"]) == ("active", "2")
    assert [version.version for version in samen.store.history("Subscription", id, None, 10)] == [2, 1]


def test_what_the_worker_writes_is_later_than_what_it_follows_whatever_its_clock_says(
    samen: House, receiver: Receiver
) -> None:
    id = samen.subscribe(HOME, receiver.url)
    samen.ahead = -timedelta(hours=1)

    samen.worker().run_once()

    second, first = samen.store.history("Subscription", id, None, 10)
    assert (second.version, first.version) == (2, 1)
    assert second.last_updated > first.last_updated
    assert samen.subscription(id)["meta"]["lastUpdated"] == instant(second.last_updated)


def test_owner_and_requester_each_get_one_notification_of_a_new_task(samen: House, receiver: Receiver) -> None:
    with listening() as hospital, listening() as outside:
        for party, endpoint in ((HOME, receiver), (HOSP, hospital), ("Organization/out", outside)):
            samen.subscribe(party, endpoint.url, status="active")
        samen.announce("Task/1", HOSP, HOME)
        samen.worker().run_once()
        for told in (receiver, hospital):
            assert [each.focus for each in told.events] == [f"{BASE}/Task/1"]
            bundle = told.events[0].bundle
            Bundle.model_validate_json(encode(bundle))
            assert bundle["type"] == "history"
            assert [entry["fullUrl"] for entry in bundle["entry"][1:]] == [f"{BASE}/Task/1"]
        assert outside.received == []


def test_every_member_and_the_one_just_removed_hear_of_a_changed_team(samen: House, receiver: Receiver) -> None:
    with listening() as removed:
        samen.subscribe(HOSP, receiver.url, status="active")
        samen.subscribe(HOME, removed.url, status="active")
        samen.announce("CareTeam/1", HOSP, HOME, version=2, event="update")
        samen.worker(may_read=lambda party, reference: party != HOME).run_once()
        assert [(each.number, each.focus) for each in receiver.events] == [(1, f"{BASE}/CareTeam/1")]
        assert [(each.number, each.focus) for each in removed.events] == [(1, None)]
        assert b"CareTeam" not in encode(removed.events[0].bundle)


def test_access_is_asked_when_the_event_is_told_not_when_it_happened(samen: House, receiver: Receiver) -> None:
    samen.subscribe(HOME, receiver.url, status="active")
    samen.announce("Task/1", HOME)
    samen.announce("Task/2", HOME)
    samen.announce("Task/3", HOME)
    asked: list[tuple[str, str]] = []

    def may_read(party: str, reference: str) -> bool:
        asked.append((party, reference))
        return reference != "Task/2"

    samen.worker(may_read=may_read).run_once()
    assert [(each.number, each.focus) for each in receiver.events] == [
        (1, f"{BASE}/Task/1"),
        (2, None),
        (3, f"{BASE}/Task/3"),
    ]
    assert asked == [(HOME, "Task/1"), (HOME, "Task/2"), (HOME, "Task/3")]


def test_nothing_is_told_while_access_cannot_be_decided(samen: House, receiver: Receiver) -> None:
    samen.subscribe(HOME, receiver.url, status="active")
    samen.announce("Task/1", HOME)

    def undecided(party: str, reference: str) -> bool:
        raise Unavailable("the database does not answer")

    samen.worker(may_read=undecided).run_once()
    assert receiver.received == []
    samen.worker().run_once()
    assert [each.focus for each in receiver.events] == [f"{BASE}/Task/1"]


def test_empty_content_tells_no_focus(samen: House, receiver: Receiver) -> None:
    samen.subscribe(HOME, receiver.url, status="active", content="empty")
    samen.announce("Task/1", HOME)
    samen.worker().run_once()
    assert [(each.number, each.focus) for each in receiver.events] == [(1, None)]
    assert b"Task/1" not in encode(receiver.events[0].bundle)


def test_a_write_that_fails_is_not_announced(samen: House, receiver: Receiver) -> None:
    samen.subscribe(HOME, receiver.url, status="active")

    def work(transaction: Any) -> None:
        transaction.announce([samen.entry("Task/1", HOME)])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        samen.store.transact(work)
    samen.announce("Task/2", HOME)
    samen.worker().run_once()
    assert [(each.number, each.focus) for each in receiver.events] == [(1, f"{BASE}/Task/2")]


def test_a_deleted_subscription_is_told_nothing(samen: House, receiver: Receiver) -> None:
    id = samen.subscribe(HOME, receiver.url, status="active")
    samen.announce("Task/1", HOME)
    samen.sequence()
    samen.delete(id)
    samen.announce("Task/2", HOME)
    worker = samen.worker()
    assert (worker.run_once(), worker.run_once(), receiver.received) == (0, 0, [])
    assert [event["focus"] for event in samen.events_of(id)] == ["Task/1"]


def test_what_waits_for_a_subscription_that_is_off_is_told_when_it_is_asked_for_again(
    samen: House, receiver: Receiver
) -> None:
    id = samen.subscribe(HOME, receiver.url, status="active")
    samen.announce("Task/1", HOME)
    samen.sequence()
    samen.change(id, status="off")
    samen.announce("Task/2", HOME)
    worker = samen.worker()
    assert worker.run_once() == 0
    samen.change(id, status="requested")
    worker.run_once()
    assert [(each.kind, each.focus) for each in receiver.received] == [
        ("handshake", None),
        ("event-notification", f"{BASE}/Task/1"),
    ]


def test_a_subscription_whose_end_is_past_is_switched_off(samen: House, receiver: Receiver) -> None:
    id = samen.subscribe(HOME, receiver.url, status="active")
    samen.announce("Task/1", HOME)
    samen.sequence()
    samen.change(id, end="2026-01-01T00:00:00Z")
    samen.worker().run_once()
    assert (receiver.received, samen.subscription(id)["status"]) == ([], "off")


def test_a_subscription_that_this_server_cannot_serve_says_so(samen: House, receiver: Receiver) -> None:
    id = samen.subscribe(HOME, receiver.url)
    samen.change(id, channel={**samen.subscription(id)["channel"], "type": "websocket"})
    samen.worker().run_once()
    subscription = samen.subscription(id)
    assert (receiver.received, subscription["status"]) == ([], "error")
    assert "rest-hook" in subscription["error"]


def test_redirects_are_not_followed(samen: House, receiver: Receiver) -> None:
    with listening() as elsewhere:
        receiver.answer = lambda _: 307
        receiver.headers = {"Location": elsewhere.url}
        id = samen.subscribe(HOME, receiver.url)
        samen.worker().run_once()
        assert (len(receiver.received), elsewhere.received) == (1, [])
        assert samen.subscription(id)["status"] == "requested"


def test_a_heartbeat_beats_with_the_current_count(samen: House, receiver: Receiver) -> None:
    samen.subscribe(HOME, receiver.url, extension=samen.heartbeat_every(60))
    samen.announce("Task/1", HOME)
    worker = samen.worker()
    worker.run_once()
    for minutes in (1, 2):
        samen.ahead = timedelta(minutes=minutes, seconds=1)
        worker.run_once()
        worker.run_once()
    assert [(each.kind, each.parameters["events-since-subscription-start"]) for each in receiver.received] == [
        ("handshake", "1"),
        ("event-notification", "1"),
        ("heartbeat", "1"),
        ("heartbeat", "1"),
    ]


def test_a_running_worker_tells_within_a_second_and_stops_when_asked(samen: House, receiver: Receiver) -> None:
    id = samen.subscribe(HOME, receiver.url)
    stop = threading.Event()
    thread = threading.Thread(target=samen.worker().run, args=(stop,))
    thread.start()
    try:
        receiver.wait_for(lambda r: r.received != [])
        eventually(lambda: samen.subscription(id)["status"] == "active")
        took: list[float] = []
        while len(took) < 3 or (min(took) >= 1.0 and len(took) < 20):
            number = len(took) + 1
            samen.announce(f"Task/{number}", HOME)
            took.append(receiver.wait_for(lambda r, n=number: n in r.numbers))  # type: ignore[misc]
        assert min(took) < 1.0, "a busy machine may hold up many, not each"
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()


def test_an_imported_subscription_to_another_servers_topic_is_left_as_it_came(samen: House, receiver: Receiver) -> None:
    id = samen.subscribe(HOME, receiver.url)
    samen.change(id, criteria="Task?status=requested", end="2021-01-01T00:00:00Z")
    as_it_came = samen.subscription(id)

    samen.announce("Task/1", HOME)
    for _ in range(2):
        samen.worker().run_once()

    assert (samen.subscription(id), receiver.received, samen.events_of(id)) == (as_it_came, [], [])
    assert samen.worker()._waiting() == []


def test_an_active_subscription_to_an_unknown_topic_ends_with_its_reason(samen: House, receiver: Receiver) -> None:
    id = samen.subscribe(HOME, receiver.url, status="active", extension=samen.heartbeat_every(10))
    samen.announce("Task/1", HOME)
    samen.sequence()
    samen.change(id, criteria="https://samen.example/fhir/SubscriptionTopic/gone")

    samen.worker().run_once()

    subscription = samen.subscription(id)
    assert (subscription["status"], receiver.received) == ("error", [])
    assert "Unknown topic" in subscription["error"]
