"""What an actor may see and do, by the class of a type."""

import pytest

from fhir_server.access.grants import grants, is_circle_kind, needs_circles
from fhir_server.access.policy import check_create, check_delete, check_membership, check_update, client_may
from fhir_server.access.scopes import check_scope
from fhir_server.access.types import CHART, COORDINATION, TYPES, VERSIONED_UPDATE, stamped_with_readers
from fhir_server.definitions.structures import RESOURCE_TYPES
from fhir_server.fhir.actor import IMPORT, Actor
from fhir_server.fhir.errors import Forbidden
from fhir_server.search.grant import Grant

HOSP = Actor(organization="Organization/hosp", scopes=frozenset({"system/*.cruds"}))
OPERATOR = Actor(organization="Organization/operator", scopes=frozenset({"system/*.cruds", IMPORT}))
NOBODY = Actor()


def test_every_supported_type_has_a_rule_and_no_other() -> None:
    assert set(TYPES) == RESOURCE_TYPES


@pytest.mark.parametrize("type_name", sorted(TYPES))
def test_an_actor_without_party_is_granted_nothing(type_name: str) -> None:
    assert grants(NOBODY, type_name, ["1"], custodian_of=["1"]) == []


@pytest.mark.parametrize("type_name", sorted(TYPES))
def test_the_import_scope_grants_no_reading(type_name: str) -> None:
    as_client = grants(Actor(organization=OPERATOR.organization), type_name, [])

    assert grants(OPERATOR, type_name, []) == as_client


@pytest.mark.parametrize(
    ("type_name", "expected"),
    [
        ("Task", [Grant("", readers=("Organization/hosp",))]),
        ("Patient", [Grant("", readers=("Organization/hosp",))]),
        ("Observation", [Grant("", plans=("1", "2")), Grant("", authors=("Organization/hosp",))]),
        ("Subscription", [Grant("", authors=("Organization/hosp",))]),
        ("Organization", [Grant("", everyone=True)]),
        ("Questionnaire", [Grant("", everyone=True)]),
        ("AuditEvent", [Grant("", plans=("2",))]),
    ],
)
def test_grants_follow_the_class_of_the_type(type_name: str, expected: list[Grant]) -> None:
    found = grants(HOSP, type_name, ["1", "2"], custodian_of=["2"])

    assert [Grant("", g.readers, g.plans, g.authors, g.everyone) for g in found] == expected
    assert all(grant.reason for grant in found)


def test_without_plans_no_grant_by_plan_is_left_open() -> None:
    assert [grant.authors for grant in grants(HOSP, "Observation")] == [("Organization/hosp",)]
    assert grants(HOSP, "AuditEvent") == []


def test_circles_are_asked_only_where_they_decide() -> None:
    assert {name for name in TYPES if needs_circles(name)} == {
        name for name, rule in TYPES.items() if (rule.kind == CHART and name != "Patient") or name == "AuditEvent"
    }
    assert {name for name in TYPES if is_circle_kind(name)} == {
        name for name, rule in TYPES.items() if rule.kind in {CHART, COORDINATION}
    }
    assert {name for name in TYPES if stamped_with_readers(name)} == {
        "CarePlan", "CareTeam", "Task", "ServiceRequest", "Consent", "Goal", "Patient",
    }  # fmt: skip


def test_the_workflow_types_are_changed_only_on_the_version_that_was_read() -> None:
    assert {name for name, rule in TYPES.items() if rule.kind == COORDINATION} >= VERSIONED_UPDATE


@pytest.mark.parametrize("type_name", ["CarePlan", "CareTeam", "Organization", "HealthcareService", "PlanDefinition"])
def test_only_the_operator_creates_what_others_rely_on(type_name: str) -> None:
    with pytest.raises(Forbidden):
        check_create(HOSP, {"resourceType": type_name}, (), ())
    assert check_create(OPERATOR, {"resourceType": type_name}, (), ()) == "import scope of the operator"


