"""Resources that another version of the server stored are never found in part: they are indexed first."""

import logging
from typing import Any

import pytest
from click.testing import CliRunner
from pymongo.database import Database

from fhir_server.cli import main
from fhir_server.search.fingerprints import FORM, rows_of
from fhir_server.store.mongo.indexing.reindexing import Progress, Reindexing
from tests.http.test_searching import ids, observation
from tests.minimal import minimal
from tests.world import Party, World


@pytest.fixture
def hosp(apart: World) -> Party:
    """A hospital."""
    return apart.hospital()


@pytest.fixture
def patient(hosp: Party) -> str:
    """A Patient of the hospital."""
    return f"Patient/{hosp.post(minimal('Patient')).body['id']}"


def stored_before(
    database: Database[dict[str, Any]], type_name: str, *codes: str, said: dict[str, Any] | None = None
) -> None:
    """All of a type as a version left it that did not have the parameters; `said` is what it said of the type."""
    rows = {each: mark for each, mark in rows_of(type_name).items() if each not in codes}
    for each in database[type_name].find():
        terms = [term for term in each["t"] if term.partition("=")[0] not in codes]
        database[type_name].update_one({"_id": each["_id"]}, {"$set": {"t": terms, "own": "earlier"}})
    change = {f"types.{type_name}": said or {"form": FORM, "rows": rows, "turn": 0}}
    database["definitions"].update_one({"_id": "shipped"}, {"$set": change, "$inc": {"turn": 1}})


def start(world: World) -> None:
    """A server starts on the database."""
    world.parts.store.prepare(sorted(world.parts.store._type_names))
    world.parts.store.own.forget()


def run(indexing: Reindexing, world: World) -> list[Progress]:
    """All that there is to index is indexed."""
    told = list(indexing.run())
    world.parts.store.own.forget()
    return told


def test_nothing_waits_in_a_database_of_this_version(apart: World, hosp: Party, patient: str) -> None:
    hosp.post(observation(patient))
    start(apart)

    assert hosp.get(f"Observation?patient={patient}&code=a").status == 200
    environment = {
        "SAMEN_MONGODB_URL": apart.parts.settings.mongodb_url,
        "SAMEN_DATABASE": apart.parts.settings.database,
    }
    assert CliRunner(env=environment).invoke(main, ["reindex"]).output == "nothing to index\n"


def test_names_that_were_stored_before_are_heard_when_all_are_indexed(
    apart: World, database: Database[dict[str, Any]], indexing: Reindexing, hosp: Party
) -> None:
    before = hosp.post(minimal("Patient", name=[{"family": "De Smet"}], birthDate="1960-04-05")).body["id"]
    stored_before(database, "Patient", "phonetic", "age")
    start(apart)

    for asked in ("phonetic=desmedt", "age=ge60", "_sort=age", "age:missing=true"):
        assert hosp.get(f"Patient?{asked}").status == 503, asked
    assert ids(hosp.get("Patient?birthdate=1960-04-05")) == [before]
    run(indexing, apart)

    assert ids(hosp.get("Patient?phonetic=desmedt&age=ge60")) == [before]


