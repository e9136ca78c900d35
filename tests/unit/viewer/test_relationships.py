"""Who a contact person is, in the reader's words where HL7's code for it is known."""

import pytest

from fhir_server.fhir.json import Resource
from fhir_server.viewer.relationships import relationship_text
from tests.unit.viewer.readers import reading

ROLE = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
CONTACT = "http://terminology.hl7.org/CodeSystem/v2-0131"


def coded(code: str, system: str = ROLE, **elements: str) -> Resource:
    return {"coding": [{"system": system, "code": code, **elements}]}


@pytest.mark.parametrize(
    ("language", "concept", "shown"),
    [
        ("nl", coded("DAUC"), "dochter"),
        ("fr", coded("DAUC"), "fille"),
        ("de", coded("DAUC"), "Tochter"),
        ("en", coded("DAUC"), "daughter"),
        ("nl", coded("N", CONTACT), "naaste"),
        ("fr", coded("C", CONTACT), "contact en cas d’urgence"),
        ("de", coded("WIFE", display="wife"), "Ehefrau"),
        ("en", coded("BRO", "http://hl7.org/fhir/v3/RoleCode"), "brother"),
        ("en", {"coding": [{"system": "https://example.org/own", "code": "7"}, *coded("NBOR")["coding"]]}, "neighbour"),
        ("nl", {"text": "jongste dochter", **coded("DAUC")}, "jongste dochter"),
        ("nl", coded("N", "https://example.org/own"), "code N"),
        ("nl", coded("XYZ"), "code XYZ"),
        ("nl", coded("XYZ", display="somebody"), "somebody"),
        ("nl", {"coding": [{"display": "vroedvrouw"}]}, "vroedvrouw"),
        ("nl", {}, ""),
    ],
)
def test_a_relationship_is_told_in_words(language: str, concept: Resource, shown: str) -> None:
    with reading(language):
        assert relationship_text(concept, language) == shown
