"""The table of structures says what R4 says, and is small and quick to read."""

from importlib.resources import files

import pytest

from fhir_server.definitions.structures import MESSAGE_TYPES, RESOURCE_TYPES, Element, Structures, load

STRUCTURES = load()
MIME_TYPES = "http://hl7.org/fhir/ValueSet/mimetypes"


def element(path: str) -> Element:
    parent, _, name = path.rpartition(".")
    return next(e for e in STRUCTURES.elements(parent) if e.name == name)


def elements_of(structures: Structures, type_name: str) -> list[Element]:
    return [e for path in structures.paths(type_name) for e in structures.elements(path)]


def test_every_supported_type_is_in_the_table() -> None:
    assert len(RESOURCE_TYPES) == 60
    assert (RESOURCE_TYPES | MESSAGE_TYPES).issubset(STRUCTURES.resource_types)
    assert STRUCTURES.fhir_version == "4.0.1"
    assert not STRUCTURES.is_resource("Period")


def test_element_knows_its_cardinality_types_targets_and_binding() -> None:
    assert element("Task.status") == Element(
        "status", True, False, False, ("code",), value_set="http://hl7.org/fhir/ValueSet/task-status"
    )
    assert element("Task.restriction").types == ("#Task.restriction",)
    assert element("Task.restriction.recipient").repeats
    assert element("CarePlan.subject").targets == {"Patient", "Group"}
    assert element("Task.focus").targets == frozenset()
    assert element("Task.id").types == ("id",)
    assert element("Extension.url").types == ("uri",)


def test_element_shares_the_children_of_another() -> None:
    assert element("Questionnaire.item.item").types == ("#Questionnaire.item",)


def test_choice_is_spelt_with_its_type() -> None:
    names = element("Observation.value").json_names()

    assert names["valueQuantity"] == "Quantity"
    assert names["valueDateTime"] == "dateTime"
    assert "value" not in names


def test_simple_quantity_is_spelt_quantity() -> None:
    (dose,) = (e for e in STRUCTURES.elements("Dosage.doseAndRate") if e.name == "dose")

    assert dose.json_names() == {"doseRange": "Range", "doseQuantity": "SimpleQuantity"}
    assert "comparator" not in {e.name for e in STRUCTURES.elements("SimpleQuantity")}


def test_required_codes_are_known_by_system() -> None:
    assert STRUCTURES.codes("http://hl7.org/fhir/ValueSet/administrative-gender") == {
        "http://hl7.org/fhir/administrative-gender": ["female", "male", "other", "unknown"]
    }


def test_invariants_are_known_by_path() -> None:
    assert "inv-1" in STRUCTURES.invariants("Task")
    assert "per-1" in STRUCTURES.invariants("Period")
    assert {"org-1", "org-2", "org-3"} <= set(STRUCTURES.invariants("Organization"))


@pytest.mark.parametrize("type_name", sorted(RESOURCE_TYPES | MESSAGE_TYPES))
def test_whatever_an_element_names_is_in_the_table(type_name: str) -> None:
    for found in elements_of(STRUCTURES, type_name):
        assert found.targets <= STRUCTURES.resource_types
        assert found.value_set in (None, MIME_TYPES) or STRUCTURES.codes(found.value_set)
        for stated in found.types:
            known = stated in STRUCTURES.primitives or stated == "Resource" or STRUCTURES.elements(stated.lstrip("#"))
            assert known, f"{type_name}.{found.name}: {stated}"


def test_unknown_path_is_an_error() -> None:
    with pytest.raises(KeyError):
        STRUCTURES.elements("Task.nothing")


def test_table_is_read_once_and_small() -> None:
    table = files("fhir_server.definitions").joinpath("structures.json.gz")

    assert load() is STRUCTURES
    assert len(table.read_bytes()) < 100_000