def test_a_parameter_that_a_later_version_ships_is_searched_by_when_all_is_indexed(
    apart: World,
    database: Database[dict[str, Any]],
    indexing: Reindexing,
    hosp: Party,
    patient: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen = hosp.post(observation(patient)).body["id"]
    stored_before(database, "Observation", "code")
    with caplog.at_level(logging.WARNING):
        start(apart)
    later = hosp.post(observation(patient)).body["id"]

    waiting = (
        "Observation?code=a",
        "Observation?code:missing=true",
        "Observation?_sort=code",
        "Observation?_filter=code eq a",
        "Patient?_has:Observation:patient:code=a",
        "?_type=Observation&code=a",
        f"{patient}/Observation?code=a",
    )
    for asked in waiting:
        reply = hosp.get(asked)
        assert (reply.status, reply.rules) == (503, {"not-yet-indexed"}), (asked, reply.body)
    assert sorted(ids(hosp.get(f"Observation?patient={patient}&status=final"))) == sorted([seen, later])
    assert "code" not in declared(hosp, "Observation")
    assert "Observation (code)" in caplog.text

    assert run(indexing, apart)[-1].total == 1
    assert sorted(ids(hosp.get(f"Observation?patient={patient}&code=a"))) == sorted([seen, later])
    assert "code" in declared(hosp, "Observation")
    assert not indexing.waiting()


def test_a_list_does_not_answer_while_orders_not_to_give_are_not_told_apart(
    apart: World, database: Database[dict[str, Any]], indexing: Reindexing, hosp: Party, patient: str
) -> None:
    ordered = minimal("MedicationRequest", references={"Patient": patient}, status="active", intent="order")
    ordered |= {"subject": {"reference": patient}}
    given = [hosp.post({**ordered, **more}).body["id"] for more in ({}, {"doNotPerform": False})]
    assert hosp.post({**ordered, "doNotPerform": True}).status == 201
    stored_before(database, "MedicationRequest", "do-not-perform")
    start(apart)

    waiting = (
        f"MedicationRequest?patient={patient}&_list=$current-medications",
        f"{patient}/*?_list=$current-medications",
        f"Patient?_id={patient.partition('/')[2]}&_has:MedicationRequest:patient:_list=$current-medications",
    )
    for asked in waiting:
        reply = hosp.get(asked)
        assert (reply.status, reply.rules) == (503, {"not-yet-indexed"}), (asked, reply.body)
    assert hosp.get(f"MedicationStatement?patient={patient}&_list=$current-medications").status == 200
    run(indexing, apart)

    assert sorted(ids(hosp.get(waiting[0]))) == sorted(given)


def declared(party: Party, type_name: str) -> set[str]:
    """The search parameters that /metadata declares for a type."""
    [told] = [each for each in party.get("metadata").body["rest"][0]["resource"] if each["type"] == type_name]
    return {each["name"] for each in told["searchParam"]}


@pytest.mark.parametrize("asked", ["{p}/Observation", "{p}/*", "{p}/*?_type=Observation", "Observation?{p}"])
def test_what_is_about_a_person_is_not_told_in_part(
    apart: World, database: Database[dict[str, Any]], indexing: Reindexing, hosp: Party, patient: str, asked: str
) -> None:
    hosp.post(observation(patient))
    stored_before(database, "Observation", "patient", "subject", "performer")
    start(apart)
    place = asked.replace("{p}", patient) if "?{p}" not in asked else f"Observation?patient={patient}"

    assert hosp.get(place).status == 503
    run(indexing, apart)
    assert hosp.get(place).status == 200


@pytest.mark.parametrize("said", [None, {"form": FORM - 1, "rows": {}, "turn": 0}, {"form": 0, "rows": {}, "turn": 0}])
def test_what_was_kept_in_another_form_or_nobody_knows_how_waits_whole(
    apart: World,
    database: Database[dict[str, Any]],
    indexing: Reindexing,
    hosp: Party,
    patient: str,
    said: dict[str, Any] | None,
) -> None:
    seen = hosp.post(observation(patient)).body["id"]
    if said is None:
        database["definitions"].delete_one({"_id": "shipped"})
    else:
        stored_before(database, "Observation", "code", said=said)
    start(apart)

    assert ids(hosp.get(f"Observation?_id={seen}")) == [seen]
    assert [hosp.get(f"Observation?{each}").status for each in ("code=a", "status=final", "_tag=x")] == [503] * 3
    run(indexing, apart)
    assert ids(hosp.get(f"Observation?patient={patient}&code=a")) == [seen]


def test_an_earlier_version_that_writes_again_takes_the_parameter_away_until_it_is_gone(
    apart: World, database: Database[dict[str, Any]], indexing: Reindexing, hosp: Party, patient: str
) -> None:
    hosp.post(observation(patient))
    kept = database["definitions"].find_one({"_id": "shipped"})
    assert kept is not None

    # It keeps another mark of the same parameter, and one that this version does not have.
    rows = {**kept["types"]["Observation"]["rows"], "code": "another", "colour": "one"}
    stored_before(database, "Observation", "code", said={"form": FORM, "rows": rows, "turn": kept["turn"] + 1})
    apart.parts.store.own.forget()

    assert hosp.get("Observation?code=a").status == 503
    said = database["definitions"].find_one({"_id": "shipped"})
    assert said is not None
    assert {"code", "colour"}.isdisjoint(said["types"]["Observation"]["rows"])
    run(indexing, apart)
    assert len(ids(hosp.get(f"Observation?patient={patient}&code=a"))) == 1


def test_a_pass_does_not_end_while_another_version_writes(
    apart: World, database: Database[dict[str, Any]], indexing: Reindexing, hosp: Party, patient: str
) -> None:
    for _ in range(3):
        hosp.post(observation(patient))
    stored_before(database, "Observation", "code")
    start(apart)

    told = indexing.run()
    next(told)
    stored_before(database, "Observation", "code", said={"form": FORM, "rows": {"code": "another"}, "turn": 10_000})
    list(told)
    apart.parts.store.own.forget()

    assert len(ids(hosp.get(f"Observation?patient={patient}&code=a"))) == 3
    assert database["Observation"].count_documents({"own": "earlier"}) == 0


def test_the_operators_parameters_and_those_that_are_shipped_are_indexed_by_one_pass(
    apart: World, database: Database[dict[str, Any]], indexing: Reindexing, hosp: Party
) -> None:
    listed = hosp.post(minimal("List", title="Handover", note=[{"text": "Ring twice"}])).body["id"]
    code = {"status": "active", "code": "remark", "base": ["List"], "type": "string", "expression": "List.note.text"}
    assert apart.operator.post(minimal("SearchParameter", **code)).status == 201
    stored_before(database, "List", "status")
    start(apart)

    assert {hosp.get(f"List?{each}").status for each in ("remark=ring", "status=current")} == {503}
    run(indexing, apart)
    assert ids(hosp.get("List?remark=ring&title=handover")) == [listed]
    assert hosp.get("List?status=current").status == 200
