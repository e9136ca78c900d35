"""Contained resources: found in whatever contains them, alike by database and memory, in older documents too."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from pymongo.database import Database

from fhir_server.fhir.errors import MalformedRequest, Unavailable
from fhir_server.search.contained import around, check_contained_query, container_query, inside, itself, way_inside
from fhir_server.search.grant import Grant
from fhir_server.search.join_answers import conditions_of, joined
from fhir_server.search.match import matches
from fhir_server.search.parse import parse
from fhir_server.search.query import AllOf, Condition, Query
from fhir_server.store.mongo.search.queries import query_filter
from fhir_server.store.mongo.store import MongoStore
from fhir_server.store.values import Stored
from tests.store.search_questions import BASE_URL, MOMENT, QUESTIONS, documents, often, tasks

EVERYONE = [Grant("open", everyone=True)]
TYPES = ["Task", "Observation", "List"]
KEPT: frozenset[str] = frozenset()


def asked(type_name: str, pairs: list[tuple[str, str]], how: str = "true") -> Query:
    return parse(type_name, [*pairs, ("_contained", how)], base_url=BASE_URL, moment=MOMENT)


def contained_query(query: Query, type_name: str) -> Query:
    """The query of one type for what contains a match, or for both is one, of a search without chains.

    Referred to by what stands alone, for `_has`, are the resources 0 and 1.
    """
    outside = around(query)
    alone = joined(itself(query), lambda asked, linked: [f"{query.type}/0", f"{query.type}/1"], lambda asked: ())
    ways = [AllOf(conditions_of(alone))] if query.contained == "both" and type_name == query.type else []
    if outside is None or outside.type == type_name:
        ways.append(way_inside(inside(query), outside, query))
    return container_query([query], type_name, ways, None)


makes, asks = QUESTIONS["Observation"]
observations = makes.map(lambda each: {name: value for name, value in each.items() if name != "meta"})
tasks_containing = st.builds(
    lambda task, contained: {**task, "contained": [{**each, "id": f"c{at}"} for at, each in enumerate(contained)]},
    tasks,
    st.lists(observations, max_size=2),
)


@often
@given(resources=st.lists(tasks_containing | tasks, max_size=5), question=asks)
def test_the_database_and_the_memory_agree_on_what_is_contained(
    database: Database[dict[str, Any]], resources: list[dict[str, Any]], question: list[tuple[str, str]]
) -> None:
    collection = database["Task_containing"]
    resources = [{**each, "id": f"{number}"} for number, each in enumerate(resources)]
    collection.delete_many({})
    if resources:
        collection.insert_many(documents(resources))
    query = contained_query(asked("Observation", question), "Task")

    in_database = {each["_id"] for each in collection.find(query_filter(query), {"_id": 1})}

    assert in_database == {each["id"] for each in resources if matches(query, each)}


referred = st.sampled_from(["#c0", "#c1", "#c2", "Observation/1"]).map(lambda address: {"reference": address})
tasks_referring = st.builds(
    lambda task, focus, reason: {**task, "focus": focus, "basedOn": [reason]}, tasks_containing, referred, referred
)


@often
@given(
    resources=st.lists(tasks_referring, max_size=5),
    question=asks,
    by=st.sampled_from([["focus"], ["based-on"], ["focus", "based-on"]]),
)
def test_the_database_and_the_memory_agree_on_what_is_contained_and_referred_to(
    database: Database[dict[str, Any]], resources: list[dict[str, Any]], question: list[tuple[str, str]], by: list[str]
) -> None:
    collection = database["Task_containing"]
    resources = [{**each, "id": f"{number}"} for number, each in enumerate(resources)]
    collection.delete_many({})
    if resources:
        collection.insert_many(documents(resources))
    pairs = [*question, *((f"_has:Task:{each}:status:missing", "false") for each in by)]
    query = contained_query(asked("Observation", pairs), "Task")

    in_database = {each["_id"] for each in collection.find(query_filter(query), {"_id": 1})}

    in_memory = {each["id"] for each in resources if matches(query, each)}
    event("some match" if in_memory else "none matches")
    assert in_database == in_memory


def within(query: Query) -> Query:
    """The query with its chains answered where it is asked of what is contained; nothing that stands alone is found."""

    def inside(type_name: str, asked: Query) -> tuple[Condition, ...]:
        return conditions_of(within(asked))

    return joined(query, lambda asked, linked: [], lambda asked: (), inside)


def chained_query(query: Query) -> Query:
    """The query of Tasks that contain a match of a search with chains."""
    return container_query([query], "Task", [way_inside(within(inside(query)), None, query)], None)


members = st.lists(st.sampled_from(["#c0", "#c1", "#c2", "#c3", "Observation/1"]), max_size=2)
linked_observations = st.builds(
    lambda each, member, derived: {
        **each,
        "hasMember": [{"reference": address} for address in member],
        "derivedFrom": [{"reference": address} for address in derived],
    },
    st.fixed_dictionaries(
        {"resourceType": st.just("Observation"), "status": st.sampled_from(["final", "amended"])},
        optional={
            "code": st.sampled_from(["a", "b"]).map(lambda code: {"coding": [{"code": code}]}),
            "valueString": st.sampled_from(["x", "y"]),
            "subject": st.sampled_from(["#p", "Patient/1"]).map(lambda address: {"reference": address}),
        },
    ),
    members,
    members,
)
SUBJECT = {"resourceType": "Patient", "id": "p", "name": [{"family": "Peeters"}]}
tasks_of_linked = st.builds(
    lambda task, contained: {
        **task,
        "contained": [*({**each, "id": f"c{at}"} for at, each in enumerate(contained)), SUBJECT],
    },
    st.fixed_dictionaries({"resourceType": st.just("Task"), "meta": st.just({"lastUpdated": "2026-02-01T10:00:00Z"})}),
    st.lists(linked_observations, min_size=2, max_size=4),
)
LINKS = ["has-member:Observation", "derived-from:Observation"]
ENDS = [
    ("code", "a"),
    ("code:not", "a"),
    ("status", "final"),
    ("value-string", "x"),
    ("value-string:missing", "true"),
    ("patient.name", "peeters"),
    ("patient:missing", "false"),
]
chains = st.builds(
    lambda links, end: (".".join([*links, end[0]]), end[1]),
    st.lists(st.sampled_from(LINKS), min_size=1, max_size=4),
    st.sampled_from(ENDS),
)
expressions = st.builds(
    str.format,
    st.sampled_from(["{} eq a and {} pr true", "{} eq a or {} pr true", "{} eq a and not ({} pr false)"]),
    st.sampled_from([f"{link}.code" for link in LINKS]),
    st.sampled_from([f"{one}.{two}.value-string" for one in LINKS for two in LINKS]),
)
filtered = st.tuples(st.just("_filter"), expressions)


@often
@given(
    resources=st.lists(tasks_of_linked, min_size=1, max_size=4),
    question=st.lists(chains | filtered | st.sampled_from(ENDS), min_size=1, max_size=3),
)
def test_the_database_and_the_memory_agree_on_chains_within_a_container(
    database: Database[dict[str, Any]], resources: list[dict[str, Any]], question: list[tuple[str, str]]
) -> None:
    collection = database["Task_linked"]
    resources = [{**each, "id": f"{number}"} for number, each in enumerate(resources)]
    collection.delete_many({})
    collection.insert_many(documents(resources))
    query = chained_query(asked("Observation", question))

    in_database = {each["_id"] for each in collection.find(query_filter(query), {"_id": 1})}

    in_memory = {each["id"] for each in resources if matches(query, each)}
    event("some match" if in_memory else "none matches")
    assert in_database == in_memory


def test_of_its_own_type_both_finds_what_matches_and_what_contains_it() -> None:
    inner = {"resourceType": "Observation", "id": "c", "status": "final"}
    outer = {"resourceType": "Observation", "id": "1", "status": "amended", "contained": [inner]}
    pairs = [("status", "final")]
    assert matches(contained_query(asked("Observation", pairs, "both"), "Observation"), outer)
    assert matches(contained_query(asked("Observation", pairs, "both"), "Observation"), inner)
    assert not matches(contained_query(asked("Observation", pairs), "Observation"), inner)
    assert matches(contained_query(asked("Observation", [], "both"), "Observation"), inner)
    assert not matches(contained_query(asked("Observation", []), "Observation"), inner)
    assert not matches(contained_query(asked("Task", pairs), "Observation"), outer)


@pytest.mark.parametrize(
    "pair",
    [
        ("_filter", "active eq true and not (_id eq 1)"),
        ("_filter", "_lastUpdated ge 2026 or active eq true"),
        ("_has:List:subject:code", "1"),
    ],
)
def test_what_cannot_be_asked_of_what_is_contained_is_refused(pair: tuple[str, str]) -> None:
    pairs = [("_has:Observation:patient:code", "1"), ("_contained", "true"), pair]
    with pytest.raises(MalformedRequest, match="contained"):
        check_contained_query(parse("Patient", pairs, base_url=BASE_URL))


def holding(version_of: Callable[..., Stored], id: str, code: str) -> Stored:
    contained = {"resourceType": "Observation", "id": "c", "code": {"coding": [{"code": code}]}}
    return version_of("List", id, content={"contained": [contained]}, audience="everyone")


def found(store: MongoStore, code: str) -> list[str]:
    query = contained_query(asked("Observation", [("code", code)]), "List")
    return [each.id for each in store.search_several([(query, EVERYONE)], MOMENT).matches]


def test_what_an_earlier_version_stored_is_gathered_before_anything_is_answered(
    keeping: MongoStore, version_of: Callable[..., Stored]
) -> None:
    ids, code = sorted(uuid.uuid4().hex for _ in range(3)), uuid.uuid4().hex
    for id in ids:
        keeping.transact(lambda tx, id=id: tx.save(holding(version_of, id, code)))  # type: ignore[misc]
    assert found(keeping, code) == ids

    lists = keeping._database["List"]
    lists.update_many({"_id": ids[0]}, {"$unset": {"c": ""}, "$pull": {"t": "_contains=Observation"}})
    keeping._database["contained_with_keys"].delete_one({"_id": "List"})
    keeping.prepare(TYPES)
    with pytest.raises(Unavailable, match="What the stored List resources contain is still being gathered"):
        found(keeping, code)
    keeping.gather(TYPES)

    assert found(keeping, code) == ids
    assert "IXSCAN" in repr(
        lists.find(query_filter(contained_query(asked("Observation", [("code", code)]), "List"))).explain()
    )


def test_what_contains_nothing_keeps_nothing(keeping: MongoStore, version_of: Callable[..., Stored]) -> None:
    id = uuid.uuid4().hex
    keeping.transact(lambda tx: tx.save(version_of("Task", id, content={"contained": [{"resourceType": "Basic"}]})))
    document = keeping._database["Task"].find_one({"_id": id})
    assert document is not None
    assert "c" not in document
    assert not [each for each in document["t"] if each.startswith("_contains")]


def test_pages_of_contained_resources_hold_each_container_once(
    keeping: MongoStore, version_of: Callable[..., Stored]
) -> None:
    ids, code = sorted(uuid.uuid4().hex for _ in range(5)), uuid.uuid4().hex
    for id in ids:
        keeping.transact(lambda tx, id=id: tx.save(holding(version_of, id, code)))  # type: ignore[misc]
    base, shown, cursor = asked("Observation", [("code", code), ("_count", "2")]), [], None
    while True:
        query = replace(base, cursor=cursor)
        page = keeping.search_several(
            [(contained_query(query, name), EVERYONE) for name in ("Observation", "List", "Task")], MOMENT
        )
        shown += [each.id for each in page.matches]
        cursor = page.next
        if cursor is None:
            break
    assert shown == ids


@pytest.mark.parametrize(("near", "met"), [("51.05|3.72|10|km", True), ("0|0|10|km", False)])
def test_a_contained_place_is_near(database: Database[dict[str, Any]], near: str, met: bool) -> None:
    place = {"resourceType": "Location", "id": "c", "position": {"latitude": 51.05, "longitude": 3.72}}
    task = {
        "resourceType": "Task",
        "id": "1",
        "meta": {"lastUpdated": "2026-02-01T10:00:00.000Z"},
        "contained": [place],
    }
    collection = database["Task_places"]
    collection.delete_many({})
    collection.insert_many(documents([task]))
    query = contained_query(asked("Location", [("near", near)]), "Task")
    assert (collection.find_one(query_filter(query)) is not None) is matches(query, task) is met
