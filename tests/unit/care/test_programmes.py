"""Packs say whom a programme takes in; a pack with a mistake is refused with every finding."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from als_case import als, order
from click.testing import CliRunner

from fhir_server import app
from fhir_server.app import programmes_in
from fhir_server.care.care_team import ROLES
from fhir_server.care.programme_documents import UnreadableProgramme, programme_from
from fhir_server.care.programmes import enrols
from fhir_server.care.task_states import PRESETS
from fhir_server.cli import main
from fhir_server.fhir.json import Resource
from fhir_server.shipped import folder, programme_packs

PACKS = programme_packs()
ALS = {"coding": [{"system": "http://snomed.info/sct", "code": "86044005"}]}


def document() -> dict[str, Any]:
    (pack,) = (pack for pack in PACKS if pack.name == "als-be")
    read: dict[str, Any] = json.loads((pack / "programme.json").read_text("utf-8"))
    return read


def condition(code: Resource = ALS, clinical: str | None = "active", verified: str | None = "confirmed") -> Resource:
    stated = {"clinicalStatus": clinical, "verificationStatus": verified}
    statuses = {name: {"coding": [{"code": word}]} for name, word in stated.items() if word}
    return {"resourceType": "Condition", "code": code, **statuses}


def test_an_active_condition_of_the_programme_enrols() -> None:
    assert enrols(als(), [condition()], [])
    assert enrols(als(), [condition(clinical="relapse", verified=None)], [])


@pytest.mark.parametrize(
    "unlike",
    [
        condition({"coding": [{"system": "http://snomed.info/sct", "code": "24700007"}]}),
        condition({"coding": [{"system": "http://other", "code": "86044005"}]}),
        condition({"text": "ALS"}),
        condition(clinical="resolved"),
        condition(clinical=None),
        condition(verified="refuted"),
        condition(verified="entered-in-error"),
    ],
)
def test_no_other_condition_enrols(unlike: Resource) -> None:
    assert not enrols(als(), [unlike], [order()])


def test_the_reason_of_an_order_enrols_unless_the_order_was_withdrawn() -> None:
    assert enrols(als(), [], [order(reasonCode=[{"text": "?"}, ALS])])
    assert not enrols(als(), [], [order(status="revoked", reasonCode=[ALS])])
    assert not enrols(als(), [], [order(status="entered-in-error", reasonCode=[ALS])])


@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: pack.name)
def test_a_pack_is_whole(pack: Any) -> None:
    programme = programme_from(json.loads((pack / "programme.json").read_text("utf-8")))
    definition = json.loads((pack / f"PlanDefinition-{programme.id}.json").read_text("utf-8"))
    package = json.loads((pack / "package.json").read_text("utf-8"))

    assert f"{definition['url']}|{definition['version']}" == programme.versioned
    assert package["version"] == programme.version
    assert programme.task_table in PRESETS
    assert set(programme.roles) == set(ROLES)
    assert set(programme.titles) >= {"nl", "fr", "de", "en"}
    assert all(set(coding.names) >= {"nl", "fr", "de", "en"} for coding in programme.enrolment)
    assert definition["experimental"] is True
    assert "not signed off" in (pack / "README.md").read_text("utf-8").lower()


@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: pack.name)
def test_goals_and_actions_of_a_pack_belong_together_and_are_translated(pack: Any) -> None:
    definition = json.loads((pack / f"PlanDefinition-{pack.name}.json").read_text("utf-8"))
    goals, actions = definition["goal"], definition["action"]
    titled = [definition["_title"], *(g["description"]["_text"] for g in goals), *(a["_title"] for a in actions)]

    assert {goal for action in actions for goal in action["goalId"]} == {goal["id"] for goal in goals}
    for translated in titled:
        languages = [
            part["valueCode"] for e in translated["extension"] for part in e["extension"] if part["url"] == "lang"
        ]
        assert sorted(languages) == ["de", "fr", "nl"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"enrolment": []}, "enrolment"),
        ({"taskTable": "anything"}, "taskTable"),
        ({"roles": {"owner": []}}, "roles"),
        ({"defaultLanguage": "it"}, "titles"),
        ({"consentRequired": None}, "consentRequired"),
        ({"unheard": 1}, "unheard"),
        ({"readAfterEndDays": -1}, "readAfterEndDays"),
        ({"canonical": "als|1"}, "canonical"),
        ({"regions": [{"code": "BE-BRU", "ranges": [[2, 1]]}]}, "ranges"),
        ({"custodianServiceType": {"code": "x"}}, "custodianServiceType"),
        ({"offerDemographics": ["gender", "adress.city"]}, "adress.city"),
        ({"offerDemographics": ["gender.code"]}, "gender.code"),
        ({"offerDemographics": ["text"]}, "text"),
    ],
)
def test_a_pack_with_a_mistake_is_refused_with_its_place(change: dict[str, Any], told: str) -> None:
    with pytest.raises(UnreadableProgramme, match=re.escape(told)):
        programme_from({**document(), **change})


def test_each_mistake_is_told_by_its_path_and_what_would_be_right() -> None:
    whole = document()
    wrong = {
        **whole,
        "enrolment": [{"system": "snomed", "code": ""}, "als"],
        "consentRequired": "perhaps",
        "readAfterEndDays": "soon",
        "taskTable": "any",
        "roles": {**whole["roles"], "owner": [{"system": "urn:x"}]},
        "countries": "BE",
        "regions": [{"code": "Brussels", "ranges": [[1000], 7]}],
        "titles": None,
        "unheard": 1,
    }
    del wrong["version"]

    with pytest.raises(UnreadableProgramme) as refused:
        programme_from(wrong)

    assert sorted(str(refused.value).splitlines()) == sorted(
        (
            "enrolment[0].system: must begin with http://, https:// or urn:, and have no blanks",
            "enrolment[0].code: must not be empty",
            "enrolment[1]: must be an object",
            "consentRequired: must be true or false",
            "readAfterEndDays: must be a whole number",
            f"taskTable: must be one of {', '.join(sorted(PRESETS))}",
            "roles.owner[0].code: must be given",
            "countries: must be a list",
            "regions[0].code: must be a region of ISO 3166-2, such as BE-BRU",
            "regions[0].ranges[0]: must be a list of two numbers, such as [1000, 1299]",
            "regions[0].ranges[1]: must be a list of two numbers, such as [1000, 1299]",
            "titles: must be given, and is null",
            "unheard: there is no such element",
            "version: must be given",
        )
    )
    for no_object in ([], "als"):
        with pytest.raises(UnreadableProgramme, match="the whole: must be an object"):
            programme_from(no_object)  # type: ignore[arg-type]


@pytest.mark.parametrize("command", ["serve", "worker", "check-settings"])
def test_a_command_tells_of_a_pack_with_a_mistake_as_of_a_wrong_setting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    pack = tmp_path / "dementia"
    pack.mkdir()
    (pack / "programme.json").write_text(json.dumps({**document(), "enrolment": [], "unheard": 1}))
    monkeypatch.setattr(app, "programme_packs", lambda: (pack,))

    told = CliRunner().invoke(main, [command], env={"SAMEN_DATA": str(tmp_path)})

    assert told.exit_code == 1
    assert told.stderr.splitlines() == [
        f"Error: {pack / 'programme.json'}: enrolment: must have a code",
        f"{pack / 'programme.json'}: unheard: there is no such element",
    ]


def test_a_folder_that_did_not_travel_is_told() -> None:
    with pytest.raises(FileNotFoundError, match="pictures"):
        folder("pictures")


def test_the_title_follows_the_language_and_falls_back_to_the_packs_own() -> None:
    assert als().title("fr") == "Plan de soins SLA"
    assert als().title("it") == als().title() == "Zorgplan ALS"


def test_a_pack_that_is_not_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "dementia").mkdir()
    (tmp_path / "dementia" / "programme.json").write_text('{"id": "dementia",')

    with pytest.raises(UnreadableProgramme, match=r"dementia/programme\.json is not JSON"):
        programmes_in([tmp_path / "dementia"])


def test_two_packs_of_one_id_are_refused(tmp_path: Path) -> None:
    for name in ("als-be", "copied"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "programme.json").write_text(json.dumps(document()))

    with pytest.raises(UnreadableProgramme, match=r"copied/programme\.json: another folder .*'als-be'"):
        programmes_in([tmp_path / "als-be", tmp_path / "copied"])
