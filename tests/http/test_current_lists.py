"""Lists by their function: what is current about a person, found by what the resources say of themselves."""

import uuid
from typing import Any

import pytest

from tests.minimal import minimal
from tests.world import Party, World

TERMS = "http://terminology.hl7.org/CodeSystem"


def coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": f"{TERMS}/{system}", "code": code}]}


def status(kind: str, clinical: str | None, verification: str | None = None) -> dict[str, Any]:
    """Both statuses of a Condition or an AllergyIntolerance; `kind` begins the names of their code systems."""
    given = {"clinicalStatus": (f"{kind}-clinical", clinical)}
    verified = "condition-ver-status" if kind == "condition" else f"{kind}-verification"
    given["verificationStatus"] = (verified, verification)
    return {name: coded(system, code) if code else None for name, (system, code) in given.items()}


def medicine(name: str) -> dict[str, Any]:
    return {"medicationCodeableConcept": {"text": name}}


ACTIVE = status("condition", "active")
ALLERGY = "allergyintolerance"
CHART: dict[str, tuple[str, dict[str, Any]]] = {
    "als": ("Condition", status("condition", "active", "confirmed")),
    "again": ("Condition", status("condition", "relapse")),
    "unstated": ("Condition", status("condition", None)),
    "over": ("Condition", status("condition", "resolved")),
    "quiet": ("Condition", status("condition", "remission")),
    "asleep": ("Condition", status("condition", "inactive")),
    "not this person's": ("Condition", status("condition", None, "entered-in-error")),
    "never": ("Condition", status("condition", "active", "refuted")),
    "taken": ("MedicationStatement", {"status": "active", **medicine("riluzole")}),
    "stopped": ("MedicationStatement", {"status": "stopped", **medicine("riluzole")}),
    "ordered": ("MedicationRequest", {"status": "active", "intent": "order", **medicine("baclofen")}),
    "unsure": ("MedicationStatement", {"status": "unknown", **medicine("riluzole")}),
    "refused": ("MedicationStatement", {"status": "not-taken", **medicine("riluzole")}),
    "allowed": (
        "MedicationRequest",
        {"status": "active", "intent": "order", "doNotPerform": False, **medicine("baclofen")},
    ),
    "forbidden": (
        "MedicationRequest",
        {"status": "active", "intent": "order", "doNotPerform": True, **medicine("morphine")},
    ),
    "unclear": ("MedicationRequest", {"status": "unknown", "intent": "order", **medicine("baclofen")}),
    "paused": ("MedicationRequest", {"status": "on-hold", "intent": "order", **medicine("baclofen")}),
    "mistaken": ("MedicationRequest", {"status": "entered-in-error", "intent": "order", **medicine("baclofen")}),
    "proposed": ("MedicationRequest", {"status": "active", "intent": "proposal", **medicine("baclofen")}),
    "ended": ("MedicationRequest", {"status": "completed", "intent": "order", **medicine("baclofen")}),
    "nuts": ("AllergyIntolerance", {**status(ALLERGY, "active"), "category": ["food"]}),
    "penicillin": ("AllergyIntolerance", {**status(ALLERGY, "active", "unconfirmed"), "category": ["medication"]}),
    "insulin": ("AllergyIntolerance", {**status(ALLERGY, "active"), "category": ["food", "biologic"]}),
    "outgrown": ("AllergyIntolerance", {**status(ALLERGY, "resolved"), "category": ["medication"]}),
    "unsorted": ("AllergyIntolerance", status(ALLERGY, "active")),
    "asleep too": ("AllergyIntolerance", {**status(ALLERGY, "inactive"), "category": ["medication"]}),
    "somebody else's": ("AllergyIntolerance", status(ALLERGY, None, "entered-in-error")),
    "unfounded": ("AllergyIntolerance", {**status(ALLERGY, "active", "refuted"), "category": ["medication"]}),
}
LISTS = {
    "$current-problems": {"Condition": {"als", "again", "unstated"}},
    "$current-medications": {
        "MedicationStatement": {"taken", "unsure"},
        "MedicationRequest": {"ordered", "allowed", "unclear"},
    },
    "$current-allergies": {"AllergyIntolerance": {"nuts", "penicillin", "insulin", "unsorted"}},
    "$current-drug-allergies": {"AllergyIntolerance": {"penicillin", "insulin", "unsorted"}},
}
OF_TYPES = [(function, name) for function, types in LISTS.items() for name in types]

Chart = tuple[Party, str, dict[str, str]]


@pytest.fixture(scope="module")
def chart(world: World) -> Chart:
    """A party, a person, and the names of the person's resources by their ids; another person has the same."""
    hosp = world.hospital()
    named: dict[str, str] = {}
    for _ in range(2):
        patient = f"Patient/{hosp.post(minimal('Patient', identifier=[{'value': uuid.uuid4().hex}])).body['id']}"
        named = {}
        for name, (type_name, elements) in CHART.items():
            about = {"patient" if type_name == "AllergyIntolerance" else "subject": {"reference": patient}}
            made = minimal(type_name, references={"Patient": patient}, **about, **elements)
            reply = hosp.post({element: value for element, value in made.items() if value is not None})
            assert reply.status == 201, (name, reply.body)
            named[reply.body["id"]] = name
    return hosp, patient, named


@pytest.fixture(scope="module")
def hosp(chart: Chart) -> Party:
    """The party of the chart."""
    return chart[0]


def names(chart: Chart, place: str) -> set[str]:
    reply = chart[0].get(place)
    assert reply.status == 200, reply.body
    return {chart[2].get(each["id"], "another's") for each in reply.entries}


