"""$validate: every finding of a write that is not made."""

import pytest

from fhir_server.fhir.json import Resource
from fhir_server.store.mongo.ledger import ENTRIES
from fhir_server.validation.validator import Validator
from tests.http.resources import own
from tests.minimal import minimal
from tests.world import Case, Party, Reply, World


@pytest.fixture(scope="module")
def hosp(world: World) -> Party:
    return world.hospital()


@pytest.fixture(scope="module")
def home(world: World) -> Party:
    return world.party()


@pytest.fixture(scope="module")
def case(world: World, hosp: Party, home: Party) -> Case:
    return world.case(hosp, home)


def validate(party: Party, place: str, resource: Resource | None = None, mode: str | None = None) -> Reply:
    return party.ask("POST", f"{place}/$validate" + (f"?mode={mode}" if mode else ""), resource)


def errors(reply: Reply) -> list[Resource]:
    """What is found; the outcome is valid and says so when it is nothing."""
    assert reply.status == 200, reply.body
    assert Validator().check(reply.body) == []
    found = [issue for issue in reply.issues if issue["severity"] == "error"]
    assert found or [issue["severity"] for issue in reply.issues] == ["information"]
    return found


def test_every_structural_fault_is_told_with_its_path(hosp: Party) -> None:
    faulty = {"resourceType": "Patient", "birthDate": "1960-13-01", "nme": [], "gender": "x"}

    found = errors(validate(hosp, "Patient", faulty))

    assert {path for issue in found for path in issue["expression"]} == {
        "Patient.birthDate",
        "Patient.nme",
        "Patient.gender",
    }
    assert errors(validate(hosp, "Patient", minimal("Patient"))) == []


def test_a_resource_of_another_type_is_told(hosp: Party) -> None:
    assert [issue["expression"] for issue in errors(validate(hosp, "Task", minimal("Patient")))] == [["resourceType"]]


@pytest.mark.parametrize("type_name", ["Patient", "Observation", "Subscription", "Questionnaire"])
def test_what_a_create_would_take_is_clean_and_is_not_stored(world: World, hosp: Party, type_name: str) -> None:
    resource = own(hosp, type_name)
    before = world.parts.store._connection.database[type_name].count_documents({})

    assert errors(validate(hosp, type_name, resource, "create")) == []

    assert world.parts.store._connection.database[type_name].count_documents({}) == before
    assert hosp.post(resource).status == 201


def test_a_create_is_told_what_access_references_and_workflow_refuse(hosp: Party) -> None:
    nowhere = {**minimal("Observation"), "subject": {"reference": "Patient/never-there"}}

    assert [i["expression"] for i in errors(validate(hosp, "Observation", nowhere))] == []
    found = errors(validate(hosp, "Observation", nowhere, "create"))
    assert ["Observation.subject.reference"] in [issue["expression"] for issue in found]
    [forbidden] = errors(validate(hosp, "Organization", minimal("Organization"), "create"))
    assert forbidden["code"] == "forbidden"


def test_a_move_is_rehearsed_and_not_made(hosp: Party, home: Party, case: Case) -> None:
    task = home.read(case.task)
    plan, team = hosp.read(case.plan), hosp.read(case.team)

    assert errors(validate(home, case.task, {**task, "status": "accepted"}, "update")) == []
    [refused] = errors(validate(home, case.task, {**task, "status": "completed"}, "update"))
    [not_theirs] = errors(validate(hosp, case.task, {**task, "status": "accepted"}, "update"))

    assert refused["expression"] == not_theirs["expression"] == ["Task.status"]
    real = home.put({**task, "status": "completed"})
    assert real.issues == [refused]
    assert (home.read(case.task), hosp.read(case.plan), hosp.read(case.team)) == (task, plan, team)


def test_an_update_on_an_old_version_is_told_so(home: Party, case: Case) -> None:
    task = home.read(case.task)
    stale = {**task, "meta": {**task["meta"], "versionId": "77"}}

    [found] = errors(validate(home, case.task, stale, "update"))
    assert found["details"]["coding"][0]["code"] == "version-stale"
    conditional = home.ask("POST", f"{case.task}/$validate?mode=update", task, If_Match='W/"77"')
    assert errors(conditional) == [found]


