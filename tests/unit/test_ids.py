"""Ids of new resources: UUIDs that no two share and that sort by their time."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from fhir_server.fhir.ids import new_id

MANY = 20_000


def test_an_id_is_a_uuid_of_version_7() -> None:
    found = uuid.UUID(new_id())

    assert (found.version, found.variant) == (7, uuid.RFC_4122)


def test_an_id_tells_its_millisecond() -> None:
    before = time.time_ns() // 1_000_000
    told = uuid.UUID(new_id()).int >> 80

    assert before <= told <= time.time_ns() // 1_000_000


def test_no_two_ids_are_alike() -> None:
    with ThreadPoolExecutor(4) as threads:
        ids = list(threads.map(lambda _: new_id(), range(MANY)))

    assert len(set(ids)) == MANY


def test_later_ids_sort_after_earlier_ones() -> None:
    first = new_id()
    time.sleep(0.002)

    assert first < new_id()
