"""Indexing by a new search parameter is killed, shared and written around; in the end nothing is missing."""

import inspect
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from click.testing import CliRunner, Result
from pymongo.database import Database

from fhir_server.cli import main
from fhir_server.fhir.dates import instant, now
from fhir_server.fhir.json import Resource, encode
from fhir_server.search.grant import Stamp
from fhir_server.store.mongo.connection import Connection
from fhir_server.store.mongo.documents import current_document
from fhir_server.store.mongo.indexing.own_parameters import AGE, SETTLED
from fhir_server.store.mongo.indexing.reindexing import Reindexing
from fhir_server.store.mongo.indexing.renewing import BATCH
from fhir_server.store.mongo.store import MongoStore
from fhir_server.store.mongo.writing.committing import ENDING_SECONDS
from fhir_server.store.values import Stored
from tests.minimal import minimal
from tests.world import Party, World

MANY = 30 * BATCH

# `fhir-server reindex`, killed in its third batch: it is written, and not yet kept how far the pass came.
DYING = """
    import os, signal
    from fhir_server.cli import main
    from fhir_server.store.mongo.indexing.renewing import BATCH
    from fhir_server.store.mongo.indexing.reindexing import Reindexing

    keep = Reindexing._keep

    def dying(self, place):
        if place["done"] > 2 * BATCH:
            os.kill(os.getpid(), signal.SIGKILL)
        return keep(self, place)

    Reindexing._keep = dying
    main()
"""


def store_many(database: Database[dict[str, Any]], party: Party) -> None:
    """Groups of the party, stored before anything is defined."""
    moment = now()
    documents = []
    for number in range(MANY):
        id = f"{number:06}-{uuid.uuid4().hex[:8]}"
        resource = {"resourceType": "Group", "id": id, "meta": {"lastUpdated": instant(moment)}, "name": "Many"}
        resource |= {"type": "person", "actual": True}
        documents.append(
            current_document(Stored("Group", id, 1, moment, encode(resource), Stamp(author=party.reference)))
        )
    database["Group"].insert_many(documents)


def define(world: World) -> Resource:
    """A parameter of the name of Groups."""
    resource = minimal("SearchParameter", status="active", code="called", base=["Group"], expression="Group.name")
    reply = world.operator.post({**resource, "type": "string"})
    assert reply.status == 201, reply.body
    stored: Resource = reply.body
    return stored


def count(world: World, party: Party, asked: str = "called=many") -> int:
    world.parts.store.own.forget()
    reply = party.get(f"Group?{asked}&_summary=count")
    assert reply.status == 200, reply.body
    return int(reply.body["total"])


def test_a_killed_pass_goes_on_where_it_ended_and_misses_nobody_who_writes(
    apart: World, database: Database[dict[str, Any]], indexing: Reindexing
) -> None:
    hosp = apart.hospital()
    store_many(database, hosp)
    define(apart)
    environment = {"SAMEN_MONGODB_URL": apart.parts.settings.mongodb_url, "SAMEN_DATABASE": database.name}

    command = [sys.executable, "-c", textwrap.dedent(DYING), "reindex", "--at-once"]
    killed = subprocess.run(command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL, timeout=180)
    assert killed.returncode == -signal.SIGKILL
    place = database["reindexing"].find_one()
    assert place is not None
    assert place["done"] == 2 * BATCH
    apart.parts.store.own.forget()
    told = hosp.get("Group?called=many")
    assert (told.status, told.rules) == (503, {"not-yet-indexed"})
    assert "is being indexed by it, 0 %" not in told.issues[0]["diagnostics"]

    changing = [each["_id"] for each in database["Group"].find({}, {"_id": 1}).sort("_id", -1).limit(20)]
    with ThreadPoolExecutor(4) as writers:
        steps = indexing.run()
        first = next(steps)
        changed = [writers.submit(hosp.change, f"Group/{id}", name="Changed") for id in changing]
        added = [writers.submit(hosp.post, minimal("Group", name="Many more")) for _ in range(20)]
        rest = list(steps)
        assert {each.result().status for each in changed} == {200}
        assert {each.result().status for each in added} == {201}

    assert place["done"] <= first.done < MANY
    assert rest[-1].done <= first.total == place["total"]
    assert not indexing.waiting()
    assert database["reindexing"].find_one() is None
    assert count(apart, hosp) == MANY
    assert count(apart, hosp, "called=changed") == len(changing)


def test_the_command_shows_how_far_it_is_and_says_when_there_is_nothing_to_do(
    apart: World, database: Database[dict[str, Any]]
) -> None:
    hosp = apart.hospital()
    store_many(database, hosp)
    define(apart)
    environment = {"SAMEN_MONGODB_URL": apart.parts.settings.mongodb_url, "SAMEN_DATABASE": database.name}

    first = CliRunner(env=environment).invoke(main, ["reindex", "--at-once"])
    second = CliRunner(env=environment).invoke(main, ["reindex"])

    assert (first.exit_code, second.exit_code) == (0, 0), first.output
    assert "all is indexed" in first.output
    assert f"/{MANY}" in first.output
    assert second.output == "nothing to index\n"
    assert count(apart, hosp) == MANY