def test_a_delete_is_rehearsed_and_not_made(hosp: Party, case: Case) -> None:
    [found] = errors(validate(hosp, case.condition, mode="delete"))
    own_list = hosp.post(own(hosp, "List")).body["id"]

    assert found["code"] == "forbidden"
    assert errors(validate(hosp, f"List/{own_list}", mode="delete")) == []
    assert hosp.get(f"List/{own_list}").status == 200


def test_an_id_that_differs_from_the_address_is_told(hosp: Party, case: Case) -> None:
    [found] = errors(validate(hosp, case.patient, {**hosp.read(case.patient), "id": "another"}))

    assert found["expression"] == ["Patient.id"]


def test_a_parameters_body_asks_the_same(home: Party, case: Case) -> None:
    moved = {**home.read(case.task), "status": "completed"}
    parameters = [{"name": "resource", "resource": moved}, {"name": "mode", "valueCode": "update"}]
    body = {"resourceType": "Parameters", "parameter": parameters}

    assert errors(home.ask("POST", f"{case.task}/$validate", body)) == errors(
        validate(home, case.task, moved, "update")
    )


def test_nobody_is_notified_and_the_audit_keeps_no_write(world: World, hosp: Party, home: Party, case: Case) -> None:
    database = world.parts.store._connection.database
    outbox = database["ledger"].count_documents(ENTRIES)

    assert errors(validate(home, case.task, {**home.read(case.task), "status": "received"}, "update")) == []

    assert database["ledger"].count_documents(ENTRIES) == outbox
    version = f"{case.task}/_history/2".encode()
    assert not any(version in bytes(event["body"]) for event in world.audit().find({"plans": case.plan[9:]}))


def test_hidden_is_told_as_absent(world: World, case: Case) -> None:
    outsider = world.party()
    for mode in ("update", "delete"):
        hidden = validate(outsider, case.task, {"resourceType": "Task", "id": case.task[5:]}, mode)
        absent = validate(outsider, "Task/never-there", {"resourceType": "Task", "id": "never-there"}, mode)
        assert (hidden.status, hidden.raw) == (absent.status, absent.raw)
        assert hidden.status == 404


def test_a_scope_that_is_missing_for_the_write_is_a_finding(world: World, hosp: Party, case: Case) -> None:
    reader = world.party("system/Patient.r", organization=hosp.reference)

    [found] = errors(validate(reader, "Patient", minimal("Patient"), "create"))

    assert found["details"]["coding"][0]["code"] == "scope"
    assert validate(reader, "Task", minimal("Patient")).rules == {"scope"}


@pytest.mark.parametrize(
    ("place", "body"),
    [
        ("Patient/$validate", None),
        ("Patient/$validate?mode=replace", minimal("Patient")),
        ("Patient/$validate?mode=update", minimal("Patient")),
        ("Patient/$validate?mode=delete", None),
        ("Patient/$validate?profile=https://samen.example/p", minimal("Patient")),
        ("Patient/$validate?other=1", minimal("Patient")),
        ("Patient/$validate", {"resourceType": "Parameters", "parameter": [1]}),
        ("Patient/$validate", {"resourceType": "Parameters", "parameter": [{"name": []}]}),
        ("Patient/$validate", {"resourceType": "Parameters", "parameter": [{"name": "mode", "valueCode": "create"}]}),
    ],
)
def test_what_cannot_be_understood_is_refused(hosp: Party, place: str, body: Resource | None) -> None:
    assert hosp.ask("POST", place, body).status == 400


@pytest.mark.parametrize("value", [[], {}, 1, None, "x", [None]])
def test_no_mode_value_breaks_it(hosp: Party, value: object) -> None:
    body = {"resourceType": "Parameters", "parameter": [{"name": "mode", "valueCode": value}, {"name": "resource"}]}

    assert hosp.ask("POST", "Patient/$validate", body).status == 400


