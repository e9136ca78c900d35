"""Who refers to a resource and who deletes it at the same moment take turns: the later one sees the earlier."""

import pytest

from tests.access.circle import made
from tests.faults.test_interleavings import BEFORE_ITS_TURN, IN_ITS_TURN, interleaved
from tests.minimal import minimal
from tests.world import Party, Reply, World


def listing(target: str) -> dict[str, object]:
    return minimal("List", entry=[{"item": {"reference": target}}])


@pytest.mark.parametrize("point", [BEFORE_ITS_TURN, IN_ITS_TURN])
@pytest.mark.parametrize("how", ["create", "update", "transaction"])
def test_a_reference_and_a_delete_never_cross(world: World, point: str, how: str) -> None:
    hosp = world.hospital()
    group, before = made(hosp, minimal("Group")), made(hosp, minimal("List"))
    world.parts.store.settle_audit()  # who is late would restart when what waits in the new List was taken out

    def refer(party: Party) -> Reply:
        if how == "create":
            return party.post(listing(group))
        if how == "update":
            return party.put({**listing(group), "id": before.partition("/")[2]})
        request = {"method": "POST", "url": "List"}
        entry = [{"resource": listing(group), "request": request}]
        return party.transact({"resourceType": "Bundle", "type": "transaction", "entry": entry})

    referred, deleted = interleaved(world, point, (hosp, refer), (hosp, lambda party: party.ask("DELETE", group)))

    if point == BEFORE_ITS_TURN:
        assert (referred.status, deleted.status) == (422, 204)
        assert hosp.get(group).status == 410
    else:
        assert (referred.status, deleted.status) == (200 if how != "create" else 201, 409)
        assert hosp.get(group).status == 200
    found = hosp.get(f"List?item={group}").entries
    assert len(found) == (0 if point == BEFORE_ITS_TURN else 1)


@pytest.mark.parametrize("point", [BEFORE_ITS_TURN, IN_ITS_TURN])
def test_a_delete_that_was_begun_sees_the_reference_that_came_first(world: World, point: str) -> None:
    hosp = world.hospital()
    group = made(hosp, minimal("Group"))
    world.parts.store.settle_audit()

    deleted, referred = interleaved(
        world,
        point,
        (hosp, lambda party: party.ask("DELETE", group)),
        (hosp, lambda party: party.post(listing(group))),
    )

    expected = (409, 201) if point == BEFORE_ITS_TURN else (204, 422)
    assert (deleted.status, referred.status) == expected
    assert len(hosp.get(f"List?item={group}").entries) == (1 if point == BEFORE_ITS_TURN else 0)


def test_many_may_refer_to_one_resource_at_once(world: World) -> None:
    hosp = world.hospital()
    group = made(hosp, minimal("Group"))

    replies = interleaved(
        world,
        IN_ITS_TURN,
        (hosp, lambda party: party.post(listing(group))),
        (hosp, lambda party: party.post(listing(group))),
    )

    assert [reply.status for reply in replies] == [201, 201]
    assert hosp.ask("DELETE", group).status == 409
