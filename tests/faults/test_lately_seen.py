"""What a write refers to is not read again when it was seen a moment ago; nobody is let in, or kept out, by that."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from fhir_server.fhir.json import Resource
from fhir_server.interactions.second_looks import SecondLooks
from fhir_server.search.grant import Reader
from fhir_server.store.mongo.writing.lately_seen import SECONDS, LatelySeen
from tests.access.circle import TO_THE_END, made, task, walk
from tests.databases import LentDatabases
from tests.minimal import minimal
from tests.world import Case, Party, World, world_apart


@pytest.fixture(scope="module")
def apart(mongo_url: str, databases: LentDatabases) -> Iterator[World]:
    with world_apart(mongo_url, databases) as world:
        yield world


@pytest.fixture(scope="module")
def other(mongo_url: str, apart: World) -> Iterator[World]:
    """Another process on the same database, with a memory of its own."""
    world = World(mongo_url, apart.parts.settings.database)
    yield world
    world.close()


LONGEST_WRITE = 25.0
"""Seconds of an attempt and its commit, as the store is made by default."""


def there(party: Party, world: World) -> Party:
    """The same party, as it speaks to another process."""
    return Party(world.app.test_client(), world.base_path, party.reference, party.token)


def measurement(case: Case, performer: str, **more: Any) -> Resource:
    """An Observation of the case's person for its order."""
    named = {"basedOn": [{"reference": case.order}], "performer": [{"reference": performer}]}
    return minimal("Observation", references={"Patient": case.patient}, subject={"reference": case.patient}, **named)


def asked_by(profiled: Database[dict[str, Any]], write: Callable[[], Any]) -> str:
    """The reading commands that MongoDB got during the write."""
    profiled.command("profile", 2)
    write()
    profiled.command("profile", 0)
    found = list(profiled["system.profile"].find({"op": {"$in": ["query", "command"]}}))
    profiled["system.profile"].drop()
    return str([each["command"] for each in found if {"find", "aggregate"} & each["command"].keys()])


def asked_anew(profiled: Database[dict[str, Any]], write: Callable[[], Any], spared: Sequence[str]) -> str:
    """What MongoDB is asked by such a write, at best of three: one that it lets start again asks for what is spared."""
    for _ in range(2):
        asked = asked_by(profiled, write)
        if not any(each in asked for each in spared):
            return asked
    return asked_by(profiled, write)


def opened(world: World) -> tuple[Party, Party, Case]:
    """A plan with the hospital and the nurses in it, who have written something already."""
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    walk(home, case.task, "received", "accepted")
    made(home, measurement(case, home.reference))
    return hosp, home, case


def test_the_same_references_are_asked_for_once(apart: World, mongo_client: MongoClient[dict[str, Any]]) -> None:
    _, home, case = opened(apart)
    apart.parts.store.settle_audit()
    profiled = mongo_client[apart.parts.settings.database]
    apart.parts.store._transacting._lately_seen = LatelySeen()

    def write() -> str:
        return made(home, measurement(case, home.reference))

    order = case.order.partition("/")[2]
    first, again = asked_by(profiled, write), asked_anew(profiled, write, [order])
    named = [case.patient, case.order, home.reference]
    assert [reference.partition("/")[2] in first for reference in named] == [True, True, True]
    assert [case.patient in again, order in again] == [True, False], "the circles, nothing else"


@pytest.mark.parametrize("through", ["itself", "HealthcareService", "PractitionerRole"])
def test_a_task_in_a_plan_written_lately_asks_only_who_acts_for_whom(
    apart: World, mongo_client: MongoClient[dict[str, Any]], through: str
) -> None:
    hosp, home, case = opened(apart)
    acting = {"HealthcareService": "providedBy", "PractitionerRole": "organization"}.get(through)
    owner = (
        made(apart.operator, minimal(through, **{acting: {"reference": home.reference}})) if acting else home.reference
    )
    asking = {**task(hosp, home, case.patient, case.order), "owner": {"reference": owner}}
    asking["basedOn"] = [{"reference": case.plan}]
    made(hosp, asking)
    apart.parts.store.settle_audit()
    profiled = mongo_client[apart.parts.settings.database]

    spared = [] if acting else [owner.partition("/")[2], "'aggregate': 'ledger'"]
    again = asked_anew(profiled, lambda: made(hosp, asking), spared)

    assert (owner.partition("/")[2] in again) is (acting is not None)
    assert ("'aggregate': 'ledger'" in again) is (acting is not None), "the turns are proved by the write, or read"


