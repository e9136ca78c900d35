"""What only the operator deletes, and somebody refers to at that very moment: the second look brings it back."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from fhir_server.fhir.actor import IMPORT, OPERATE
from fhir_server.interactions.second_looks import REASON, SecondLooks
from fhir_server.store.values import Deletion
from tests.access.circle import made
from tests.faults.test_interleavings import IN_ITS_TURN, stopped
from tests.minimal import minimal
from tests.world import EVERYTHING, Party, World


class Looking:
    """Second looks by a clock that the test turns."""

    def __init__(self, world: World) -> None:
        self.moment = 0.0
        self._looks = SecondLooks(world.parts.services, lambda: self.moment)
        self._longest = world.parts.store.purges.longest_write

    def too_early(self) -> list[str]:
        """A look at what is known since now, and one just before the longest write is over."""
        found = self._looks.look()
        self.moment += self._longest
        return found + self._looks.look()

    def when_over(self) -> list[str]:
        """A look when every write is over that had begun before the first look."""
        self.moment += 1.0
        return self._looks.look()


def place(world: World) -> str:
    """A new Location that the operator may delete; nothing waits in its document that would be taken out meanwhile."""
    resource = minimal("Location", name=f"Ward {uuid4().hex[:8]}")
    reference = made(world.operator, resource)
    world.parts.store.settle_audit()
    return reference


def refers_to(reference: str) -> Callable[[Party], str]:
    """A List of its author with the reference."""
    return lambda party: made(party, minimal("List", entry=[{"item": {"reference": reference}}]))


def waiting(world: World, reference: str) -> list[Deletion]:
    """The deletions of it that are still to be looked at."""
    return [each for each in world.parts.store.deletions() if each.reference == reference]


@pytest.mark.parametrize("first", ["reference", "delete"])
def test_whatever_crosses_a_delete_brings_its_target_back(world: World, first: str) -> None:
    """The one is stopped after it has looked, until the other is kept: neither sees the other."""
    hosp, ward = world.hospital(), place(world)
    before = world.operator.read(ward)

    def delete(party: Party) -> None:
        assert party.ask("DELETE", ward).status == 204

    refer = refers_to(ward)
    if first == "reference":
        late, _ = stopped(world, hosp, IN_ITS_TURN, lambda: delete(world.operator))
        listed = refer(late)
    else:
        listed_in: list[str] = []
        late, _ = stopped(world, world.operator, IN_ITS_TURN, lambda: listed_in.append(refer(hosp)))
        delete(late)
        [listed] = listed_in
    assert (hosp.get(ward).status, hosp.get(listed).status) == (410, 200)

    looking = Looking(world)
    assert ward not in looking.too_early()
    assert hosp.get(ward).status == 410
    assert ward in looking.when_over()

    after = hosp.read(ward)
    assert after["meta"]["versionId"] == "3"
    assert {**after, "meta": None} == {**before, "meta": None}
    assert waiting(world, ward) == []
    assert world.operator.ask("DELETE", ward).status == 409
    told = world.audit().find({"t": f"entity={ward}"})
    reasons = [body for body in (bytes(each["body"]).decode() for each in told) if REASON in body]
    assert len(reasons) == 1
    assert world.operator.reference in reasons[0]


def test_what_nobody_refers_to_stays_deleted(world: World) -> None:
    ward = place(world)
    assert world.operator.ask("DELETE", ward).status == 204
    assert len(waiting(world, ward)) == 1

    looking = Looking(world)

    assert ward not in [*looking.too_early(), *looking.when_over()]
    assert world.operator.get(ward).status == 410
    assert waiting(world, ward) == []


def test_what_is_referred_to_no_more_stays_deleted(world: World) -> None:
    hosp, ward = world.hospital(), place(world)
    late, _ = stopped(world, hosp, IN_ITS_TURN, lambda: world.operator.ask("DELETE", ward))
    listed = refers_to(ward)(late)
    looking = Looking(world)
    looking.too_early()

    assert hosp.ask("DELETE", listed).status == 204

    assert ward not in looking.when_over()
    assert world.operator.get(ward).status == 410


def test_what_was_made_anew_is_left_as_it_is(world: World) -> None:
    hosp, ward = world.hospital(), place(world)
    late, _ = stopped(world, hosp, IN_ITS_TURN, lambda: world.operator.ask("DELETE", ward))
    refers_to(ward)(late)
    looking = Looking(world)
    looking.too_early()

    anew = {**minimal("Location", name="Another ward"), "id": ward.partition("/")[2]}
    assert world.operator.put(anew).status == 201

    assert ward not in looking.when_over()
    assert world.operator.read(ward)["name"] == "Another ward"


def test_two_that_look_bring_it_back_once(world: World) -> None:
    hosp, ward = world.hospital(), place(world)
    late, _ = stopped(world, hosp, IN_ITS_TURN, lambda: world.operator.ask("DELETE", ward))
    refers_to(ward)(late)
    looks = [Looking(world), Looking(world)]
    for each in looks:
        each.too_early()

    assert [ward in each.when_over() for each in looks] == [True, False]
    assert hosp.read(ward)["meta"]["versionId"] == "3"


def test_an_own_search_parameter_that_comes_back_is_searched_by_again(world: World) -> None:
    code = f"p{uuid4().hex[:10]}"
    definition = minimal(
        "SearchParameter",
        url=f"https://example.org/{code}",
        code=code,
        base=["List"],
        type="string",
        expression="List.title",
        status="active",
    )
    own, hosp = made(world.operator, definition), world.hospital()
    late, _ = stopped(world, hosp, IN_ITS_TURN, lambda: world.operator.ask("DELETE", own))
    refers_to(own)(late)
    assert code not in {each.code for each in world.parts.store.transact(lambda tx: tx.own_parameters())}

    looking = Looking(world)
    looking.too_early()

    assert own in looking.when_over()
    assert code in {each.code for each in world.parts.store.transact(lambda tx: tx.own_parameters())}


def test_what_clients_delete_takes_turns_and_is_not_looked_at_again(world: World) -> None:
    hosp = world.party(EVERYTHING, IMPORT, OPERATE)
    group = made(hosp, minimal("Group"))

    assert hosp.ask("DELETE", group).status == 204

    assert waiting(world, group) == []
