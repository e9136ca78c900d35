"""Which plans a resource belongs to."""

from collections.abc import Sequence

import pytest

from fhir_server.access.plan_scope import behind_their_chains, chain, patient_of, plans_of
from fhir_server.fhir.errors import InvalidWorkflow
from fhir_server.fhir.json import Resource

HOSP = "Organization/hosp"
SUBJECT = {"reference": "Patient/1"}


class Known:
    """What is stored: the plans of a few references, and the author's active plans."""

    def __init__(self, active: Sequence[str] = (), **plans: tuple[str, ...]) -> None:
        self.active = active
        self.plans = {reference.replace("_", "/"): found for reference, found in plans.items()}

    def plans_of_stored(self, reference: str) -> tuple[str, ...]:
        return self.plans.get(reference, ())

    def active_plans(self, author: str, patient: str) -> Sequence[str]:
        return self.active if (author, patient) == (HOSP, "Patient/1") else ()


def _observation(**elements: object) -> Resource:
    return {"resourceType": "Observation", "id": "o", "subject": SUBJECT, **elements}


def test_a_plan_belongs_to_itself() -> None:
    assert plans_of({"resourceType": "CarePlan", "id": "7"}, HOSP, Known(["1"])) == ("7",)


def test_an_explicit_chain_decides_before_the_authors_plans() -> None:
    order = _observation(basedOn=[{"reference": "ServiceRequest/1"}])

    assert plans_of(order, HOSP, Known(["1"], ServiceRequest_1=("2",))) == ("2",)


def test_chains_to_several_plans_belong_to_all_of_them() -> None:
    found = _observation(basedOn=[{"reference": "ServiceRequest/1"}], partOf=[{"reference": "Procedure/1"}])

    assert plans_of(found, HOSP, Known(ServiceRequest_1=("2",), Procedure_1=("1", "2"))) == ("1", "2")


def test_without_a_chain_it_is_the_authors_one_active_plan() -> None:
    assert plans_of(_observation(), HOSP, Known(["1"])) == ("1",)


def test_with_several_active_plans_the_author_is_asked_to_name_one() -> None:
    with pytest.raises(InvalidWorkflow) as refused:
        plans_of(_observation(), HOSP, Known(["1", "2"]))
    assert refused.value.issues[0].path == "Observation.basedOn"


def test_without_any_plan_it_is_the_authors_own() -> None:
    assert plans_of(_observation(), HOSP, Known()) == ()
    assert plans_of({"resourceType": "Observation", "id": "o"}, HOSP, Known(["1"])) == ()


@pytest.mark.parametrize(
    ("resource", "patient"),
    [
        ({"resourceType": "Patient", "id": "1"}, "Patient/1"),
        ({"resourceType": "Task", "for": SUBJECT}, "Patient/1"),
        ({"resourceType": "Consent", "patient": SUBJECT}, "Patient/1"),
        ({"resourceType": "Observation", "subject": {"reference": "Patient/1/_history/3"}}, "Patient/1"),
        ({"resourceType": "Observation", "subject": {"reference": "Group/1"}}, None),
        ({"resourceType": "Observation", "subject": {"display": "somebody"}}, None),
        (
            {
                "resourceType": "Appointment",
                "participant": [{"actor": {"reference": "Practitioner/1"}}, {"actor": SUBJECT}],
            },
            "Patient/1",
        ),
        ({"resourceType": "Organization", "id": "1"}, None),
    ],
)
def test_the_person_is_found_where_the_type_names_it(resource: Resource, patient: str | None) -> None:
    assert patient_of(resource) == patient


def test_the_chain_leaves_out_what_is_no_reference_to_this_server() -> None:
    task = {
        "resourceType": "Task",
        "basedOn": [{"reference": "CarePlan/1"}, {"reference": "https://elsewhere.example/CarePlan/2"}],
        "focus": {"reference": "ServiceRequest/1/_history/2"},
        "owner": {"reference": "Organization/9"},
    }

    assert chain(task) == ["CarePlan/1", "ServiceRequest/1"]


def _led(*references: str) -> Resource:
    return _observation(partOf=[{"reference": reference} for reference in references])


@pytest.mark.parametrize(
    ("leads", "order"),
    [
        ({"a": (), "b": ()}, "ab"),
        ({"a": ("b",), "b": ("c",), "c": ()}, "cba"),
        ({"a": ("c", "b"), "b": ("c",), "c": ("stored",)}, "cba"),
        ({"a": ("b",), "b": ("a",), "c": ("a",)}, "bac"),
        ({"a": ("a",), "b": ("a/_history/2",)}, "ab"),
    ],
)
def test_what_leads_to_another_comes_after_it_and_a_circle_is_gone_through_once(
    leads: dict[str, tuple[str, ...]], order: str
) -> None:
    written = {f"Procedure/{name}": _led(*(f"Procedure/{to}" for to in targets)) for name, targets in leads.items()}

    assert behind_their_chains(written) == [f"Procedure/{name}" for name in order]


def test_a_chain_of_thousands_is_gone_through() -> None:
    written = {f"Procedure/{number}": _led(f"Procedure/{number + 1}") for number in range(10_000)}

    assert behind_their_chains(written) == list(reversed(written))
