"""What numbers, quantities, composites and places find, as R4 says it: https://hl7.org/fhir/R4/search.html"""

from decimal import Decimal
from typing import Any

import pytest

from fhir_server.definitions.units import unit
from fhir_server.fhir.errors import MalformedRequest
from fhir_server.fhir.json import Resource
from fhir_server.search.extract import search_values
from fhir_server.search.match import matches
from fhir_server.search.parse import parse

UCUM = "http://unitsofmeasure.org"


def finds(type_name: str, name: str, text: str, **content: Any) -> bool:
    resource: Resource = {"resourceType": type_name, "id": "1", **content}
    return matches(parse(type_name, [(name, text)], base_url="https://here.example/fhir"), resource)


def measured(value: str, code: str | None = "mg", **more: Any) -> dict[str, Any]:
    unit_of = {"system": UCUM, "code": code} if code else {}
    return {"valueQuantity": {"value": Decimal(value), **unit_of, **more}}


@pytest.mark.parametrize(
    ("asked", "probability", "found"),
    [
        ("100", "99.5", True),
        ("100", "100.5", False),
        ("100", "99.49", False),
        ("100.00", "99.995", True),
        ("100.00", "100.005", False),
        ("1e2", "95", True),
        ("1e2", "104.9", True),
        ("1e2", "105", False),
        ("-3", "-3.4", True),
        ("0", "0.4", True),
        ("ne100", "100.4", False),
        ("ne100", "100.5", True),
        ("gt100", "100.1", True),
        ("gt100", "100", False),
        ("lt100", "99.9", True),
        ("lt100", "100", False),
        ("ge100", "100", True),
        ("ge100", "99.9", False),
        ("le100", "100", True),
        ("le100", "100.1", False),
        ("sa100", "100.1", True),
        ("eb100", "99.9", True),
        ("eb100", "100", False),
        ("ap100", "110", True),
        ("ap100", "90", True),
        ("ap100", "110.1", False),
        ("ap0", "0.5", True),
        ("1,100", "100", True),
        ("0.30000000000000000000", "0.3", True),
        ("ne0.30000000000000000000", "0.3", False),
        ("1000000000000000000000", "1e21", True),
        ("1000000000000000000000", "1.00000000000001e21", False),
    ],
)
def test_a_number_is_compared_by_its_significant_digits(asked: str, probability: str, found: bool) -> None:
    prediction = [{"probabilityDecimal": Decimal(probability)}]
    assert finds("RiskAssessment", "probability", asked, prediction=prediction) is found


@pytest.mark.parametrize("text", ["٣", "３.5", "1e٣", "gt٣"])
def test_a_number_is_written_in_the_digits_of_ascii(text: str) -> None:
    for type_name, name in (("RiskAssessment", "probability"), ("Observation", "value-quantity")):
        with pytest.raises(MalformedRequest, match="is no number"):
            finds(type_name, name, text)


@pytest.mark.parametrize(
    ("asked", "found"),
    [("gt1", True), ("gt1||mg", True), (f"gt1|{UCUM}|mg", False), ("lt1", False)],
)
def test_a_quantity_beyond_all_reckoning_is_found_by_its_own_unit(asked: str, found: bool) -> None:
    assert finds("Observation", "value-quantity", asked, **measured("1e9999999", "mg")) is found


@pytest.mark.parametrize(
    ("asked", "found"), [("gt5", True), ("lt5", True), ("eq5", False), ("ne5", True), ("sa5", False), ("ap4", True)]
)
def test_a_range_of_numbers_is_compared_by_its_ends(asked: str, found: bool) -> None:
    prediction = [{"probabilityRange": {"low": {"value": Decimal(2)}, "high": {"value": Decimal(8)}}}]
    assert finds("RiskAssessment", "probability", asked, prediction=prediction) is found


@pytest.mark.parametrize(
    ("asked", "content", "found"),
    [
        ("5.4", measured("5.4"), True),
        ("5.4", measured("5.44", None), True),
        ("5.4", measured("5.45"), False),
        (f"5.4|{UCUM}|mg", measured("5.4"), True),
        (f"5.4|{UCUM}|mg", measured("0.0054", "g"), True),
        (f"5.4|{UCUM}|mg", measured("5400", "ug"), True),
        (f"5.4|{UCUM}|mg", measured("5.4", "mmol"), False),
        (f"gt5.4|{UCUM}|mg", measured("1", "kg"), True),
        (f"gt5.4|{UCUM}|mg", measured("0.0054", "g"), False),
        (f"ap36.6|{UCUM}|Cel", measured("309.75", "K"), True),
        (f"37.0|{UCUM}|Cel", measured("98.6", "[degF]"), True),
        (f"5|{UCUM}|U/L", measured("5", "mU/mL"), True),
        (f"60|{UCUM}|U/L", measured("1", "ukat/L"), True),
        (f"5|{UCUM}|U/L", measured("5", "[iU]/L"), False),
        (f"5|{UCUM}|[IU]/mL", measured("5000", "[iU]/L"), True),
        (f"72|{UCUM}|/min", measured("72", "{beats}/min"), True),
        (f"120|{UCUM}|mm[Hg]", measured("16.0", "kPa"), True),
        (f"5|{UCUM}|U/l", measured("5", "U/L"), True),
        (f"6.1|{UCUM}|10*9/L", measured("6.1", "10*3/ul"), True),
        (f"5|{UCUM}|U/l", measured("5", "[IU]/l"), False),
        ("5.4||mg", measured("5.4"), True),
        ("5.4||mg", measured("5.4", None, unit="mg"), True),
        ("5.4||mg", measured("0.0054", "g"), False),
        ("5.4||", measured("5.4"), True),
        ("gt5.4||", measured("5.4"), False),
        ("gt5.4||", measured("6", "kg"), True),
        ("5.4|http://other|mg", measured("5.4"), False),
        ("5.4|http://other|x", {"valueQuantity": {"value": 5.4, "system": "http://other", "code": "x"}}, True),
        ("lt1", measured("5", comparator="<"), True),
        ("gt9", measured("5", comparator=">="), True),
        ("eq5", measured("5", comparator=">="), False),
        ("ge5", measured("5", comparator="<"), False),
        ("ge5", measured("5", comparator="<="), True),
        ("eb5", measured("5", comparator="<"), True),
        ("eb5", measured("5", comparator="<="), False),
        ("le5", measured("5", comparator=">"), False),
        ("le5", measured("5", comparator=">="), True),
        ("sa5", measured("5", comparator=">"), True),
        ("sa5", measured("5", comparator=">="), False),
        ("5.4", {"valueQuantity": {"unit": "mg"}}, False),
    ],
)
def test_a_quantity_is_compared_with_its_unit_when_one_is_asked(
    asked: str, content: dict[str, Any], found: bool
) -> None:
    assert finds("Observation", "value-quantity", asked, status="final", **content) is found


