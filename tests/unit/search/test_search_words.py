"""`_text` and `_content`: which words a resource has, and how they are asked for."""

from typing import Any

import pytest

from fhir_server.fhir.errors import MalformedRequest
from fhir_server.search.match import matches
from fhir_server.search.parse import parse
from fhir_server.search.query import Query
from fhir_server.search.texts import ELSEWHERE, MOST_SAID, MOST_WORDS, NARRATIVE, wording_of, wordings_of, words_in

KEPT = frozenset({"CarePlan"})
PLAN: dict[str, Any] = {
    "resourceType": "CarePlan",
    "id": "secretid",
    "meta": {"lastUpdated": "2026-03-01T10:00:00Z", "profile": ["https://example.org/fancyprofile"]},
    "text": {
        "status": "generated",
        "div": '<div xmlns="urn:xhtml"><p id="hidden">Wheelchair &amp; ramp,<b>caf&#233;</b></p>then stairs</div>',
    },
    "title": "Ademhalings-ondersteuning",
    "description": "O'Brien's plan",
    "period": {"start": "2026-03-04"},
    "subject": {"reference": "Patient/addressed", "display": "Marie Peeters"},
    "category": [{"coding": [{"system": "urn:systematic", "code": "38717003", "display": "Nursing"}]}],
    "note": [{"text": "Wheelchair ordered"}],
}

PARTED = [
    *(("pain,fever", "fever"), ("hypertension/diabetes", "diabetes"), ("140/90", "90"), ("seen.Next visit", "next")),
    *(("fall(stairs)", "stairs"), ("risk:high", "high"), ("dose=5mg", "5mg"), ("<10", "10"), ("€50", "50")),
    *(("≥140", "140"), ("™brand", "brand"), ("140/90", "140/90"), ("pain,fever", '"pain fever"'), ("≥140", "≥140")),
    *(("140/90 mmHg", '"140/90 mmhg"'), ("dose=5mg", "dose=5mg"), ("about 5.4", "5.4"), ("it's", "its")),
]


def asked(name: str, text: str, *, lenient: bool = False) -> Query:
    return parse("CarePlan", [(name, text)], base_url="", full_text=KEPT, lenient=lenient)


def test_words_are_of_the_narrative_or_of_the_rest() -> None:
    words = wording_of(PLAN).words
    assert [word for word in words if word.startswith("n=")] == [
        "n=wheelchair",
        "n=ramp",
        "n=cafe",
        "n=then",
        "n=stairs",
    ]
    assert {"c=ademhalings", "c=ondersteuning", "c=obriens", "c=marie", "c=38717003", "c=nursing"} <= set(words)
    assert "c=wheelchair" not in words


@pytest.mark.parametrize(
    "hidden", ["secretid", "fancyprofile", "addressed", "urn", "careplan", "2026", "xmlns", "hidden", "xhtml"]
)
def test_addresses_times_and_markup_are_no_words(hidden: str) -> None:
    assert not [word for word in wording_of(PLAN).words if hidden in word]


def test_a_resource_has_so_many_words_and_no_more() -> None:
    long = {"resourceType": "CarePlan", "description": " ".join(f"word{number}" for number in range(5000))}
    assert len(wording_of(long).words) == MOST_WORDS
    assert max(map(len, wording_of({"resourceType": "CarePlan", "title": "x" * 5000}).words)) <= 66


def test_texts_are_blocks_of_the_narrative_and_elements_of_the_rest() -> None:
    texts = wording_of(PLAN).texts
    assert texts[NARRATIVE] == (" wheelchair ramp cafe", " then stairs")
    assert texts[ELSEWHERE] == (" ademhalings ondersteuning", " obriens plan", " marie peeters", " wheelchair ordered")


@pytest.mark.parametrize(
    ("div", "texts"),
    [
        ("<div>un<b>happ</b>y H<sub>2</sub>O<br/>a<br/>b</div>", (" unhappy h2o",)),
        ("<div>a <i>b</i>, <a href='x'>c</a> d</div>", (" a b c d",)),
        ("<div>a b<br/>c d<hr/>e f</div>", (" a b", " c d", " e f")),
        ("<div><table><tr><td>a b</td><td>c d</td></tr></table></div>", (" a b", " c d")),
        ("<div><ul><li>a b</li><li>a b</li></ul></div>", (" a b",)),
        ("<div>a <!-- b --> c &lt;p&gt; d</div>", (" c p d",)),
    ],
)
def test_markup_within_a_line_separates_nothing_and_other_markup_texts(div: str, texts: tuple[str, ...]) -> None:
    assert wording_of({"resourceType": "CarePlan", "text": {"div": div}}).texts[NARRATIVE] == texts


def test_so_much_text_is_kept_and_only_of_words_that_are_kept() -> None:
    repeated = wording_of({"resourceType": "CarePlan", "description": "two words " * MOST_SAID, "title": "a third"})
    assert [len(text.split()) for text in repeated.texts[ELSEWHERE]] == [MOST_SAID]
    assert repeated.words == ("c=two", "c=words")

    different = wording_of(
        {"resourceType": "CarePlan", "description": " ".join(f"w{n}" for n in range(MOST_WORDS + 9))}
    )
    assert [f"c={word}" for text in different.texts[ELSEWHERE] for word in text.split()] == list(different.words)


