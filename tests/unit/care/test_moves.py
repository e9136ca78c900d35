"""The log as whoever acts now has to take it, when the clock that told the time ran ahead."""

from datetime import timedelta

from als_case import at, history, task

from fhir_server.care.moves import happened, in_turn

STEPS = history(*(task(status=status) for status in ("requested", "accepted", "completed")), minutes=(1, 30, 40))


def test_what_is_dated_ahead_has_happened_and_in_its_order() -> None:
    moves = tuple(STEPS)

    requested, accepted, completed = happened(moves, at(20))

    assert requested == moves[0]
    assert at(20) - timedelta(milliseconds=1) < accepted.at < completed.at == at(20)
    assert (accepted.to_status, completed.to_status) == ("accepted", "completed")


def test_a_move_of_this_moment_comes_before_those_that_are_dated_ahead() -> None:
    first, second, third = happened(tuple(STEPS), at(30))

    assert first.at < second.at < third.at == at(30)


def test_a_log_that_tells_of_nothing_ahead_stays_as_it_is() -> None:
    moves = tuple(STEPS)

    assert happened(moves, at(40)) == moves
    assert happened((), at(40)) == ()


def test_a_move_is_later_than_the_last_of_its_item() -> None:
    *known, late = STEPS
    [made] = in_turn([happened((late,), at(5))[0]], known)

    assert made.at == at(30) + timedelta(milliseconds=1)
    assert in_turn([late], known) == [late]
    assert in_turn([late], []) == [late]
