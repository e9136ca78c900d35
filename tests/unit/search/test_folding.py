"""Two ways to write a name are one when people would say so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhir.errors import MalformedRequest
from fhir_server.search.escaping import escape, literally, split, unescape
from fhir_server.search.folding import fold


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Peeters", "peeters"),
        ("Pëétèrs", "peeters"),
        ("  Van  den\tBerg ", "van den berg"),
        ("Jean-Pierre", "jean pierre"),
        ("O'Brien", "obrien"),
        ("St. Jansplein 3, bus 2", "st jansplein 3 bus 2"),
        ("Straße", "strasse"),
        ("Ægir Øst Łódź", "aegir ost lodz"),
        ("ΑΘΉΝΑ", "αθηνα"),
        ("...", ""),
    ],
)
def test_case_accents_and_punctuation_do_not_count(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text())
def test_case_never_counts(text: str) -> None:
    assert fold(text.casefold()) == fold(text)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a,b", ["a", "b"]),
        (r"a\,b,c", [r"a\,b", "c"]),
        (r"a\\,b", [r"a\\", "b"]),
        (r"a\|b", [r"a\|b"]),
        ("", [""]),
        (",", ["", ""]),
        ("a,", ["a", ""]),
    ],
)
def test_a_comma_separates_unless_it_is_escaped(text: str, parts: list[str]) -> None:
    assert split(text, ",") == parts


def test_an_escape_stands_for_the_character() -> None:
    assert unescape(r"a\,b\|c\$d\\e") == r"a,b|c$d\e"


@pytest.mark.parametrize("text", [r"a\b", "a\\", r"\n"])
def test_an_escape_that_fhir_does_not_have_is_refused(text: str) -> None:
    with pytest.raises(MalformedRequest, match="is no escape"):
        unescape(text)


@given(st.text())
def test_what_is_escaped_is_one_part_and_comes_back(text: str) -> None:
    assert split(escape(text), "|") == [escape(text)]
    assert unescape(escape(text)) == text


@given(st.text(), st.sampled_from(",|$"))
def test_what_is_asked_literally_is_one_value_whatever_separates(text: str, separator: str) -> None:
    assert split(literally(text), separator) == [literally(text)]
    assert unescape(literally(text)) == text
