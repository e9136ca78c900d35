"""AuditEvents of pages are found by what they name as those that have a term for each name, whatever is asked."""

import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from pymongo import MongoClient

from fhir_server.audit.events import Occurrence, audit_event
from fhir_server.fhir.json import Resource, encode
from fhir_server.search.grant import Grant, Stamp
from fhir_server.search.match import matches
from fhir_server.search.parse import parse
from fhir_server.search.query import Query
from fhir_server.store.mongo.audit import told_pages
from fhir_server.store.mongo.audit.events import audit_document, insert, record_with
from fhir_server.store.mongo.audit.kinds import AUDIT_KINDS
from fhir_server.store.mongo.audit.told_pages import ToldPages
from fhir_server.store.mongo.connection import Connection
from fhir_server.store.mongo.documents import NAMED, current_document
from fhir_server.store.mongo.indexing.indexes import ensure_indexes
from fhir_server.store.mongo.indexing.renewing import _indexed
from fhir_server.store.mongo.search import searching
from fhir_server.store.mongo.search.asked import asked_filter
from fhir_server.store.mongo.search.explaining import explained
from fhir_server.store.mongo.search.going_through import linked
from fhir_server.store.values import Stored
from tests.store.search_questions import BASE_URL, often
from tests.store.test_audit_kinds import clean

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
KEPT = [Grant("read", plans=("p",))]
PERSON = "Patient/1"
PEOPLE = {f"Task/{n}": PERSON for n in range(8)} | {f"Goal/{n}": PERSON for n in range(3)} | {"Task/9": "Patient/2"}
pages = st.lists(st.sampled_from([*sorted(PEOPLE.keys() - {"Task/9"}), PERSON]), min_size=1, max_size=8, unique=True)
ASKED = [
    "entity=Task/1",
    "entity=Task/1,Goal/2",
    "entity=Task/9",
    "entity=Task/404",
    "entity=Patient/1",
    "entity:Task=1",
    "entity=1",
    "entity=Task/1/_history/1",
    "entity:missing=true",
    "patient=Patient/1",
    "_filter=entity eq Task/1",
    "_filter=entity ne Task/1",
    "_filter=not (entity eq Task/1 or entity eq Goal/1)",
    "_filter=entity eq Task/1 and subtype eq search-type",
    "_filter=entity pr true",
]


