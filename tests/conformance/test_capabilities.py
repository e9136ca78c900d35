"""The CapabilityStatement declares what works, and all of it works."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from fhir_server.access.types import TYPES
from fhir_server.definitions.compartments import patient_compartment
from fhir_server.definitions.operations import OPERATIONS
from fhir_server.definitions.search_parameters import SearchParameter, parameters_of
from fhir_server.fhir.json import Resource
from fhir_server.interactions.addressing import ADDRESSES
from fhir_server.search.elements import EXISTENCE
from fhir_server.search.words import IN_WORDS
from fhir_server.validation.validator import Validator
from tests.http.resources import imported, own
from tests.minimal import minimal
from tests.world import Case, Party, World

ALL = sorted(TYPES)
VALUES = {
    "token": "none",
    "reference": "Patient/none",
    "date": "ge2026-01-01",
    "string": "none",
    "uri": "https://samen.example/fhir/none",
    "number": "1",
    "quantity": "1",
    "special": "51.05|3.72",
}
OF_ALL = {"_filter": quote('_id eq none or not (_lastUpdated lt "2026-01-01")'), "_list": "none"}
# The chain of a plan is only made by a referral; its AuditEvents are read by the plan's custodian.
OF_A_CASE = {"Task": "task", "ServiceRequest": "order", "CarePlan": "plan", "CareTeam": "team", "Consent": "consent"}


def declared(statement: Resource, type_name: str) -> Resource:
    """What the server declares for a type."""
    [found] = [each for each in statement["rest"][0]["resource"] if each["type"] == type_name]
    return dict(found)


def interactions(statement: Resource, type_name: str) -> set[str]:
    """The interactions declared for a type."""
    return {each["code"] for each in declared(statement, type_name)["interaction"]}


def test_the_statement_is_valid(statement: Resource) -> None:
    assert Validator().check({**statement, "id": "statement"}) == []


def test_each_stored_type_is_declared_and_no_other(statement: Resource) -> None:
    assert [each["type"] for each in statement["rest"][0]["resource"]] == ALL


def test_each_address_is_declared(statement: Resource) -> None:
    everywhere = set().union(*(interactions(statement, type_name) for type_name in ALL))
    on_the_system = {each["code"] for each in statement["rest"][0]["interaction"]}

    assert everywhere | on_the_system | {"capabilities"} == (
        {each.interaction for each in ADDRESSES} - set(OPERATIONS) | {"batch"}
    )


def test_each_interaction_has_its_page() -> None:
    pages = {page.stem for page in (Path(__file__).parents[2] / "docs" / "interactions").glob("*.md")}
    interactions = {each.interaction for each in ADDRESSES} - set(OPERATIONS)
    named = {each.partition("-")[0] for each in interactions}

    assert pages - {"README", "conditional"} == named | {"batch"}


def test_each_operation_is_declared_where_it_is_performed_with_its_definition(statement: Resource) -> None:
    """One that changes a resource is declared for the types that clients change."""
    rest = statement["rest"][0]
    on_types = {each["type"]: {o["definition"] for o in each.get("operation", [])} for each in rest["resource"]}
    for address in ADDRESSES:
        operation = OPERATIONS.get(address.interaction)
        if operation is None:
            continue
        if "{type}" not in address.path:
            assert {"name": operation.code, "definition": operation.canonical} in rest["operation"]
            continue
        of = [name for name in ALL if address.is_of(name)]
        having = [name for name in of if not operation.changes or "update" in interactions(statement, name)]
        assert [name for name in ALL if operation.canonical in on_types[name]] == having


def test_each_operation_has_its_page() -> None:
    pages = {page.stem for page in (Path(__file__).parents[2] / "docs" / "operations").glob("*.md")}
    offered = {each.interaction for each in ADDRESSES} & set(OPERATIONS)

    assert pages - {"README"} == {OPERATIONS[name].code for name in offered}


@pytest.mark.parametrize("type_name", ALL)
def test_declared_reading_works(world: World, hospital: Party, case: Case, statement: Resource, type_name: str) -> None:
    party, resource = _readable(world, hospital, case, type_name)
    place = f"{type_name}/{resource['id']}"

    assert {"read", "vread", "history-instance", "search-type"} <= interactions(statement, type_name)
    assert party.read(place)["id"] == resource["id"]
    assert party.read(f"{place}/_history/1")["id"] == resource["id"]
    assert resource["id"] in [each["id"] for each in party.get(f"{place}/_history").entries]
    assert [each["id"] for each in party.get(f"{type_name}?_id={resource['id']}").entries] == [resource["id"]]
    since = f"_since={resource['meta']['lastUpdated']}&_count=500"
    assert resource["id"] in [each["id"] for each in party.get(f"{type_name}/_history?{since}").entries]
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    posted = party.ask("POST", f"{type_name}/_search", f"_id={resource['id']}".encode(), **form)
    assert [each["id"] for each in posted.entries] == [resource["id"]]


@pytest.mark.parametrize("type_name", ALL)
def test_declared_writing_works_and_undeclared_is_refused(
    world: World, hospital: Party, case: Case, statement: Resource, type_name: str
) -> None:
    offered = interactions(statement, type_name)
    if type_name in OF_A_CASE:
        resource = hospital.read(getattr(case, OF_A_CASE[type_name]))
    elif "create" in offered:
        made = hospital.post(own(hospital, type_name))
        assert made.status == 201, made.body
        resource = made.body
    else:
        patient = hospital.post(minimal("Patient")).body["id"]
        refused = hospital.post(minimal(type_name, references={"Patient": f"Patient/{patient}"}))
        assert refused.status == 403, refused.body
        resource = _readable(world, hospital, case, type_name)[1]
    place = f"{type_name}/{resource['id']}"
    changed = resource if type_name in OF_A_CASE else {**resource, "language": "nl"}
    custodian_only = type_name == "AuditEvent"
    writer = world.custodian if type_name == "CareTeam" else hospital

    assert (writer.put(changed).status == 200) is ("update" in offered)
    version = hospital.get(place).headers.get("ETag", 'W/"1"')
    language = [{"op": "test", "path": "/id", "value": resource["id"]}]
    if type_name not in OF_A_CASE:
        assert "update" not in offered or hospital.read(place)["language"] == "nl"
        language.append({"op": "add", "path": "/language", "value": "fr"})
    patched = writer.ask("PATCH", place, language, Content_Type="application/json-patch+json", If_Match=version)
    assert (patched.status == 200) is ("patch" in offered), patched.body
    if "patch" in offered and type_name not in OF_A_CASE:
        assert (hospital.read(place)["language"], hospital.read(f"{place}/_history/2")["language"]) == ("fr", "nl")
    condition = f"{type_name}?_id={resource['id']}"
    current = hospital.read(place) if type_name != "AuditEvent" else changed
    assert (writer.ask("PUT", condition, current).status == 200) is declared(statement, type_name)["conditionalUpdate"]
    deleted = hospital.ask("DELETE", place).status
    assert deleted == (204 if "delete" in offered else 404 if custodian_only else 403)


@pytest.mark.parametrize("type_name", ALL)
def test_declared_search_parameters_work(hospital: Party, statement: Resource, type_name: str) -> None:
    parameters = declared(statement, type_name)["searchParam"]
    assert {"_id", "_lastUpdated"} <= {each["name"] for each in parameters}
    for each in parameters:
        reply = hospital.get(f"{type_name}?{each['name']}={_value(type_name, each)}&_count=1")
        assert reply.status == 200, (each, reply.body)
        assert reply.body["type"] == "searchset"


def test_words_are_declared_for_the_types_that_keep_them(world: World, statement: Resource) -> None:
    kept = [
        name for name in ALL if {"_text", "_content"} <= {p["name"] for p in declared(statement, name)["searchParam"]}
    ]

    assert kept == sorted(world.parts.settings.full_text) != []


@pytest.mark.parametrize("type_name", ALL)
def test_parameters_that_are_declared_for_all_types_work(hospital: Party, statement: Resource, type_name: str) -> None:
    for each in statement["rest"][0]["searchParam"]:
        reply = hospital.get(f"{type_name}?{each['name']}={OF_ALL[each['name']]}&_count=1")
        assert reply.status == 200, (each, reply.body)
        assert reply.body["type"] == "searchset"


@pytest.mark.parametrize("type_name", ALL)
def test_declared_includes_work(hospital: Party, statement: Resource, type_name: str) -> None:
    for path in declared(statement, type_name).get("searchInclude", []):
        reply = hospital.get(f"{type_name}?_include={path}&_count=1")
        assert reply.status == 200, (path, reply.body)


@pytest.mark.parametrize("type_name", ALL)
def test_references_to_nothing_that_is_kept_are_no_includes(
    hospital: Party, statement: Resource, type_name: str
) -> None:
    references = {each.code for each in parameters_of(type_name).values() if each.type == "reference"}
    included = {path.partition(":")[2] for path in declared(statement, type_name).get("searchInclude", [])}

    for code in references - included:
        assert set(parameters_of(type_name)[code].targets).isdisjoint(ALL)
        assert hospital.get(f"{type_name}?_include={type_name}:{code}").status == 400


@pytest.mark.parametrize("type_name", ALL)
def test_declared_reverse_includes_work(hospital: Party, statement: Resource, type_name: str) -> None:
    paths = declared(statement, type_name)["searchRevInclude"]
    assert "Provenance:target" in paths
    reply = hospital.get(f"{type_name}?_id=none&{'&'.join(f'_revinclude={path}' for path in paths)}")
    assert reply.status == 200, reply.body


def test_the_declared_compartment_works(hospital: Party, case: Case, statement: Resource) -> None:
    assert statement["rest"][0]["compartment"] == ["http://hl7.org/fhir/CompartmentDefinition/patient"]
    for type_name in ALL:
        reply = hospital.get(f"Patient/none/{type_name}?_count=1")
        assert reply.status == (200 if type_name in patient_compartment() else 400), (type_name, reply.body)
        assert reply.status == 400 or reply.entries == []
    for name in ("task", "order", "plan", "team", "consent", "condition"):
        reference = getattr(case, name)
        found = hospital.get(f"{case.patient}/{reference.partition('/')[0]}").entries
        assert [f"{each['resourceType']}/{each['id']}" for each in found] == [reference]


@pytest.mark.parametrize("type_name", ALL)
def test_what_is_not_declared_is_no_search_parameter(hospital: Party, statement: Resource, type_name: str) -> None:
    reply = hospital.get(f"{type_name}?no-such-parameter=1")

    assert reply.status == 400
    for each in declared(statement, type_name)["searchParam"]:
        assert each["name"] in IN_WORDS or each["name"] in reply.issues[0]["diagnostics"]


def _value(type_name: str, declared_parameter: Resource) -> str:
    """A value that the parameter takes and nothing has, if there can be one."""
    if declared_parameter["name"] in IN_WORDS:
        return VALUES["string"]
    parameter = parameters_of(type_name)[declared_parameter["name"]]
    if parameter.type == "composite":
        return "$".join(_value_of(each) for each in parameter.parts[0].components)
    return _value_of(parameter)


def _value_of(parameter: SearchParameter) -> str:
    """A value of the type of a parameter that is no composite."""
    if parameter.type == "reference" and parameter.targets and "*" not in parameter.targets:
        return f"{parameter.targets[0]}/none"
    only_yes_or_no = {path.datatype for path in parameter.paths} <= {"boolean", EXISTENCE, "order"}
    return (
        "true" if parameter.type == "token" and parameter.paths and only_yes_or_no else VALUES[parameter.declared_type]
    )


def _readable(world: World, hospital: Party, case: Case, type_name: str) -> tuple[Party, dict[str, Any]]:
    """A resource of the type, and a party that may read it."""
    if type_name in OF_A_CASE:
        return hospital, hospital.read(getattr(case, OF_A_CASE[type_name]))
    if type_name == "AuditEvent":
        assert hospital.get(case.plan).status == 200  # so that there is a new one
        asked = f"AuditEvent?patient={case.patient}&_sort=-_lastUpdated&_count=1"
        return world.custodian, world.custodian.get(asked).entries[0]
    made = world.operator.post(imported(type_name))
    assert made.status == 201, made.body
    return world.operator, made.body
