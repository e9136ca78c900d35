"""FHIRPath Patch where a primitive has an id or extensions, alone or beside its value: nothing is undone in silence."""

from typing import Any

import pytest

from fhir_server.fhir.json import Resource
from tests.http.test_patch import UNKNOWN, parameters, patient, step
from tests.world import Party, Reply

URL = UNKNOWN["extension"][0]["url"]
EXTENSION = {"url": "urn:x", "valueString": "x"}
NOTE = {"extension": [EXTENSION]}
MIA = {"valueString": "Mia"}


def patched(party: Party, made: Resource, *operations: Resource) -> Reply:
    """A FHIRPath Patch of a resource."""
    return party.ask("PATCH", f"{made['resourceType']}/{made['id']}", parameters(*operations))


def elements(reply: Reply) -> Resource:
    """What a patched Patient holds beyond what every one does."""
    assert reply.status == 200, reply.body
    return {name: value for name, value in reply.body.items() if name not in {"resourceType", "id", "meta"}}


@pytest.mark.parametrize(
    ("before", "operation", "after"),
    [
        ({"_birthDate": UNKNOWN}, step("delete", "Patient.birthDate"), {}),
        ({"birthDate": "1950", "_birthDate": NOTE}, step("delete", "Patient.birthDate"), {}),
        (
            {"_birthDate": UNKNOWN},
            step("replace", "Patient.birthDate", value={"valueDate": "1950"}),
            {"birthDate": "1950"},
        ),
        (
            {"birthDate": "1950", "_birthDate": NOTE},
            step("replace", "Patient.birthDate", value={"valueDate": "1951"}),
            {"birthDate": "1951"},
        ),
        (
            {"birthDate": "1950"},
            step("replace", "Patient.birthDate", value={"_valueDate": UNKNOWN}),
            {"_birthDate": UNKNOWN},
        ),
        (
            {"birthDate": "1950"},
            step("replace", "Patient.birthDate", value={"part": [{"name": "extension", "valueExtension": EXTENSION}]}),
            {"_birthDate": NOTE},
        ),
        (
            {"gender": "male"},
            step("add", "Patient", name="birthDate", value={"valueDate": "1950", "_valueDate": NOTE}),
            {"gender": "male", "birthDate": "1950", "_birthDate": NOTE},
        ),
        ({"_birthDate": UNKNOWN}, step("delete", "Patient.birthDate.extension"), {}),
        (
            {"birthDate": "1950", "_birthDate": NOTE},
            step("delete", "Patient.birthDate.extension.where(url='urn:x')"),
            {"birthDate": "1950"},
        ),
        (
            {"birthDate": "1950", "_birthDate": NOTE},
            step("delete", "Patient.birthDate.where(extension.where(url='urn:x').exists())"),
            {},
        ),
        (
            {"birthDate": "1950", "_birthDate": {"id": "a", **NOTE}},
            step("delete", "Patient.birthDate.id"),
            {"birthDate": "1950", "_birthDate": NOTE},
        ),
        (
            {"birthDate": "1950"},
            step("add", "Patient.birthDate", name="id", value={"valueString": "a"}),
            {"birthDate": "1950", "_birthDate": {"id": "a"}},
        ),
        (
            {"_birthDate": NOTE},
            step("replace", "Patient.birthDate.extension[0].value", value={"valueBoolean": True}),
            {"_birthDate": {"extension": [{"url": "urn:x", "valueBoolean": True}]}},
        ),
        (
            {"birthDate": "1950", "_birthDate": NOTE},
            step("insert", "Patient.birthDate.extension", index=0, value={"valueExtension": UNKNOWN["extension"][0]}),
            {"birthDate": "1950", "_birthDate": {"extension": [UNKNOWN["extension"][0], EXTENSION]}},
        ),
        (
            {"birthDate": "1950"},
            step("insert", "Patient.birthDate.extension", index=0, value={"valueExtension": EXTENSION}),
            {"birthDate": "1950", "_birthDate": NOTE},
        ),
        (
            {"_birthDate": {"extension": [EXTENSION, UNKNOWN["extension"][0]]}},
            step("move", "Patient.birthDate.extension", source=1, destination=0),
            {"_birthDate": {"extension": [UNKNOWN["extension"][0], EXTENSION]}},
        ),
        (
            {"_deceasedBoolean": UNKNOWN},
            step("replace", "Patient.deceased", value={"valueDateTime": "2026"}),
            {"deceasedDateTime": "2026"},
        ),
    ],
)
def test_an_element_with_extensions_alone_is_there(
    hosp: Party, before: Resource, operation: Resource, after: Resource
) -> None:
    assert elements(patched(hosp, patient(hosp, **before), operation)) == after


