"""Chains, `_has` and `_list`: what is asked first, and the clauses that follow from it."""

from collections.abc import Sequence

import pytest

from fhir_server.fhir.errors import MalformedRequest
from fhir_server.search.join_answers import joined
from fhir_server.search.match import matches
from fhir_server.search.parse import parse
from fhir_server.search.query import Clause, Include, Join, Query, Target, Text, Token

IDENTIFIED = Clause("identifier", "token", (Token("urn:a", "1"),))


def asked(type_name: str, *pairs: tuple[str, str]) -> Query:
    return parse(type_name, pairs, base_url="https://here.example/fhir")


def no_codes(query: Query) -> Sequence[Token]:
    raise AssertionError("no value set was asked")


def test_a_chain_asks_the_type_that_is_referred_to() -> None:
    assert asked("Task", ("patient.identifier", "urn:a|1")).joins == (
        Join("patient", (Query("Patient", (IDENTIFIED,)),)),
    )


def test_a_chain_without_a_type_asks_each_type_that_has_the_parameter() -> None:
    [join] = asked("Task", ("subject.family", "x")).joins
    assert [each.type for each in join.queries] == ["Patient", "Practitioner"]


def test_a_chain_with_a_type_asks_that_one() -> None:
    [join] = asked("Observation", ("subject:Patient.family:exact", "X")).joins
    assert join == Join("subject", (Query("Patient", (Clause("family", "string", (Text("X", "x"),), "exact"),)),))


def test_has_asks_what_refers_to_the_type() -> None:
    [join] = asked("Patient", ("_has:Observation:patient:code", "1")).joins
    assert join == Join("_id", (Query("Observation", (Clause("code", "token", (Token(None, "1"),)),)),), "patient")


def test_joins_nest() -> None:
    [join] = asked("Patient", ("_has:Observation:patient:_has:Provenance:target:agent.identifier", "urn:a|1")).joins
    [observation] = join.queries
    [inner] = observation.joins
    [provenance] = inner.queries
    assert (observation.type, inner.linked, provenance.type) == ("Observation", "target", "Provenance")
    assert provenance.joins[0].parameter == "agent"


def test_a_chain_that_leads_everywhere_asks_for_a_type() -> None:
    with pytest.raises(MalformedRequest, match=r"name the one you mean, as in focus:"):
        asked("Task", ("focus.status", "x"))


def test_a_type_that_refers_to_nothing_says_so_of_a_chain() -> None:
    with pytest.raises(
        MalformedRequest, match=r"no chain 'derived-from.title'; none of its parameters leads to another"
    ):
        asked("Questionnaire", ("derived-from.title", "x"))


def test_a_search_has_so_many_joins_and_no_more() -> None:
    assert len(asked("Task", *[("patient.identifier", "1")] * 16).joins) == 16
    with pytest.raises(MalformedRequest, match="at most 16 chains"):
        asked("Task", *[("patient.identifier", "1")] * 17)


def test_a_chain_ends_somewhere() -> None:
    with pytest.raises(MalformedRequest, match="at most 8 resources"):
        asked("Task", (".".join(["part-of"] * 9 + ["_id"]), "1"))


def test_what_is_found_becomes_a_plain_clause() -> None:
    query = asked("Task", ("status", "requested"), ("patient.identifier", "urn:a|1"), ("_has:Task:part-of:status", "x"))

    def seek(sub: Query, linked: str | None) -> Sequence[str]:
        return ["Patient/1", "Patient/2"] if linked is None else ["Task/3", "CarePlan/4", "Task/3"]

    assert joined(query, seek, no_codes).joined == (
        Clause("patient", "reference", (Target("Patient/1"), Target("Patient/2"))),
        Clause("_id", "token", (Token(None, "3"),)),
    )


def test_what_is_found_nowhere_matches_nothing() -> None:
    query = joined(asked("Task", ("patient.identifier", "1")), lambda sub, linked: [], no_codes)
    assert not matches(query, {"resourceType": "Task", "id": "1", "for": {"reference": "Patient/1"}})


def test_a_question_whose_joins_are_not_answered_is_never_asked_without_them() -> None:
    with pytest.raises(ValueError, match="not answered"):
        matches(asked("Task", ("patient.identifier", "1")), {"resourceType": "Task", "id": "1"})


def test_a_wildcard_is_every_reference_parameter() -> None:
    includes = asked("Flag", ("_include", "*")).includes
    assert {each.parameter for each in includes} == {"author", "encounter", "patient", "subject"}
    assert asked("Flag", ("_include", "Flag:*")).includes == includes


def test_a_reverse_include_is_of_another_type() -> None:
    query = asked("Task", ("_revinclude", "Provenance:target"), ("_include:iterate", "Patient:general-practitioner"))
    assert query.includes == (
        Include("Provenance", "target", reverse=True),
        Include("Patient", "general-practitioner", iterate=True),
    )
