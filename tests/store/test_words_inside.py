"""Words of what is contained: alike in database and memory, kept for the types of the setting, gathered of others."""

import uuid
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.database import Database

from fhir_server.fhir.errors import Unavailable
from fhir_server.fhir.json import Resource, encode
from fhir_server.search.contained import inside, way_inside
from fhir_server.search.grant import Grant, Stamp
from fhir_server.search.match import matches
from fhir_server.search.parse import parse
from fhir_server.search.query import Query
from fhir_server.store.mongo.documents import current_document
from fhir_server.store.mongo.search.queries import query_filter
from fhir_server.store.mongo.store import MongoStore
from fhir_server.store.values import Stored
from tests.store.search_questions import MOMENT, often
from tests.store.test_full_text import VersionOf, divs, questions, texts
from tests.store.test_search_contained import container_query, within

EVERYONE = [Grant("open", everyone=True)]
TYPES = ["CarePlan", "Task"]
KEPT = frozenset({"CarePlan"})


def asked(*pairs: tuple[str, str]) -> Query:
    """The query of Tasks that contain such a CarePlan."""
    query = parse("CarePlan", [*pairs, ("_contained", "true")], base_url="", full_text=KEPT)
    return container_query([query], "Task", [way_inside(within(inside(query)), None, query)], None)


def holding(*titles: str) -> Resource:
    """What a Task has that contains CarePlans of these titles, each a part of the next."""
    plans = [{"resourceType": "CarePlan", "id": f"p{at}", "title": title} for at, title in enumerate(titles)]
    linked = [{**each, "partOf": [{"reference": f"#p{at + 1}"}]} for at, each in enumerate(plans[:-1])]
    return {"contained": [*linked, plans[-1]], "focus": {"reference": "#p0"}}


def save(store: MongoStore, version_of: VersionOf, id: str, content: Resource) -> None:
    store.transact(lambda tx: tx.save(version_of("Task", id, content=content, audience="everyone")))


def found(store: MongoStore, *pairs: tuple[str, str]) -> list[str]:
    return [each.id for each in store.search_several([(asked(*pairs), EVERYONE)], MOMENT).matches]


plans = st.fixed_dictionaries(
    {"resourceType": st.just("CarePlan")},
    optional={
        "text": st.fixed_dictionaries({"div": divs.map("<div>{}</div>".format)}),
        "title": texts,
        "partOf": st.sampled_from(["#p0", "#p1"]).map(lambda address: [{"reference": address}]),
    },
)


@often
@given(
    held=st.lists(st.lists(plans, min_size=1, max_size=3), min_size=1, max_size=4),
    asks=st.lists(
        st.tuples(st.sampled_from(["_text", "_content", "part-of:CarePlan._content"]), questions),
        min_size=1,
        max_size=2,
    ),
)
def test_the_database_and_the_memory_agree_on_words_of_what_is_contained(
    database: Database[dict[str, Any]], held: list[list[Resource]], asks: list[tuple[str, str]]
) -> None:
    collection = database["Task_words_inside"]
    collection.delete_many({})
    resources = []
    for number, contained in enumerate(held):
        inner = [{**each, "id": f"p{at}"} for at, each in enumerate(contained)]
        resources.append({"resourceType": "Task", "id": f"{number}", "contained": inner})
        stored = Stored("Task", f"{number}", 1, MOMENT, encode(resources[-1]), Stamp())
        collection.insert_one(current_document(stored, full_text=KEPT))
    query = asked(*asks)

    in_database = {each["_id"] for each in collection.find(query_filter(query), {"_id": 1})}

    in_memory = {each["id"] for each in resources if matches(query, each)}
    event("some match" if in_memory else "none matches")
    assert in_database == in_memory


def test_what_was_stored_while_its_type_kept_no_words_is_gathered(
    keeping: MongoStore, forgetting: MongoStore, version_of: VersionOf
) -> None:
    word, ids = f"w{uuid.uuid4().hex}", sorted(uuid.uuid4().hex for _ in range(3))
    save(keeping, version_of, ids[0], holding("x", word))
    assert found(keeping, ("_content", word)) == ids[:1]

    for id in ids[1:]:
        save(forgetting, version_of, id, holding("x", word))
    for asks in (("_content", word), ("_filter", f"not (_text co {word})"), ("part-of:CarePlan._content", word)):
        with pytest.raises(Unavailable, match="words of the stored Task resources are still being gathered"):
            found(keeping, asks)
    assert found(keeping, ("status", "active")) == []
    keeping.gather(TYPES)

    assert found(keeping, ("_content", word)) == ids
    assert found(keeping, ("part-of:CarePlan._content", word)) == ids


def test_no_question_goes_through_what_contains_nothing_of_the_type(
    keeping: MongoStore, name: str, mongo_client: MongoClient[Any], version_of: VersionOf
) -> None:
    for _ in range(20):
        save(keeping, version_of, uuid.uuid4().hex, {"status": "requested"})

    told = mongo_client[name]["Task"].find(query_filter(asked(("_content", "wheel")))).explain()

    assert "COLLSCAN" not in repr(told["queryPlanner"]["winningPlan"])


def test_words_are_kept_of_the_types_of_the_setting_alone(
    keeping: MongoStore, forgetting: MongoStore, name: str, mongo_client: MongoClient[Any], version_of: VersionOf
) -> None:
    ids = [uuid.uuid4().hex for _ in range(2)]
    goal = {"resourceType": "Goal", "id": "g", "description": {"text": "words"}}
    content = {"contained": [{"resourceType": "CarePlan", "id": "p", "title": "words"}, goal]}
    for id, store in zip(ids, (keeping, forgetting), strict=True):
        save(store, version_of, id, content)

    kept, forgotten = (mongo_client[name]["Task"].find_one({"_id": id})["c"] for id in ids)  # type: ignore[index]

    assert [each.get("f", {}).get("words") for each in kept] == [["c=words"], None]
    assert [each.get("f") for each in forgotten] == [None, None]
    keeping.gather(TYPES)
