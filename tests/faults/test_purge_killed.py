"""`fhir-server purge` is killed while it waits for writers; the same command ends what it began."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner
from pymongo import MongoClient

from fhir_server.auth.clients import register_client
from fhir_server.cli import main
from fhir_server.demo.referral import Person
from fhir_server.fhir import dates
from fhir_server.fhir.actor import OPERATE
from tests.world import World


@pytest.fixture
def own_world(mongo_url: str, mongo_client: MongoClient[dict[str, Any]], database_name: str) -> Iterator[World]:
    """An application on a database of its own."""
    name = f"{database_name}_pk"
    made = World(mongo_url, name)
    yield made
    made.close()
    mongo_client.drop_database(name)


def test_a_killed_command_is_ended_by_the_same_command(
    own_world: World, mongo_url: str, mongo_client: MongoClient[dict[str, Any]]
) -> None:
    hosp, home = own_world.hospital(), own_world.party()
    family = f"Vermeulen{uuid.uuid4().hex[:8]}"
    case = own_world.case(hosp, home, Person("Lea", family))
    client, _ = register_client(
        own_world.parts.registry, organization="Organization/operator", scopes=(OPERATE,), now=dates.now()
    )
    database = mongo_client[own_world.parts.settings.database]
    environment = {
        "SAMEN_MONGODB_URL": mongo_url,
        "SAMEN_DATABASE": database.name,
        "SAMEN_SECURE_COOKIES": "false",
    }
    given = ["purge", case.patient, "--client", client.id, "--yes"]

    killed = subprocess.Popen([sys.executable, "-m", "fhir_server", *given], env={**os.environ, **environment})
    try:
        until = time.monotonic() + 60
        while database["purges"].find_one({"closed": {"$ne": None}}) is None and killed.poll() is None:
            assert time.monotonic() < until, "the purge never closed the workflow"
            time.sleep(0.02)
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    assert own_world.parts.store.purges.unfinished() == [case.patient]

    result = CliRunner(env=environment).invoke(main, given)

    assert result.exit_code == 0, result.output
    assert f"the purge of {case.patient} had begun and was cut off; it goes on" in result.output
    assert "in the audit the person is now Patient/purged-" in result.output
    assert own_world.parts.store.purges.unfinished() == []
    assert hosp.get(case.patient).status == 404
    documents = (each for name in database.list_collection_names() for each in database[name].find())
    assert not [each for each in documents if family in repr(each)]
