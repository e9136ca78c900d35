"""Every include that /metadata declares brings what it leads to, there and back."""

import uuid
from typing import Any

import pytest

from fhir_server.access.types import TYPES
from fhir_server.definitions.search_parameters import SearchParameter, parameters_of
from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import parse_reference
from fhir_server.search.elements import values_of
from tests.conformance.test_capabilities import declared
from tests.conformance.valued import valued
from tests.http.resources import imported
from tests.world import Party, World

# The server alone writes AuditEvents.
SOURCES = sorted(TYPES.keys() - {"AuditEvent"})


def stored(operator: Party, resource: Resource) -> str:
    """`Type/id` of what the operator imported."""
    made = operator.put({**resource, "id": f"inc-{uuid.uuid4().hex}"})
    assert made.status == 201, made.body
    return f"{resource['resourceType']}/{made.body['id']}"


def led(operator: Party, parameter: SearchParameter, resource: Resource) -> tuple[str, str, str] | None:
    """What the resource states, something new that is stored for it, and what the resource is to state instead."""
    possible = [each for each in SOURCES if parameter.may_point_to(each)]
    for datatype, value in values_of(resource, parameter) if possible else ():
        if datatype == "Reference":
            stated = parse_reference(value.get("reference", ""))
            if stated is not None:
                kind = stated.type if stated.type in possible else possible[0]
                target = stored(operator, imported(kind))
                return value["reference"], target, target
            continue
        defined = [each for each in possible if "url" in parameters_of(each)]
        if defined:
            url = f"https://samen.example/fhir/{uuid.uuid4().hex}"
            return value, stored(operator, {**imported(defined[0]), "url": url}), url
    return None


def restated(value: Any, old: str, new: str) -> Any:
    """The same, with another address wherever one stood."""
    if isinstance(value, dict):
        return {name: restated(child, old, new) for name, child in value.items()}
    if isinstance(value, list):
        return [restated(child, old, new) for child in value]
    return new if value == old else value


def included(party: Party, asked: str) -> list[str]:
    """What a search brings beside its matches."""
    reply = party.get(asked)
    assert reply.status == 200, reply.body
    entries = [each for each in reply.body.get("entry", []) if each["search"]["mode"] == "include"]
    return [f"{each['resource']['resourceType']}/{each['resource']['id']}" for each in entries]


@pytest.mark.parametrize("type_name", SOURCES)
def test_declared_includes_lead_there_and_back(world: World, statement: Resource, type_name: str) -> None:
    operator = world.operator
    for name in declared(statement, type_name).get("searchInclude", []):
        parameter = parameters_of(type_name)[name.partition(":")[2]]
        resource = valued(type_name, parameter)
        found = led(operator, parameter, resource)
        assert found is not None, f"{name} was not asked"
        old, target, new = found
        source = stored(operator, restated(resource, old, new))
        there, back = (each.replace("/", "?_id=") for each in (source, target))

        assert target in included(operator, f"{there}&_include={name}"), name
        assert included(operator, f"{back}&_revinclude={name}") == [source], name
        assert name in declared(statement, target.partition("/")[0])["searchRevInclude"]
