"""`_filter`: what expressions mean, and where the others go wrong."""

from collections.abc import Sequence

import pytest

from fhir_server.fhir.errors import MalformedRequest
from fhir_server.search.join_answers import joined
from fhir_server.search.match import matches
from fhir_server.search.parse import parse
from fhir_server.search.query import AllOf, AnyOf, Clause, Join, Not, Query, Text, Token

ACTIVE = Clause("active", "token", (Token(None, "true"),))
NAMED = Clause("name", "string", (Text("pet", "pet"),), "contains")
MARIE = {
    "resourceType": "Patient",
    "id": "1",
    "active": True,
    "name": [{"family": "Peeters", "given": ["Marie", "Louise"]}],
    "birthDate": "1960-04-05",
    "address": [{"city": 'a "b" (c)'}],
    "generalPractitioner": [{"reference": "Practitioner/1"}],
}


def asked(text: str, type_name: str = "Patient") -> Query:
    return parse(type_name, [("_filter", text)], base_url="https://here.example/fhir")


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("active eq true", ACTIVE),
        ('name co "pet"', NAMED),
        ("name co pet", NAMED),
        ("  ( active eq true )  ", ACTIVE),
        ("active eq true and name co pet", AllOf((ACTIVE, NAMED))),
        ("active eq true or name co pet", AnyOf((ACTIVE, NAMED))),
        ("not (active eq true)", Not(ACTIVE)),
        ("not(active eq true)or name co pet", AnyOf((Not(ACTIVE), NAMED))),
        ("active eq true and name co pet or active eq true", AnyOf((AllOf((ACTIVE, NAMED)), ACTIVE))),
        ("active eq true or name co pet and active eq true", AllOf((AnyOf((ACTIVE, NAMED)), ACTIVE))),
        ("active eq true or (name co pet and active eq true)", AnyOf((ACTIVE, AllOf((NAMED, ACTIVE))))),
        ("active eq true and name co pet and active eq true", AllOf((ACTIVE, NAMED, ACTIVE))),
        ("active pr false", Clause("active", "token", (), missing=True)),
        (
            "general-practitioner:Practitioner.active eq true",
            Join("general-practitioner", (Query("Practitioner", filters=(ACTIVE,)),)),
        ),
    ],
)
def test_expressions_are_read_from_left_to_right(text: str, condition: object) -> None:
    assert asked(text).filters == (condition,)


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("given eq marie", True),
        ("given eq mar", False),
        ("given ne marie", False),
        ("given ne peter", True),
        ("given sw mar", True),
        ("given ew RIE", True),
        ("given ew mar", False),
        ("given co ari", True),
        ("death-date ne 2020", False),
        ("telecom ne 5", False),
        ("not (telecom eq 5)", True),
        ("telecom pr false", True),
        ("_id pr true", True),
        ("_id pr false or _lastUpdated pr false", False),
        ("not (_lastUpdated pr false)", True),
        ("birthdate po 1960", True),
        ("birthdate po 1961", False),
        ("birthdate ge 1960-04 and birthdate lt 1960-05", True),
        ("birthdate sa 1960-04", False),
        ("general-practitioner re Practitioner/1", True),
        ("general-practitioner ne Practitioner/1", False),
        ("_id eq 1", True),
        ("_id ne 1", False),
        (r'address-city eq "a \"b\" (c)"', True),
        ('address-city co "(c)"', True),
        ("active eq false or not (family eq janssens)", True),
        ("active eq true and not (family eq peeters)", False),
        ("given gt louisa", True),
        ("given lt LOUIS", False),
        ("given ge Zoe", False),
        ("given le marie", True),
        ("given lt a or given gt z", False),
    ],
)
def test_operators_say_what_their_parameter_has(text: str, met: bool) -> None:
    assert matches(asked(text), MARIE) is met


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", r"at character 1: a search parameter should stand here"),
        ("active", r"at character 7: a space should stand here"),
        ("active ", r"at character 8: an operator should stand here, such as eq, ne, co"),
        ("active is true", r"at character 8: 'is' is no operator; there are eq, ne, co, sw, ew"),
        ("active eq", r"at character 10: a space should stand here"),
        ("active eq ", r"at character 11: a value should stand here"),
        ("(active eq true", r"at character 16: '\)' should stand here"),
        ("active eq true)", r"at character 15: 'and', 'or' or the end should stand here"),
        ("active eq true name", r"at character 16: 'and', 'or' or the end"),
        ("active eq true and", r"at character 19: a search parameter"),
        ("active eq true AND active eq true", r"at character 16: 'and', 'or'"),
        ("not active eq true", r"at character 5: '\(' should stand after 'not'"),
        ('name co "pet', r"at character 9: this text has no closing quote"),
        (r'name co "\x"', r"at character 9: .* is no JSON string"),
        ("active pr maybe", r"at character 1: 'pr' takes true or false, not 'maybe'"),
        ("birthdate eq soon", r"at character 1: 'birthdate' is a date and is not compared with 'soon'"),
        ("active eq true or birthdate ge ge2014", r"at character 19: 'birthdate' .* with 'ge2014'"),
        ("(" * 17 + "active eq true" + ")" * 17, r"at most 16 deep"),
        (" or ".join(["active eq true"] * 65), r"more than 64 comparisons"),
        (".".join(["link"] * 10) + " eq 1", r"."),
        ("link[active eq true] eq 1", r"at character 1: a path that states a type or a filter goes on behind it"),
        ("link:Patient eq 1", r"at character 1: a path that states a type or a filter goes on behind it"),
        ("link[active eq true.name eq 1", r"at character 5: this bracket is not closed"),
        ("link:Patient[active eq true x].name eq 1", r"at character 29: '\]' should stand here"),
        ("link:Patient[active is 1].name eq 1", r"at character 21: 'is' is no operator"),
        ("link:Patient[birthdate eq soon].name eq 1", r"at character 14: 'birthdate' is a date"),
        ('link:Patient[name eq "].name eq 1', r"at character 22: this text has no closing quote"),
        ("link:Patient[" * 17 + "active eq true" + "].active eq true" * 17, r"deep|at most 8 resources"),
        ("link:Patient[active eq true].name eq x or " * 32 + "active eq true", r"more than 64 comparisons"),
        ('name eq "\u0001"', r"a character that no text may have"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, says: str) -> None:
    with pytest.raises(MalformedRequest, match=says) as refusal:
        asked(text)
    assert "'_filter', at character" in refusal.value.issues[0].diagnostics


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("colour eq red", r"at character 1: Patient has no search parameter 'colour'; it has _id"),
        ("active eq true and name sa a", r"at character 20: 'name' is a string and has no 'sa'; it has eq, ne, co, sw"),
        ("active co tru", r"'active' is a token and has no 'co'; it has eq, ne, in, ni, "),
        ("name.given eq x", r"Patient.name is no reference, so 'name.given' leads nowhere"),
        ("link:Patient[type eq refer].name eq x", r"at character 14: Patient has no search parameter 'type'"),
        ("link[name eq x].other re Patient/1", r"nothing that 'link' refers to has a search parameter 'other'"),
        ("address[use eq home].city eq Gent", r"Patient has no search parameter|is no reference"),
        ("active in http://x", r"has no modifier ':in'"),
    ],
)
def test_what_is_not_served_is_said_and_left_out_when_lenient(text: str, says: str) -> None:
    with pytest.raises(MalformedRequest, match=says) as refusal:
        asked(text)
    assert [issue.code for issue in refusal.value.issues] == ["not-supported"]
    lenient = parse("Patient", [("_filter", text)], base_url="", lenient=True)
    assert (lenient.filters, lenient.skipped) == ((), (("_filter", text),))