def test_a_task_may_not_name_what_this_process_deleted(apart: World) -> None:
    hosp, home, case = opened(apart)
    ward = made(apart.operator, minimal("Organization", name="Ward of a moment"))
    asking = {**task(hosp, home, case.patient, case.order), "basedOn": [{"reference": case.plan}]}
    asking["restriction"] = {"recipient": [{"reference": ward}]}
    named = made(hosp, asking)
    assert hosp.change(named, restriction={"recipient": [{"reference": home.reference}]}).status == 200
    apart.parts.store.settle_audit()
    assert apart.operator.ask("DELETE", ward).status == 204

    refused = hosp.post(asking)

    assert (refused.status, refused.paths) == (422, {"Task.restriction.recipient[0].reference"}), refused.body


def test_who_left_in_another_process_may_not_add_a_moment_later(apart: World, other: World) -> None:
    _, home, case = opened(apart)
    walk(there(home, other), case.task, *TO_THE_END[1:])

    refused = home.post(measurement(case, home.reference))

    assert refused.status == there(home, other).post(measurement(case, home.reference)).status
    assert refused.status in {403, 422}, refused.body


def test_who_came_in_by_another_process_may_add_at_once(apart: World, other: World) -> None:
    """The order is recalled with the readers that it had before the nurses said yes."""
    hosp, home = apart.hospital(), apart.party()
    case = apart.case(hosp, home)
    made(hosp, measurement(case, hosp.reference))
    refused = home.post(measurement(case, home.reference))
    walk(there(home, other), case.task, "received", "accepted")

    added = home.post(measurement(case, home.reference))

    assert (refused.status, added.status) == (422, 201), (refused.body, added.body)


def test_what_this_process_deleted_is_gone_at_once(apart: World) -> None:
    _, home, case = opened(apart)
    ward = made(apart.operator, minimal("Organization", name="Ward of a moment"))
    written = made(home, measurement(case, ward))
    apart.parts.store.settle_audit()
    assert home.change(written, performer=[{"reference": home.reference}]).status == 200
    assert apart.operator.ask("DELETE", ward).status == 204

    refused = home.post(measurement(case, ward))

    assert refused.status == 422
    assert "no such resource" in str(refused.body)


def written_to_what_is_gone(apart: World, other: World, home: Party, case: Case) -> tuple[str, str]:
    """A ward that another process has deleted, and what was written in this one with a reference to it.

    A write that MongoDB lets start again does not recall the ward, and is refused; three in a row are not.
    """
    for _ in range(3):
        ward = made(apart.operator, minimal("Organization", name="Ward of a moment"))
        written = made(home, measurement(case, ward))
        apart.parts.store.settle_audit()
        assert home.change(written, performer=[{"reference": home.reference}]).status == 200
        assert there(apart.operator, other).ask("DELETE", ward).status == 204
        reply = home.post(measurement(case, ward))
        if reply.status == 201:
            return ward, f"Observation/{reply.body['id']}"
    raise AssertionError(reply.body)


def test_what_another_process_deleted_comes_back_when_it_was_recalled(apart: World, other: World) -> None:
    """The second look waits until whoever recalls it has ended."""
    _, home, case = opened(apart)
    ward, again = written_to_what_is_gone(apart, other, home, case)
    moment = 0.0
    looks = SecondLooks(apart.parts.services, lambda: moment)
    looks.look()
    purges = apart.parts.store.purges
    assert purges.longest_write >= SECONDS + LONGEST_WRITE

    moment = purges.longest_write + 1

    assert ward in looks.look()
    assert (home.get(ward).status, home.get(again).status) == (200, 200)


def test_it_is_recalled_for_a_while_only(version_of: Any) -> None:
    moment = 100.0
    seen = LatelySeen(lambda: moment)
    ward = version_of("Location", "1", audience="everyone")
    seen.keep({("Location", "1"): ward}, seen.moment())

    moment += SECONDS - 1
    assert seen.find([("Location", "1"), ("Location", "2")]) == {("Location", "1"): ward}
    moment += 1
    assert seen.find([("Location", "1")]) == {}


def test_what_may_become_another_thing_to_refer_to_is_not_recalled(version_of: Any) -> None:
    seen, reader = LatelySeen(), (Reader("Organization/1"),)
    kept = {
        "in a plan": version_of("ServiceRequest", "1", plans=("1",), readers=reader),
        "in no plan yet": version_of("ServiceRequest", "2", readers=reader),
        "in two plans": version_of("ServiceRequest", "3", plans=("1", "2"), readers=reader),
        "of a chart": version_of("Condition", "4", plans=("1",)),
        "deleted": version_of("Location", "5", 2, deleted=True, audience="everyone"),
        "large": version_of("Location", "6", content={"description": "x" * 9000}, audience="everyone"),
        "a person": version_of("Patient", "7", readers=reader),
    }
    for stored in kept.values():
        seen.keep({(stored.type, stored.id): stored}, seen.moment())

    found = {name for name, stored in kept.items() if seen.find([(stored.type, stored.id)])}

    assert found == {"in a plan", "a person"}