def test_several_at_once_divide_nothing_and_lose_nothing(
    apart: World, database: Database[dict[str, Any]], indexing: Reindexing
) -> None:
    hosp = apart.hospital()
    store_many(database, hosp)
    define(apart)
    connection = Connection(apart.parts.settings.mongodb_url, apart.parts.settings.database)
    other = Reindexing(connection, settled=0.0)

    with ThreadPoolExecutor(2) as workers:
        told = [list(each) for each in workers.map(lambda worker: list(worker.run()), (indexing, other))]
    connection.close()

    assert count(apart, hosp) == MANY
    assert not indexing.waiting()
    # Whoever comes as the other ends may still begin a pass, and find nothing in it.
    assert min(max((step.done for step in each), default=0) for each in told) == 0, "one did it, the other waited"


def test_a_writer_who_does_not_know_yet_is_waited_for(apart: World, mongo_url: str) -> None:
    """Another server writes by what it knew until it looks again; the pass begins when it has."""
    other = World(mongo_url, apart.parts.settings.database)
    connection = Connection(mongo_url, apart.parts.settings.database)
    try:
        other.parts.store.own._age = 600.0  # it does not look again while this lasts, however slow the machine is
        other.parts.store.own.forget()
        hosp = other.hospital()
        assert hosp.post(minimal("Group", name="Many")).status == 201
        define(apart)
        waiting = Reindexing(connection, settled=AGE + 1)
        seen, steps = time.monotonic(), waiting.run()

        told, waited = [next(steps)], 0.0
        statuses = [hosp.post(minimal("Group", name="Many")).status for _ in range(3)]
        for step in steps:
            if told[-1].begins_in:
                waited = time.monotonic() - seen
            told.append(step)
        assert not waiting.waiting()
    finally:
        connection.close()
        other.close()

    assert statuses == [201] * 3
    assert told[0].begins_in
    assert waited > AGE, "it began when the other had to have looked again"
    assert told[-1].total == 4, "the pass took in what was written by the old definition"


def test_all_types_wait_together_for_who_does_not_know_yet(apart: World) -> None:
    hosp = apart.hospital()
    for type_name in ("Group", "List"):
        assert hosp.post(minimal(type_name)).status == 201
    both = minimal("SearchParameter", status="active", code="called", base=["Group", "List"], type="string")
    assert apart.operator.post({**both, "expression": "Group.name | List.title"}).status == 201
    connection = Connection(apart.parts.settings.mongodb_url, apart.parts.settings.database)

    seen = time.monotonic()
    told = list(Reindexing(connection, settled=1.5).run())
    waited = time.monotonic() - seen
    connection.close()

    # Where it took long to ask for the first place, the time is over before it is told of.
    assert {each.type for each in told if each.begins_in} <= {"Group"}
    assert waited >= 1.5
    assert {each.type for each in told if not each.begins_in} == {"Group", "List"}


def test_a_pass_begins_after_the_last_writer_who_does_not_know() -> None:
    """What a process knows may be so old, and what it writes with it is kept so much later at most."""
    writing = inspect.signature(MongoStore).parameters["write_seconds"].default
    assert AGE + writing + ENDING_SECONDS < SETTLED


def test_the_worker_keeps_up(apart: World, database: Database[dict[str, Any]], indexing: Reindexing) -> None:
    hosp = apart.hospital()
    assert hosp.post(minimal("Group", name="Many")).status == 201
    stop = threading.Event()
    worker = threading.Thread(target=indexing.keep_up, args=(stop,), daemon=True)
    worker.start()
    try:
        define(apart)
        until = time.monotonic() + 12 * AGE
        while indexing.waiting() and time.monotonic() < until:
            time.sleep(0.1)
    finally:
        stop.set()
        worker.join(timeout=12 * AGE)

    assert not worker.is_alive()
    assert count(apart, hosp) == 1


def reindexed(world: World) -> Result:
    """What the command says."""
    settings = world.parts.settings
    environment = {"SAMEN_MONGODB_URL": settings.mongodb_url, "SAMEN_DATABASE": settings.database}
    return CliRunner(env=environment).invoke(main, ["reindex", "--at-once"])


def test_what_is_too_large_to_be_indexed_keeps_its_own_type_waiting_alone_and_is_named(
    apart: World, database: Database[dict[str, Any]], indexing: Reindexing
) -> None:
    hosp = apart.hospital()
    words = [{"url": "urn:example:word", "valueString": uuid.uuid4().hex * 30} for _ in range(10_500)]
    large = hosp.post(minimal("Group", name="Many", extension=words))
    assert large.status == 201
    assert hosp.post(minimal("Group", name="Many")).status == 201
    assert hosp.post(minimal("List", title="Many")).status == 201
    define(apart)
    extended = minimal("SearchParameter", status="active", code="worded", base=["Group"], type="string")
    path = "Group.extension.value.as(string)"
    assert apart.operator.post({**extended, "url": "urn:example:worded", "expression": path}).status == 201
    listed = minimal("SearchParameter", status="active", code="titled", base=["List"], type="string")
    assert apart.operator.post({**listed, "url": "urn:example:titled", "expression": "List.title"}).status == 201

    for _ in indexing.run():
        pass

    apart.parts.store.own.forget()
    assert indexing.too_large == {f"Group/{large.body['id']}"}
    assert len(hosp.get("List?titled=many").entries) == 1
    assert hosp.get("Group?called=many").status == 503
    told = reindexed(apart)
    assert (told.exit_code, large.body["id"] in told.output) == (1, True), told.output
    apart.parts.store.own.forget()
    assert hosp.get("Group?called=many").status == 503
    smaller = {**large.body, "extension": words[:3]}
    assert hosp.put(smaller).status == 200
    assert reindexed(apart).exit_code == 0
    assert count(apart, hosp) == 2
