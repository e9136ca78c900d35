"""The first requests of a process come at the same time."""

import sys
import threading
from collections.abc import Iterator

import pytest

from fhir_server.fhir.outcome import Issue
from fhir_server.validation.validator import Validator
from tests.minimal import minimal

THREADS = 8


@pytest.fixture
def eager_switching() -> Iterator[None]:
    """Threads take turns as often as they can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("eager_switching")
def test_threads_that_need_a_type_for_the_first_time_all_get_the_whole_check() -> None:
    right = minimal("Task")
    wrong = {**right, "restriction": {"period": {"end": "no date"}}}
    for _ in range(5):
        validator = Validator()
        together = threading.Barrier(THREADS)
        found: list[tuple[list[Issue], list[Issue]]] = []

        def ask(validator: Validator = validator, together: threading.Barrier = together) -> None:
            together.wait()
            found.append((validator.check(right), validator.check(wrong)))  # noqa: B023 joined before it is bound anew

        threads = [threading.Thread(target=ask) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == THREADS
        assert all(not of_right and len(of_wrong) == 1 for of_right, of_wrong in found)
