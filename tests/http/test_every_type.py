"""Every type that the server stores: what the type table allows works, what it does not is refused."""

import pytest

from fhir_server.access.types import AUTHOR, CLIENTS, NOBODY, PARTIES, TYPES
from tests.http.resources import imported, own
from tests.minimal import minimal
from tests.world import World

STORED = sorted(name for name, rule in TYPES.items() if rule.creates != NOBODY)
# A Task lies in a plan, and the scenarios tell of it.
BY_CLIENTS = sorted(name for name, rule in TYPES.items() if rule.creates == CLIENTS and name != "Task")
NOT_BY_CLIENTS = sorted(name for name, rule in TYPES.items() if rule.creates != CLIENTS)
CHANGED_BY_AUTHOR = sorted(name for name in BY_CLIENTS if TYPES[name].updates == AUTHOR)


@pytest.mark.parametrize("type_name", STORED)
def test_the_operator_writes_and_reads_every_type(world: World, type_name: str) -> None:
    operator = world.operator
    made = operator.post(imported(type_name))
    assert made.status == 201, made.body
    place = f"{type_name}/{made.body['id']}"
    assert made.headers["Location"] == f"{world.parts.services.base_url}/{place}/_history/1"

    assert operator.get(place).raw == operator.get(f"{place}/_history/1").raw == made.raw
    assert [each["id"] for each in operator.get(f"{type_name}?_id={made.body['id']}").entries] == [made.body["id"]]
    changed = operator.put({**made.body, "language": "nl"})
    assert (changed.status, changed.headers["ETag"]) == (200, 'W/"2"')
    assert operator.get(f"{place}/_history/1").raw == made.raw
    assert operator.put({**made.body, "language": "fr"}, If_Match='W/"1"').status == 412
    assert operator.ask("DELETE", place).status == 204
    assert operator.get(place).status == 410
    assert operator.get(f"{type_name}?_id={made.body['id']}").entries == []
    history = operator.get(f"{place}/_history")
    assert [entry["request"]["method"] for entry in history.body["entry"]] == ["DELETE", "PUT", "POST"]
    assert [each["meta"]["versionId"] for each in history.entries] == ["2", "1"]


@pytest.mark.parametrize("type_name", BY_CLIENTS)
def test_clients_create_what_the_table_lets_them(world: World, type_name: str) -> None:
    party = world.hospital()

    made = party.post(own(party, type_name))

    assert made.status == 201, made.body
    assert party.get(f"{type_name}/{made.body['id']}").raw == made.raw


@pytest.mark.parametrize("type_name", NOT_BY_CLIENTS)
def test_clients_do_not_create_what_is_not_theirs(world: World, type_name: str) -> None:
    party = world.hospital()
    patient = f"Patient/{party.post(minimal('Patient')).body['id']}"

    refused = party.post(minimal(type_name, references={"Patient": patient}))

    assert (refused.status, refused.rules) == (403, {"type-access"}), refused.body


@pytest.mark.parametrize("type_name", CHANGED_BY_AUTHOR)
def test_the_author_changes_it_and_others_do_not(world: World, type_name: str) -> None:
    party, other = world.hospital(), world.hospital()
    made = party.post(own(party, type_name)).body
    hidden = other.get(f"{type_name}/{made['id']}").status == 404

    refused = other.put({**made, "language": "nl"})
    changed = party.put({**made, "language": "nl"})

    assert refused.status == (404 if hidden else 403)
    assert changed.status == 200, changed.body
    assert party.read(f"{type_name}/{made['id']}")["language"] == "nl"


@pytest.mark.parametrize("type_name", BY_CLIENTS)
def test_clients_delete_what_the_table_lets_them(world: World, type_name: str) -> None:
    party, other = world.hospital(), world.hospital()
    place = f"{type_name}/{party.post(own(party, type_name)).body['id']}"
    hidden = other.get(place).status == 404

    assert other.ask("DELETE", place).status == (404 if hidden else 403)
    reply = party.ask("DELETE", place)

    if TYPES[type_name].deletes == AUTHOR:
        assert (reply.status, party.get(place).status) == (204, 410)
    else:
        assert (reply.status, reply.rules, party.get(place).status) == (403, {"not-deletable"}, 200)


@pytest.mark.parametrize("type_name", sorted(n for n, rule in TYPES.items() if rule.updates not in {AUTHOR, PARTIES}))
def test_clients_do_not_change_what_is_the_operators(world: World, type_name: str) -> None:
    if TYPES[type_name].creates == NOBODY:
        assert world.hospital().put({**imported(type_name), "id": "any"}).status == 404
        return
    made = world.operator.post(imported(type_name)).body

    reply = world.hospital().put({**made, "language": "nl"})

    assert (reply.status, reply.rules) == (403, {"not-the-author"})
