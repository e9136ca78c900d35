"""FHIR datatypes as a person reads them, each in the language and the zone of the reader."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from fhir_server.demo.wording import with_translations
from fhir_server.fhir.json import Resource
from fhir_server.viewer.texts import concept_text, date_shown, day_shown, order_text, value_text
from tests.unit.viewer.readers import reading


@pytest.mark.parametrize(
    ("language", "stated", "shown"),
    [
        ("nl", "2026-11-22", "22 november 2026"),
        ("fr", "2026-11", "novembre 2026"),
        ("fr", "2026-11-01", "1er novembre 2026"),
        ("de", "2026-11", "November 2026"),
        ("en", "2026", "2026"),
        ("nl", "2026-11-22T23:30:00Z", "23 november 2026"),
        ("nl", "2026-11-22T23:30:00+01:00", "22 november 2026"),
        ("en", "9999-12-31T23:59:59Z", "31 December 9999"),
        ("en", "9999-12-31T23:59:59-05:00", "31 December 9999"),
        ("en", "0001-01-01T00:00:00+01:00", "1 January 1"),
        ("nl", "", ""),
    ],
)
def test_a_date_is_written_as_precisely_as_it_was_stated(language: str, stated: str, shown: str) -> None:
    with reading(language):
        assert day_shown(stated) == shown


@pytest.mark.parametrize(
    ("language", "day", "style", "shown"),
    [
        ("fr", date(2026, 12, 1), "full", "mardi 1er décembre 2026"),
        ("fr", date(2026, 12, 1), "long", "1er décembre 2026"),
        ("fr", date(2026, 12, 1), "medium", "1er déc. 2026"),
        ("fr", date(2026, 12, 1), "short", "1/12/26"),
        ("fr", date(2026, 12, 11), "long", "11 décembre 2026"),
        ("fr", date(1, 12, 1), "long", "1er décembre 1"),
        ("fr", datetime(2026, 11, 30, 23, 30, tzinfo=UTC), "long", "1er décembre 2026"),
        ("nl", date(2026, 12, 1), "long", "1 december 2026"),
        ("de", date(2026, 12, 1), "long", "1. Dezember 2026"),
        ("en", date(2026, 12, 1), "long", "1 December 2026"),
    ],
)
def test_the_first_of_a_month_is_written_as_the_language_writes_it(
    language: str, day: date, style: str, shown: str
) -> None:
    with reading(language):
        assert date_shown(day, style) == shown


@pytest.mark.parametrize(
    ("concept", "shown"),
    [
        ({"text": "Gewicht", "coding": [{"code": "29463-7", "display": "Body weight"}]}, "Gewicht"),
        ({"coding": [{"code": "29463-7", "display": "Body weight"}]}, "Body weight"),
        ({"coding": [{"code": "29463-7"}]}, "code 29463-7"),
        ({"coding": [{"system": "http://loinc.org"}]}, ""),
        (None, ""),
    ],
)
def test_a_concept_without_words_is_said_to_be_a_code(concept: Resource | None, shown: str) -> None:
    with reading("nl"):
        assert concept_text(concept, "nl") == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"valueQuantity": {"value": 61.5, "unit": "kg"}}, "61,5 kg"),
        ({"valueRange": {"low": {"value": 60, "unit": "kg"}, "high": {"value": 65.5, "unit": "kg"}}}, "60–65,5 kg"),
        ({"valueRange": {"low": {"value": 2, "unit": "h"}, "high": {"value": 1, "unit": "d"}}}, "2 h–1 d"),
        ({"valueRange": {"low": {"value": 60, "unit": "kg"}}}, "≥ 60 kg"),
        ({"valueRange": {"high": {"value": 65, "unit": "kg"}}}, "≤ 65 kg"),
        ({"valueBoolean": False}, "nee"),
        ({"valueDateTime": "2026-11"}, "november 2026"),
        ({"valueCodeableConcept": {"text": "stabiel"}}, "stabiel"),
        ({"valuePeriod": {"start": "2026-11"}}, ""),
    ],
)
def test_a_value_stands_on_one_line(value: dict[str, Any], shown: str) -> None:
    with reading("nl"):
        assert value_text(value, "nl") == shown


@pytest.mark.parametrize(
    ("language", "shown"),
    [("nl", "Lichaamsgewicht"), ("fr", "Poids corporel"), ("de", "Körpergewicht"), ("en", "Body weight")],
)
def test_the_demo_speaks_every_language(language: str, shown: str) -> None:
    observation = with_translations({"resourceType": "Observation", "code": {"text": "Lichaamsgewicht"}})

    assert concept_text(observation["code"], language) == shown


@pytest.mark.parametrize(
    ("language", "shown"),
    [
        ("nl", "Niet uitvoeren: Sondevoeding"),
        ("fr", "À ne pas réaliser\u00a0: Sondevoeding"),
        ("de", "Nicht durchführen: Sondevoeding"),
        ("en", "Not to be done: Sondevoeding"),
    ],
)
def test_an_order_not_to_do_something_never_reads_like_the_opposite(language: str, shown: str) -> None:
    order = {"resourceType": "ServiceRequest", "code": {"text": "Sondevoeding"}}
    with reading(language):
        assert order_text({**order, "doNotPerform": True}, language) == shown
        assert order_text({**order, "doNotPerform": False}, language) == order_text(order, language) == "Sondevoeding"
        assert order_text({"doNotPerform": True}, language) == shown.partition(":")[0].rstrip("\u00a0")
