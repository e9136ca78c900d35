"""Every search parameter that /metadata declares finds a resource of its type by what it has, and by nothing else.

The resources are HL7's own examples, where they are there; where none has a value for a parameter, or the examples are
not there, a small resource that has one. Then every kind of question is asked of each type, not of each parameter.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from fhir_server.access.types import TYPES
from fhir_server.definitions.search_parameters import SearchParameter, parameters_of, shipped_parameters_of
from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import rewrite_references
from fhir_server.search.clauses import MODIFIERS
from fhir_server.search.grant import Stamp
from fhir_server.search.types import date
from tests.conformance.official import EXAMPLES, example, examples_of
from tests.conformance.questions import Question, questions
from tests.conformance.test_official_examples import INVALID
from tests.conformance.valued import valued
from tests.http.resources import imported
from tests.world import Case, Party, World

ENOUGH = 120
OF_THE_STORE = {"_id", "_lastUpdated"}
# What stands above and below is told by other resources: tests/http/test_searching_through.py asks it.
STANDING = {"token": {"above", "below"}, "reference": {"above", "below"}}
OF_WORDS = ("_content", "_text")


@pytest.fixture(scope="module")
def statement(world: World) -> dict[str, Resource]:
    """What the server declares, by type."""
    return {each["type"]: each for each in world.operator.read("metadata")["rest"][0]["resource"]}


@pytest.fixture(scope="module")
def case(world: World) -> Case:
    """A plan: its custodian reads what the audit tells of it and of its person."""
    return world.case(world.hospital(), world.party())


@pytest.mark.parametrize("type_name", sorted(TYPES))
def test_every_declared_parameter_finds_what_it_should(
    world: World, statement: dict[str, Resource], case: Case, type_name: str
) -> None:
    asker = world.custodian if type_name == "AuditEvent" else world.operator
    declared = {each["name"] for each in statement[type_name]["searchParam"]}
    unanswered: list[Question] = []
    before: set[object] = set()

    for resource, parameter in _known(world, case, type_name, declared):
        asked = _new(parameter, questions(parameter, resource), before)
        assert {each.found for each in asked} == {True, False}, parameter
        unanswered += [each for each in asked if _finds(world, asker, resource, each) is not each.found]

    assert unanswered == []


@pytest.mark.parametrize("type_name", sorted(TYPES))
def test_filters_and_declared_words_find_what_they_should(
    world: World, statement: dict[str, Resource], type_name: str
) -> None:
    declared = {each["name"] for each in statement[type_name]["searchParam"]} & set(OF_WORDS)
    narrative = {"status": "additional", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Zomerbries</div>'}
    if type_name == "AuditEvent":
        return  # what the server writes has no narrative
    also = {"text": narrative} if declared else {}
    made = _stored(world, None, imported(type_name) | also)
    asked = [Question(name, text, text != "windstil") for name in OF_WORDS for text in ("zomerbries", "windstil")]
    asked += [Question("_filter", f"_id {what} {made['id']}", what == "eq") for what in ("eq", "ne")]
    asked = [each for each in asked if each.name in {"_filter", *declared}]

    assert [each for each in asked if _finds(world, world.operator, made, each) is not each.found] == []


def test_every_modifier_and_prefix_is_asked() -> None:
    """As far as R4 has a type of parameter with which something can be asked so."""
    asked: dict[str, set[str]] = {}
    prefixes: dict[str, set[str]] = {}
    for type_name in ("Observation", "Patient", "Task", "RiskAssessment", "Location", "Questionnaire"):
        for parameter in parameters_of(type_name).values():
            for each in (
                questions(parameter, valued(type_name, parameter)) if parameter.code not in OF_THE_STORE else ()
            ):
                asked.setdefault(parameter.type, set()).add(each.modifier)
                prefixes.setdefault(parameter.type, set()).add(each.text[:2])

    for kind, modifiers in MODIFIERS.items():
        assert set(modifiers) - STANDING.get(kind, set()) <= asked[kind], kind
    assert any(each[:1].isupper() for each in asked["reference"])
    for kind in ("age", "date", "number", "quantity"):
        assert set(date.PREFIXES) <= prefixes[kind], kind


def _new(parameter: SearchParameter, asked: list[Question], before: set[object]) -> list[Question]:
    """Everything; but without the examples, beside what it has and has not, only kinds that the type was not asked."""
    if EXAMPLES is not None:
        return asked
    plain = {found: next((each for each in asked if each.found is found), None) for found in (True, False)}
    new = [each for each in asked if each in plain.values() or (parameter.type, each.kind) not in before]
    before.update((parameter.type, each.kind) for each in asked)
    return new


def _known(world: World, case: Case, type_name: str, declared: set[str]) -> Iterator[tuple[Resource, SearchParameter]]:
    """A stored resource for each declared parameter."""
    examples = [] if EXAMPLES is None else [(file, example(file)) for file in _taken(type_name)[:ENOUGH]]
    stored: dict[str, Resource] = {}
    shipped = shipped_parameters_of(type_name)
    assert shipped.keys() <= declared
    for parameter in shipped.values():
        having = [
            (file.stem, each) for file, each in examples if file.stem not in INVALID and _can_ask(parameter, each)
        ]
        name, best = max(having, key=lambda each: _kinds(parameter, each[1]), default=(parameter.code, None))
        if name not in stored:
            stored[name] = _stored(world, case, best or valued(type_name, parameter))
        yield stored[name], parameter


def _taken(type_name: str) -> list[Path]:
    return [file for file in examples_of(type_name) if file.stem not in INVALID]


def _kinds(parameter: SearchParameter, resource: Resource) -> int:
    return len({each.kind for each in questions(parameter, resource)})


def _can_ask(parameter: SearchParameter, resource: Resource) -> bool:
    return parameter.code in OF_THE_STORE or {each.found for each in questions(parameter, resource)} == {True, False}


def _stored(world: World, case: Case | None, resource: Resource) -> Resource:
    """The resource as the server keeps it. The server alone writes AuditEvents, so one is written as it does."""
    operator, services = world.operator, world.parts.services
    if resource["resourceType"] == "AuditEvent" and case is not None:
        meta = {**resource.get("meta", {}), "versionId": "1", "lastUpdated": resource["recorded"]}
        about = rewrite_references(resource, lambda each: re.sub("Patient/[^/]+", case.patient, each))
        event, stamp = {**about, "id": services.new_id(), "meta": meta}, Stamp(plans=(case.plan.partition("/")[2],))
        services.store.transact(lambda tx: tx.record([event], stamp))
        return world.custodian.read(f"AuditEvent/{event['id']}")
    made = operator.post({name: value for name, value in resource.items() if name != "id"})
    assert made.status == 201, (resource["resourceType"], made.body)
    return operator.read(f"{resource['resourceType']}/{made.body['id']}")


def _finds(world: World, asker: Party, resource: Resource, question: Question) -> bool:
    type_name, id = resource["resourceType"], resource["id"]
    text = question.text
    if question.modifier in {"in", "not-in"}:
        text = _value_set(world.operator, *question.text.rsplit("|", 1))
    reply = asker.get(f"{type_name}?_id={id}&{quote(question.name, safe=':')}={quote(text, safe='')}")
    assert reply.status == 200, (question, reply.body)
    found = [each["id"] for each in reply.entries]
    assert found in ([], [id]), question
    return bool(found)


def _value_set(operator: Party, system: str, code: str) -> str:
    """A stored ValueSet of one code."""
    include = [{"system": system, "concept": [{"code": code}]}]
    made = operator.post({"resourceType": "ValueSet", "status": "active", "compose": {"include": include}})
    assert made.status == 201, made.body
    return f"ValueSet/{made.body['id']}"
