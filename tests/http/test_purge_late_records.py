"""What a dead server had recorded arrives after the purge of a person whom it names: the name stays behind."""

import base64
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from fhir_server.access.types import PERSONS
from fhir_server.audit.pseudonyms import LEFT_OUT, named, without
from fhir_server.fhir import dates
from fhir_server.fhir.json import Resource, decode
from fhir_server.store.journal import Journal
from fhir_server.store.mongo.audit.arrivals import Arrivals
from fhir_server.store.mongo.audit.events import record_of
from fhir_server.store.mongo.documents import stamp_from
from fhir_server.store.purges import Forgetting
from tests.http.test_purge import DyingStore, Interrupted, Life, Lives, lives_in


@pytest.fixture(scope="module")
def lives(mongo_url: str, mongo_client: MongoClient[dict[str, Any]], database_name: str) -> Iterator[Lives]:
    """A database of its own, gone at the end."""
    with lives_in(mongo_url, mongo_client[f"{database_name}_pl"]) as made_here:
        yield made_here


def records_about(lives: Lives, *those: Life) -> list[bytes]:
    """What a server recorded about these people, and every search, two hours ago, under ids of its own."""
    lives.world.parts.store.settle_audit()
    long_ago = dates.instant(dates.now() - timedelta(hours=2))
    people = [life.case.patient for life in those]
    found = []
    for document in lives.database["AuditEvent"].find():
        event: Resource = decode(bytes(document["body"]))
        if queries_of(event) or any(person in str(event) for person in people):
            anew = {**event, "id": str(uuid.uuid4()), "recorded": long_ago}
            found.append(record_of(anew, stamp_from(document)))
    return found


def leave(lives: Lives, records: Sequence[bytes]) -> Path:
    """Let a process die that had these records in its journal; its folder."""
    folder: Path = lives.world.parts.store._reading_audit._folder  # type: ignore[attr-defined]
    journal = Journal(folder)
    for record in records:
        journal.append(record)
    journal.rest()
    journal._lock.release()
    return folder


def ids_of(records: Sequence[bytes]) -> list[str]:
    return [decode(record)[1]["id"] for record in records]


def told(lives: Lives, records: Sequence[bytes]) -> list[Resource]:
    """The AuditEvents that these records became."""
    found = lives.database["AuditEvent"].find({"_id": {"$in": ids_of(records)}})
    return [decode(bytes(each["body"])) for each in found]


def test_a_record_that_arrives_after_the_purge_leaves_the_person_out(lives: Lives) -> None:
    life, other = lives.lived(), lives.lived()
    records = records_about(lives, life, other)
    before = len(lives.told())

    lives.purge(life.case.patient)
    leave(lives, records)

    assert lives.traces(life) == []
    assert len(lives.told()) == before + 2 + len(records)
    events = {event["id"]: event for event in told(lives, records)}
    assert events.keys() == set(ids_of(records))
    as_recorded = {event["id"]: event for _, event in map(decode, records)}
    assert {id: {**event, "entity": 0} for id, event in events.items()} == {
        id: {**event, "entity": 0} for id, event in as_recorded.items()
    }
    assert "/purged-" in str(events)
    assert any(other.case.patient in str(event) for event in events.values())
    assert lives.database["AuditEvent"].count_documents(
        {"_id": {"$in": list(events)}, "plans": other.case.plan.partition("/")[2]}
    )


def test_it_arrives_once_however_often_it_is_carried(lives: Lives) -> None:
    life = lives.lived()
    records = records_about(lives, life)
    lives.purge(life.case.patient)

    for _ in range(2):
        leave(lives, records)
        assert lives.traces(life) == []

    assert len(told(lives, records)) == len(records)


def test_what_was_searched_by_is_left_out_too(lives: Lives) -> None:
    """The words that identify the person are forgotten with the purge, so no value of a late search is kept."""
    life = lives.lived()
    records = records_about(lives, life)
    asked = [event["id"] for _, event in map(decode, records) if any(life.ssin in query for query in queries_of(event))]
    assert asked

    lives.purge(life.case.patient)
    leave(lives, records)
    lives.world.parts.store.settle_audit()

    for event in told(lives, records):
        values = [
            pair.partition("=")[2] for query in queries_of(event) for pair in re.split("[?&]", query) if "=" in pair
        ]
        assert all(value == LEFT_OUT or "/purged-" in value for value in values), values
        assert LEFT_OUT in values or event["id"] not in asked


def queries_of(event: Resource) -> list[str]:
    """The questions that an AuditEvent tells of."""
    return [base64.b64decode(each["query"]).decode() for each in event.get("entity", []) if "query" in each]


def test_while_a_purge_is_under_way_its_own_pseudonyms_are_used(lives: Lives) -> None:
    life = lives.lived()
    records = records_about(lives, life)

    purge_but_for_its_end(lives, life)
    leave(lives, records)
    lives.world.parts.store.settle_audit()
    at_once = told(lives, records)

    done = lives.purge(life.case.patient)

    assert lives.traces(life) == []
    assert done.pseudonym in str(at_once)


def purge_but_for_its_end(lives: Lives, life: Life) -> None:
    """A purge whose process dies before the last step."""
    services = lives.world.parts.services
    dying = DyingStore(services.store, 10**9)

    def die(*_: Any) -> None:
        raise Interrupted("end")

    dying.purges.end = die  # type: ignore[attr-defined]
    with pytest.raises(Interrupted):
        lives.purge(life.case.patient, replace(services, store=dying))  # type: ignore[arg-type]


@pytest.mark.parametrize("ends", [True, False])
def test_a_purge_that_runs_while_a_record_is_on_its_way_is_noticed(lives: Lives, ends: bool) -> None:
    """It looked before the record was there, and was not known when the record was sent."""
    life = lives.lived()
    records = records_about(lives, life)
    runs = []

    class Slow(Arrivals):
        def _put(self, records: Sequence[bytes], purges: Any, forgetting: Forgetting) -> None:
            runs.append(purges)
            if len(runs) == 1 and ends:
                lives.purge(life.case.patient)
            elif len(runs) == 1:
                purge_but_for_its_end(lives, life)
            super()._put(records, purges, forgetting)

    Slow(lives.world.parts.store._connection, Forgetting(PERSONS, named, without), 10.0).keep(records)

    if not ends:
        lives.purge(life.case.patient)
    assert len(runs) == 2
    assert lives.traces(life) == []
