"""Words in the database: found by their index, never from a part of the documents; gathered of older ones."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.database import Database

from fhir_server.fhir.errors import Unavailable
from fhir_server.fhir.json import encode
from fhir_server.search.grant import Grant, Stamp
from fhir_server.search.match import matches
from fhir_server.search.parse import parse
from fhir_server.search.query import Query
from fhir_server.store.mongo.documents import current_document
from fhir_server.store.mongo.indexing.full_text import gather_words
from fhir_server.store.mongo.search.queries import query_filter
from fhir_server.store.mongo.store import MongoStore
from fhir_server.store.values import Stored
from tests.store.search_questions import MOMENT, often

EVERYONE = [Grant("open", everyone=True)]
TYPES = ["CarePlan", "Communication", "Task"]
KEPT = frozenset({"CarePlan", "Communication"})
VersionOf = Callable[..., Stored]


def asked(type_name: str, parameter: str, text: str) -> Query:
    return parse(type_name, [(parameter, text)], base_url="", full_text=KEPT)


def found(store: MongoStore, type_name: str, parameter: str, text: str) -> set[str]:
    return {each.id for each in store.search(asked(type_name, parameter, text), EVERYONE, MOMENT).matches}


def test_what_is_written_is_found_by_its_words_until_it_is_deleted(keeping: MongoStore, version_of: VersionOf) -> None:
    id, word = uuid.uuid4().hex, f"w{uuid.uuid4().hex}"
    saying = {"title": word}
    keeping.transact(lambda tx: tx.save(version_of("CarePlan", id, content=saying, audience="everyone")))
    assert found(keeping, "CarePlan", "_content", word) == {id}
    assert found(keeping, "CarePlan", "_text", word) == set()

    other = {"text": {"div": f"<div><p>{word[:20]}ly</p></div>"}}
    keeping.transact(lambda tx: tx.save(version_of("CarePlan", id, 2, content=other, audience="everyone")))
    assert found(keeping, "CarePlan", "_text", word[:20]) == {id}
    assert found(keeping, "CarePlan", "_content", word) == set()

    keeping.transact(lambda tx: tx.save(version_of("CarePlan", id, 3, deleted=True, audience="everyone")))
    assert found(keeping, "CarePlan", "_text", word[:20]) == set()


def test_a_page_is_one_range_of_the_index(keeping: MongoStore, name: str, mongo_client: MongoClient[Any]) -> None:
    told = mongo_client[name]["CarePlan"].find(query_filter(asked("CarePlan", "_text", "wheel"))).explain()
    assert "COLLSCAN" not in repr(told["queryPlanner"]["winningPlan"])
    phrase = mongo_client[name]["CarePlan"].find(query_filter(asked("CarePlan", "_content", '"wheel ramp"'))).explain()
    assert "COLLSCAN" not in repr(phrase["queryPlanner"]["winningPlan"])
    lacking = mongo_client[name]["CarePlan"].find({"f.words": {"$exists": False}}).limit(1).explain()
    assert "IXSCAN" in repr(lacking["queryPlanner"]["winningPlan"])


def test_while_words_are_missing_nothing_is_answered_and_gathering_mends_it(
    keeping: MongoStore, forgetting: MongoStore, version_of: VersionOf
) -> None:
    word = f"w{uuid.uuid4().hex}"
    ids = {uuid.uuid4().hex for _ in range(5)}
    for id in ids:
        version = version_of("Communication", id, content={"note": [{"text": word}]}, audience="everyone")
        forgetting.transact(lambda tx, version=version: tx.save(version))  # type: ignore[misc]

    with pytest.raises(Unavailable, match="words of the stored Communication resources are still being gathered"):
        found(keeping, "Communication", "_content", word)
    several = [(asked("Communication", "_content", word), EVERYONE), (asked("CarePlan", "_content", word), EVERYONE)]
    with pytest.raises(Unavailable, match="Communication"):
        keeping.search_several(several, MOMENT)
    with pytest.raises(Unavailable, match="Communication"):
        keeping.linked(asked("Communication", "_content", word), EVERYONE, MOMENT, parameter="subject", limit=9)
    keeping.gather(TYPES)

    assert found(keeping, "Communication", "_content", word) == ids
    assert gather_words(keeping._database, KEPT) == 0


def test_what_an_earlier_build_stored_with_words_alone_is_gathered_for_phrases(
    keeping: MongoStore, name: str, mongo_client: MongoClient[Any], version_of: VersionOf
) -> None:
    word = f"w{uuid.uuid4().hex}"
    ids = sorted(uuid.uuid4().hex for _ in range(3))
    for id, text in zip(ids, (f"{word} ramp", f"ramp {word}", "gone"), strict=True):
        saying = {"note": [{"text": text}]}
        keeping.transact(
            lambda tx, id=id, saying=saying: tx.save(
                version_of("Communication", id, content=saying, audience="everyone")
            )  # type: ignore[misc]
        )
    keeping.transact(lambda tx: tx.save(version_of("Communication", ids[2], 2, deleted=True, audience="everyone")))
    stored = mongo_client[name]["Communication"]
    stored.update_many({"_id": {"$in": ids}}, {"$unset": {"f": ""}, "$set": {"w": [f"c={word}", "c=ramp"]}})

    with pytest.raises(Unavailable):
        found(keeping, "Communication", "_content", f'"{word} ramp"')
    keeping.gather(TYPES)

    assert found(keeping, "Communication", "_content", f'"{word} ramp"') == {ids[0]}
    assert found(keeping, "Communication", "_content", f"{word} ramp") == {ids[0], ids[1]}
    assert stored.count_documents({"_id": {"$in": ids}, "w": {"$exists": True}}) == 0


def test_what_an_earlier_build_parted_at_spaces_alone_is_gathered_anew(
    keeping: MongoStore, version_of: VersionOf
) -> None:
    id, word = uuid.uuid4().hex, f"w{uuid.uuid4().hex}"
    version = version_of("Communication", id, content={"note": [{"text": f"pain/{word}"}]}, audience="everyone")
    keeping.transact(lambda tx: tx.save(version))
    stored = keeping._database["Communication"]
    stored.update_one({"_id": id}, {"$set": {"f": {"w": [f"c=pain{word}"]}}})

    with pytest.raises(Unavailable):
        found(keeping, "Communication", "_content", word)
    keeping.gather(TYPES)

    assert found(keeping, "Communication", "_content", word) == {id}
    assert (stored.find_one({"_id": id}) or {})["f"].keys() == {"words", "c"}


def test_pages_and_totals_of_a_phrase_count_no_document_with_its_words_alone(
    keeping: MongoStore, version_of: VersionOf
) -> None:
    word, ids = f"w{uuid.uuid4().hex}", [uuid.uuid4().hex for _ in range(9)]
    for number, id in enumerate(ids):
        saying = {"title": f"a {word} ramp" if number % 2 else f"ramp {word}"}
        keeping.transact(
            lambda tx, id=id, saying=saying: tx.save(version_of("CarePlan", id, content=saying, audience="everyone"))  # type: ignore[misc]
        )
    query = replace(asked("CarePlan", "_content", f'"{word} ramp"'), count=3, total="accurate")

    first = keeping.search(query, EVERYONE, MOMENT)
    second = keeping.search(replace(query, cursor=first.next), EVERYONE, MOMENT)

    assert (first.total, second.next) == (4, None)
    assert {each.id for each in (*first.matches, *second.matches)} == set(ids[1::2])


def test_a_type_without_words_costs_nothing(keeping: MongoStore, version_of: VersionOf) -> None:
    id = uuid.uuid4().hex
    keeping.transact(lambda tx: tx.save(version_of("Task", id, content={"description": "words"})))
    document = keeping._database["Task"].find_one({"_id": id})
    assert document is not None
    assert "f" not in document
    indexes = keeping._database["Task"].index_information().values()
    assert not [each for each in indexes if each["key"][0][0] == "f.words"]


texts = st.lists(st.sampled_from(["wheel", "wheelchair", "Ramp", "café", "cafe", "O'Brien", "x-y"]), max_size=4).map(
    " ".join
)
divs = st.lists(st.one_of(texts, texts.map("<b>{}</b>".format), texts.map("<p>{}</p>".format)), max_size=3).map("".join)
plans = st.fixed_dictionaries(
    {"resourceType": st.just("CarePlan")},
    optional={"text": st.fixed_dictionaries({"div": divs.map("<div>{}</div>".format)}), "title": texts},
)
words = st.sampled_from(["wheel", "wheelc", "ramp", "CAFÉ", "obrien", "x-y", "y", "nothing"])
phrases = st.lists(words, min_size=1, max_size=3).map(" ".join).map('"{}"'.format)
questions = st.recursive(
    words | phrases,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(" ".join),
        st.builds("({} OR {})".format, inner, inner),
        st.builds("{} NOT ({})".format, inner, inner),
    ),
    max_leaves=5,
)


@often
@given(resources=st.lists(plans, max_size=5), parameter=st.sampled_from(["_text", "_content"]), question=questions)
def test_the_database_and_the_memory_agree_on_words(
    database: Database[dict[str, Any]], resources: list[dict[str, Any]], parameter: str, question: str
) -> None:
    collection = database["CarePlan_words"]
    collection.delete_many({})
    for number, resource in enumerate(resources):
        stored = Stored("CarePlan", f"{number}", 1, MOMENT, encode(resource), Stamp())
        collection.insert_one(current_document(stored, full_text=KEPT))
    query = asked("CarePlan", parameter, question)

    in_database = {int(each["_id"]) for each in collection.find(query_filter(query), {"_id": 1})}

    assert in_database == {number for number, each in enumerate(resources) if matches(query, each)}
