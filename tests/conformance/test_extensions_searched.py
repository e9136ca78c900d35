"""What R4's expressions find in extensions, which none of its examples has, is what we find there."""

from typing import Any

import pytest

from fhir_server.definitions.search_parameters import parameters_of
from fhir_server.fhir.json import Resource
from fhir_server.search.elements import values_of
from tests.conformance.fhirpath import exactly, of_type, read

HL7 = "http://hl7.org/fhir"
DIN = f"{HL7}/SearchParameter/device-extensions-Device-din"
IS_SUBJECT = f"{HL7}/StructureDefinition/questionnaireresponse-isSubject"
SUBJECTS = f"QuestionnaireResponse.item.where(hasExtension('{IS_SUBJECT}')).answer.value.ofType(Reference)"
PATIENT, OTHER = {"reference": "Patient/1"}, {"reference": "Patient/2"}
NAMED = {
    "coding": [{"system": "http://varnomen.hgvs.org", "code": "p.Leu858Arg", "display": "L858R"}],
    "text": "Leu858",
}


def named(name: str) -> str:
    """The url of one of R4's extensions."""
    return f"{HL7}/StructureDefinition/{name}"


def item(*answers: Any, url: str | None = IS_SUBJECT) -> Resource:
    """An item with its answers, marked as the subject or not."""
    marks = (
        {"extension": [{"url": "http://other", "valueCode": "x"}, {"url": url, "valueBoolean": True}]} if url else {}
    )
    return {"linkId": "1", "answer": list(answers), **marks}


@pytest.mark.parametrize(
    ("type_name", "code", "expression", "resource", "count"),
    [
        (
            "Device",
            "din",
            f"Device.extension('{DIN}')",
            {"extension": [{"url": DIN, "valueIdentifier": {"value": "7"}}]},
            1,
        ),
        (
            "Device",
            "din",
            f"Device.extension('{DIN}')",
            {"extension": [{"url": "http://other", "valueString": "7"}]},
            0,
        ),
        (
            "Patient",
            "mothersMaidenName",
            f"Patient.extension('{named('patient-extensions-Patient-mothersMaidenName')}')",
            {"extension": [{"url": named("patient-extensions-Patient-mothersMaidenName"), "valueString": "Peeters"}]},
            1,
        ),
        (
            "Observation",
            "dna-variant",
            f"Observation.extension('{named('observation-geneticsDnaVariant')}')",
            {"extension": [{"url": named("observation-geneticsDnaVariant"), "valueString": "c.2573T>G"}] * 2},
            2,
        ),
        ("QuestionnaireResponse", "item-subject", SUBJECTS, {"item": [item({"valueReference": PATIENT})]}, 1),
        (
            "QuestionnaireResponse",
            "item-subject",
            SUBJECTS,
            {"item": [item({"valueReference": PATIENT}, {"valueString": "x"}, {"valueReference": OTHER})]},
            2,
        ),
        ("QuestionnaireResponse", "item-subject", SUBJECTS, {"item": [item({"valueReference": PATIENT}, url=None)]}, 0),
        (
            "QuestionnaireResponse",
            "item-subject",
            SUBJECTS,
            {"item": [item({"valueReference": PATIENT}, url="http://o")]},
            0,
        ),
    ],
)
def test_an_extension_is_found_where_the_expression_finds_it(
    type_name: str, code: str, expression: str, resource: Resource, count: int
) -> None:
    resource = {"resourceType": type_name, **resource}

    theirs = [value for path in of_type(expression, type_name) for _, value in map(read, path(resource))]
    ours = [value for _, value in values_of(resource, parameters_of(type_name)[code])]

    assert exactly(ours) == exactly(theirs)
    assert len(ours) == count


@pytest.mark.parametrize(
    ("code", "url"),
    [
        ("amino-acid-change", "observation-geneticsAminoAcidChange"),
        ("gene-amino-acid-change", "observation-geneticsAminoAcidChange"),
        ("dna-variant", "observation-geneticsVariant"),
        ("gene-dnavariant", "observation-geneticsVariant"),
    ],
)
def test_a_genetic_change_is_found_by_the_extension_that_r4_defines_for_it(code: str, url: str) -> None:
    parts = [{"url": "Type", "valueCodeableConcept": {"text": "type"}}, {"url": "Name", "valueCodeableConcept": NAMED}]
    observation = {"resourceType": "Observation", "extension": [{"url": named(url), "extension": parts}]}

    found = values_of(observation, parameters_of("Observation")[code])

    assert found == [("string", "Leu858"), ("string", "L858R"), ("string", "p.Leu858Arg")]
