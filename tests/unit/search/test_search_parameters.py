"""What can be searched is R4's own list, less what is named here."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fhir_server.definitions.expressions import Irreducible, of_type, reduce
from fhir_server.definitions.parameter_rows import spell
from fhir_server.definitions.search_parameters import Part, parameters_of, places_of, unserved
from fhir_server.definitions.structures import RESOURCE_TYPES
from fhir_server.definitions.value_paths import ElementPath, Step
from fhir_server.search.clauses import MODIFIERS

TOOL = Path(__file__).parents[3] / "tools" / "reduce_search_parameters.py"
DUE = {"code": "due", "type": "date", "base": ["Task"], "expression": "Task.restriction.period.end"}


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """The tool as a module; it is no part of the package."""
    spec = importlib.util.spec_from_file_location("reduce_search_parameters", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def reduced(expression: str, type_name: str) -> list[str]:
    extensions = {"http://e": ("string", "CodeableConcept")}
    parts = of_type(expression, type_name)
    return [spell(found) for part in parts for found in reduce(part, type_name, extensions)]


@pytest.mark.parametrize(
    ("type_name", "expression", "paths"),
    [
        ("Task", "Task.status", ["status:code"]),
        ("Flag", "CarePlan.period | Flag.period", ["period:Period"]),
        ("Task", "Task.for.where(resolve() is Patient)", ["for:Reference(Patient)"]),
        ("Patient", "Patient.telecom.where(system='phone')", ["telecom[system=phone]:ContactPoint"]),
        ("Goal", "(Goal.start as date)", ["startDate:date"]),
        (
            "Condition",
            "Condition.onset.as(dateTime) | Condition.onset.as(Period)",
            ["onsetDateTime:dateTime", "onsetPeriod:Period"],
        ),
        ("Group", "(Group.characteristic.value as boolean)", ["characteristic.valueBoolean:boolean"]),
        ("Observation", "(Observation.value as CodeableConcept).text", ["valueCodeableConcept.text:string"]),
        ("Patient", "Patient.name.family", ["name.family:string"]),
        (
            "Patient",
            "Patient.extension('http://e')",
            [
                "extension[url=http://e].valueString:string",
                "extension[url=http://e].valueCodeableConcept:CodeableConcept",
            ],
        ),
        (
            "Patient",
            "Patient.deceased.exists() and Patient.deceased != false",
            ["deceasedBoolean:existence", "deceasedDateTime:existence"],
        ),
        (
            "QuestionnaireResponse",
            "QuestionnaireResponse.item.where(hasExtension('http://e')).answer.value.ofType(Reference)",
            ["item[extension.url=http://e].answer.valueReference:Reference"],
        ),
        (
            "Task",
            "Task.input.where(extension('http://e').exists()).type",
            ["input[extension.url=http://e].type:CodeableConcept"],
        ),
        (
            "Task",
            "Task.for.where(resolve() is Patient).identifier.value",
            ["for[resolve=Patient].identifier.value:string"],
        ),
        (
            "Measure",
            "Measure.relatedArtifact.where(type='successor').resource | Measure.library",
            ["relatedArtifact[type=successor].resource:canonical", "library:canonical"],
        ),
    ],
)
def test_an_expression_becomes_plain_paths(type_name: str, expression: str, paths: list[str]) -> None:
    assert reduced(expression, type_name) == paths


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("Task.nothing", "Task has no element 'nothing'"),
        ("Task.status.first()", r"first\(\) is not reduced"),
        ("Task.input.where(type.text = 'x')", "is not reduced"),
        ("Task.input.where(hasExtension(type))", "is not reduced"),
        ("Task.for.where(resolve() is Patient).where(resolve() is Group)", "where a type is asked already"),
        ("Task.for.where(type='Patient').where(resolve() is Patient).display", "compares one child"),
    ],
)
def test_what_is_no_plain_path_is_refused_with_the_reason(expression: str, reason: str) -> None:
    with pytest.raises(Irreducible, match=reason):
        reduced(expression, "Task")


def test_what_is_refused_stands_in_the_table_and_the_rest_is_served(tool: ModuleType) -> None:
    odd: dict[str, Any] = {"code": "odd", "type": "token", "base": ["Task"], "expression": "Task.status.first()"}
    table = tool.table_of([DUE, odd], {})
    assert table["parameters"]["Task"] == {
        "due": {"type": "date", "paths": ["restriction.period.end:dateTime"], "single": True}
    }
    assert table["unserved"] == {"Task.odd": "the function first() is not reduced"}


def test_every_parameter_that_is_not_served_is_known_here() -> None:
    assert unserved() == {
        "DomainResource._text": "it asks for words, not for the values of elements",
        "Resource._content": "it asks for words, not for the values of elements",
        "Resource._query": "named queries are not served",
    }


def test_an_extension_that_r4_names_without_defining_it_may_have_any_value(
    tool: ModuleType,
) -> None:
    number = {"code": "n", "type": "number", "base": ["Task"], "expression": "Task.extension('http://unknown')"}
    at = "extension[url=http://unknown]"
    assert tool.row(number, "Task", {})["paths"] == [
        f"{at}.valueDecimal:decimal",
        f"{at}.valueInteger:integer",
        f"{at}.valuePositiveInt:positiveInt",
        f"{at}.valueUnsignedInt:unsignedInt",
        f"{at}.valueRange:Range",
    ]


def test_the_components_of_a_composite_at_the_resource_are_parameters_of_it() -> None:
    parameters = parameters_of("Observation")
    [part] = parameters["code-value-quantity"].parts
    assert part == Part("", (parameters["code"], parameters["value-quantity"]))


def test_the_components_of_a_composite_below_an_element_have_their_own_paths() -> None:
    [part] = parameters_of("DocumentReference")["relationship"].parts
    assert (part.at, [(each.code, each.type) for each in part.components]) == (
        "relatesTo",
        [("code", "token"), ("target", "reference")],
    )


def test_a_composite_finds_its_components_at_every_place_that_r4_names() -> None:
    assert [part.at for part in parameters_of("Observation")["combo-code-value-quantity"].parts] == ["", "component"]
    assert set(places_of("Observation")) == {"component"}
    assert set(places_of("Task")) == set()


@pytest.mark.parametrize("type_name", sorted(RESOURCE_TYPES))
def test_every_stored_type_can_be_searched_by_what_all_resources_share(type_name: str) -> None:
    parameters = parameters_of(type_name)
    assert {"_id", "_lastUpdated", "_tag", "_profile", "_security", "_source"} <= parameters.keys()
    assert {parameter.type for parameter in parameters.values()} <= MODIFIERS.keys()


def test_a_task_is_found_by_when_it_is_due() -> None:
    due = parameters_of("Task")["due"]
    assert due.type == "date"
    assert due.paths == (ElementPath((Step("restriction"), Step("period"), Step("end")), "dateTime"),)


def test_the_patient_of_a_shared_parameter_is_a_patient_only() -> None:
    assert parameters_of("Observation")["patient"].targets == ("Patient",)
    assert parameters_of("Observation")["subject"].targets == ("Device", "Group", "Location", "Patient")
    assert parameters_of("Task")["focus"].targets == ("*",)


def test_a_status_that_every_resource_has_knows_all_its_codes() -> None:
    status = parameters_of("CarePlan")["status"]
    assert status.system == "http://hl7.org/fhir/request-status"
    assert set(status.codes) == {"draft", "active", "on-hold", "revoked", "completed", "entered-in-error", "unknown"}


@pytest.mark.parametrize("type_name", ["Resource", "DomainResource", "Bundle", "Nothing"])
def test_a_type_that_is_not_stored_has_no_parameters(type_name: str) -> None:
    with pytest.raises(KeyError):
        parameters_of(type_name)