@pytest.mark.parametrize(("function", "type_name"), OF_TYPES)
def test_a_list_holds_what_is_current_of_the_person(chart: Chart, function: str, type_name: str) -> None:
    _, patient, _ = chart
    expected = LISTS[function][type_name]
    assert names(chart, f"{type_name}?patient={patient}&_list={function}") == expected
    assert (
        names(chart, f"{type_name}?_list={function}&patient={patient}&_total=accurate&_sort=-_lastUpdated") == expected
    )
    assert names(chart, f"{patient}/{type_name}?_list={function}") == expected
    counted = chart[0].get(f"{type_name}?patient={patient}&_list={function}&_summary=count")
    assert counted.body["total"] == len(expected)


@pytest.mark.parametrize("function", LISTS)
def test_a_search_of_several_types_is_one_of_those_that_the_list_holds(chart: Chart, function: str) -> None:
    _, patient, _ = chart
    expected = set().union(*LISTS[function].values())
    assert names(chart, f"{patient}/*?_list={function}") == expected
    assert names(chart, f"?patient={patient}&_list={function}") == expected
    held = ",".join(LISTS[function])
    assert names(chart, f"?_type=Task,{held}&patient={patient}&_list={function}") == expected


def test_a_chain_names_the_person_and_a_reverse_chain_finds_them(chart: Chart) -> None:
    hosp, patient, _ = chart
    [number] = [each["value"] for each in hosp.read(patient)["identifier"]]
    assert names(chart, f"Condition?patient.identifier={number}&_list=$current-problems") == {
        "als",
        "again",
        "unstated",
    }
    allergic = hosp.get(f"Patient?_has:AllergyIntolerance:patient:_list=$current-drug-allergies&identifier={number}")
    assert [each["id"] for each in allergic.entries] == [patient.removeprefix("Patient/")]


def test_a_list_narrows_what_else_is_asked_and_is_narrowed_by_it(chart: Chart) -> None:
    _, patient, _ = chart
    unconfirmed = f"AllergyIntolerance?patient={patient}&_list=$current-allergies&verification-status=unconfirmed"
    assert names(chart, unconfirmed) == {"penicillin"}
    both = f"AllergyIntolerance?patient={patient}&_list=$current-drug-allergies&_list=$current-allergies"
    assert names(chart, both) == {"penicillin", "insulin", "unsorted"}
    listed = chart[0].post(minimal("List", subject={"reference": patient})).body["id"]
    assert names(chart, f"AllergyIntolerance?patient={patient}&_list=$current-allergies&_list={listed}") == set()


def test_orders_not_to_give_are_found_by_themselves(chart: Chart) -> None:
    _, patient, _ = chart
    asked = f"MedicationRequest?patient={patient}&status=active&intent=order"
    assert names(chart, f"{asked}&do-not-perform=true") == {"forbidden"}
    assert names(chart, f"{asked}&do-not-perform=false") == {"allowed"}
    assert names(chart, f"{asked}&do-not-perform:missing=true") == {"ordered"}
    assert names(chart, f"{asked}&do-not-perform:not=true") == {"ordered", "allowed"}


def test_an_order_leaves_the_list_when_it_becomes_one_not_to_give(world: World) -> None:
    hosp = world.hospital()
    patient = f"Patient/{hosp.post(minimal('Patient')).body['id']}"
    about = {"subject": {"reference": patient}, "status": "active", "intent": "order"}
    order = minimal("MedicationRequest", references={"Patient": patient}, **about, note=[{"text": "changing"}])
    made = hosp.post(order).body["id"]
    asked = f"MedicationRequest?patient={patient}&_id={made}&_list=$current-medications"

    seen = []
    for do_not_perform in (None, True, False, True):
        hosp.change(f"MedicationRequest/{made}", doNotPerform=do_not_perform, note=None)
        seen.append(bool(hosp.get(asked).entries))

    assert seen == [True, False, True, False]


def test_who_may_not_read_the_chart_finds_nothing_on_a_list(chart: Chart, world: World) -> None:
    _, patient, _ = chart
    other = world.party()
    for function, type_name in OF_TYPES:
        reply = other.get(f"{type_name}?patient={patient}&_list={function}&_total=accurate")
        assert (reply.status, reply.entries, reply.body["total"]) == (200, [], 0)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("Condition?patient=7&_list=$current-tasks", "there are $current-problems, $current-medications, "),
        ("Condition?patient=7&_list=$", "there are $current-problems, "),
        (
            "Condition?patient=7&_list=$current-allergies",
            "'$current-allergies' holds AllergyIntolerance, not Condition",
        ),
        ("Task?patient=7&_list=$current-medications", "holds MedicationRequest and MedicationStatement, not Task"),
        (
            "?_type=Task,Goal&patient=7&_list=$current-medications",
            "holds MedicationRequest and MedicationStatement, not",
        ),
        ("Condition?_list=$current-problems", "name one, such as 'patient=7'"),
        ("Condition?patient:missing=false&_list=$current-problems", "name one, such as 'patient=7'"),
        ("?_list=$current-problems", "name one, such as 'patient=7'"),
        ("Condition?patient=7&_list=a b", "the id of a List or the function of one"),
    ],
)
def test_what_is_no_list_is_refused_and_says_which_there_are(hosp: Party, asked: str, told: str) -> None:
    reply = hosp.get(asked)
    assert reply.status == 400, reply.body
    assert told in reply.issues[0]["diagnostics"]


def test_a_lenient_search_leaves_out_a_list_that_there_is_not(chart: Chart) -> None:
    hosp, patient, _ = chart
    reply = hosp.get(f"Condition?patient={patient}&_list=$current-tasks", Prefer="handling=lenient")
    assert reply.status == 200, reply.body
    assert [entry["search"]["mode"] for entry in reply.body["entry"]].count("match") == 8
    assert "_list" not in reply.body["link"][0]["url"]
