"""Corners of searching that are easily got wrong, each a promise, asked over HTTP of the real database."""

import uuid
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.http.test_searching import ids, observation
from tests.minimal import minimal
from tests.world import Party, Reply, World

LENIENT = {"Prefer": "handling=lenient"}
UNKNOWN = [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
UCUM = "http://unitsofmeasure.org"


def made(party: Party, resource: dict[str, Any]) -> str:
    """The id of the resource as it was stored."""
    reply = party.post(resource)
    assert reply.status == 201, reply.body
    return str(reply.body["id"])


def link(reply: Reply, relation: str = "self") -> str:
    """What a link of the page asks."""
    return next(urlsplit(each["url"]).query for each in reply.body["link"] if each["relation"] == relation)


def outcome(reply: Reply) -> list[str]:
    """What the search was told to have left out."""
    told = [each["resource"] for each in reply.body.get("entry", []) if each["search"]["mode"] == "outcome"]
    return [issue["diagnostics"] for each in told for issue in each["issue"]]


# --- What is left out, and what is not.


@pytest.mark.parametrize("place", ["Observation?", "?_type=Observation,Flag&"])
def test_what_is_left_out_of_a_lenient_search_takes_nothing_else_of_its_name_along(
    hosp: Party, patient: str, place: str
) -> None:
    days = {made(hosp, observation(patient, effectiveDateTime=f"2026-03-0{day}")) for day in (1, 2, 3)}
    asked = f"{place}patient={patient}&_sort=colour&_sort=-_lastUpdated&_count=2"
    asked += "&_include=Observation:colour&_include=Observation:subject"

    first = hosp.get(asked, **LENIENT)
    second = hosp.get(f"{place.partition('?')[0]}?{link(first, 'next')}")

    assert {*ids(first), *ids(second)} == days
    for each in (first, second):
        assert ids(each, "include") == [patient.partition("/")[2]]
    assert link(first).count("_sort=") == link(first).count("_include=") == 1
    told = ["_sort (colour) was left out of the search.", "_include (Observation:colour) was left out of the search."]
    assert outcome(first) == told
    assert outcome(second) == []


@pytest.mark.parametrize("place", ["Patient", "?_type=Patient,Observation"])
def test_a_named_query_is_refused_even_by_a_lenient_search(hosp: Party, place: str) -> None:
    asked = f"{place}{'&' if '?' in place else '?'}_query=everybody"

    for headers in ({}, LENIENT):
        refused = hosp.get(asked, **headers)
        assert refused.status == 400
        assert "_query" in refused.issues[0]["diagnostics"]


@pytest.mark.parametrize("place", ["Observation?", "?_type=Observation,Flag&"])
@pytest.mark.parametrize("asked", ["subject:exact=1", "patient:Task=1", "_list:not=1", "patient.gender:text=other"])
def test_a_modifier_that_there_is_not_is_refused_even_by_a_lenient_search(
    hosp: Party, patient: str, place: str, asked: str
) -> None:
    """Without `:not` or the like a search would find what was not meant."""
    for headers in ({}, LENIENT):
        refused = hosp.get(f"{place}patient={patient}&{asked}", **headers)
        assert (refused.status, [each["code"] for each in refused.issues]) == (400, ["not-supported"])


def test_a_search_ignores_what_has_no_value_and_does_not_say_that_it_used_it(hosp: Party, patient: str) -> None:
    seen = made(hosp, observation(patient, "found"))
    made(hosp, observation(patient, "other"))
    asked = f"patient={patient}&code=found&date=&status:not=&_sort=&_count=&_include=&_cursor=&subject.name="

    for place in (f"Observation?{asked}", f"{patient}/Observation?{asked}", f"?_type=Observation&{asked}"):
        reply = hosp.get(place)
        assert ids(reply) == [seen]
        assert "=&" not in f"{link(reply)}&"
    body, form = asked.encode(), "application/x-www-form-urlencoded"
    assert ids(hosp.ask("POST", "Observation/_search", body, Content_Type=form)) == [seen]


def test_a_condition_of_a_write_needs_its_values(hosp: Party) -> None:
    kept = made(hosp, minimal("Patient"))

    assert hosp.ask("DELETE", "Patient?identifier=").status == 400
    assert hosp.ask("DELETE", f"Patient?_id={kept}&identifier=").status == 400
    assert hosp.ask("PUT", "Patient?identifier=", minimal("Patient")).status == 400
    assert hosp.post(minimal("Patient"), If_None_Exist="identifier=").status == 400
    assert hosp.get(f"Patient/{kept}").status == 200


# --- Parts of what is found.


@pytest.mark.parametrize("part", ["_summary=true", "_summary=text", "_elements=identifier"])
def test_a_part_of_a_contained_resource_is_still_of_its_type(hosp: Party, patient: str, part: str) -> None:
    unique = uuid.uuid4().hex
    device = {"resourceType": "Device", "id": "pump", "identifier": [{"value": unique}], "lotNumber": "7"}
    kept = made(hosp, observation(patient, contained=[device], device={"reference": "#pump"}))

    [entry] = hosp.get(f"Device?identifier={unique}&_contained=true&_containedType=contained&{part}").body["entry"]

    assert entry["fullUrl"].endswith(f"/Observation/{kept}#pump")
    assert (entry["resource"]["resourceType"], entry["resource"]["id"]) == ("Device", "pump")
    assert "lotNumber" not in entry["resource"]
    assert entry["resource"]["meta"]["tag"][0]["code"] == "SUBSETTED"


def test_elements_are_those_of_whatever_type_is_shown(hosp: Party) -> None:
    unique = uuid.uuid4().hex
    patient = f"Patient/{made(hosp, {**minimal('Patient'), 'name': [{'family': 'Peeters'}], 'birthDate': '1961'})}"
    device = {"resourceType": "Device", "id": "pump", "identifier": [{"value": unique}]}
    kept = made(hosp, observation(patient, contained=[device], device={"reference": "#pump"}))

    several = hosp.get(f"?_type=Observation,Patient&_id={kept},{patient.partition('/')[2]}&_elements=name,device")
    around = hosp.get(f"Device?identifier={unique}&_contained=true&_elements=device")

    seen = {each["resourceType"]: each for each in several.entries}
    assert seen.keys() == {"Observation", "Patient"}
    assert "device" in seen["Observation"]
    assert "subject" not in seen["Observation"]
    assert "name" in seen["Patient"]
    assert "birthDate" not in seen["Patient"]
    [container] = around.entries
    assert "device" in container
    assert "contained" not in container


@pytest.mark.parametrize("place", ["Observation?", "?_type=Observation,Patient&"])
def test_an_element_that_no_shown_type_has_is_refused_with_those_that_there_are(hosp: Party, place: str) -> None:
    refused = hosp.get(f"{place}_elements=colour")
    twice = hosp.get(f"{place}_elements=id&_elements=meta")

    assert (refused.status, twice.status) == (400, 400)
    assert "'colour'" in refused.issues[0]["diagnostics"]
    assert "component" in refused.issues[0]["diagnostics"]
    assert "_elements" in twice.issues[0]["diagnostics"]


@pytest.mark.parametrize("name", ["value", "value[x]", "valueQuantity"])
def test_an_element_of_several_types_is_named_with_or_without_its_type(hosp: Party, patient: str, name: str) -> None:
    kept = made(hosp, observation(patient, valueQuantity={"value": 5}))

    [found] = hosp.get(f"Observation?_id={kept}&_elements={name}").entries

    assert found["valueQuantity"] == {"value": 5}
    assert "subject" not in found


# --- What is there, and what only seems so.


def test_an_element_that_only_says_why_it_has_no_value_is_missing(hosp: Party, patient: str) -> None:
    nothing = {"extension": UNKNOWN}
    unknown = made(
        hosp,
        observation(patient, valueQuantity=nothing, method={"coding": [nothing], **nothing}, _issued=nothing),
    )
    known = made(
        hosp,
        observation(
            patient, valueQuantity={"value": 5, **nothing}, method={"text": "By hand"}, issued="2026-03-01T10:00:00Z"
        ),
    )

    for name in ("value-quantity", "combo-value-quantity", "method"):
        assert ids(hosp.get(f"Observation?patient={patient}&{name}:missing=true")) == [unknown]
        assert ids(hosp.get(f"Observation?patient={patient}&{name}:missing=false")) == [known]
        assert ids(hosp.get(f"Observation?patient={patient}&_filter={name} pr true")) == [known]


def test_a_name_that_nobody_may_see_is_missing(hosp: Party) -> None:
    hidden = made(hosp, {**minimal("Patient"), "name": [{"extension": UNKNOWN, "_family": {"extension": UNKNOWN}}]})
    named = made(hosp, {**minimal("Patient"), "name": [{"extension": UNKNOWN}, {"given": ["An"]}]})
    both = f"_id={hidden},{named}"

    assert ids(hosp.get(f"Patient?{both}&name:missing=true")) == [hidden]
    assert ids(hosp.get(f"Patient?{both}&name:missing=false")) == [named]


def test_less_than_a_number_leaves_out_the_number(hosp: Party, patient: str) -> None:
    def measured(value: float, comparator: str | None = None) -> str:
        said = {"comparator": comparator} if comparator else {}
        amount = {"value": value, "system": UCUM, "code": "mg", **said}
        return made(hosp, observation(patient, valueQuantity=amount))

    less, most, least, more = (measured(5, comparator) for comparator in ("<", "<=", ">=", ">"))

    def found(text: str) -> set[str]:
        place = f"Observation?patient={patient}&value-quantity={quote(text, safe='')}"
        return set(ids(hosp.get(place)))

    assert found(f"ge5|{UCUM}|mg") == {most, least, more}
    assert found(f"le0.005|{UCUM}|g") == {less, most, least}
    assert found(f"eb5|{UCUM}|mg") == {less}
    assert found("sa5") == {more}
    assert found("lt5") == {less, most}
    assert found("gt5") == {least, more}
    assert found("ap5") == {less, most, least, more}


@pytest.mark.parametrize("sort", ["value-quantity", "code-value-quantity", "combo-value-quantity"])
def test_less_than_a_number_is_sorted_by_the_number_and_before_what_has_none(
    hosp: Party, patient: str, sort: str
) -> None:
    nothing = made(hosp, observation(patient))
    small, below, large = (
        made(hosp, observation(patient, valueQuantity=amount))
        for amount in ({"value": 1}, {"value": 5, "comparator": "<"}, {"value": 9})
    )

    assert ids(hosp.get(f"Observation?patient={patient}&_sort={sort}")) == [small, below, large, nothing]
    assert ids(hosp.get(f"Observation?patient={patient}&_sort=-{sort}")) == [large, below, small, nothing]


def test_a_reference_whose_address_says_no_type_is_of_the_type_that_it_states(world: World) -> None:
    address = f"urn:uuid:{uuid.uuid4()}"
    for id, type_name in ((f"p-{uuid.uuid4().hex}", "Patient"), (f"g-{uuid.uuid4().hex}", "Group")):
        stated = {"reference": address, "type": type_name}
        told = {"resourceType": "Observation", "id": id, "status": "final", "code": {"text": "x"}, "subject": stated}
        assert world.operator.put(told).status == 201

    [found] = ids(world.operator.get(f"Observation?patient={address}"))

    assert found.startswith("p-")
    assert len(ids(world.operator.get(f"Observation?subject={address}"))) == 2


def test_all_kinds_of_a_mime_type_are_below_its_first_part(hosp: Party, patient: str) -> None:
    def document(mime: str) -> str:
        content = [{"attachment": {"contentType": mime, "title": "A picture"}}]
        references = {"Patient": patient}
        resource = minimal("DocumentReference", references=references, subject={"reference": patient}, content=content)
        return made(hosp, resource)

    png, vector, _ = document("image/png"), document("image/svg+xml; charset=UTF-8"), document("imaginary/png")

    asked = f"DocumentReference?patient={patient}&contenttype:below="
    assert set(ids(hosp.get(f"{asked}image"))) == {png, vector}
    assert ids(hosp.get(f"{asked}image/svg%2Bxml")) == [vector]
    assert ids(hosp.get(f"{asked}image/svg")) == []


def test_a_reference_to_a_version_leads_to_the_current_one(hosp: Party) -> None:
    person = made(hosp, {**minimal("Patient"), "name": [{"family": "Before"}]})
    assert hosp.change(f"Patient/{person}", name=[{"family": "After"}]).status == 200
    seen = made(hosp, {**observation(f"Patient/{person}"), "subject": {"reference": f"Patient/{person}/_history/1"}})

    reply = hosp.get(f"Observation?_id={seen}&patient.family=after&_include=Observation:subject")

    assert ids(reply) == [seen]
    assert [each["name"][0]["family"] for each in reply.entries if each["resourceType"] == "Patient"] == ["After"]
    assert ids(hosp.get(f"Observation?_id={seen}&patient.family=before")) == []


# --- What is long.


def test_an_identifier_of_many_characters_is_that_of_one_resource(hosp: Party, patient: str) -> None:
    value = uuid.uuid4().hex + "x" * 1000
    seen = made(hosp, observation(patient, identifier=[{"system": "urn:long", "value": f"{value}A"}]))
    other = hosp.post(
        observation(patient, identifier=[{"system": "urn:long", "value": f"{value}B"}]),
        If_None_Exist=f"patient={patient}&identifier=urn:long|{value}B",
    )

    assert other.status == 201
    assert ids(hosp.get(f"Observation?identifier=urn:long|{value}A")) == [seen]
    assert ids(hosp.get(f"Observation?identifier={value}B")) == [other.body["id"]]
    assert ids(hosp.get(f"Observation?identifier={value}")) == []


@pytest.mark.parametrize(
    ("number", "named", "told"),
    [(5000, "", "Write Type/id, or at most"), (3300, "a" * 59, "Name fewer values"), (5000, "Patient/", None)],
)
def test_more_ids_of_any_type_than_can_be_asked_are_told_to_have_their_type(
    hosp: Party, number: int, named: str, told: str | None
) -> None:
    asked = ",".join(f"{named}{each}" for each in range(number))

    reply = hosp.ask("POST", "List/_search", f"item={asked}".encode(), Content_Type="application/x-www-form-urlencoded")

    if told is None:
        assert ids(reply) == []
        return
    assert (reply.status, reply.issues[0]["code"]) == (403, "too-costly")
    assert told in reply.issues[0]["diagnostics"]
