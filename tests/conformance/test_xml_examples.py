"""XML loses nothing of what HL7 publishes as R4, and what we write is valid by HL7's own schema."""

from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from fhir_server.definitions.structures import load
from fhir_server.fhir.json import decode as decode_json
from fhir_server.fhir.json import encode as encode_json
from fhir_server.rest.xml.decode import decode
from fhir_server.rest.xml.encode import encode
from tests.conformance.official import CORE_XML, EXAMPLES, examples_of, needs_core_xml, needs_examples
from tests.conformance.test_official_examples import INVALID
from tests.http.resources import imported

TYPES = sorted(load().resource_types)
WITH_EXAMPLES = sorted(
    {file.name.partition("-")[0] for file in Path(EXAMPLES or "/nowhere").glob("*-*.json")} & set(TYPES)
)
XML_TYPES = [
    "CapabilityStatement", "CodeSystem", "CompartmentDefinition", "ConceptMap", "NamingSystem", "OperationDefinition",
    "SearchParameter", "StructureDefinition", "ValueSet",
]  # fmt: skip
# The schema's own list of versions ends before 4.0.1.
NO_VERSION = "}fhirVersion', attribute 'value': [facet 'enumeration'] The value '4.0.1'"
# Types that the server does not store, and whose published example breaks the schema.
ALSO_INVALID = {"ImplementationGuide-fhir"}


def exactly(value: Any) -> Any:
    """The value with numbers as their digits: 1.0 and 1.00 are not the same."""
    if isinstance(value, dict):
        return {name: exactly(child) for name, child in value.items()}
    if isinstance(value, list):
        return [exactly(child) for child in value]
    return (type(value), str(value)) if isinstance(value, (int, Decimal)) else value


@pytest.fixture(scope="module")
def errors_of() -> Any:
    """The errors that HL7's schema finds in a document."""
    etree = pytest.importorskip("lxml.etree", reason="pip install lxml: it judges our XML by HL7's schema")
    schema = etree.XMLSchema(etree.parse(str(Path(str(CORE_XML)) / "xml" / "fhir-single.xsd")))

    def errors(document: bytes) -> list[str]:
        schema.validate(etree.fromstring(document))
        return [error.message for error in schema.error_log if NO_VERSION not in error.message]

    return errors


@needs_examples
@pytest.mark.parametrize("type_name", WITH_EXAMPLES)
def test_official_json_comes_back_from_xml_with_every_digit(type_name: str) -> None:
    files = examples_of(type_name)
    assert files

    for file in files:
        resource = decode_json(file.read_bytes())
        assert exactly(decode(encode(resource))) == exactly(resource), file.name


@needs_core_xml
@pytest.mark.parametrize("type_name", XML_TYPES)
def test_official_xml_comes_back_from_json(type_name: str) -> None:
    files = sorted(Path(str(CORE_XML)).glob(f"{type_name}-*.xml"))
    assert files, f"{CORE_XML} holds no {type_name}"

    for file in files:
        document = file.read_bytes()
        ours = encode(decode_json(encode_json(decode(document))))
        assert ElementTree.canonicalize(ours.decode()) == ElementTree.canonicalize(document.decode()), file.name


@needs_examples
@needs_core_xml
@pytest.mark.parametrize("type_name", WITH_EXAMPLES)
def test_what_we_write_is_valid_by_the_schema(errors_of: Any, type_name: str) -> None:
    for file in examples_of(type_name):
        if file.stem in INVALID.keys() | ALSO_INVALID:
            continue
        resource = decode_json(file.read_bytes())
        assert errors_of(encode(resource)) == [], file.name


@needs_core_xml
def test_the_schema_refuses_what_is_wrong(errors_of: Any) -> None:
    document = encode(imported("Task"))

    assert errors_of(document) == errors_of(encode(imported("Task"), pretty=True)) == []
    assert errors_of(document.replace(b"<status", b"<state")) != []