def test_money_is_found_by_its_currency() -> None:
    from fhir_server.search.types.quantity import ranges_of

    [(between, forms)] = ranges_of("Money", {"value": Decimal("12.50"), "currency": "EUR"})
    assert (between, forms) == ((12.5, 12.5), ["", "|EUR", "urn:iso:std:iso:4217|EUR"])


def pressure(systolic: str, diastolic: str) -> dict[str, Any]:
    return {
        "component": [
            {"code": {"coding": [{"system": "http://loinc.org", "code": code}]}, **measured(value, "mm[Hg]")}
            for code, value in (("8480-6", systolic), ("8462-4", diastolic))
        ]
    }


def test_the_values_of_a_composite_stand_at_one_place() -> None:
    asked = f"http://loinc.org|8480-6$gt140|{UCUM}|mm[Hg]"
    assert finds("Observation", "component-code-value-quantity", asked, **pressure("150", "80"))
    assert not finds("Observation", "component-code-value-quantity", asked, **pressure("120", "150"))
    assert finds("Observation", "combo-code-value-quantity", asked, **pressure("150", "80"))


def test_a_composite_at_the_resource_joins_two_parameters() -> None:
    content = {"code": {"coding": [{"code": "weight"}]}, **measured("80", "kg")}
    assert finds("Observation", "code-value-quantity", "weight$gt70", **content)
    assert finds("Observation", "combo-code-value-quantity", "height$1,weight$gt70", **content)
    assert not finds("Observation", "code-value-quantity", "height$gt70", **content)
    assert not finds("Observation", "component-code-value-quantity", "weight$gt70", **content)


def test_a_dollar_sign_in_a_value_is_escaped() -> None:
    content = {"code": {"coding": [{"code": "a$b"}]}, "valueString": "x"}
    assert finds("Observation", "code-value-string", r"a\$b$x", **content)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("51.0543|3.7174", True),
        ("51.0543|3.7174|1|km", True),
        ("50.8503|4.3517", True),
        ("50.8503|4.3517|10", False),
        ("50.8503|4.3517|60000|m", True),
        ("50.8503|4.3517|40|mi", True),
    ],
)
def test_a_location_is_near_within_the_distance(asked: str, found: bool) -> None:
    ghent = {"latitude": Decimal("51.0543"), "longitude": Decimal("3.7174")}
    assert finds("Location", "near", asked, position=ghent) is found


def test_a_place_that_is_not_on_earth_is_near_to_nothing() -> None:
    nowhere = {"latitude": Decimal(500), "longitude": Decimal(3)}
    assert "g" not in search_values({"resourceType": "Location", "id": "1", "position": nowhere})


@pytest.mark.parametrize(
    ("type_name", "name", "text"),
    [
        ("RiskAssessment", "probability", "much"),
        ("RiskAssessment", "probability", "NaN"),
        ("RiskAssessment", "probability", "xx5"),
        ("RiskAssessment", "probability", "1e99999"),
        ("Observation", "value-quantity", "5|mg"),
        ("Observation", "value-quantity", "5|a|"),
        ("Observation", "value-quantity", "|a|mg"),
        ("Observation", "code-value-quantity", "weight"),
        ("Observation", "code-value-quantity", "weight$"),
        ("Observation", "code-value-quantity", "weight$1$2"),
        ("Observation", "code-value-quantity:missing", "true"),
        ("Location", "near", "51"),
        ("Location", "near", "51|181"),
        ("Location", "near", "51|3|-1"),
        ("Location", "near", "51|3|1|parsec"),
        ("Location", "near", "51|3|1|km|x"),
    ],
)
def test_an_amount_that_cannot_be_read_is_refused(type_name: str, name: str, text: str) -> None:
    with pytest.raises(MalformedRequest):
        finds(type_name, name, text)


def test_a_resource_keeps_numbers_only_when_it_has_some() -> None:
    assert {"n", "g", "m"}.isdisjoint(search_values({"resourceType": "Observation", "id": "1", "valueString": "x"}))


@pytest.mark.parametrize("value", [True, "5", None, {}, [], Decimal("NaN")])
def test_what_is_no_number_is_not_found_by_one(value: Any) -> None:
    assert not finds("Observation", "value-quantity", "ge-999", valueQuantity={"value": value})


def test_units_of_one_kind_share_a_base() -> None:
    gram, milligram = unit("g"), unit("mg")
    assert gram is not None
    assert milligram is not None
    assert gram.kind == milligram.kind
    assert gram.in_base(Decimal("0.0054")) == milligram.in_base(Decimal("5.4"))
    assert unit("furlong") is None
