"""AuditEvents that name their kind are found as those that hold all their terms, whatever is asked of them."""

import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from pymongo import MongoClient

from fhir_server.audit.events import DONE, FAILED, REFUSED, Occurrence, audit_event
from fhir_server.fhir.actor import Actor
from fhir_server.fhir.json import Resource
from fhir_server.search.grant import Grant, Stamp
from fhir_server.search.match import matches
from fhir_server.search.parse import parse
from fhir_server.search.query import Query
from fhir_server.store.mongo.audit import kinds as audit_kinds
from fhir_server.store.mongo.audit.events import audit_document, insert, record_of
from fhir_server.store.mongo.audit.kinds import AUDIT_KINDS, known_kinds
from fhir_server.store.mongo.connection import Connection
from fhir_server.store.mongo.contained import mark_empty
from fhir_server.store.mongo.indexing.indexes import ensure_indexes
from fhir_server.store.mongo.indexing.renewing import _indexed
from fhir_server.store.mongo.search import searching
from fhir_server.store.mongo.search.asked import asked_filter
from fhir_server.store.mongo.search.explaining import explained
from fhir_server.store.mongo.search.queries import query_filter
from fhir_server.store.mongo.search.several import search_several
from fhir_server.store.values import Page, Stored
from tests.store.search_questions import BASE_URL, often
from tests.store.test_search_contained import contained_query

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)
KEPT = [Grant("read", plans=("p",))]
ACTORS = [Actor("Organization/1"), Actor("Organization/1", "Practitioner/2", frozenset({"nurse"})), None]
occurrences = st.builds(
    Occurrence,
    st.sampled_from(["read", "vread", "search-type", "create", "purge", "Patient-everything"]),
    st.lists(st.sampled_from(["Task/1", "Task/2/_history/1", "Patient/1"]), max_size=3),
    st.sampled_from([None, "Patient/1", "Patient/2"]),
    outcome=st.sampled_from([DONE, REFUSED, FAILED]),
    reason=st.sampled_from([None, "its author"]),
)
ASKED = [
    *(f"outcome={each}" for each in ("0", "4", "8", "0,4", "|8", "9", "urn:x|0")),
    *(f"outcome:not={each}" for each in ("0", "4,8", "9")),
    *(f"action={each}" for each in ("R", "r", "D,U")),
    "subtype=read",
    "subtype=http://hl7.org/fhir/restful-interaction|operation",
    "subtype=http://hl7.org/fhir/restful-interaction|",
    "subtype=|read",
    "subtype:not=read,purge",
    "type=rest",
    "type:not=rest",
    "type:text=restful",
    "type:missing=false",
    "entity-role=1",
    "entity-role:missing=true",
    "entity-role:not=1",
    "agent-role:text=nurse",
    "agent-role:missing=true",
    "entity-name=policy",
    "site:missing=true",
    "patient=Patient/1",
    "patient:missing=true",
    "entity=Task/1",
    "entity=Task/2/_history/1",
    "agent=Organization/1",
    "date=ge2026-05-01T12:00:02Z",
]
EXPRESSIONS = [
    "outcome eq 0",
    "outcome ne 4",
    "subtype eq read",
    "subtype eq purge",
    "action eq R",
    "entity-role pr true",
    "entity re Task/1",
]
expressions = st.recursive(
    st.sampled_from(EXPRESSIONS),
    lambda inner: st.one_of(
        inner.map("not ({})".format),
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
    ),
    max_leaves=5,
)
QUESTIONS = st.one_of(st.sampled_from(ASKED), expressions.map("_filter={}".format))


