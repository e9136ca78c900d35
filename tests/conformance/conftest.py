"""Who asks, what the server declares, and a plan to ask about."""

import pytest

from fhir_server.fhir.json import Resource
from tests.world import Case, Party, World


@pytest.fixture(scope="module")
def hospital(world: World) -> Party:
    """Who asks."""
    return world.hospital()


@pytest.fixture(scope="module")
def statement(hospital: Party) -> Resource:
    """What the server declares."""
    return hospital.read("metadata")


@pytest.fixture(scope="module")
def case(world: World, hospital: Party) -> Case:
    """A plan of the hospital."""
    return world.case(hospital, world.party())