def test_nobody_writes_the_audit() -> None:
    for actor in (HOSP, OPERATOR):
        with pytest.raises(Forbidden):
            check_create(actor, {"resourceType": "AuditEvent"}, (), ())
        with pytest.raises(Forbidden):
            check_update(actor, {"resourceType": "AuditEvent"}, actor.organization)
        with pytest.raises(Forbidden):
            check_delete(actor, "AuditEvent", actor.organization)


def test_only_members_add_to_a_plan() -> None:
    observation = {"resourceType": "Observation"}

    assert check_create(HOSP, observation, ("1",), ("1", "2")) == "active member of CarePlan/1"
    assert check_create(HOSP, observation, (), ()) == "author"
    with pytest.raises(Forbidden, match="only members add") as refused:
        check_create(HOSP, observation, ("1", "3"), ("1",))
    assert "CarePlan/" not in str(refused.value)
    with pytest.raises(Forbidden):
        check_membership("Observation", ("1",), ())


@pytest.mark.parametrize("organization", [None, "Organization/other"])
def test_a_role_is_stated_by_its_own_organisation(organization: str | None) -> None:
    role = {"resourceType": "PractitionerRole", "organization": {"reference": organization}}

    with pytest.raises(Forbidden, match="organisation"):
        check_create(HOSP, role, (), ())
    with pytest.raises(Forbidden, match="organisation"):
        check_update(HOSP, role, "Organization/hosp")
    own = {"resourceType": "PractitionerRole", "organization": {"reference": "Organization/hosp"}}
    assert check_create(HOSP, own, (), ()) == "author"


def test_the_chart_is_changed_by_its_author_alone() -> None:
    assert check_update(HOSP, {"resourceType": "Observation"}, "Organization/hosp") == "its author"
    with pytest.raises(Forbidden, match="its author"):
        check_update(HOSP, {"resourceType": "Observation"}, "Organization/home")
    with pytest.raises(Forbidden, match="the operator"):
        check_update(HOSP, {"resourceType": "Organization"}, "Organization/hosp")


def test_the_parties_of_the_workflow_are_judged_by_care() -> None:
    assert check_update(HOSP, {"resourceType": "Task"}, "Organization/home") == "party to the workflow"


@pytest.mark.parametrize("type_name", sorted(TYPES))
def test_clients_delete_only_what_is_their_own_alone(type_name: str) -> None:
    if TYPES[type_name].kind == "party-owned":
        assert check_delete(HOSP, type_name, "Organization/hosp") == "its author"
        assert client_may(type_name, "delete")
    else:
        assert not client_may(type_name, "delete")
        with pytest.raises(Forbidden):
            check_delete(HOSP, type_name, "Organization/hosp")
    with pytest.raises(Forbidden):
        check_delete(HOSP, type_name, "Organization/home")


@pytest.mark.parametrize(
    ("scope", "interaction", "type_name", "allowed"),
    [
        ("system/*.cruds", "create", "Task", True),
        ("system/Task.rs", "read", "Task", True),
        ("system/Task.rs", "search-type", "Task", True),
        ("system/Task.rs", "update", "Task", False),
        ("system/Task.rs", "read", "Patient", False),
        ("system/Task.r", "search-type", "Task", False),
        ("user/*.cruds", "delete", "List", True),
        ("patient/*.cruds", "read", "Task", False),
        ("samen/import", "read", "Task", False),
        ("system/*.r", "history-instance", "Task", True),
        ("system/*.cruds", "an-interaction-of-tomorrow", "Task", False),
    ],
)
def test_a_scope_allows_what_it_names(scope: str, interaction: str, type_name: str, allowed: bool) -> None:
    actor = Actor(organization="Organization/hosp", scopes=frozenset({scope}))

    check_scope(actor, "transaction", None)
    if allowed:
        check_scope(actor, interaction, type_name)
    else:
        with pytest.raises(Forbidden):
            check_scope(actor, interaction, type_name)
