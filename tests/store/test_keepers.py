"""Who keeps what is told of a plan: MongoDB and the memory say the same."""

import uuid
from datetime import timedelta

from fhir_server.fhir.dates import now
from fhir_server.search.grant import Reader
from fhir_server.store.contract import Transaction
from fhir_server.store.mongo.store import MongoStore
from fhir_server.store.values import Circle

NOW, HOUR = now(), timedelta(hours=1)
KEEPER, OTHER = "Organization/keeper", "Organization/other"
MEMBERS = {
    "admitted": [Reader(OTHER), Reader(KEEPER)],
    "waiting": [Reader(OTHER)],
    "nobody": [],
    "later": [Reader(KEEPER, NOW + HOUR)],
    "ended": [Reader(KEEPER, NOW - HOUR, NOW)],
    "from now": [Reader(KEEPER, NOW, NOW + HOUR)],
    "again": [Reader(KEEPER, NOW - 3 * HOUR, NOW - HOUR), Reader(KEEPER, NOW - HOUR)],
    "now and another later": [Reader(OTHER, NOW - HOUR), Reader(KEEPER, NOW + HOUR)],
}
KEPT = {"admitted", "from now", "again"}


def test_the_custodian_keeps_a_plan_while_its_circle_admits_it(store: MongoStore) -> None:
    made = uuid.uuid4().hex
    circles = [
        Circle(f"{made} {name}", "Patient/1", "als-be", "Organization/1", KEEPER, "team", tuple(members))
        for name, members in MEMBERS.items()
    ]
    store.transact(lambda tx: [tx.save_circle(circle) for circle in circles])
    plans = [circle.plan for circle in circles]

    told = store.keepers([*plans, f"{made} without a circle"], NOW)

    assert told == {f"{made} {name}": KEEPER if name in KEPT else f"{made} {name}" for name in MEMBERS}
    assert told == {circle.plan: circle.keeper(NOW) for circle in circles}
    assert told == store.transact(lambda tx: tx.keepers(plans, NOW))
    assert store.keepers([], NOW) == {}


def test_of_very_many_plans_it_is_said_as_well(store: MongoStore) -> None:
    made = uuid.uuid4().hex
    circles = [Circle(f"{made}-{n}", "Patient/1", "", "", KEEPER, "", (Reader(KEEPER),)) for n in range(300)]
    store.transact(lambda tx: [tx.save_circle(circle) for circle in circles])

    assert store.keepers([circle.plan for circle in circles], NOW) == {circle.plan: KEEPER for circle in circles}


def test_the_plans_that_a_party_keeps_are_those_of_its_circles_that_have_it_as_custodian(store: MongoStore) -> None:
    """In memory and in MongoDB, outside of a transaction and within one that has just written them."""
    made = uuid.uuid4().hex
    keeper, other = f"Organization/keeper-{made}", f"Organization/other-{made}"
    named = {KEEPER: keeper, OTHER: other}
    circles = [
        Circle(
            f"{made} {name} {custodian}",
            "Patient/1",
            "als-be",
            "Organization/1",
            named[custodian],
            "team",
            tuple(Reader(named[each.party], each.start, each.until) for each in members),
        )
        for name, members in MEMBERS.items()
        for custodian in (KEEPER, OTHER)
    ]

    def work(tx: Transaction) -> list[str]:
        for circle in circles:
            tx.save_circle(circle)
        return sorted(tx.plans_kept([keeper], NOW, 99))

    within = store.transact(work)
    for parties in ([keeper], [other], [keeper, other], ["Organization/nobody"]):
        admitting = store.circles(parties=parties, moment=NOW, limit=99)
        expected = sorted(circle.plan for circle in admitting if circle.custodian in parties)
        assert sorted(store.plans_kept(parties, NOW, 99)) == expected
        if parties == [keeper]:
            assert within == expected
    assert len(store.plans_kept([keeper, other], NOW, 2)) == 2
