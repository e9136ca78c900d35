"""Whom the tests over HTTP have in common."""

import pytest

from tests.minimal import minimal
from tests.world import Party, World


@pytest.fixture
def hosp(world: World) -> Party:
    """A hospital."""
    return world.hospital()


@pytest.fixture
def patient(hosp: Party) -> str:
    """A Patient of the hospital."""
    return f"Patient/{hosp.post(minimal('Patient')).body['id']}"
