"""E10: the team is a function of the facts, whatever their order and however often it is computed."""

import itertools
import random

from als_case import CMO, HOME, HOSP, OUT, PERSON, PHYS, at, consent, directory, history, order, task, unhurried
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.care.care_team import ADMIT, REMOVE, CustodianAction, Team, team
from fhir_server.care.consents import ConsentState, consent_state
from fhir_server.care.intervals import ALWAYS, common, covers, joined, without
from fhir_server.care.moves import Move
from fhir_server.care.task_states import DEFAULT, moves_open_to

PARTIES = (HOME, PHYS, HOSP, CMO, PERSON)
EVERYBODY = frozenset({"owner", "requester", "custodian", "server"})


@st.composite
def journeys(draw: st.DrawFn, id: str) -> list[Move]:
    """A Task that walks through the table as it pleases, at moments of its own."""
    owner, requester = draw(st.sampled_from(PARTIES)), draw(st.sampled_from(PARTIES))
    statuses = ["requested"]
    for _ in range(draw(st.integers(0, 6))):
        onward = moves_open_to(DEFAULT, statuses[-1], EVERYBODY)
        if not onward:
            break
        statuses.append(draw(st.sampled_from(onward)))
    minutes = sorted(draw(st.lists(st.integers(0, 200), min_size=len(statuses), max_size=len(statuses))))
    return history(*(task(id, status, owner, requester) for status in statuses), minutes=tuple(minutes))


@st.composite
def consent_histories(draw: st.DrawFn, id: str) -> ConsentState:
    """A Consent that is given, withdrawn, refused and given again."""
    words = draw(st.lists(st.sampled_from(["permit", "deny", "withdrawn"]), min_size=1, max_size=4))
    steps = [
        consent(id, "inactive") if word == "withdrawn" else consent(id, type=word, period={"start": "2026-03-01"})
        for word in words
    ]
    minutes = sorted(draw(st.lists(st.integers(0, 200), min_size=len(steps), max_size=len(steps))))
    return consent_state(steps[-1], history(*steps, minutes=tuple(minutes)), directory)


actions = st.lists(
    st.builds(
        CustodianAction,
        st.sampled_from(PARTIES),
        st.sampled_from([REMOVE, ADMIT]),
        st.integers(0, 200).map(at),
    ),
    max_size=4,
)
moves = st.tuples(*(journeys(f"t{n}") for n in range(3))).map(lambda found: [m for moves in found for m in moves])
consents = st.tuples(consent_histories("c1"), consent_histories("c2")).map(list)
ORDER = history(order(), minutes=(0,))


def computed(
    moves: list[Move], consents: list[ConsentState], actions: list[CustodianAction], required: bool, now: int = 300
) -> Team:
    return team(moves, consents, actions, HOSP, PERSON, CMO, consent_required=required, started=at(0), now=at(now))


@unhurried
@given(moves, consents, actions, st.booleans(), st.randoms(use_true_random=False))
def test_e10_any_order_of_the_facts_gives_the_same_team(
    moves: list[Move], consents: list[ConsentState], actions: list[CustodianAction], required: bool, dice: random.Random
) -> None:
    known = ORDER + moves
    once = computed(known, consents, actions, required)

    told_twice = dice.sample(known * 2, len(known) * 2)
    again = computed(told_twice, dice.sample(consents, len(consents)), dice.sample(actions, len(actions)), required)

    assert once == again


@unhurried
@given(moves, consents, actions, st.booleans())
def test_nobody_is_in_twice_at_the_same_time(
    moves: list[Move], consents: list[ConsentState], actions: list[CustodianAction], required: bool
) -> None:
    found = computed(ORDER + moves, consents, actions, required)

    for who in {member.party for member in found.members}:
        own = [member for member in found.members if member.party == who]
        for first, second in itertools.pairwise(own):
            assert first.end is not None
            assert first.end <= second.start
        assert sum(member.state in {"active", "pending"} for member in own) <= 1


@unhurried
@given(moves, consents, actions)
def test_a_period_once_ended_stays_as_it_was_while_time_passes(
    moves: list[Move], consents: list[ConsentState], actions: list[CustodianAction]
) -> None:
    early, late = (computed(ORDER + moves, consents, actions, True, now) for now in (300, 100_000))

    assert early == late


@unhurried
@given(moves, actions)
def test_person_and_custodian_are_always_in_where_no_consent_is_required(
    moves: list[Move], actions: list[CustodianAction]
) -> None:
    found = computed(ORDER + moves, [], actions, False)

    assert {PERSON, CMO} <= set(found.parties("active"))
    assert OUT not in {member.party for member in found.members}


@unhurried
@given(moves, actions)
def test_without_any_consent_nobody_but_the_person_and_the_author_is_in(
    moves: list[Move], actions: list[CustodianAction]
) -> None:
    found = computed(ORDER + moves, [], actions, True)

    assert set(found.parties("active", "ended")) <= {PERSON, HOSP}


spans = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda ends: (at(min(ends)), at(max(ends)))))


@unhurried
@given(spans, spans, st.integers(0, 60).map(at))
def test_intervals_agree_with_their_moments(one: list, other: list, moment: object) -> None:  # type: ignore[type-arg]
    inside, also = covers(one, moment), covers(other, moment)  # type: ignore[arg-type]

    assert covers(joined(one), moment) == inside  # type: ignore[arg-type]
    assert covers(common(one, other), moment) == (inside and also)  # type: ignore[arg-type]
    assert covers(without(one, other), moment) == (inside and not also)  # type: ignore[arg-type]
    assert covers(without(ALWAYS, one), moment) == (not inside)  # type: ignore[arg-type]