@pytest.fixture(scope="module")
def connection(mongo_url: str, mongo_client: MongoClient[dict[str, Any]]) -> Iterator[Connection]:
    """A database of these tests alone: they ask the whole collection."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    made = Connection(mongo_url, name)
    ensure_indexes(made.database, ["AuditEvent"])
    yield made
    made.close()
    mongo_client.drop_database(name)


@pytest.fixture
def empty(connection: Connection) -> Connection:
    return clean(connection)


def clean(connection: Connection) -> Connection:
    for name in ("AuditEvent", AUDIT_KINDS):
        connection.database[name].delete_many({})
    return connection


def told(number: int, occurrence: Occurrence, actor: Actor | None = None) -> Resource:
    return audit_event(f"e{number}", NOON + timedelta(seconds=number), actor, occurrence)


def keep(connection: Connection, events: Sequence[Resource]) -> None:
    """As the journal brings them."""
    if events:
        insert(connection, [record_of(each, Stamp(plans=("p",))) for each in events], 10)


def asked_for(*questions: str, sort: str | None = None) -> Query:
    parameters = [(name, value) for name, _, value in (each.partition("=") for each in questions)]
    return parse(
        "AuditEvent",
        [*parameters, *([("_sort", sort)] if sort else [])],
        base_url=BASE_URL,
        moment=NOON,
    )


def found(connection: Connection, query: Query) -> list[str]:
    page = searching.search(connection.database, query, KEPT, NOON, secret=b"s")
    return [each.id for each in page.matches]


def in_memory(events: Sequence[Resource], query: Query) -> set[str]:
    return {each["id"] for each in events if matches(query, each)}


@often
@given(data=st.data())
def test_the_database_and_the_memory_agree_on_events_that_name_their_kind(
    connection: Connection, data: st.DataObject
) -> None:
    """Some as the journal brings them, others with all their terms, as an earlier build kept them."""
    drawn = data.draw(st.lists(st.tuples(occurrences, st.sampled_from(ACTORS)), min_size=1, max_size=8))
    events = [told(number, *each) for number, each in enumerate(drawn)]
    plain = data.draw(st.sets(st.integers(0, 7)))
    keep(clean(connection), [each for number, each in enumerate(events) if number not in plain])
    for number in plain & set(range(len(events))):
        connection.database["AuditEvent"].insert_one(audit_document(events[number], Stamp()))
    for question in data.draw(st.lists(QUESTIONS, min_size=1, max_size=6)):
        query = asked_for(question)
        documents = connection.database["AuditEvent"].find(asked_filter(connection.database, query, None))
        in_database = {each["_id"] for each in documents}
        event("some match" if in_database else "none matches")
        assert in_database == in_memory(events, query), question


def test_what_is_alike_is_kept_once_for_each_kind(empty: Connection) -> None:
    keep(empty, [told(number, Occurrence("read", [f"Task/{number}"])) for number in range(30)])
    keep(empty, [told(30, Occurrence("read", ["Task/1"], outcome=REFUSED))])

    kinds = {each["_id"]: each["t"] for each in empty.database[AUDIT_KINDS].find()}
    assert sorted("outcome=|0" in terms for terms in kinds.values()) == [False, True]
    for document in empty.database["AuditEvent"].find():
        named = [each for each in document["t"] if each in kinds]
        assert len(named) == 1
        assert [each for each in document["t"] if each.startswith("outcome=")] == []
    assert len(found(empty, asked_for("outcome=0"))) == 30
    assert found(empty, asked_for("outcome=4")) == ["e30"]


def test_a_kind_is_there_before_its_first_event(empty: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever dies between has left a kind without events, never events without their kind."""

    class Dies(Exception):
        pass

    told_of = told(1, Occurrence("read", ["Task/1"]))
    keep_kinds = audit_kinds.kept_kinds

    def kept_then_dead(connection: Connection, kinds: Any) -> frozenset[str]:
        kept = keep_kinds(connection, kinds)
        if connection is empty:  # a server of other tests in this process may be keeping its own audit meanwhile
            raise Dies
        return kept

    monkeypatch.setattr("fhir_server.store.mongo.audit.events.kept_kinds", kept_then_dead)
    with pytest.raises(Dies):
        keep(empty, [told_of])

    assert empty.database[AUDIT_KINDS].count_documents({}) == 1
    assert empty.database["AuditEvent"].count_documents({}) == 0