@pytest.fixture(scope="module")
def connection(mongo_url: str, mongo_client: MongoClient[dict[str, Any]]) -> Iterator[Connection]:
    """A database of these tests alone, with the resources that the pages name."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    made = Connection(mongo_url, name)
    ensure_indexes(made.database, ["AuditEvent", "Task", "Goal", "Patient"])
    for reference, person in {**PEOPLE, PERSON: PERSON}.items():
        type_name, _, id = reference.partition("/")
        body = encode({"resourceType": type_name, "id": id})
        stored = Stored(type_name, id, 1, NOON, body, Stamp(patient=person, plans=("p",)))
        made.database[type_name].insert_one(current_document(stored))
    yield made
    made.close()
    mongo_client.drop_database(name)


@pytest.fixture
def empty(connection: Connection) -> Connection:
    return clean(connection)


def told(number: int, page: Sequence[str]) -> Resource:
    """The AuditEvent of a search that showed a page about one person."""
    shown = Occurrence("search-type", page, PERSON, query="Task?code=x", reason="its grants")
    return audit_event(f"e{number}", NOON + timedelta(seconds=number), None, shown)


def keep(connection: Connection, events: Sequence[tuple[Resource, Sequence[str]]]) -> None:
    """As the process that told them carries them on."""
    ready, stamp = ToldPages(), Stamp(patient=PERSON, plans=("p",))
    records = []
    for each, page in events:
        body = encode(each)
        records.append(record_with(body, stamp))
        ready.keep(records[-1], each, body, stamp, page)
    if records:
        insert(connection, records, 10, ready.formed)


def asked_for(*questions: str) -> Query:
    parameters = [(name, value) for name, _, value in (each.partition("=") for each in questions)]
    return parse("AuditEvent", parameters, base_url=BASE_URL, moment=NOON)


def found(connection: Connection, *questions: str) -> list[str]:
    query = asked_for(*questions)
    page = searching.search(connection.database, query, KEPT, NOON, secret=b"s", grants_for=lambda _: KEPT)
    return [each.reference for each in (*page.matches, *page.included)]


def kept_as_pages(connection: Connection) -> int:
    return connection.database["AuditEvent"].count_documents({NAMED: {"$exists": True}})


@often
@given(data=st.data())
def test_the_database_and_the_memory_agree_on_events_of_pages(connection: Connection, data: st.DataObject) -> None:
    """Some as this process carries them on, others with all their terms."""
    drawn = data.draw(st.lists(pages, min_size=1, max_size=6))
    events = [(told(number, page), page) for number, page in enumerate(drawn)]
    plain = data.draw(st.sets(st.integers(0, 5)))
    keep(clean(connection), [each for number, each in enumerate(events) if number not in plain])
    for number in plain & set(range(len(events))):
        connection.database["AuditEvent"].insert_one(audit_document(events[number][0], Stamp(patient=PERSON)))
    event("a page" if kept_as_pages(connection) else "no page")
    for question in data.draw(st.lists(st.sampled_from(ASKED), min_size=1, max_size=6)):
        query = asked_for(question)
        documents = connection.database["AuditEvent"].find(asked_filter(connection.database, query, None))
        in_memory = {each["id"] for each, _ in events if matches(query, each)}
        assert {each["_id"] for each in documents} == in_memory, question


def test_a_page_about_one_person_has_one_term_for_each_type(empty: Connection) -> None:
    page = [*(f"Task/{n}" for n in range(6)), "Goal/1"]
    keep(empty, [(told(1, page), page)])

    [document] = empty.database["AuditEvent"].find()
    assert document[NAMED] == page
    assert {each for each in document["t"] if "Task" in each or "Goal" in each} == {
        "_shown=Patient/1/Task",
        "_shown=Patient/1/Goal",
    }
    assert found(empty, "entity=Task/5") == ["AuditEvent/e1"]
    assert found(empty, "entity=Task/7") == []


def test_a_few_names_have_a_term_each(empty: Connection) -> None:
    page = [f"Task/{n}" for n in range(told_pages.LEAST - 1)]
    keep(empty, [(told(1, page), page)])

    [document] = empty.database["AuditEvent"].find()
    assert NAMED not in document
    assert {f"entity={each}" for each in page} < set(document["t"])


def test_what_is_kept_of_a_page_is_otherwise_the_document_of_any_event(empty: Connection) -> None:
    page = [*(f"Task/{n}" for n in range(6)), PERSON]
    one = told(1, page)
    keep(empty, [(one, page)])

    [document] = empty.database["AuditEvent"].find()
    [kind] = empty.database[AUDIT_KINDS].find()
    general = audit_document(one, Stamp(patient=PERSON, plans=("p",)))
    named = {f"entity={each}" for each in document.pop(NAMED)}
    terms = {each for each in document.pop("t") if not each.startswith("_shown=")}
    assert terms - {kind["_id"]} | set(kind["t"]) | named == set(general.pop("t"))
    stored = empty.database["other"]
    stored.insert_one(general)
    assert document == {name: value for name, value in (stored.find_one_and_delete({}) or {}).items()}


def test_what_a_page_names_is_included_and_leads_to_it(empty: Connection) -> None:
    page = [f"Task/{n}" for n in range(5)]
    keep(empty, [(told(1, page), page), (told(2, ["Task/7"]), ["Task/7"])])

    brought = found(empty, "_id=e1", "_include=AuditEvent:entity")
    query = parse("Task", [("_id", "3"), ("_revinclude", "AuditEvent:entity")], base_url=BASE_URL, moment=NOON)
    led = searching.search(empty.database, query, KEPT, NOON, secret=b"s", grants_for=lambda _: KEPT)
    through = linked(empty.database, asked_for("subtype=search-type"), KEPT, NOON, parameter="entity", limit=50)

    assert set(brought) == {"AuditEvent/e1", *page, PERSON}
    assert [each.reference for each in led.included] == ["AuditEvent/e1"]
    assert set(through) == {*page, "Task/7", PERSON}


@pytest.mark.parametrize("sort", ["entity", "-entity"])
def test_an_order_by_names_is_that_of_the_terms(empty: Connection, sort: str) -> None:
    drawn = [[f"Task/{(n + at) % 8}" for n in range(4)] for at in range(6)]
    events = [(told(number, page), page) for number, page in enumerate(drawn)]
    for each, _ in events:
        empty.database["AuditEvent"].insert_one(audit_document(each, Stamp(plans=("p",))))
    expected = found(empty, f"_sort={sort}")
    keep(clean(empty), events)

    assert kept_as_pages(empty) == 6
    assert found(empty, f"_sort={sort}") == expected


def test_a_name_is_found_in_the_order_of_an_index(empty: Connection) -> None:
    page = [f"Task/{n}" for n in range(6)]
    keep(empty, [(told(number, page), page) for number in range(200)])

    [plan] = explained(empty.database, [(asked_for("entity=Task/3", "_count=10"), KEPT)], NOON)

    assert plan.returned == 11
    assert "COLLSCAN" not in plan.plan
    assert '"SORT"' not in plan.plan
    assert plan.keys <= 60


def test_an_event_that_is_indexed_anew_has_its_own_terms(empty: Connection) -> None:
    page = [f"Task/{n}" for n in range(6)]
    keep(empty, [(told(1, page), page)])
    collection = empty.database["AuditEvent"]
    [document] = collection.find()

    collection.bulk_write([_indexed("AuditEvent", document)])

    [anew] = collection.find()
    assert NAMED not in anew
    assert "entity=Task/5" in anew["t"]
    assert found(empty, "entity=Task/5") == ["AuditEvent/e1"]


def test_only_so_many_pages_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told_pages, "MOST_PAGES", 2)
    ready, stamp, page = ToldPages(), Stamp(patient=PERSON), [f"Task/{n}" for n in range(6)]
    bodies = [encode(told(number, page)) for number in range(3)]
    records = [record_with(body, stamp) for body in bodies]
    for number, (record, body) in enumerate(zip(records, bodies, strict=True)):
        ready.keep(record, told(number, page), body, stamp, page)

    assert [bool(made.named) for made in map(ready.formed, records) if made] == [False, True, True]
