"""Which plan the entries of a transaction lie in, whatever their order, and which plan they cannot lie in."""

import uuid

import pytest

from tests.access.circle import TO_THE_END, made, order, task, walk
from tests.http.test_bundle_references import places, post, transact
from tests.minimal import minimal
from tests.world import Case, Party, World


@pytest.fixture
def two_plans(world: World, hosp: Party) -> tuple[Case, str]:
    """A plan of the hospital that has ended, and the next one about the same person."""
    home = world.party()
    case = world.case(hosp, home)
    walk(home, case.task, *TO_THE_END)
    assert world.custodian.change(case.plan, status="completed").status == 200
    sent = made(hosp, task(hosp, home, case.patient, made(hosp, order(hosp, case.patient))))
    return case, hosp.read(sent)["basedOn"][0]["reference"]


@pytest.mark.parametrize("turn", [0, 1, 2])
def test_what_leads_to_a_plan_through_other_entries_lies_in_it_wherever_it_stands(
    hosp: Party, two_plans: tuple[Case, str], turn: int
) -> None:
    """An observation made in a procedure, which is part of another, which is part of one in the plan that has ended."""
    case, current = two_plans
    about = {"subject": {"reference": case.patient}}
    visit = made(hosp, minimal("Encounter", **about))
    in_the_past = made(hosp, minimal("Procedure", **about, basedOn=[{"reference": case.plan}]))
    part, whole = (f"urn:uuid:{uuid.uuid4()}" for _ in range(2))
    entries = [
        post(minimal("Observation", **about, partOf=[{"reference": part}])),
        post(minimal("Procedure", **about, partOf=[{"reference": whole}]), part),
        post(minimal("Procedure", **about, partOf=[{"reference": in_the_past}]), whole),
        post(minimal("Observation", **about, encounter={"reference": visit})),
    ]

    written = places(transact(hosp, *entries[turn:], *entries[:turn]))

    def lying_in(plan: str) -> set[str]:
        told = hosp.get(f"{plan}/$everything?_type=Observation,Procedure&_count=500").entries
        return {f"{each['resourceType']}/{each['id']}" for each in told} & set(written)

    apart = written[3 - turn]
    assert lying_in(case.plan) == set(written) - {apart}
    assert lying_in(current) == {apart}


def test_what_leads_to_the_plan_of_another_person_is_refused_at_the_element_that_leads(
    world: World, hosp: Party
) -> None:
    one, other = (world.case(hosp, world.party()) for _ in range(2))
    visit = made(hosp, minimal("Encounter", subject={"reference": other.patient}))
    about = {"subject": {"reference": one.patient}}
    led = {
        "Observation.encounter": minimal("Observation", **about, encounter={"reference": visit}),
        "Procedure.basedOn": minimal("Procedure", **about, basedOn=[{"reference": other.plan}]),
        "Provenance.target": minimal(
            "Provenance",
            target=[{"reference": one.patient}, {"reference": visit}],
            agent=[{"who": {"reference": hosp.reference}}],
        ),
    }

    for path, resource in led.items():
        alone = hosp.post(resource)
        assert (alone.status, alone.paths, alone.rules) == (422, {path}, {"another-person"})
        assert other.plan in alone.issues[0]["diagnostics"]
        element = path.partition(".")[2]
        assert transact(hosp, post(resource)).paths == {f"Bundle.entry[0].resource.{element}"}
