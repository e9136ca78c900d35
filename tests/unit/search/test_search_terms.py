"""Terms: what is longer than is kept as it is differs by all of its characters, and is not sought by its beginning."""

from typing import Any

import pytest

from fhir_server.fhir.errors import MalformedRequest
from fhir_server.search.match import matches
from fhir_server.search.parse import parse
from fhir_server.search.types.term import BEGINNING, LONGEST, term

LONG = "http://a.example/" + "x" * LONGEST


def resource(type_name: str, **elements: Any) -> dict[str, Any]:
    return {"resourceType": type_name, "id": "1", **elements}


def test_a_long_form_differs_by_its_last_character_and_is_kept_short() -> None:
    kept = term("identifier", f"{LONG}A")
    assert kept != term("identifier", f"{LONG}B")
    assert len(kept) <= LONGEST + len("identifier=")
    assert term("identifier", kept.partition("=")[2]) == kept, "what is read from a term asks for the same"


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("identifier", lambda value: resource("ValueSet", identifier=[{"value": value}])),
        ("url", lambda value: resource("ValueSet", url=value)),
        ("reference", lambda value: resource("ValueSet", compose={"include": [{"system": value}]})),
    ],
)
def test_what_is_long_is_found_by_all_of_it_alone(name: str, stored: Any) -> None:
    asked = parse("ValueSet", [(name, f"{LONG}A")], base_url="")
    assert matches(asked, stored(f"{LONG}A"))
    assert not matches(asked, stored(f"{LONG}B"))


def test_below_finds_what_is_long_by_a_beginning_that_is_kept() -> None:
    most = "http://a.example/" + "x" * (BEGINNING - len("http://a.example/") - 1)
    asked = parse("ValueSet", [("url:below", most)], base_url="")
    assert matches(asked, resource("ValueSet", url=f"{most}/{'y' * LONGEST}"))
    assert not matches(asked, resource("ValueSet", url=f"{most}z{'y' * LONGEST}"))


@pytest.mark.parametrize(
    ("type_name", "name", "text"),
    [
        ("ValueSet", "url:below", LONG),
        ("PlanDefinition", "depends-on:below", f"{LONG}|1"),
        ("QuestionnaireResponse", "questionnaire:below", f"{LONG}|1"),
        ("DocumentReference", "contenttype:below", "text/" + "x" * LONGEST),
    ],
)
def test_below_refuses_what_is_longer_than_a_beginning_that_is_kept(type_name: str, name: str, text: str) -> None:
    with pytest.raises(MalformedRequest, match="at most 899 characters"):
        parse(type_name, [(name, text)], base_url="")