def test_what_another_process_writes_of_a_new_kind_is_found_at_once(
    empty: Connection, mongo_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(empty, [told(1, Occurrence("read", ["Task/1"]))])
    assert found(empty, asked_for("subtype=vread")) == []
    assert found(empty, asked_for("subtype:not=read")) == []

    program = (
        "import sys\n"
        "from tests.store.test_audit_kinds import keep, told, Occurrence, Connection\n"
        "keep(Connection(sys.argv[1], sys.argv[2]), [told(2, Occurrence('vread', ['Task/1']))])\n"
    )
    subprocess.run([sys.executable, "-c", program, mongo_url, empty.database.name], check=True, timeout=60)

    assert found(empty, asked_for("subtype=vread")) == ["e2"]
    assert found(empty, asked_for("subtype:not=read")) == ["e2"]
    assert found(empty, asked_for("subtype:not=vread")) == ["e1"]
    document = empty.database["AuditEvent"].find_one({"_id": "e2"})
    assert document is not None
    assert "subtype=vread" not in document["t"]


@pytest.mark.parametrize("question", ["outcome:not=4", "_filter=not (outcome eq 4)", "_filter=outcome ne 4"])
def test_what_denies_leaves_out_kinds_that_came_after_the_question(empty: Connection, question: str) -> None:
    """Two refusals and a reading: of one refusal the question did not know the kind yet."""
    keep(empty, [told(1, Occurrence("read", ["Task/1"])), told(2, Occurrence("read", ["Task/1"], outcome=REFUSED))])
    kinds = known_kinds(empty.database, None)
    query = asked_for(question)
    asked = kinds.widened(query_filter(query))
    keep(empty, [told(3, Occurrence("vread", ["Task/1"], outcome=REFUSED))])

    assert [each["_id"] for each in empty.database["AuditEvent"].find(asked)] == ["e1"]


def test_several_that_meet_a_new_kind_at_once_all_keep_it(empty: Connection) -> None:
    def meet(number: int) -> None:
        keep(empty, [told(number, Occurrence("read", ["Task/1"])), told(100 + number, Occurrence("create"))])

    with ThreadPoolExecutor(8) as threads:
        for _ in range(10):
            empty.database[AUDIT_KINDS].delete_many({})
            list(threads.map(meet, range(8)))
            assert empty.database[AUDIT_KINDS].count_documents({}) == 2

    assert len(found(empty, asked_for("subtype=read"))) == 8


def test_beyond_so_many_kinds_events_hold_their_terms(empty: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_kinds, "MOST_KINDS", 2)
    for number, code in enumerate(["read", "vread", "create", "delete"]):
        keep(empty, [told(number, Occurrence(code, ["Task/1"]))])

    assert empty.database[AUDIT_KINDS].count_documents({}) == 2
    for number, code in enumerate(["read", "vread", "create", "delete"]):
        assert found(empty, asked_for(f"subtype={code}")) == [f"e{number}"]
        assert len(found(empty, asked_for(f"subtype:not={code}"))) == 3


def test_what_came_twice_is_there_once(empty: Connection) -> None:
    events = [told(1, Occurrence("read", ["Task/1"])), told(2, Occurrence("vread", ["Task/1"]))]
    empty.database["AuditEvent"].insert_one(audit_document(events[0], Stamp(plans=("p",))))  # by an earlier build
    keep(empty, events)
    keep(empty, events)

    assert found(empty, asked_for("outcome=0")) == ["e1", "e2"]


SORTS = ["subtype", "-subtype", "type", "action", "-outcome", "entity-role", "-entity-name", "-date"]


@pytest.mark.parametrize("sort", SORTS)
def test_an_order_by_what_kinds_stand_for_is_that_of_the_terms(empty: Connection, sort: str) -> None:
    codes = ["vread", "read", "delete", "search-type"]
    people = [None, "Patient/1"]
    events = [told(n, Occurrence(code, ["Task/1"], people[n % 2])) for n, code in enumerate(codes)]
    query = asked_for("action=R,D,E", sort=sort)
    for each in events:
        empty.database["AuditEvent"].insert_one(audit_document(each, Stamp(plans=("p",))))
    expected = found(empty, query)
    keep(clean(empty), events)

    assert len(expected) == 4
    assert found(empty, query) == expected
    [plan] = explained(empty.database, [(query, KEPT)], NOON)
    assert plan.returned == 4
    assert "_alike=" in plan.filter


CODES = ["vread", "read", "delete", "search-type", "vread"]


@pytest.mark.parametrize("how", ["a search of several types", "a search with what is contained"])
@pytest.mark.parametrize("sort", ["subtype", "-subtype"])
def test_other_ways_to_ask_find_and_order_them_alike(empty: Connection, how: str, sort: str) -> None:
    """`delete` is left out; the two of one code come by their ids, page by page."""
    mark_empty(empty.database, ["AuditEvent"])
    keep(empty, [told(number, Occurrence(code, ["Task/1"])) for number, code in enumerate(CODES)])

    def page(cursor: str | None) -> Page[Stored]:
        asked = [("action:not", "D"), ("subtype", ",".join(CODES)), ("_sort", sort), ("_count", "2")]
        contained = [("_contained", "both")] if how == "a search with what is contained" else []
        query = parse(
            "AuditEvent",
            [*asked, *contained, *([("_cursor", cursor)] if cursor else [])],
            base_url=BASE_URL,
            moment=NOON,
        )
        query = contained_query(query, "AuditEvent") if contained else query
        return search_several(empty.database, [(query, KEPT)], LATER, secret=b"s")

    first = page(None)
    second = page(first.next)
    order = [match.id for match in (*first.matches, *second.matches)]
    assert second.next is None
    assert order == (["e1", "e3", "e0", "e4"] if sort == "subtype" else ["e4", "e0", "e3", "e1"])


@pytest.mark.parametrize("question", ["outcome=0", "subtype=read", "type=rest", "action=R,E"])
def test_what_many_kinds_stand_for_is_read_in_the_order_of_the_index(empty: Connection, question: str) -> None:
    """Little more is read than a page and where each kind begins, and nothing is sorted."""
    codes = ["read", "vread", "create", "update", "search-type", "history-type", "delete", "Patient-everything"]
    people = [None, "Patient/1"]
    for number in range(20):
        drawn = [Occurrence(code, [f"Task/{number}"], people[number % 2]) for code in codes]
        keep(empty, [told(number * len(codes) + at, each) for at, each in enumerate(drawn)])
    kinds = empty.database[AUDIT_KINDS].count_documents({})
    assert kinds == 2 * len(codes)

    query = replace(asked_for(question), count=5)
    [plan] = explained(empty.database, [(query, KEPT)], NOON)

    assert plan.returned == 6
    assert not {stage for stage in ("COLLSCAN", '"SORT"') if stage in plan.plan}
    assert plan.documents <= 12
    assert plan.keys <= 6 + 2 * kinds


def test_events_are_indexed_anew_with_all_their_terms(empty: Connection) -> None:
    """By what a later version finds in them: nothing of their kind stays."""
    each = told(1, Occurrence("read", ["Task/1"], "Patient/1"))
    keep(empty, [each])
    [document] = empty.database["AuditEvent"].find()

    change = _indexed("AuditEvent", document)
    empty.database["AuditEvent"].bulk_write([change])

    [document] = empty.database["AuditEvent"].find()
    assert sorted(document["t"]) == sorted(audit_document(each, Stamp())["t"])
    assert found(empty, asked_for("subtype=read")) == ["e1"]
