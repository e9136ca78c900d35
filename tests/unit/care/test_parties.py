"""Who acts behind a reference, and in which roles."""

import pytest
from als_case import CMO, HOME, HOSP, OUT, PERSON, PHYS, directory, order, plan, task

from fhir_server.care.parties import party, roles_towards
from fhir_server.fhir.errors import InvalidResource


@pytest.mark.parametrize("reference", [HOME, PERSON, "Practitioner/nurse", "RelatedPerson/daughter"])
def test_organisations_and_people_are_parties_themselves(reference: str) -> None:
    assert party(reference, directory) == reference
    assert party(f"{reference}/_history/3", directory) == reference


@pytest.mark.parametrize("reference", ["PractitionerRole/home-nurse", "HealthcareService/home-nursing"])
def test_roles_and_services_act_through_their_organisation(reference: str) -> None:
    assert party(reference, directory) == HOME


@pytest.mark.parametrize(
    "reference",
    [
        "Device/pump",
        "CareTeam/team",
        "PractitionerRole/nobody",
        "PractitionerRole/unknown",
        "#inside",
        "",
        "http://x/y/1",
    ],
)
def test_what_cannot_act_is_refused_with_its_path(reference: str) -> None:
    with pytest.raises(InvalidResource) as refused:
        party(reference, directory, "Task.owner")

    assert refused.value.issues[0].path == "Task.owner"


def test_an_actor_holds_every_role_that_fits() -> None:
    asked = task(requester=HOSP, owner="PractitionerRole/home-nurse")

    assert roles_towards(asked, [HOME], directory, custodian=CMO, members=[HOME]) == {"owner", "member"}
    assert roles_towards(asked, [HOSP], directory, custodian=CMO) == {"requester"}
    assert roles_towards(asked, [CMO], directory, custodian=CMO) == {"custodian"}
    assert roles_towards(asked, [PERSON], directory) == {"subject"}
    assert roles_towards(asked, [OUT], directory, custodian=CMO, members=[HOME], author=HOSP) == frozenset()
    assert roles_towards(order(), [HOSP, "Practitioner/d"], directory) == {"requester"}
    assert roles_towards(plan(), [HOSP], directory, author=HOSP, members=[PHYS]) == {"author"}


def test_an_owner_that_leads_nowhere_gives_nobody_a_role() -> None:
    assert roles_towards(task(owner="PractitionerRole/nobody"), [HOME, PHYS], directory) == frozenset()


def test_nobody_is_custodian_of_what_has_none() -> None:
    assert roles_towards(task(), [OUT], directory, custodian=None, author=None) == frozenset()
