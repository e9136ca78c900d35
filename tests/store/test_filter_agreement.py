"""Expressions of `_filter`: the database and the memory answer each of them alike."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.database import Database

from fhir_server.search.match import matches
from fhir_server.search.parse import parse
from fhir_server.store.mongo.search.queries import query_filter
from tests.store.search_questions import (
    BASE_URL,
    DATES,
    MOMENT,
    NUMBERS,
    QUESTIONS,
    UNITS,
    URLS,
    asked_tokens,
    documents,
    ids,
    often,
    texts,
)


@pytest.fixture(scope="module")
def apart(mongo_client: MongoClient[dict[str, Any]]) -> Iterator[Database[dict[str, Any]]]:
    """A database of these tests alone: they ask whole collections."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield mongo_client[name]
    mongo_client.drop_database(name)


OF_TEXTS = ["eq", "ne", "co", "sw", "ew", "gt", "lt", "ge", "le"]
RANGES = ["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]
words = texts.filter(lambda text: any(character.isalnum() for character in text))
units = st.sampled_from(UNITS).filter(lambda unit: "|" not in unit)
amounts = st.sampled_from(NUMBERS)


def quoted(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return values.map(json.dumps)


def compared(names: list[str], operators: list[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds("{} {} {}".format, st.sampled_from(names), st.sampled_from(operators), values)


def present(*names: str) -> st.SearchStrategy[str]:
    return compared(list(names), ["pr"], st.sampled_from(["true", "false"]))


ASKED = {
    "Task": st.one_of(
        compared(["status", "priority"], ["eq", "ne"], st.sampled_from(["requested", "urgent", "accepted"])),
        compared(["identifier", "code", "_tag"], ["eq", "ne"], quoted(asked_tokens)),
        compared(["owner", "focus"], ["eq", "ne", "re"], ids.map("Organization/{}".format)),
        compared(["patient"], ["eq", "re"], ids),
        compared(["due", "period", "authored-on"], [*RANGES, "po"], st.sampled_from(DATES)),
        compared(["_lastUpdated"], RANGES, st.sampled_from(DATES)),
        compared(["_id"], ["eq", "ne"], ids),
        present("due", "owner", "priority", "patient"),
    ),
    "Patient": st.one_of(
        compared(["name", "family", "given", "address-city"], OF_TEXTS, quoted(words)),
        compared(["birthdate", "death-date"], [*RANGES, "po"], st.sampled_from(DATES)),
        compared(["deceased", "active"], ["eq", "ne"], st.sampled_from(["true", "false"])),
        present("name", "deceased", "email"),
    ),
    "Observation": st.one_of(
        compared(["code", "value-concept"], ["eq", "ne"], quoted(asked_tokens)),
        compared(["value-quantity", "combo-value-quantity"], RANGES, amounts),
        compared(["value-quantity"], RANGES, st.builds("{}|http://unitsofmeasure.org|{}".format, amounts, units)),
        compared(["value-string"], OF_TEXTS, quoted(words)),
        present("date", "value-string"),
    ),
    "RiskAssessment": compared(["probability"], RANGES, amounts) | present("probability"),
    "ValueSet": compared(["url", "_profile"], ["eq", "ne"], st.sampled_from(URLS)),
}


def expressions(leaves: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            inner.map("({})".format),
            inner.map("not ({})".format),
            st.builds("{} and {}".format, inner, inner),
            st.builds("{} or {}".format, inner, inner),
        ),
        max_leaves=6,
    )


@pytest.mark.parametrize("type_name", ASKED)
@often
@given(data=st.data())
def test_the_database_and_the_memory_agree_on_every_expression(
    apart: Database[dict[str, Any]], type_name: str, data: st.DataObject
) -> None:
    drawn = data.draw(st.lists(QUESTIONS[type_name][0], max_size=6))
    resources = [{**each, "id": str(position)} for position, each in enumerate(drawn, 1)]
    asked = data.draw(st.lists(expressions(ASKED[type_name]), min_size=1, max_size=6))
    apart[type_name].delete_many({})
    if resources:
        apart[type_name].insert_many(documents(resources))
    for text in asked:
        query = parse(type_name, [("_filter", text)], base_url=BASE_URL, moment=MOMENT)
        in_database = {each["_id"] for each in apart[type_name].find(query_filter(query), {"_id": 1})}
        in_memory = {resource["id"] for resource in resources if matches(query, resource)}
        event("some match" if in_memory else "none matches")
        assert in_database == in_memory, text
