"""The ways from one contained resource to another: all of them while they are few, and always an end."""

from typing import Any

from fhir_server.fhir.json import Resource, encode
from fhir_server.search.containers import MOST_WRITTEN, Inner, inner_of
from fhir_server.search.joins import MOST_LINKS


def observation(id: str, *members: str, **elements: Any) -> Resource:
    """An Observation that refers to others beside it."""
    refers = {"hasMember": [{"reference": f"#{each}"} for each in members]} if members else {}
    return {"resourceType": "Observation", "id": id, "status": "final", **refers, **elements}


def holding(*contained: Resource, device: str = "#a") -> Resource:
    return {"resourceType": "Observation", "contained": list(contained), "device": {"reference": device}}


def ways(inner: list[Inner]) -> list[Any]:
    """The ids on the ways, each with what follows."""
    return [(each.resource["id"], ways(each.inner)) if each.inner else each.resource["id"] for each in inner]


def written(inner: list[Inner]) -> int:
    return sum(len(encode(each.resource)) + written(each.inner) for each in inner)


def test_ways_lead_from_each_resource_to_those_that_it_refers_to() -> None:
    found = inner_of(holding(observation("a", "b", "c"), observation("b", "c"), observation("c"), observation("d")))

    assert ways(found) == [("a", [("b", ["c"]), "c"]), ("b", ["c"]), "c", "d"]
    assert [list(each.by) for each in found] == [["device"], [], [], []]
    assert [list(each.by) for each in found[0].inner] == [["has-member"], ["has-member"]]


def test_a_circle_is_gone_around_as_far_as_a_chain_goes() -> None:
    [found] = inner_of(holding(observation("a", "a")))

    length = 0
    while found.inner:
        [found], length = found.inner, length + 1
    assert length == MOST_LINKS


def test_of_too_many_ways_the_shorter_ones_are_there() -> None:
    names = [f"o{number}" for number in range(12)]
    found = inner_of(holding(*(observation(each, *names) for each in names)))

    assert [ways(each.inner) and len(each.inner) for each in found] == [len(names)] * len(names)
    assert any(each.inner for each in found[0].inner)
    assert MOST_WRITTEN / 2 < sum(written(each.inner) for each in found) <= MOST_WRITTEN


def test_what_a_way_leads_to_is_looked_up_beside_the_resource_that_refers_to_it() -> None:
    person = {"resourceType": "Patient", "id": "p"}
    found, _ = inner_of(holding(observation("a", subject={"reference": "#p"}), person))

    assert [sorted(each.by) for each in found.inner] == [["patient", "subject"]]
    assert "contained" not in found.resource


def test_without_an_id_or_a_type_that_is_stored_nothing_is_referred_to() -> None:
    nameless = {"resourceType": "Observation", "status": "final"}
    unknown = {"resourceType": "Basic", "id": "b"}
    found = inner_of(holding(nameless, unknown, observation("a", "None", "b", ""), device="#"))

    assert [(list(each.by), each.inner) for each in found] == [([], []), ([], [])]
    assert inner_of({"resourceType": "Observation"}) == []
