"""A transaction does not read a circle twice; what it remembers must answer as the database would."""

import itertools
import uuid
from dataclasses import replace

from fhir_server.search.grant import Reader
from fhir_server.store.contract import Transaction
from fhir_server.store.mongo.store import MongoStore
from fhir_server.store.values import Circle
from tests.store.test_circles_and_moves import HOUR, NOON, circle_of, keep

PERIODS = ((NOON - HOUR, NOON + HOUR), (NOON, NOON + HOUR), (NOON - HOUR, NOON), (NOON + HOUR, NOON + 2 * HOUR))


def circles_of(people: tuple[str, str], parties: tuple[str, str]) -> list[Circle]:
    """Both parties, in and out, about both people."""
    combined = itertools.product(people, parties, PERIODS)
    return [circle_of(str(uuid.uuid4()), Reader(party, *period), patient=p) for p, party, period in combined]


def ask_everything(
    tx: Transaction, people: tuple[str, str], parties: tuple[str, str], plans: list[str]
) -> list[list[str]]:
    """The plans that each question finds."""
    asked = itertools.product((parties, parties[:1]), (None, *people), (plans, plans[3:9], plans[:1]), (100, 2))
    return [
        [c.plan for c in tx.circles(parties=who, patient=about, plans=of, moment=NOON, limit=limit)]
        for who, about, of, limit in asked
    ]


def test_what_a_transaction_has_read_answers_as_the_database_does(store: MongoStore) -> None:
    people = (f"Patient/{uuid.uuid4()}", f"Patient/{uuid.uuid4()}")
    parties = (f"Organization/{uuid.uuid4()}", f"Organization/{uuid.uuid4()}")
    made = circles_of(people, parties)
    keep(store, *made)
    plans = [circle.plan for circle in made]

    def work(tx: Transaction) -> None:
        from_database = ask_everything(tx, people, parties, plans)
        assert any(from_database)
        assert [tx.circle(plan) for plan in plans] == made
        assert ask_everything(tx, people, parties, plans) == from_database

    store.transact(work)


def test_what_a_transaction_writes_stands_before_what_it_read(store: MongoStore) -> None:
    patient, party = f"Patient/{uuid.uuid4()}", f"Organization/{uuid.uuid4()}"
    first, second = (circle_of(plan, patient=patient) for plan in ("a" + uuid.uuid4().hex, "b" + uuid.uuid4().hex))
    keep(store, first)

    def work(tx: Transaction) -> None:
        assert tx.circles_about(patient) == [first]
        joined = replace(first, members=(Reader(party),))
        tx.save_circle(joined)
        tx.save_circle(second)
        assert tx.circle(first.plan) == joined
        assert tx.circles_about(patient) == [joined, second]
        found = tx.circles(parties=[party], plans=[first.plan, second.plan], moment=NOON, limit=9)
        assert found == [joined]
        assert tx.circles(parties=[party], patient=patient, moment=NOON, limit=9) == [joined]

    store.transact(work)
    assert [circle.plan for circle in store.circles_about(patient)] == [first.plan, second.plan]


def test_a_circle_that_is_written_before_its_person_is_asked_about_is_among_those_found(store: MongoStore) -> None:
    patient = f"Patient/{uuid.uuid4()}"
    stored, fresh = (circle_of(plan, patient=patient) for plan in ("a" + uuid.uuid4().hex, "b" + uuid.uuid4().hex))
    keep(store, stored)

    def work(tx: Transaction) -> None:
        tx.save_circle(fresh)
        assert tx.circles_about(patient) == [stored, fresh]

    store.transact(work)
