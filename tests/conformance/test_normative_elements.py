"""What `/metadata?mode=normative` leaves out is what R4's own definition marks as trial use."""

from pathlib import Path

from fhir_server.interactions.statements import TRIAL_USE
from tests.conformance.official import EXAMPLES, example, needs_examples

_STATUS = "http://hl7.org/fhir/StructureDefinition/structuredefinition-standards-status"


@needs_examples
def test_the_elements_on_trial_are_those_that_r4_marks() -> None:
    definition = example(Path(str(EXAMPLES)) / "StructureDefinition-CapabilityStatement.json")

    marked = {
        element["path"].removeprefix("CapabilityStatement.")
        for element in definition["snapshot"]["element"]
        for extension in element.get("extension", [])
        if (extension["url"], extension.get("valueCode")) == (_STATUS, "trial-use")
    }

    assert marked == TRIAL_USE
