"""Journals of an earlier setting are carried on, also by a store that records readings in the database."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from fhir_server.search.grant import Stamp
from fhir_server.store.journal import Journal
from fhir_server.store.mongo.audit.events import record_of
from fhir_server.store.mongo.store import MongoStore
from tests.databases import passing_database
from tests.patience import until

SECRET = b"of this test"


@pytest.fixture
def name(mongo_client: MongoClient[dict[str, Any]]) -> Iterator[str]:
    with passing_database(mongo_client) as name:
        yield name


@pytest.fixture
def folder(mongo_url: str, name: str, tmp_path: Path) -> Path:
    """Where a server with a local journal writes, for this database."""
    with MongoStore(mongo_url, name, secret=SECRET, reading_audit="local", journal=tmp_path) as store:
        store.look_after_audit()
        [own] = tmp_path.iterdir()
    return own


@pytest.fixture
def store(mongo_url: str, name: str, tmp_path: Path) -> Iterator[MongoStore]:
    """A store of the new setting on the same folder."""
    with MongoStore(mongo_url, name, secret=SECRET, reading_audit="journaled", journal=tmp_path) as made:
        yield made


def write(folder: Path) -> tuple[Journal, str]:
    """The journal of a living process, and the id of the event in it."""
    id = str(uuid.uuid4())
    event = {"resourceType": "AuditEvent", "id": id, "recorded": "2026-05-01T12:00:00.000Z", "action": "R"}
    journal = Journal(folder)
    journal.append(record_of(event, Stamp()))
    return journal, id


def test_what_a_dead_process_left_is_carried_on_by_the_start(store: MongoStore, folder: Path) -> None:
    journal, id = write(folder)
    journal.rest()
    journal._lock.release()

    store.look_after_audit()

    until(lambda: list(folder.iterdir()) == [])
    assert store.read("AuditEvent", id) is not None


def test_a_question_finds_what_was_left_and_what_others_still_write(store: MongoStore, folder: Path) -> None:
    journal, id = write(folder)

    assert store.read("AuditEvent", id) is not None

    journal.close()


def test_who_still_writes_is_carried_on_when_it_has_died(store: MongoStore, folder: Path) -> None:
    journal, id = write(folder)
    store.look_after_audit()
    journal.rest()
    journal._lock.release()

    until(lambda: list(folder.iterdir()) == [])
    assert store.read("AuditEvent", id) is not None


def test_without_a_folder_nothing_is_made_and_nothing_runs(mongo_url: str, name: str, tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    with MongoStore(mongo_url, name, secret=SECRET, reading_audit="acknowledged", journal=absent) as store:
        store.look_after_audit()
        store.settle_audit()

    assert not absent.exists()


def test_a_server_that_ends_leaves_the_rest_for_the_next(mongo_url: str, name: str, folder: Path) -> None:
    journal, _ = write(folder)
    with MongoStore(mongo_url, name, secret=SECRET, reading_audit="journaled", journal=folder.parent) as store:
        store.look_after_audit()

    assert [each.suffix for each in sorted(folder.iterdir())] == [".audit", ".lock"]
    journal.close()
