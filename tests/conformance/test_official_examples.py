"""What HL7 and Synthea publish as R4 is accepted, but for those examples that break R4 themselves."""

import os
from pathlib import Path

import pytest

from fhir_server.definitions.structures import MESSAGE_TYPES, RESOURCE_TYPES
from fhir_server.fhir.json import decode
from fhir_server.validation import Validator
from tests.conformance.official import EXAMPLES, examples_of, needs_examples

VALIDATOR = Validator()
SYNTHEA = Path(os.environ.get("SAMEN_TEST_SYNTHEA", Path(__file__).parents[3] / "shared" / "data" / "synthea"))

NO_BASE = "base is required and missing"
SAYS_NOTHING = "the narrative is empty (txt-2)"
NO_BASE_DEFINITION = "a concrete logical model without baseDefinition (sdf-4)"
INVALID = {
    "ActivityDefinition-blood-tubes-supply": SAYS_NOTHING,
    "ActivityDefinition-heart-valve-replacement": SAYS_NOTHING,
    "Bundle-dataelements": "the same fullUrl comes several times (bdl-7)",
    "DeviceUseStatement-example": "reasonReference may not point to a Procedure",
    "MedicationRequest-medrx0301": "dispenseRequest.performer may not point to a Practitioner",
    "Observation-clinical-gender": "performer may not point to an Encounter",
    "Questionnaire-qs1": "items without linkId",
    "Questionnaire-zika-virus-exposure-assessment": SAYS_NOTHING,
    "SearchParameter-codesystem-extensions-CodeSystem-author": NO_BASE,
    "SearchParameter-codesystem-extensions-CodeSystem-effective": NO_BASE,
    "SearchParameter-codesystem-extensions-CodeSystem-end": NO_BASE,
    "SearchParameter-codesystem-extensions-CodeSystem-keyword": NO_BASE,
    "SearchParameter-codesystem-extensions-CodeSystem-workflow": NO_BASE,
    "SearchParameter-questionnaireresponse-extensions-QuestionnaireResponse-item-subject": "the id is too long",
    "SearchParameter-valueset-extensions-ValueSet-author": NO_BASE,
    "SearchParameter-valueset-extensions-ValueSet-effective": NO_BASE,
    "SearchParameter-valueset-extensions-ValueSet-end": NO_BASE,
    "SearchParameter-valueset-extensions-ValueSet-keyword": NO_BASE,
    "SearchParameter-valueset-extensions-ValueSet-workflow": NO_BASE,
    "StructureDefinition-Definition": NO_BASE_DEFINITION,
    "StructureDefinition-Event": NO_BASE_DEFINITION,
    "StructureDefinition-FiveWs": NO_BASE_DEFINITION,
    "StructureDefinition-Request": NO_BASE_DEFINITION,
}
WITHOUT_EXAMPLES = {"Parameters"}
needs_synthea = pytest.mark.skipif(
    not SYNTHEA.is_dir(), reason="set SAMEN_TEST_SYNTHEA to a folder of Synthea R4 transaction Bundles"
)


@needs_examples
@pytest.mark.parametrize("type_name", sorted((RESOURCE_TYPES | MESSAGE_TYPES) - WITHOUT_EXAMPLES))
def test_official_examples_are_accepted(type_name: str) -> None:
    files = examples_of(type_name)
    assert files, f"{EXAMPLES} holds no examples of {type_name}"

    refused = {
        file.stem: [(issue.path, issue.diagnostics) for issue in VALIDATOR.check(decode(file.read_bytes()))[:3]]
        for file in files
        if file.stem not in INVALID
    }

    assert {name: issues for name, issues in refused.items() if issues} == {}


@needs_examples
@pytest.mark.parametrize("name", sorted(INVALID))
def test_examples_that_break_r4_are_refused(name: str) -> None:
    (file,) = Path(str(EXAMPLES)).glob(f"{name}.json")

    assert VALIDATOR.check(decode(file.read_bytes())), f"{INVALID[name]}, and yet it was accepted"


@needs_synthea
def test_synthea_bundles_are_accepted_whole_and_entry_by_entry() -> None:
    files = sorted(SYNTHEA.glob("*.json"))
    assert files, f"{SYNTHEA} holds no Bundles"

    for file in files:
        bundle = decode(file.read_bytes())
        assert VALIDATOR.check(bundle) == [], file.name
        for entry in bundle["entry"]:
            assert VALIDATOR.check(entry["resource"]) == [], file.name
