"""What `/metadata` says in its other modes."""

import pytest
from lxml import etree

from fhir_server.definitions.structures import load
from fhir_server.fhir.json import Resource
from fhir_server.validation.findings import Finding
from fhir_server.validation.invariants import INVARIANTS
from fhir_server.validation.structure import Compiler
from tests.minimal import minimal
from tests.world import Party, World


def test_the_statement_of_terminology_promises_what_works_and_no_more(world: World, hosp: Party) -> None:
    told = hosp.get("metadata?mode=terminology").body

    assert (told["resourceType"], told["kind"], told["codeSearch"]) == (
        "TerminologyCapabilities",
        "instance",
        "explicit",
    )
    assert not told.keys() & {"expansion", "validateCode", "translation", "closure", "codeSystem"}
    for place in ("ValueSet/$expand", "ValueSet/$validate-code", "CodeSystem/$lookup", "ConceptMap/$translate"):
        assert hosp.get(place).status == 404
    include = [{"system": "urn:test:s", "concept": [{"code": "explicit-code"}]}]
    made = world.operator.post(minimal("ValueSet", compose={"include": include}))
    assert made.status == 201, made.body
    assert made.body["id"] in {each["id"] for each in hosp.get("ValueSet?code=explicit-code").entries}


def test_the_statement_of_terminology_is_well_formed(hosp: Party) -> None:
    told = hosp.get("metadata?mode=terminology").body

    assert [finding for finding in _findings(told)] == []
    assert [finding.path for finding in _findings({**told, "codeSearch": 1})] == [".codeSearch"]


def test_the_statement_of_terminology_is_there_in_xml_and_has_an_etag(hosp: Party) -> None:
    reply = hosp.get("metadata?mode=terminology&_format=xml")

    assert etree.fromstring(reply.raw).tag == "{http://hl7.org/fhir}TerminologyCapabilities"
    tag = hosp.get("metadata?mode=terminology").headers["ETag"]
    assert hosp.get("metadata?mode=terminology", If_None_Match=tag).status == 304
    assert tag != hosp.get("metadata").headers["ETag"]


@pytest.mark.parametrize("mode", ["full", "normative", "terminology"])
@pytest.mark.parametrize("summary", ["true", "text", "data", "false"])
def test_every_statement_has_every_summary(hosp: Party, mode: str, summary: str) -> None:
    whole, part = hosp.get(f"metadata?mode={mode}").body, hosp.get(f"metadata?mode={mode}&_summary={summary}").body

    assert part["resourceType"] == whole["resourceType"]
    assert {name: part[name] for name in ("status", "kind")} == {name: whole[name] for name in ("status", "kind")}
    assert ("SUBSETTED" in {tag["code"] for tag in part.get("meta", {}).get("tag", ())}) == (summary != "false")
    left_out = {"description"} if summary == "text" else set()
    assert not left_out & part.keys()


def test_a_parameter_with_two_values_is_refused(hosp: Party) -> None:
    for asked in ("mode=full&mode=terminology", "_summary=true&_summary=false"):
        refused = hosp.get(f"metadata?{asked}")
        assert refused.status == 400
        assert "said once" in refused.issues[0]["diagnostics"]
    assert hosp.get("metadata?mode=full&mode=full").status == 200


def test_the_normative_statement_leaves_out_what_is_on_trial(hosp: Party) -> None:
    whole, normative = hosp.get("metadata").body, hosp.get("metadata?mode=normative").body

    [rest], [kept] = whole["rest"], normative["rest"]
    trial = {"versioning", "readHistory", "updateCreate", "conditionalCreate", "referencePolicy"}
    assert "security" in rest
    assert "security" not in kept
    assert [each["type"] for each in kept["resource"]] == [each["type"] for each in rest["resource"]]
    for one, other in zip(rest["resource"], kept["resource"], strict=True):
        assert trial <= one.keys()
        assert not trial & other.keys()
        assert other["searchParam"] == one["searchParam"]
        assert other["interaction"] == one["interaction"]


def test_an_unknown_mode_is_refused_with_those_that_there_are(hosp: Party) -> None:
    refused = hosp.get("metadata?mode=everything")

    assert refused.status == 400
    assert "full or normative or terminology" in refused.issues[0]["diagnostics"]


def _findings(resource: Resource) -> list[Finding]:
    return Compiler(load(), INVARIANTS).resource(resource)
