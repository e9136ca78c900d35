"""Where an extension stands for a required value, as R4's JSON allows: stored or refused in words, never a failure."""

from collections.abc import Iterator
from typing import Any

import pytest

from fhir_server.access.types import TYPES
from fhir_server.fhir.json import Resource
from tests.http.resources import imported, own
from tests.minimal import minimal
from tests.world import Party, World

UNKNOWN: Resource = {"extension": [{"url": "https://samen.example/unknown", "valueCode": "unknown"}]}
DEFINITION = minimal(
    "SearchParameter",
    status="active",
    url="https://care.example/SearchParameter/by-extension",
    code="by-extension",
    base=["Group"],
    type="string",
    expression="Group.name",
)


def without(resource: Resource, element: str) -> Resource:
    """The resource with an extension where the value of the element stood."""
    rest = {name: value for name, value in resource.items() if name != element}
    return {**rest, f"_{element}": [UNKNOWN] if isinstance(resource[element], list) else UNKNOWN}


def variants(value: Any) -> Iterator[Any]:
    """The value, each time with an extension for another of the primitives in it."""
    if isinstance(value, list):
        yield from ([each] for each in variants(value[0]))
    if isinstance(value, dict):
        for name, child in value.items():
            first = child[0] if isinstance(child, list) else child
            if isinstance(first, dict):
                yield from ({**value, name: each} for each in variants(child))
            elif name not in {"resourceType", "id", "div"}:
                yield without(value, name)


@pytest.mark.parametrize("type_name", sorted(TYPES))
def test_a_value_that_is_an_extension_is_no_failure(world: World, type_name: str) -> None:
    hosp = world.hospital()
    for party, resource in ((world.operator, imported(type_name)), (hosp, own(hosp, type_name))):
        for each in variants(resource):
            judged = party.ask("POST", f"{type_name}/$validate?mode=create", each)
            made = party.post(each)
            assert judged.status < 500, (each, judged.body)
            assert made.status < 500, (each, made.body)


@pytest.mark.parametrize("element", ["url", "code", "type", "base"])
def test_what_is_searched_by_states_its_values(world: World, hosp: Party, element: str) -> None:
    sent = without(DEFINITION, element)

    made, judged, other = (
        world.operator.post(sent),
        world.operator.ask("POST", "SearchParameter/$validate?mode=create", sent),
        hosp.post(sent),
    )

    assert (made.status, made.paths) == (422, {f"SearchParameter.{element}"})
    assert (judged.status, judged.paths) == (200, {f"SearchParameter.{element}"})
    assert other.status in {403, 422}


def test_what_a_composite_or_reference_is_searched_by_states_its_values(world: World) -> None:
    component = {"_definition": UNKNOWN, "_expression": UNKNOWN}
    composite = {**DEFINITION, "type": "composite", "component": [component]}
    reference = {**DEFINITION, "type": "reference", "target": ["Patient", None], "_target": [None, UNKNOWN]}

    assert world.operator.post(composite).paths == {
        "SearchParameter.component[0].definition",
        "SearchParameter.component[0].expression",
    }
    assert world.operator.post(reference).paths == {"SearchParameter.target[1]"}


@pytest.mark.parametrize("element", ["url", "code", "type", "base", "status"])
def test_a_definition_that_is_only_kept_need_not(world: World, element: str) -> None:
    assert world.operator.post(without({**DEFINITION, "status": "draft"}, element)).status == 201


def test_the_name_of_a_parameter_is_stated(hosp: Party, patient: str) -> None:
    for operation in ("$everything", "$meta-add", "$validate"):
        for value in ({"valueInteger": 1}, {"valueMeta": {"profile": ["https://care.example/p"]}}):
            sent = {"resourceType": "Parameters", "parameter": [{"_name": UNKNOWN, **value}]}
            reply = hosp.ask("POST", f"{patient}/{operation}", sent)

            assert reply.status == (400 if operation == "$validate" else 422), reply.body
            if operation != "$validate":
                assert reply.paths == {"Parameters.parameter[0].name"}


def test_a_subscription_states_its_status_and_headers(world: World, hosp: Party) -> None:
    foreign = {
        "resourceType": "Subscription",
        "reason": "Some text",
        "criteria": "Observation?code=1",
        "channel": {"type": "email"},
        "_status": UNKNOWN,
    }
    served = imported("Subscription")
    channel = {**served["channel"], "header": [None], "_header": [UNKNOWN]}

    assert world.operator.post(foreign).paths == {"Subscription.status"}
    reply = hosp.post({**served, "channel": channel})
    assert (reply.status, reply.paths) == (422, {"Subscription.channel.header[0]"})