@pytest.mark.parametrize(
    ("before", "operation", "after"),
    [
        ({"_given": [UNKNOWN]}, step("delete", "Patient.name[0].given[0]"), {}),
        (
            {"given": [None, "Mia"], "_given": [UNKNOWN, None]},
            step("delete", "Patient.name[0].given[0]"),
            {"given": ["Mia"]},
        ),
        (
            {"given": [None, "Mia"], "_given": [UNKNOWN, None]},
            step("delete", "Patient.name.given[1]"),
            {"_given": [UNKNOWN]},
        ),
        (
            {"given": [None, "Mia"], "_given": [UNKNOWN, None]},
            step("delete", f"Patient.name.given.extension.where(url = '{URL}')"),
            {"given": ["Mia"]},
        ),
        (
            {"given": ["Mia", "Rosa"], "_given": [None, NOTE]},
            step("delete", "Patient.name.given[1].extension"),
            {"given": ["Mia", "Rosa"]},
        ),
        (
            {"given": [None, "Mia"], "_given": [UNKNOWN, None]},
            step("replace", "Patient.name.given.first()", value={"valueString": "Rosa"}),
            {"given": ["Rosa", "Mia"]},
        ),
        (
            {"_given": [UNKNOWN]},
            step("add", "Patient.name", name="given", value=MIA),
            {"given": [None, "Mia"], "_given": [UNKNOWN, None]},
        ),
        (
            {"given": ["Mia", None], "_given": [None, UNKNOWN]},
            step("move", "Patient.name.given", source=1, destination=0),
            {"given": [None, "Mia"], "_given": [UNKNOWN, None]},
        ),
        (
            {"given": ["Mia", "Rosa"]},
            step("add", "Patient.name.given[1]", name="extension", value={"valueExtension": EXTENSION}),
            {"given": ["Mia", "Rosa"], "_given": [None, NOTE]},
        ),
        ({}, step("add", "Patient.name[0].family", name="extension", value={"valueExtension": EXTENSION}),
         {"_family": NOTE}),
    ],
)  # fmt: skip
def test_the_items_of_a_list_and_what_stands_beside_them_stay_together(
    hosp: Party, before: Resource, operation: Resource, after: Resource
) -> None:
    made = patient(hosp, name=[{"family": "Maes", **before}])

    assert elements(patched(hosp, made, operation))["name"] == [{"family": "Maes", **after}]