def test_what_one_resource_contains_keeps_together_no_more_words_than_a_resource() -> None:
    long = {"resourceType": "CarePlan", "description": "two words " * (MOST_SAID // 4)}

    first, second, third = wordings_of([long, {**long, "title": "more"}, {"resourceType": "CarePlan", "title": "late"}])

    assert first.words == ("c=two", "c=words")
    assert second.words == ("c=two", "c=words")
    assert third.words == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pain,fever hypertension/diabetes seen.Next", "pain fever hypertension diabetes seen next"),
        ("fall(stairs) risk:high dose=5mg a_b", "fall stairs risk high dose 5mg a b"),
        ("<10 €50 ≥140 140/90 ™brand 37℃ -5", "10 50 140 140 90 tm brand 37 c 5"),
        ("O'Brien l’eau 'quoted' cafe\u0301's", "obrien leau quoted cafes"),
        ("... -- ´ + _", ""),
        ("5..4 a.'b ((x)) ©, कि, कि।", "5 4 a b x क क"),
        ("5.4 1,500.25 3. ,7 v1.a", "54 150025 3 7 v1 a"),
    ],
)
def test_punctuation_and_signs_part_words_but_not_within_a_number_or_a_name(text: str, words: str) -> None:
    assert list(words_in(text)) == words.split()


@pytest.mark.parametrize(("text", "asked_for"), PARTED)
def test_a_word_is_found_whatever_punctuation_or_sign_it_touches(text: str, asked_for: str) -> None:
    assert matches(asked("_content", asked_for), {"resourceType": "CarePlan", "note": [{"text": text}]})


@pytest.mark.parametrize(
    ("name", "text", "met"),
    [
        ("_text", "wheelchair", True),
        ("_text", "WHEEL ramp", True),
        ("_text", "wheel and ramp", True),
        ("_text", "ramp café", True),
        ("_text", "wheel nursing", False),
        ("_text", "nursing", False),
        ("_text", "nursing,ramp", True),
        ("_text", "nursing OR bed or ramp", True),
        ("_text", "chair", False),
        ("_text", "(nursing OR wheel) and ramp", True),
        ("_text", "(nursing,bed) ramp", False),
        ("_text", "((wheel))(ramp)", True),
        ("_text", "wheel NOT nursing", True),
        ("_text", "wheel NOT ramp", False),
        ("_text", "NOT nursing", True),
        ("_text", "wheel NOT (ramp nursing)", True),
        ("_text", "wheel NOT (ramp OR nursing)", False),
        ("_text", "NOT NOT wheel", True),
        ("_text", '"wheel" "ramp"', True),
        ("_text", '"wheelchair ramp"', True),
        ("_text", '"WHEELCHAIR & ra"', True),
        ("_text", '"wheelchair, ramp, café"', True),
        ("_text", '"wheel ramp"', False),
        ("_text", '"ramp wheelchair"', False),
        ("_text", '"wheelchair café"', False),
        ("_text", '"chair ramp"', False),
        ("_text", '"café then"', False),
        ("_text", '"then stairs"', True),
        ("_text", '"ramp wheelchair" OR "ramp café"', True),
        ("_text", '"ramp wheelchair","ramp café"', True),
        ("_text", 'wheel NOT "ramp wheelchair"', True),
        ("_text", 'wheel NOT "ramp café"', False),
        ("_text", 'wheel NOT ("ramp wheelchair" OR "then stairs")', False),
        ("_text", '"ademhalings-ondersteuning"', False),
        ("_content", '"ademhalings-ondersteuning"', True),
        ("_content", '"ondersteuning ademhalings"', False),
        ("_content", '"ramp café" "marie peeters" "wheelchair ordered"', True),
        ("_content", '"marie peeters nursing"', False),
        ("_content", "\"o'brien's plan\"", True),
        ("_content", "wheelchair", True),
        ("_content", "wheel nursing marie", True),
        ("_content", "ademhalings-ondersteuning", True),
        ("_content", "o'brien", True),
        ("_content", "patient", False),
        ("_content", "nursing bed", False),
        ("_content", "orange", False),
        ("_content", "note", False),
    ],
)
def test_all_words_are_there_each_by_its_beginning(name: str, text: str, met: bool) -> None:
    assert matches(asked(name, text), PLAN) is met


@pytest.mark.parametrize(
    "text",
    [
        *("", "  ", "...", "a,,b", "a OR", "OR a", "x " * 33, "(x) " * 33),
        *("(a", "a)", "()", "(a or)", "NOT", "a NOT", "NOT or a", "NOT ...", "a NOT )"),
        *('""', '"', 'a "', '"a b', '"..."', '"a " b"', f'"{"x " * 33}"'),
        "(" * 17 + "a" + ")" * 17,
        *("NOT " * 17 + "a", "NOT (" * 9 + "a" + ")" * 9, "NOT " * 5000 + "a"),
    ],
)
def test_what_words_cannot_say_is_refused(text: str) -> None:
    with pytest.raises(MalformedRequest, match="'_text'"):
        asked("_text", text)


def test_a_type_without_words_names_the_setting() -> None:
    with pytest.raises(
        MalformedRequest, match=r"no words of Task\. The setting SAMEN_FULL_TEXT names .*: CarePlan"
    ) as e:
        parse("Task", [("_content", "x")], base_url="", full_text=KEPT)
    assert [issue.code for issue in e.value.issues] == ["not-supported"]
    assert parse("Task", [("_content", "x")], base_url="", full_text=KEPT, lenient=True).skipped == (("_content", "x"),)
