"""Pauses grow, scatter, and end."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from fhir_server.subscriptions.retry import Retry

SINCE = datetime(2026, 3, 1, tzinfo=UTC)


def test_pauses_double_up_to_an_hour() -> None:
    pauses = [Retry().pause(attempts, 0).total_seconds() for attempts in (1, 2, 3, 12, 13, 5000)]
    assert pauses == [1, 2, 4, 2048, 3600, 3600]


@given(attempts=st.integers(1, 10_000), jitter=st.floats(0, 1))
def test_jitter_takes_away_at_most_half(attempts: int, jitter: float) -> None:
    whole = Retry().pause(attempts, 0)
    assert whole / 2 - timedelta(microseconds=1) <= Retry().pause(attempts, jitter) <= whole


def test_an_event_is_tried_for_three_days_however_often() -> None:
    assert not Retry().is_spent("active", 1000, SINCE, SINCE + timedelta(days=2, hours=23))
    assert Retry().is_spent("active", 2, SINCE, SINCE + timedelta(days=3))


def test_a_handshake_is_tried_five_times() -> None:
    assert [Retry().is_spent("requested", n, SINCE, SINCE) for n in (4, 5)] == [False, True]
