"""The order in which changes are told."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fhir_server.store.mongo.delivery.outbox import in_order

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def entry(id: int, focus: str, version: int, seconds: int) -> dict[str, Any]:
    return {"_id": id, "focus": focus, "version": version, "at": NOON + timedelta(seconds=seconds)}


def test_a_late_clock_does_not_turn_two_versions_around() -> None:
    entries = [entry(1, "Task/a", 2, seconds=0), entry(2, "Task/a", 1, seconds=5), entry(3, "Task/b", 1, seconds=2)]
    assert [e["_id"] for e in in_order(entries)] == [3, 2, 1]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 5), st.integers(0, 9)), unique_by=lambda t: t[:2]))
def test_versions_of_one_resource_never_go_backwards(drawn: list[tuple[str, int, int]]) -> None:
    entries = [entry(n, focus, version, seconds) for n, (focus, version, seconds) in enumerate(drawn)]
    told = in_order(entries)
    assert len(told) == len(entries)
    for focus in "abc":
        versions = [e["version"] for e in told if e["focus"] == focus]
        assert versions == sorted(versions)
