"""What HL7 publishes as R4: its examples and its own SearchParameters, in a folder that is named from outside."""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fhir_server.fhir.json import Resource, decode

EXAMPLES = os.environ.get("SAMEN_TEST_R4_EXAMPLES")
CORE_XML = os.environ.get("SAMEN_TEST_R4_XML")

needs_examples = pytest.mark.skipif(
    EXAMPLES is None,
    reason="make conformance fetches HL7's examples; or set SAMEN_TEST_R4_EXAMPLES to the package folder of npm "
    "hl7.fhir.r4.examples@4.0.1",
)
needs_core_xml = pytest.mark.skipif(
    CORE_XML is None,
    reason="make conformance fetches HL7's XML; or set SAMEN_TEST_R4_XML to the package folder of npm "
    "hl7.fhir.r4.corexml@4.0.1",
)


def examples_of(type_name: str) -> list[Path]:
    """The files of a type's examples."""
    return sorted(Path(str(EXAMPLES)).glob(f"{type_name}-*.json"))


def example(file: Path) -> Resource:
    """The resource of a file, with every digit."""
    resource: Resource = decode(file.read_bytes())
    return resource


@cache
def search_parameters() -> tuple[dict[str, Any], ...]:
    """R4's own SearchParameters: those of its version that say what they search."""
    found = [json.loads(file.read_bytes()) for file in examples_of("SearchParameter")]
    return tuple(each for each in found if each.get("version") == "4.0.1" and {"base", "expression"} <= each.keys())


def search_parameters_of(type_name: str) -> list[dict[str, Any]]:
    """The SearchParameters of a type, with those of every resource."""
    bases = {type_name, "DomainResource", "Resource"}
    return [each for each in search_parameters() if bases & set(each["base"])]