def test_nobody_asks_whether_a_combination_is_there() -> None:
    with pytest.raises(MalformedRequest, match=r"'code-value-quantity' is never asked whether it is there"):
        asked("code-value-quantity pr true", "Observation")


def test_chains_in_a_filter_are_answered_first() -> None:
    query = asked("active eq true and not (general-practitioner.name co jans)")
    sought: list[Query] = []

    def seek(sub: Query, linked: str | None) -> Sequence[str]:
        sought.append(sub)
        return ["Practitioner/1"] if sub.type == "Practitioner" else []

    def codes(sub: Query) -> Sequence[Token]:
        raise AssertionError("no value set was asked")

    answered = joined(query, seek, codes)

    assert {each.type for each in sought} == {"Organization", "Practitioner"}
    assert not matches(answered, MARIE)
    assert matches(joined(query, lambda sub, linked: [], codes), MARIE)
    with pytest.raises(ValueError, match="not answered"):
        matches(query, MARIE)


def test_a_filter_on_the_way_is_said_of_what_the_path_leads_on_from() -> None:
    [found] = asked("general-practitioner:Practitioner[active eq true].name co pet").filters
    assert found == Join("general-practitioner", (Query("Practitioner", filters=(ACTIVE, NAMED)),))

    [found] = asked("general-practitioner[active eq true].name co pet or active eq true").filters
    assert isinstance(found, AnyOf)
    join = found.conditions[0]
    assert isinstance(join, Join)
    assert [each.type for each in join.queries] == ["Organization", "Practitioner"]
    assert {each.filters[0] for each in join.queries} == {ACTIVE}

    [found] = asked('link:Patient[name co "a]" or link:Patient[active eq true].active eq true].name co pet').filters
    assert isinstance(found, Join)
    assert isinstance(found.queries[0].filters[0], AnyOf)


def test_a_filter_counts_its_chains() -> None:
    chain = "general-practitioner:Practitioner.active eq true"
    assert len(asked(" or ".join([chain] * 16)).filters) == 1
    with pytest.raises(MalformedRequest, match="at most 16 chains"):
        asked(" or ".join([chain] * 17))


def test_filters_are_joined_by_and() -> None:
    query = parse("Patient", [("_filter", "active eq true"), ("_filter", "name co x"), ("_id", "1")], base_url="")
    assert not matches(query, MARIE)
