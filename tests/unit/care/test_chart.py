"""A plan with its workflow, as whoever acts now has to take it."""

from als_case import CMO, HOSP, PERSON, als, at, directory, history, opened, task

from fhir_server.care.care_team import REMOVE, CustodianAction
from fhir_server.care.chart import Situation

STEPS = (*opened(), *history(task(), task(status="accepted"), minutes=(5, 30)))


def situation() -> Situation:
    return Situation(
        plan={"resourceType": "CarePlan", "id": "plan"},
        team={"resourceType": "CareTeam", "id": "team"},
        programme=als(),
        author=HOSP,
        custodian=CMO,
        subject=PERSON,
        started=at(10),
        directory=directory,
        moves=STEPS,
        custodian_actions=(CustodianAction(HOSP, REMOVE, at(35)),),
    )


def test_nothing_that_was_done_lies_ahead_of_whoever_acts() -> None:
    told = situation().happened(at(7))

    assert max(move.at for move in told.moves) == told.started == told.custodian_actions[0].at == at(7)
    assert [move.to_status for move in told.moves] == [move.to_status for move in STEPS]


def test_where_nothing_lies_ahead_the_situation_stays_as_it_is() -> None:
    told = situation()

    assert told.happened(at(35)) is told