@pytest.mark.parametrize("name", ["mode", "profile"])
@pytest.mark.parametrize(
    "said",
    [
        {},
        {"valueCode": None},
        {"_valueCode": {"id": "a"}},
        {"part": [{"name": "mode", "valueCode": "create"}]},
        {"valueCode": "create", "valueString": "update"},
    ],
)
def test_a_parameter_without_its_one_value_is_not_passed_over(hosp: Party, name: str, said: Resource) -> None:
    parameters = [{"name": name, **said}, {"name": "resource", "resource": minimal("Patient")}]

    assert hosp.ask("POST", "Patient/$validate", {"resourceType": "Parameters", "parameter": parameters}).status == 400


R4 = "http://hl7.org/fhir/StructureDefinition"


@pytest.mark.parametrize("named", [f"{R4}/Patient", f"{R4}/Patient|4.0.1"])
def test_r4s_own_profile_of_the_type_is_known(hosp: Party, case: Case, named: str) -> None:
    asked = f"Patient/$validate?profile={named}"

    assert errors(hosp.ask("POST", asked, minimal("Patient"))) == []
    assert errors(hosp.ask("POST", asked, minimal("Patient", gender="x")))
    assert errors(hosp.ask("POST", f"{case.patient}/$validate?mode=profile&profile={named}")) == []


@pytest.mark.parametrize(
    "named", [f"{R4}/Observation", f"{R4}/vitalsigns", f"{R4}/Patient|5.0.0", "https://samen.example/p", "", "Patient"]
)
def test_a_profile_that_is_not_known_is_refused_by_name(hosp: Party, case: Case, named: str) -> None:
    for place in ("Patient/$validate?", f"{case.patient}/$validate?", f"{case.patient}/$validate?mode=profile&"):
        body = None if "mode" in place else minimal("Patient", id=case.patient.partition("/")[2])
        refused = hosp.ask("POST", f"{place}profile={named}", body)

        assert (refused.status, refused.rules) == (400, {"profile"})
        assert f"{R4}/Patient" in refused.issues[0]["diagnostics"]


@pytest.mark.parametrize(
    ("place", "body"),
    [
        ("Patient/$validate?mode=profile", None),
        ("{patient}/$validate?mode=profile", None),
        ("{patient}/$validate?mode=profile", minimal("Patient")),
        ("{patient}/$validate?mode=create", minimal("Patient")),
    ],
)
def test_the_mode_profile_is_of_one_stored_resource(hosp: Party, case: Case, place: str, body: Resource | None) -> None:
    assert hosp.ask("POST", place.format(patient=case.patient), body).status == 400


@pytest.mark.parametrize("place", ["Patient/$validate", "Patient/$validate?mode=create", "{patient}/$validate"])
def test_what_has_no_place_in_xml_is_a_finding_as_in_json(hosp: Party, case: Case, place: str) -> None:
    for inside, path in (("<colour value='red'/>", "Patient"), ("<name><given/></name>", "Patient.name[0].given[0]")):
        body = f'<Patient xmlns="http://hl7.org/fhir">{inside}</Patient>'.encode()
        reply = hosp.ask("POST", place.format(patient=case.patient), body, Content_Type="application/fhir+xml")

        assert [issue["expression"] for issue in errors(reply)] == [[path]]


def test_xml_that_is_not_well_formed_or_of_a_hidden_resource_is_refused(world: World, hosp: Party, case: Case) -> None:
    kind = "application/fhir+xml"
    wrong = b'<Patient xmlns="http://hl7.org/fhir"><colour value="red"/></Patient>'

    assert hosp.ask("POST", "Patient/$validate", b"<Patient", Content_Type=kind).status == 400
    assert hosp.ask("POST", "Patient", wrong, Content_Type=kind).status == 422
    hidden = world.hospital().ask("POST", f"{case.patient}/$validate", wrong, Content_Type=kind)
    assert hidden.status == 404


def test_what_is_stored_and_hidden_is_validated_for_nobody_else(world: World, case: Case) -> None:
    asked = f"$validate?mode=profile&profile={R4}/Patient"

    hidden, absent = (world.hospital().ask("POST", f"{place}/{asked}") for place in (case.patient, "Patient/absent"))

    assert (hidden.status, hidden.raw) == (absent.status, absent.raw)
    assert hidden.status == 404