@pytest.mark.parametrize(
    ("operation", "told"),
    [
        (step("add", "Patient", name="birthDate", value={"valueDate": "1950"}), "is there already; replace it"),
        (step("add", "Patient", name="deceased", value={"valueDateTime": "1950"}), "is there already; replace it"),
        (step("delete", "Patient.foo"), "'foo'; it has id, meta,"),
        (step("delete", "Patient.name.foo"), "HumanName has no element 'foo'"),
        (step("delete", "Patient.contact.name.foo"), "HumanName has no element 'foo'"),
        (step("delete", "Patient.deceasedBoolean"), "no element 'deceasedBoolean'"),
        (step("delete", "Patient.birthDate.foo"), "date has no element 'foo'; it has id, extension"),
        (step("delete", "Patient.birthDate.extension.url.id"), "has a value alone"),
        (step("delete", "Patient.deceased.ofType(Quantity)"), "boolean, dateTime may"),
        (step("delete", "Patient.contained.ofType(Foo)"), "No 'Foo' may stand there"),
        (step("add", "Patient.name", name="foo", value=MIA), "HumanName has no element 'foo'"),
        (step("add", "Patient", name="multipleBirthInteger", value={"valueBoolean": True}), "no value of the type"),
        (step("add", "Patient", name="multipleBirth", value=MIA), "no value of the type String"),
        (step("add", "Patient", name="address", value={"valueAddress": {}, "_valueAddress": NOTE}), "not beside"),
    ],
)
def test_what_is_not_done_is_refused_in_clear_words(hosp: Party, operation: Resource, told: str) -> None:
    made = patient(hosp, _birthDate=UNKNOWN, _deceasedBoolean=UNKNOWN, name=[{"family": "Maes"}])

    reply = patched(hosp, made, operation)

    assert (reply.status, told in reply.issues[0]["diagnostics"]) == (422, True), reply.body
    assert hosp.read(f"Patient/{made['id']}") == made


@pytest.mark.parametrize(
    "path", ["photo", "contact.name.family", "deceased", "contained.name", "address.where(city='x')"]
)
def test_what_r4_has_and_is_not_there_need_not_be_taken_away(hosp: Party, path: str) -> None:
    made = patient(hosp, gender="female")

    assert patched(hosp, made, step("delete", f"Patient.{path}")).body == made


def part(name: str, **value: Any) -> Resource:
    """A part of a value."""
    return {"name": name, **value}


@pytest.mark.parametrize("name", ["value", "valueString"])
def test_a_choice_is_named_with_its_type_or_without_it_in_parts(hosp: Party, name: str) -> None:
    parts = [part("url", valueUri="urn:x"), part(name, valueString="x")]

    reply = patched(hosp, patient(hosp), step("add", "Patient", name="extension", value={"part": parts}))

    assert elements(reply) == {"extension": [EXTENSION]}


@pytest.mark.parametrize("name", ["multipleBirth", "multipleBirthInteger"])
def test_a_choice_is_named_with_its_type_or_without_it_in_what_is_added(hosp: Party, name: str) -> None:
    added = step("add", "Patient", name=name, value={"valueInteger": 2})

    assert elements(patched(hosp, patient(hosp), added)) == {"multipleBirthInteger": 2}


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ([part("url", valueUri="urn:x"), part("valueString", valueBoolean=True)], "no value of the type"),
        ([part("url", valueUri="urn:x"), part("valu", valueString="x")], "Extension has no element 'valu'"),
        ([part("url", valueUri="urn:x"), part("url", valueUri="urn:y")], "given twice"),
        ([part("value", valueString="x"), part("valueBoolean", valueBoolean=True)], "given twice"),
    ],
)
def test_parts_that_make_no_structure_of_r4_are_refused(hosp: Party, parts: list[Resource], told: str) -> None:
    reply = patched(hosp, patient(hosp), step("add", "Patient", name="extension", value={"part": parts}))

    assert (reply.status, told in reply.issues[0]["diagnostics"]) == (422, True), reply.body


def test_parts_may_hold_extensions_beside_a_value_and_a_choice_made_of_parts(hosp: Party) -> None:
    period = {"part": [part("start", valueDateTime="2026"), part("end", _valueDateTime=UNKNOWN)]}
    parts = [part("url", valueUri="urn:x"), part("valuePeriod", **period)]

    reply = patched(hosp, patient(hosp), step("add", "Patient", name="extension", value={"part": parts}))

    assert elements(reply)["extension"] == [{"url": "urn:x", "valuePeriod": {"start": "2026", "_end": UNKNOWN}}]
