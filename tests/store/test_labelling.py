"""What was stored before labels were judged is labelled by the start of a server: current and past versions."""

from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient

from fhir_server.access.labels import JUDGED, label_of
from fhir_server.search.grant import RESTRICTED, VERY_RESTRICTED
from fhir_server.store.mongo.documents import Document
from fhir_server.store.mongo.ledger import beginning
from fhir_server.store.values import Foreseen
from tests.access.circle import made, walk
from tests.access.test_labels import RESTRICTED as R
from tests.access.test_labels import VERY_RESTRICTED as V
from tests.access.test_labels import labelled
from tests.databases import LentDatabases
from tests.http.scenarios.test_a_plans_and_teams import LUC
from tests.world import World, world_apart

BARE = {"display": "a label without system or code"}


class Before:
    """A world with labelled resources, as an earlier version of the server left them."""

    def __init__(self, world: World, database: Any) -> None:
        self.world, self.database = world, database
        self.store = world.parts.store
        hosp, self.home = world.hospital(), world.party()
        self.hosp = hosp
        case = world.case(hosp, self.home, LUC)
        walk(self.home, case.task, "accepted")
        self.plain, self.restricted, self.closed, self.bare = (
            made(hosp, labelled(case, *labels)) for labels in ((), (R,), (V,), (BARE,))
        )
        self.opened = made(hosp, labelled(case, R))
        assert hosp.change(self.opened, meta={"versionId": "1"}).status == 200
        self.forget()

    def forget(self) -> None:
        """Take every label away, in the way of documents that never had one or have an empty one."""
        self.database["labelled"].delete_many({})
        self.database["Observation"].update_many({}, {"$unset": {"label": ""}})
        self.database["ledger"].update_many({"_id": beginning("version")}, {"$set": {"label": None}})

    def labels(self) -> dict[str, str | None]:
        """The label in each stamp, by what it is of."""
        found: list[Document] = [
            *self.database["Observation"].find(),
            *self.database["ledger"].find({"_id": beginning("version")}),
        ]
        own = {each.partition("/")[2] for each in (self.plain, self.restricted, self.closed, self.bare, self.opened)}
        return {each["_id"]: each["label"] for each in found if each.get("label") and _id_of(each) in own}

    def seen(self) -> set[str]:
        """What a member reads of all."""
        everything = (self.plain, self.restricted, self.closed, self.bare, self.opened, f"{self.opened}/_history/1")
        return {each for each in everything if self.home.get(each).status == 200}


def _id_of(document: Document) -> str:
    return str(document["_id"]).removeprefix("version/Observation/").partition("/")[0]


@pytest.fixture(scope="module")
def own_world(mongo_url: str, databases: LentDatabases) -> Iterator[World]:
    """An application on a database of its own."""
    with world_apart(mongo_url, databases) as world:
        yield world


@pytest.fixture
def before(own_world: World, mongo_client: MongoClient[dict[str, Any]]) -> Before:
    """Resources of its own for each test."""
    return Before(own_world, mongo_client[own_world.parts.settings.database])


def test_before_it_answers_a_server_labels_what_is_found_by_its_labels(before: Before) -> None:
    assert len(before.seen()) == 6

    before.store.label(JUDGED, label_of)

    assert before.seen() == {before.plain, before.bare, before.opened, f"{before.opened}/_history/1"}


def test_gathering_labels_every_version_once(before: Before) -> None:
    before.store.gather([], JUDGED, label_of)

    expected = {
        before.restricted.partition("/")[2]: RESTRICTED,
        before.closed.partition("/")[2]: VERY_RESTRICTED,
        before.bare.partition("/")[2]: RESTRICTED,
        f"version/{before.opened}/{1:010d}": RESTRICTED,
    }
    assert before.labels() == expected
    assert before.seen() == {before.plain, before.opened}
    before.database["Observation"].update_many({}, {"$unset": {"label": ""}})
    before.store.gather([], JUDGED, label_of)
    before.store.label(JUDGED, label_of)
    assert before.labels() == {f"version/{before.opened}/{1:010d}": RESTRICTED}, "it is done once"


def test_a_search_finds_by_the_new_labels(before: Before) -> None:
    before.store.label(JUDGED, label_of)

    about = before.home.read(before.plain)["subject"]["reference"]
    plain = before.home.get(f"Observation?patient={about}&_count=100")
    assert {f"Observation/{each['id']}" for each in plain.entries} == {before.plain, before.bare, before.opened}
    assert len(before.hosp.get(f"Observation?patient={about}&_count=100").entries) == 5


@pytest.mark.parametrize("ahead", [False, True])
def test_a_write_that_read_before_the_labelling_starts_again(before: Before, ahead: bool) -> None:
    """Else the version that it makes a past one would keep no label."""
    type_name, _, id = before.restricted.partition("/")
    stored = before.store.read(type_name, id)
    assert stored is not None
    assert stored.stamp.label is None
    attempts = []

    def work(tx: Any) -> None:
        found = tx.read(type_name, id)
        attempts.append(found.stamp.label)
        if len(attempts) == 1:
            before.store.label(JUDGED, label_of)
        body = found.body.replace(b'"mood"', b'"sleep"')
        tx.save(type(found)(type_name, id, 2, found.last_updated, body, found.stamp, method="PUT"))

    before.store.transact(work, Foreseen(frozenset({before.restricted})) if ahead else None)

    assert attempts[0] is None
    assert set(attempts[1:]) == {RESTRICTED}, "and as often as others make it"
    past = before.store.read_version(type_name, id, 1)
    assert past is not None
    assert past.stamp.label == RESTRICTED
